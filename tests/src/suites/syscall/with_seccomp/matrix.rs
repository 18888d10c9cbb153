// SPDX-License-Identifier: GPL-2.0
//! Every verdict of evfilter against every verdict of seccomp on one task: what happens is what the stricter of the two says.

use filters::insn::Insn;
use filters::verdict::{Action, Verdict};
use libc::SYS_getuid;

use crate::harness::Test;
use crate::kernel::attach;
use crate::program::{ALLOW, KILL, errno, on_nr, syscalls, trap};
use crate::seccomp::install;
use crate::sys::child::{Board, Seen, nap, run};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::sys;

const fn action(action: Action) -> u32 {
    Verdict::new(action, 0).raw()
}

/// From the mildest to the strictest.
const VERDICTS: [(&str, u32); 10] = [
    ("allow", ALLOW),
    ("log", action(Action::Log)),
    ("trace", action(Action::Trace)),
    ("notify", action(Action::Notify)),
    ("errno_70", errno(70)),
    ("errno_71", errno(71)),
    ("errno_0", errno(0)),
    ("trap", trap(5)),
    ("kill_thread", action(Action::KillThread)),
    ("kill_process", KILL),
];

/// A column of the matrix for each verdict of ours, and a trap against another trap.
pub(super) fn tests() -> Vec<Test> {
    let columns = VERDICTS.map(|(name, verdict)| {
        Test::new(
            format!("syscall::law_1_narrow_only_{name}_beside_every_verdict_of_seccomp"),
            move || column(name, verdict),
        )
    });
    let mut tests = Vec::from(columns);
    tests.extend(crate::harness::tests!("syscall"; trap_beside_another_trap_is_seccomps));
    tests
}

/// A thread makes the call; the first one tells whether it outlives that.
fn deed(board: &Board) {
    catch_sigsys();
    let (report, answer) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = sys!(SYS_getuid);
        let sent = report.send((result, caught()));
        assert!(sent.is_ok());
    });
    // A thread that is killed drops nothing and sends nothing: its end is seen in /proc only.
    let answered = loop {
        if let Ok(answered) = answer.try_recv() {
            break Some(answered);
        }
        let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
        if alone {
            break answer.try_recv().ok();
        }
        nap(1);
    };
    match answered {
        Some((result, words)) => {
            board.ret(result);
            for word in words {
                board.put(word);
            }
            assert!(thread.join().is_ok());
        }
        None => board.put(i64::MIN),
    }
}

fn under(theirs: &[Vec<Insn>], ours: Option<&Vec<Insn>>, ours_first: bool) -> Seen {
    run(|board| {
        let attach = || {
            if let Some(program) = ours {
                attach(&syscalls(program.clone()));
            }
        };
        if ours_first {
            attach();
        }
        theirs.iter().for_each(|program| install(program));
        if !ours_first {
            attach();
        }
        deed(board);
    })
}

/// seccomp with both programs, ours being the newer one, which wins a tie, says what must happen.
fn column(name: &str, verdict: u32) {
    let ours = on_nr(SYS_getuid, verdict);
    for (other, raw) in VERDICTS {
        let theirs = on_nr(SYS_getuid, raw);
        let expected = under(&[theirs.clone(), ours.clone()], None, false);
        for ours_first in [false, true] {
            let seen = under(std::slice::from_ref(&theirs), Some(&ours), ours_first);
            assert_eq!(
                seen, expected,
                "evfilter says {name}, seccomp {other}; ours was attached first: {ours_first}. Left: what happened, right: seccomp with both"
            );
        }
    }
}

/// A signal that is on its way is not replaced: of two traps the one that came first is seen, and seccomp comes first.
fn trap_beside_another_trap_is_seccomps() {
    let theirs = [on_nr(SYS_getuid, trap(5))];
    let ours = on_nr(SYS_getuid, trap(6));
    let expected = under(&theirs, None, false);
    for ours_first in [false, true] {
        assert_eq!(under(&theirs, Some(&ours), ours_first), expected);
    }
    assert_eq!(expected.well()[3], 5);
}

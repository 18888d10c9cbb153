// SPDX-License-Identifier: GPL-2.0
//! Tasks that carry layers of evfilter and filters of seccomp at once, and tracers that meddle with both.

mod matrix;

use filters::verdict::{Action, Verdict};
use libc::{SIGSYS, SIGTRAP, SYS_getuid};

use super::trace::{PTRACE_O_TRACESECCOMP, SECCOMP_STOP, Traced, renumber, trace, watch};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{ALLOW, KILL, errno, on_nr, on_nrs, ret, syscalls};
use crate::seccomp::install;
use crate::sys::child::{End, exit, nap, run, run_and_exit};
use crate::sys::trace::{ORIG_RAX, go_on, next_stop, ptrace, registers, seize, set_registers};
use crate::sys::{no_new_privs, sys};

const PTRACE_O_TRACESYSGOOD: u32 = 1;
const PTRACE_O_SUSPEND_SECCOMP: u32 = 1 << 21;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = tests!("syscall";
        seccomp_before_evfilter_both_bind, evfilter_before_seccomp_both_bind, seccomp_allow_does_not_lift_a_layer, evfilter_allow_does_not_lift_seccomp,
        evfilter_kill_after_seccomp_allow, seccomp_kill_after_evfilter_allow, seccomp_errno_and_layer_errno_ours_is_seen, seccomp_mode_is_not_changed_by_a_layer,
        strict_mode_under_a_layer, seccomp_killed_by_layer_of_seccomp_call, law_4_suspend_seccomp_does_not_suspend_layers, law_4_seccomp_trace_cannot_change_the_judged_call,
        law_4_tracer_cannot_change_the_number_before_judgement, law_4_user_notification_continue_is_still_judged, tsync_under_a_layer,
        law_1_narrow_only_our_tracer_cannot_lift_seccomp, law_1_narrow_only_our_tracer_cannot_lift_a_layer_beside_seccomp,
        law_1_narrow_only_seccomps_tracer_cannot_lift_a_layer, both_ask_the_tracer_ours_first, law_1_narrow_only_user_notification_with_a_value,
    );
    tests.extend(matrix::tests());
    tests
}

const EPERM: u32 = errno(libc::EPERM);
const ODD: u32 = errno(crate::program::ODD);

fn both() -> [i64; 2] {
    let value =
        |ret: crate::sys::Ret| ret.map_or_else(|errno| -i64::from(errno), |value| value as i64);
    [value(sys!(SYS_getuid)), value(sys!(libc::SYS_getgid))]
}

fn seccomp_before_evfilter_both_bind() {
    install(&on_nr(SYS_getuid, EPERM));
    attach(&syscalls(on_nr(libc::SYS_getgid, ODD)));
    assert_eq!(both(), [-1, -76]);
}

fn evfilter_before_seccomp_both_bind() {
    attach(&syscalls(on_nr(libc::SYS_getgid, ODD)));
    install(&on_nr(SYS_getuid, EPERM));
    assert_eq!(both(), [-1, -76]);
}

fn seccomp_allow_does_not_lift_a_layer() {
    attach(&syscalls(on_nr(SYS_getuid, ODD)));
    install(&[ret(ALLOW)]);
    assert_eq!(both(), [-76, 0]);
}

fn evfilter_allow_does_not_lift_seccomp() {
    install(&on_nr(SYS_getuid, EPERM));
    attach(&syscalls(vec![ret(ALLOW)]));
    assert_eq!(both(), [-1, 0]);
}

fn evfilter_kill_after_seccomp_allow() {
    let seen = run(|board| {
        install(&[ret(ALLOW)]);
        attach(&syscalls(on_nr(SYS_getuid, KILL)));
        board.put(both()[0]);
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

fn seccomp_kill_after_evfilter_allow() {
    let seen = run(|board| {
        attach(&syscalls(vec![ret(ALLOW)]));
        install(&on_nr(SYS_getuid, KILL));
        board.put(both()[0]);
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

/// Of two errnos the newest is seen in seccomp. Here ours is, whichever came first.
fn seccomp_errno_and_layer_errno_ours_is_seen() {
    install(&on_nr(SYS_getuid, EPERM));
    attach(&syscalls(on_nrs(&[
        (SYS_getuid, ODD),
        (libc::SYS_getgid, ODD),
    ])));
    install(&on_nr(libc::SYS_getgid, EPERM));
    assert_eq!(both(), [-76, -76]);
}

/// What a task can ask about seccomp is about seccomp.
fn seccomp_mode_is_not_changed_by_a_layer() {
    attach(&syscalls(vec![ret(ALLOW)]));
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0),
        Ok(0)
    );
    install(&[ret(ALLOW)]);
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0),
        Ok(2)
    );
}

/// SECCOMP_MODE_STRICT allows four calls; a layer narrows even them.
fn strict_mode_under_a_layer() {
    let strict = |deed: fn()| {
        run(move |board| {
            attach(&syscalls(on_nr(libc::SYS_write, ODD)));
            let mode = sys!(
                libc::SYS_prctl,
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_STRICT,
                0,
                0,
                0
            );
            board.ret(mode);
            board.ret(sys!(libc::SYS_write, 1, c"", 0));
            deed();
            // Strict mode allows `exit`, not `exit_group`.
            let _ = sys!(libc::SYS_exit, 0);
        })
    };
    assert_eq!(strict(|| {}).well(), [0, -76]);
    let seen = strict(|| {
        let _ = sys!(SYS_getuid);
    });
    assert_eq!(seen.end, End::Signal(libc::SIGKILL, false));
}

fn seccomp_killed_by_layer_of_seccomp_call() {
    attach(&syscalls(on_nr(libc::SYS_seccomp, ODD)));
    assert_eq!(
        crate::seccomp::try_install(&[ret(ALLOW)], 0),
        Err(crate::program::ODD)
    );
}

/// A tracer with CAP_SYS_ADMIN may suspend seccomp (checkpoint and restore); layers stay in force.
fn law_4_suspend_seccomp_does_not_suspend_layers() {
    let child = crate::sys::child::start(|board| {
        install(&on_nr(libc::SYS_getgid, EPERM));
        attach(&syscalls(on_nr(SYS_getuid, ODD)));
        board.put(1);
        nap(300);
        for value in both() {
            board.put(value);
        }
    });
    child.until(1);
    assert_eq!(seize(child.pid, PTRACE_O_SUSPEND_SECCOMP), Ok(0));
    let seen = child.wait();
    assert_eq!(
        seen.well(),
        [1, -76, 0],
        "getuid is judged, seccomp's getgid is suspended"
    );
}

/// A tracer that is just as confined, and a seccomp filter of the tracee that calls it: it changes the number after seccomp has looked.
fn law_4_seccomp_trace_cannot_change_the_judged_call() {
    let trace = Verdict::new(Action::Trace, 0).raw();
    let seen = run(|board| {
        // Tracer and tracee carry the same layer: getuid is refused.
        attach(&syscalls(on_nr(SYS_getuid, ODD)));
        let pid = crate::sys::child::fork().expect("fork");
        if pid == 0 {
            run_and_exit(|| {
                assert_eq!(ptrace(libc::PTRACE_TRACEME, 0, 0, 0), Ok(0));
                install(&on_nr(libc::SYS_getgid, trace));
                let _ = sys!(libc::SYS_kill, crate::sys::getpid(), libc::SIGSTOP);
                board.ret(sys!(libc::SYS_getgid));
                0
            });
        }
        next_stop(pid);
        let options = u64::from(PTRACE_O_TRACESECCOMP);
        assert_eq!(ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options), Ok(0));
        let stop = go_on(libc::PTRACE_CONT, pid, 0);
        assert_eq!(stop >> 8, SECCOMP_STOP, "{stop:#x}");
        let mut regs = registers(pid);
        assert_eq!(regs[ORIG_RAX], libc::SYS_getgid as u64);
        regs[ORIG_RAX] = SYS_getuid as u64;
        set_registers(pid, &regs);
        let end = go_on(libc::PTRACE_CONT, pid, 0);
        board.put(i64::from(end));
    });
    assert_eq!(
        seen.well(),
        [-76, 0],
        "getuid ran although the layer refuses it"
    );
}

/// The tracer changes the number at the stop before the call: the new number is what is judged.
fn law_4_tracer_cannot_change_the_number_before_judgement() {
    let child = crate::sys::child::start(|board| {
        assert_eq!(ptrace(libc::PTRACE_TRACEME, 0, 0, 0), Ok(0));
        attach(&syscalls(on_nr(SYS_getuid, ODD)));
        let _ = sys!(libc::SYS_kill, crate::sys::getpid(), libc::SIGSTOP);
        board.ret(sys!(libc::SYS_getgid));
    });
    let pid = child.pid;
    next_stop(pid);
    assert_eq!(
        ptrace(
            libc::PTRACE_SETOPTIONS,
            pid,
            0,
            u64::from(PTRACE_O_TRACESYSGOOD)
        ),
        Ok(0)
    );
    loop {
        let stop = go_on(libc::PTRACE_SYSCALL, pid, 0);
        assert_eq!(stop >> 8, SIGTRAP | 0x80, "{stop:#x}");
        let mut regs = registers(pid);
        if regs[ORIG_RAX] == libc::SYS_getgid as u64 {
            regs[ORIG_RAX] = SYS_getuid as u64;
            set_registers(pid, &regs);
            break;
        }
    }
    assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0, 0), Ok(0));
    assert_eq!(child.wait().well(), [-76]);
}

/// A supervisor's CONTINUE is a verdict of seccomp, not of ours.
fn law_4_user_notification_continue_is_still_judged() {
    let notify = Verdict::new(Action::Notify, 0).raw();
    attach(&syscalls(on_nr(SYS_getuid, ODD)));
    no_new_privs();
    // SECCOMP_FILTER_FLAG_NEW_LISTENER
    let listener =
        crate::seccomp::try_install(&on_nr(SYS_getuid, notify), 1 << 3).expect("listener");
    let answered = std::thread::spawn(move || {
        let mut notification = [0u64; 10];
        // SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
        sys!(
            libc::SYS_ioctl,
            listener,
            0xc050_2100u32,
            notification.as_mut_ptr()
        )?;
        let answer = [notification[0], 0, 1 << 32];
        sys!(libc::SYS_ioctl, listener, 0xc018_2101u32, answer.as_ptr())
    });
    // The listener's thread was made later and is bound by the filter too, but makes no getuid.
    let result = sys!(SYS_getuid);
    if result == Err(crate::program::ODD) {
        // Judged before seccomp was asked, or after: both are right. The thread may still wait.
        exit(0);
    }
    panic!("getuid = {result:?}; the supervisor: {:?}", answered.join());
}

/// SECCOMP_FILTER_FLAG_TSYNC copies seccomp's filters to all threads, and nothing else.
fn tsync_under_a_layer() {
    attach(&syscalls(on_nrs(&[(SYS_getuid, ODD)])));
    std::thread::scope(|scope| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = scope.spawn(move || {
            let _ = wait.recv();
            both()
        });
        no_new_privs();
        assert_eq!(
            crate::seccomp::try_install(&on_nr(libc::SYS_getgid, EPERM), 1),
            Ok(0)
        );
        drop(go);
        assert_eq!(thread.join().ok(), Some([-76, -1]));
        assert_eq!(both(), [-76, -1]);
    });
}

/// A tracee that prepares itself in both orders; its tracer turns getpgrp into `nr` at each event. What it sees must not depend on the order.
fn turned_into(nr: i64, prepare: &dyn Fn(bool)) -> Traced {
    let watched = |ours_first| {
        let how = (libc::PTRACE_CONT, PTRACE_O_TRACESECCOMP);
        watch(&|| prepare(ours_first), how, &renumber(nr), &|board| {
            board.ret(sys!(libc::SYS_getpgrp));
        })
    };
    let (first, second) = (watched(true), watched(false));
    assert_eq!(first, second, "ours first (left), seccomp first (right)");
    first
}

fn in_order(ours_first: bool, ours: &[(i64, u32)], theirs: &[(i64, u32)]) {
    if ours_first {
        attach(&syscalls(on_nrs(ours)));
        install(&on_nrs(theirs));
    } else {
        install(&on_nrs(theirs));
        attach(&syscalls(on_nrs(ours)));
    }
}

/// Our trace verdict asks the tracer before seccomp looks, so what it leaves is for seccomp to judge.
fn law_1_narrow_only_our_tracer_cannot_lift_seccomp() {
    for (verdict, values) in [(EPERM, vec![-1]), (ALLOW, vec![0]), (KILL, vec![])] {
        let traced = turned_into(SYS_getuid, &|ours_first| {
            in_order(
                ours_first,
                &[(libc::SYS_getpgrp, trace(7))],
                &[(SYS_getuid, verdict)],
            );
        });
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.values, values, "{verdict:#x}");
    }
}

fn law_1_narrow_only_our_tracer_cannot_lift_a_layer_beside_seccomp() {
    for (verdict, values) in [(ODD, vec![-76]), (ALLOW, vec![0]), (KILL, vec![])] {
        let traced = turned_into(SYS_getuid, &|ours_first| {
            let ours = [(libc::SYS_getpgrp, trace(7)), (SYS_getuid, verdict)];
            in_order(ours_first, &ours, &[(libc::SYS_getgid, EPERM)]);
        });
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.values, values, "{verdict:#x}");
    }
}

/// seccomp's trace action asks before we look.
fn law_1_narrow_only_seccomps_tracer_cannot_lift_a_layer() {
    for (verdict, values) in [(ODD, vec![-76]), (ALLOW, vec![0]), (KILL, vec![])] {
        let traced = turned_into(SYS_getuid, &|ours_first| {
            in_order(
                ours_first,
                &[(SYS_getuid, verdict)],
                &[(libc::SYS_getpgrp, trace(7))],
            );
        });
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.values, values, "{verdict:#x}");
    }
}

/// Two mechanisms, two questions; seccomp asks about what our tracer has left.
fn both_ask_the_tracer_ours_first() {
    let traced = turned_into(SYS_getuid, &|ours_first| {
        let ours = [(libc::SYS_getpgrp, trace(7)), (SYS_getuid, trace(8))];
        in_order(ours_first, &ours, &[(SYS_getuid, trace(9))]);
    });
    assert_eq!(traced.messages(), [7, 9]);
    assert_eq!(traced.seen.well(), [0]);
}

/// A supervisor answers in place of the kernel; a layer that refuses is stricter than that, one that does not leaves the answer as it is.
fn law_1_narrow_only_user_notification_with_a_value() {
    let notify = Verdict::new(Action::Notify, 0).raw();
    let log = Verdict::new(Action::Log, 0).raw();
    for (verdict, expected) in [(ODD, -76), (errno(0), 0), (log, 1234), (ALLOW, 1234)] {
        let seen = run(|board| {
            no_new_privs();
            let program = on_nr(SYS_getuid, notify);
            // SECCOMP_FILTER_FLAG_NEW_LISTENER
            let listener = crate::seccomp::try_install(&program, 1 << 3).expect("listener");
            attach(&syscalls(on_nr(SYS_getuid, verdict)));
            let supervisor = std::thread::spawn(move || {
                let mut notification = [0u64; 10];
                // SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
                let at = notification.as_mut_ptr();
                sys!(libc::SYS_ioctl, listener, 0xc050_2100u32, at)?;
                let answer = [notification[0], 1234, 0];
                sys!(libc::SYS_ioctl, listener, 0xc018_2101u32, answer.as_ptr())
            });
            board.ret(sys!(SYS_getuid));
            assert_eq!(
                supervisor.join().ok(),
                Some(Ok(0)),
                "the supervisor was asked"
            );
        });
        assert_eq!(seen.well(), [expected], "{verdict:#x}");
    }
}

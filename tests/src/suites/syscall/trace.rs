// SPDX-License-Identifier: GPL-2.0
//! The trace verdict: the tracer is told, may change the call, and what it leaves is judged once more. Each beside seccomp's.

mod watched;

use filters::insn::Insn;
use filters::verdict::{Action, Verdict};
use libc::{EBADF, EIO, ENOSYS, SIGKILL, SIGSYS, SIGTRAP, SYS_fsync, SYS_getgid, SYS_getuid};

pub(super) use watched::{PTRACE_O_TRACESECCOMP, SECCOMP_STOP, Traced, renumber, watch};

use self::watched::{SYSCALL_STOP, change};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{
    ALLOW, KILL, ODD, errno, load, on_nr, on_nrs, ret, syscalls, trap, unless_equal_skip,
};
use crate::seccomp::{install, same};
use crate::sys::child::{Board, End, nap, run, start};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::trace::{ORIG_RAX, next_stop, ptrace, seize};
use crate::sys::{ia32, sys};

const PTRACE_O_TRACESYSGOOD: u32 = 1;

/// Places in `trace::Registers`.
const RAX: usize = 10;
const RSI: usize = 13;
const RDI: usize = 14;

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        trace_tells_the_number_and_the_message, trace_tells_the_arguments, tracer_lets_the_call_run, tracer_changes_the_number, tracer_changes_an_argument,
        tracer_skips_the_call_with_a_value, tracer_kills_at_the_event, law_4_call_changed_by_a_tracer_is_judged_again,
        law_4_argument_changed_by_a_tracer_is_judged_again, tracer_is_not_asked_twice, trace_without_a_tracer_is_enosys, tracer_without_the_option_is_not_asked,
        trace_through_the_ia32_entry, tracer_changes_an_ia32_call, the_newest_layer_gives_the_message, stricter_layers_decide_without_the_tracer,
        milder_layers_leave_it_to_the_tracer, stops_come_in_seccomps_order, tracer_that_ends_lets_the_call_run, seized_thread_is_asked_about,
    )
}

/// Raw verdict: ask the tracer, and tell it this.
pub(super) const fn trace(message: u16) -> u32 {
    Verdict::new(Action::Trace, message).raw()
}

const EVENTS: (u32, u32) = (libc::PTRACE_CONT, PTRACE_O_TRACESECCOMP);

/// Runs `deed` under these programs, oldest first, once under evfilter and once under seccomp: tracer and parent must see the same.
#[track_caller]
fn same_trace_with(
    programs: &[Vec<Insn>],
    how: (u32, u32),
    answer: &dyn Fn(i32),
    deed: &dyn Fn(&Board),
) -> Traced {
    let ours = || {
        for program in programs {
            attach(&syscalls(program.clone()));
        }
    };
    let theirs = || programs.iter().for_each(|program| install(program));
    let ours = watch(&ours, how, answer, deed);
    let theirs = watch(&theirs, how, answer, deed);
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    ours
}

#[track_caller]
fn same_trace(programs: &[Vec<Insn>], answer: &dyn Fn(i32), deed: &dyn Fn(&Board)) -> Traced {
    same_trace_with(programs, EVENTS, answer, deed)
}

fn leave(_pid: i32) {}

fn getuid(board: &Board) {
    board.ret(sys!(SYS_getuid));
}

fn trace_tells_the_number_and_the_message() {
    for message in [0, 1, 4242, 65535] {
        let traced = same_trace(&[on_nr(SYS_getuid, trace(message))], &leave, &getuid);
        assert_eq!(traced.messages(), [u64::from(message)]);
        let stop = &traced.stops[0];
        assert_eq!(stop.signal, [SIGTRAP, SECCOMP_STOP]);
        // PTRACE_SYSCALL_INFO_SECCOMP, AUDIT_ARCH_X86_64; the number; what the verdict carries.
        assert_eq!(stop.call[0], 0xc000_003e << 32 | 3);
        assert_eq!(
            (stop.call[3], stop.call[10]),
            (SYS_getuid as u64, u64::from(message))
        );
    }
}

fn trace_tells_the_arguments() {
    let args = [u64::MAX, 1 << 63, 0x1234_5678_9abc_def0, 4, 5, 6];
    let traced = same_trace(&[on_nr(9999, trace(1))], &leave, &|board| {
        board.ret(crate::sys::call(9999, &args));
    });
    assert_eq!(traced.stops[0].call[4..10], args);
    assert_eq!(traced.seen.well(), [-i64::from(ENOSYS)]);
}

/// A descriptor that nobody else has.
const FD: i32 = 100;

fn duplicate(board: &Board) {
    board.ret(sys!(libc::SYS_dup3, 1, FD, 0));
    for fd in [FD, FD + 1] {
        board.ret(sys!(libc::SYS_fcntl, fd, libc::F_GETFD));
    }
}

fn tracer_lets_the_call_run() {
    let traced = same_trace(&[on_nr(libc::SYS_dup3, trace(7))], &leave, &duplicate);
    assert_eq!(traced.messages(), [7]);
    assert_eq!(traced.seen.well(), [i64::from(FD), 0, -i64::from(EBADF)]);
}

fn tracer_changes_the_number() {
    let programs = [on_nr(SYS_getuid, trace(7))];
    let traced = same_trace(&programs, &renumber(SYS_fsync), &|board| {
        board.ret(sys!(SYS_getuid, 9999));
    });
    assert_eq!(traced.seen.well(), [-i64::from(EBADF)]);
    // Into a number that does not exist, and into one whose upper half says nothing.
    let traced = same_trace(&programs, &renumber(9999), &getuid);
    assert_eq!(traced.seen.well(), [-i64::from(ENOSYS)]);
    let traced = same_trace(&programs, &renumber(0x7fff << 32 | SYS_fsync), &|board| {
        board.ret(sys!(SYS_getuid, 9999));
    });
    assert_eq!(traced.seen.well(), [-i64::from(EBADF)]);
}

fn tracer_changes_an_argument() {
    let answer = change(|all| all[RSI] += 1);
    let traced = same_trace(&[on_nr(libc::SYS_dup3, trace(7))], &answer, &duplicate);
    assert_eq!(
        traced.seen.well(),
        [i64::from(FD) + 1, -i64::from(EBADF), 0]
    );
}

/// A negative number is how a tracer skips a call; rax is then what the call returns.
fn tracer_skips_the_call_with_a_value() {
    for nr in [-1i64, -2, i64::from(i32::MIN)] {
        for value in [0i64, 1234, -i64::from(EIO)] {
            let answer = change(|all| {
                all[ORIG_RAX] = nr as u64;
                all[RAX] = value as u64;
            });
            let traced = same_trace(&[on_nr(SYS_getuid, trace(7))], &answer, &getuid);
            assert_eq!(traced.seen.well(), [value], "number {nr}");
        }
        // What is there if the tracer says nothing.
        let traced = same_trace(&[on_nr(SYS_getuid, trace(7))], &renumber(nr), &getuid);
        assert_eq!(traced.seen.well(), [-i64::from(ENOSYS)], "number {nr}");
    }
    // Skipped is skipped, also where a policy has something to say about -1.
    let programs = [on_nrs(&[(SYS_getuid, trace(7)), (-1, KILL)])];
    let traced = same_trace(&programs, &renumber(-1), &getuid);
    assert_eq!(traced.seen.well(), [-i64::from(ENOSYS)]);
}

fn tracer_kills_at_the_event() {
    let answer = |pid: i32| assert_eq!(sys!(libc::SYS_kill, pid, SIGKILL), Ok(0));
    let traced = same_trace(&[on_nr(SYS_getuid, trace(7))], &answer, &getuid);
    assert_eq!(traced.seen.end, End::Signal(SIGKILL, false));
    assert!(traced.seen.values.is_empty());
}

fn law_4_call_changed_by_a_tracer_is_judged_again() {
    for (verdict, expected) in [
        (errno(ODD), -i64::from(ODD)),
        (errno(0), 0),
        (ALLOW, -i64::from(EBADF)),
        (Verdict::new(Action::Log, 0).raw(), -i64::from(EBADF)),
        (Verdict::new(Action::Notify, 0).raw(), -i64::from(ENOSYS)),
    ] {
        let programs = [on_nrs(&[(SYS_getuid, trace(7)), (SYS_fsync, verdict)])];
        let traced = same_trace(&programs, &renumber(SYS_fsync), &|board| {
            board.ret(sys!(SYS_getuid, 9999));
        });
        assert_eq!(traced.seen.well(), [expected], "{verdict:#x}");
    }
    for verdict in [KILL, Verdict::new(Action::KillThread, 0).raw(), trap(0)] {
        let programs = [on_nrs(&[(SYS_getuid, trace(7)), (SYS_fsync, verdict)])];
        let traced = same_trace(&programs, &renumber(SYS_fsync), &getuid);
        assert_eq!(traced.seen.end, End::Signal(SIGSYS, false), "{verdict:#x}");
        assert!(traced.seen.values.is_empty());
    }
    // The signal tells of the call that the tracer left.
    let programs = [on_nrs(&[(SYS_getuid, trace(7)), (SYS_fsync, trap(3))])];
    let traced = same_trace(&programs, &renumber(SYS_fsync), &|board| {
        catch_sigsys();
        board.ret(sys!(SYS_getuid));
        for word in caught() {
            board.put(word);
        }
    });
    let words = traced.seen.well();
    assert_eq!((words[1], words[3], words[6]), (1, 3, SYS_fsync));
}

/// One argument is asked about, another is refused: a program that does not decide by the number alone.
fn by_argument() -> Vec<Insn> {
    vec![
        load(0),
        unless_equal_skip(SYS_fsync as u32, 5),
        load(16),
        unless_equal_skip(9999, 1),
        ret(trace(7)),
        unless_equal_skip(8888, 1),
        ret(errno(ODD)),
        ret(ALLOW),
    ]
}

fn law_4_argument_changed_by_a_tracer_is_judged_again() {
    for (value, expected) in [(8888, ODD), (7777, EBADF), (9999, EBADF)] {
        let answer = change(|all| all[RDI] = value);
        let traced = same_trace(&[by_argument()], &answer, &|board| {
            board.ret(sys!(SYS_fsync, 9999));
        });
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.well(), [-i64::from(expected)], "{value}");
    }
}

/// The changed call would be asked about too; it runs.
fn tracer_is_not_asked_twice() {
    let programs = [on_nrs(&[(SYS_getuid, trace(7)), (SYS_fsync, trace(8))])];
    let traced = same_trace(&programs, &renumber(SYS_fsync), &|board| {
        board.ret(sys!(SYS_getuid, 9999));
    });
    assert_eq!(traced.messages(), [7]);
    assert_eq!(traced.seen.well(), [-i64::from(EBADF)]);
    // The next call is another matter.
    let traced = same_trace(&programs, &leave, &|board| {
        getuid(board);
        getuid(board);
    });
    assert_eq!(traced.messages(), [7, 7]);
}

fn trace_without_a_tracer_is_enosys() {
    let seen = same(&[on_nr(SYS_getuid, trace(7))], getuid);
    assert_eq!(seen.well(), [-i64::from(ENOSYS)]);
}

fn tracer_without_the_option_is_not_asked() {
    for request in [libc::PTRACE_CONT, libc::PTRACE_SYSCALL] {
        let how = (request, PTRACE_O_TRACESYSGOOD);
        let programs = [on_nr(SYS_getuid, trace(7))];
        let traced = same_trace_with(&programs, how, &leave, &getuid);
        assert!(traced.messages().is_empty());
        assert_eq!(traced.seen.well(), [-i64::from(ENOSYS)]);
    }
}

/// `AUDIT_ARCH_I386`.
const I386: u32 = 0x4000_0003;

/// Judges two 32-bit calls: 24 is getuid, 6 is close.
fn on_ia32(getuid: u32, close: u32) -> Vec<Insn> {
    vec![
        load(4),
        unless_equal_skip(I386, 5),
        load(0),
        unless_equal_skip(24, 1),
        ret(getuid),
        unless_equal_skip(6, 1),
        ret(close),
        ret(ALLOW),
    ]
}

fn ia32_getuid(board: &Board) {
    board.ret(ia32::call(24, [9999, 0, 0, 0, 0, 0]));
    getuid(board);
}

fn trace_through_the_ia32_entry() {
    let traced = same_trace(&[on_ia32(trace(7), ALLOW)], &leave, &ia32_getuid);
    let stop = &traced.stops[0];
    assert_eq!(
        (stop.call[0], stop.call[3]),
        (u64::from(I386) << 32 | 3, 24)
    );
    assert_eq!(traced.messages(), [7]);
    assert_eq!(traced.seen.well(), [0, 0]);
    let seen = same(&[on_ia32(trace(7), ALLOW)], ia32_getuid);
    assert_eq!(seen.well(), [-i64::from(ENOSYS), 0]);
}

fn tracer_changes_an_ia32_call() {
    for (verdict, expected) in [(ALLOW, EBADF), (errno(ODD), ODD), (trace(8), EBADF)] {
        let programs = [on_ia32(trace(7), verdict)];
        let traced = same_trace(&programs, &renumber(6), &ia32_getuid);
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.well(), [-i64::from(expected), 0]);
    }
    let skip = change(|all| {
        all[ORIG_RAX] = u64::MAX;
        all[RAX] = 1234;
    });
    let traced = same_trace(&[on_ia32(trace(7), ALLOW)], &skip, &ia32_getuid);
    assert_eq!(traced.seen.well(), [1234, 0]);
}

fn the_newest_layer_gives_the_message() {
    let programs = [1, 2, 3].map(|message| on_nr(SYS_getuid, trace(message)));
    let traced = same_trace(&programs, &leave, &getuid);
    assert_eq!(traced.messages(), [3]);
    assert_eq!(traced.seen.well(), [0]);
}

fn stricter_layers_decide_without_the_tracer() {
    let ask = on_nr(SYS_getuid, trace(7));
    let refuse = on_nr(SYS_getuid, errno(ODD));
    for programs in [[ask.clone(), refuse.clone()], [refuse, ask]] {
        let traced = same_trace(&programs, &leave, &getuid);
        assert!(traced.messages().is_empty());
        assert_eq!(traced.seen.well(), [-i64::from(ODD)]);
    }
}

fn milder_layers_leave_it_to_the_tracer() {
    let ask = on_nr(SYS_getuid, trace(7));
    let log = on_nr(SYS_getuid, Verdict::new(Action::Log, 0).raw());
    for programs in [[ask.clone(), log.clone()], [log, ask]] {
        let traced = same_trace(&programs, &leave, &getuid);
        assert_eq!(traced.messages(), [7]);
        assert_eq!(traced.seen.well(), [0]);
    }
}

/// Entry of the call, event, exit of the call; a skipped call has an exit too.
fn stops_come_in_seccomps_order() {
    let how = (
        libc::PTRACE_SYSCALL,
        PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD,
    );
    let programs = [on_nrs(&[(SYS_getuid, trace(7)), (SYS_getgid, errno(ODD))])];
    for nr in [SYS_getuid, SYS_getgid, SYS_fsync, -1] {
        let traced = same_trace_with(&programs, how, &renumber(nr), &getuid);
        let kinds: Vec<i32> = traced.stops.iter().map(|stop| stop.kind).collect();
        let expected = [SYSCALL_STOP, SECCOMP_STOP, SYSCALL_STOP, SYSCALL_STOP];
        assert_eq!(kinds, expected, "the last one is exit_group");
    }
}

/// The tracer ends while its tracee waits for the answer: nobody forbids the call any more.
fn tracer_that_ends_lets_the_call_run() {
    let with = |prepare: &dyn Fn()| {
        let child = start(|board| {
            prepare();
            board.put(1);
            nap(400);
            board.ret(sys!(SYS_getuid));
            board.ret(sys!(SYS_getuid));
        });
        child.until(1);
        let pid = child.pid;
        let tracer = run(|board| {
            assert_eq!(seize(pid, PTRACE_O_TRACESECCOMP), Ok(0));
            board.put(i64::from(next_stop(pid) >> 8));
        });
        assert_eq!(tracer.well(), [i64::from(SECCOMP_STOP)]);
        child.wait()
    };
    let program = on_nr(SYS_getuid, trace(7));
    let ours = with(&|| attach(&syscalls(program.clone())));
    let theirs = with(&|| install(&program));
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    // There is no tracer at the second one.
    assert_eq!(ours.well(), [1, 0, -i64::from(ENOSYS)]);
}

/// A thread that is not the first of its process, seized while it runs.
fn seized_thread_is_asked_about() {
    let with = |prepare: fn(&[Insn])| {
        let child = start(|board| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    prepare(&on_nr(SYS_getuid, trace(7)));
                    board.ret(sys!(libc::SYS_gettid));
                    nap(400);
                    board.ret(sys!(SYS_getuid, 9999));
                });
            });
            getuid(board);
        });
        let thread = child.until(1)[0] as i32;
        assert_ne!(thread, child.pid);
        assert_eq!(seize(thread, PTRACE_O_TRACESECCOMP), Ok(0));
        assert_eq!(next_stop(thread) >> 8, SECCOMP_STOP);
        renumber(SYS_fsync)(thread);
        assert_eq!(ptrace(libc::PTRACE_DETACH, thread, 0, 0), Ok(0));
        let values = child.wait().well();
        values[1..].to_vec()
    };
    let ours = with(|program| attach(&syscalls(program.to_vec())));
    let theirs = with(install);
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    assert_eq!(ours, [-i64::from(EBADF), 0]);
}

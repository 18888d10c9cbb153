// SPDX-License-Identifier: GPL-2.0
//! Calls that the kernel makes once more, and calls that a tracer changes or takes away.

use libc::{
    PTRACE_CONT, PTRACE_SYSCALL, PTRACE_TRACEME, SIGSTOP, SIGSYS, SIGTRAP, SIGUSR1, SYS_getuid,
};

use crate::harness::{Test, tests};
use crate::program::{ALLOW, KILL, errno, on_nr, on_nrs};
use crate::seccomp::same;
use crate::sys::child::{Board, Child, End, nap, start};
use crate::sys::trace::{ORIG_RAX, RAX, go_on, next_stop, ptrace, registers, set_registers};
use crate::sys::{getpid, raw, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        restarted_calls_are_judged_again, restarted_calls_go_on_if_the_policy_lets_them, restarted_read_is_judged_as_the_tracer_left_it,
        call_changed_at_the_tracers_stop_is_judged_as_changed, call_cancelled_at_the_tracers_stop_is_not_made, emulated_calls_are_not_judged,
    )
}

/// A call that sleeps.
type Sleep = fn() -> crate::sys::Ret;

/// A quarter of a second.
const A_WHILE: [u64; 2] = [0, 250_000_000];

/// Calls that sleep for [`A_WHILE`] and that a stop turns into `restart_syscall`, number 219.
const SLEEPS: [(&str, Sleep); 4] = [
    ("nanosleep", || {
        sys!(libc::SYS_nanosleep, A_WHILE.as_ptr(), 0)
    }),
    ("clock_nanosleep", || {
        sys!(libc::SYS_clock_nanosleep, 1, 0, A_WHILE.as_ptr(), 0)
    }),
    ("poll", || sys!(libc::SYS_poll, 0, 0, 250)),
    ("futex", || {
        let word = 0u32;
        sys!(
            libc::SYS_futex,
            &raw const word,
            0,
            0,
            A_WHILE.as_ptr(),
            0,
            0
        )
    }),
];

/// Stops the caller while it sleeps and lets it go on.
fn interrupted(sleep: Sleep) -> crate::sys::Ret {
    let pid = getpid();
    let waker = start(|_| {
        nap(80);
        let _ = sys!(libc::SYS_kill, pid, SIGSTOP);
        nap(40);
        let _ = sys!(libc::SYS_kill, pid, libc::SIGCONT);
    });
    let slept = sleep();
    let _ = waker.wait();
    slept
}

fn restarted_calls_are_judged_again() {
    for (name, sleep) in SLEEPS {
        let seen = same(&[on_nr(libc::SYS_restart_syscall, errno(70))], |board| {
            board.ret(interrupted(sleep));
        });
        assert_eq!(seen.well(), [-70], "{name}");
    }
}

fn restarted_calls_go_on_if_the_policy_lets_them() {
    let ends = [0, 0, 0, -i64::from(libc::ETIMEDOUT)];
    for ((name, sleep), end) in SLEEPS.into_iter().zip(ends) {
        let seen = same(&[on_nr(libc::SYS_restart_syscall, ALLOW)], |board| {
            board.ret(interrupted(sleep));
        });
        assert_eq!(seen.well(), [end], "{name}");
    }
}

/// A child that is traced, stopped, and then does `deed`.
fn traced(deed: impl FnOnce(&Board)) -> Child {
    let child = start(|board| {
        assert_eq!(ptrace(PTRACE_TRACEME, 0, 0, 0), Ok(0));
        let _ = sys!(libc::SYS_kill, getpid(), SIGSTOP);
        deed(board);
    });
    assert_eq!(next_stop(child.pid) >> 8, SIGSTOP);
    child
}

/// Goes on to the entry of the call `nr`, and gives the registers there.
#[track_caller]
fn to_call(request: u32, pid: i32, nr: i64) -> crate::sys::trace::Registers {
    for _ in 0..50 {
        let stop = go_on(request, pid, 0);
        assert_eq!(stop >> 8, SIGTRAP, "{stop:#x}");
        let registers = registers(pid);
        if registers[ORIG_RAX] == nr as u64 {
            return registers;
        }
    }
    panic!("call {nr} never came");
}

/// What the child of [`traced`] came to.
fn tell(board: &Board, child: Child) {
    let seen = child.wait();
    for value in seen.values {
        board.put(value);
    }
    board.put(match seen.end {
        End::Exit(status) => i64::from(status),
        End::Signal(signal, _) => -i64::from(signal),
    });
}

/// A read that a signal interrupts is made again from its start; a tracer can make another call of it in between.
fn restarted_read_is_judged_as_the_tracer_left_it() {
    for verdict in [errno(70), KILL] {
        let seen = same(&[on_nr(SYS_getuid, verdict)], |board| {
            let mut ends = [0i32; 2];
            assert_eq!(sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0), Ok(0));
            let child = traced(|inner| {
                let mut byte = 0u8;
                inner.ret(sys!(libc::SYS_read, ends[0], &raw mut byte, 1));
            });
            assert_eq!(ptrace(PTRACE_CONT, child.pid, 0, 0), Ok(0));
            nap(50);
            assert_eq!(sys!(libc::SYS_kill, child.pid, SIGUSR1), Ok(0));
            assert_eq!(next_stop(child.pid) >> 8, SIGUSR1);
            let mut regs = registers(child.pid);
            // ERESTARTSYS: without a handler the call is made again.
            board.put(regs[RAX] as i64);
            board.put(regs[ORIG_RAX] as i64);
            regs[ORIG_RAX] = SYS_getuid as u64;
            set_registers(child.pid, &regs);
            assert_eq!(ptrace(PTRACE_CONT, child.pid, 0, 0), Ok(0));
            tell(board, child);
        });
        let expected: &[i64] = if verdict == KILL {
            &[-512, 0, -(SIGSYS as i64)]
        } else {
            &[-512, 0, -70, 0]
        };
        let values = seen.well();
        assert_eq!(values, expected);
    }
}

/// The stop comes before the verdict, for numbers and arguments alike.
fn call_changed_at_the_tracers_stop_is_judged_as_changed() {
    // getgid becomes getuid, which is refused; getuid becomes getgid, which is not.
    let policy = [on_nrs(&[(SYS_getuid, errno(70)), (999, KILL)])];
    for (from, to, end) in [
        (libc::SYS_getgid, SYS_getuid, [-70, 0].as_slice()),
        (SYS_getuid, libc::SYS_getgid, &[0, 0]),
        (libc::SYS_getgid, 999, &[-(SIGSYS as i64)]),
    ] {
        let seen = same(&policy, |board| {
            let child = traced(|inner| inner.ret(sys!(from)));
            let mut regs = to_call(PTRACE_SYSCALL, child.pid, from);
            regs[ORIG_RAX] = to as u64;
            set_registers(child.pid, &regs);
            assert_eq!(ptrace(libc::PTRACE_DETACH, child.pid, 0, 0), Ok(0));
            tell(board, child);
        });
        assert_eq!(seen.well(), end, "{from} to {to}");
    }
}

/// Number -1 at that stop means no call at all; it is judged as number -1 all the same.
fn call_cancelled_at_the_tracers_stop_is_not_made() {
    for (verdict, end) in [
        (ALLOW, [1234, 0].as_slice()),
        (errno(70), &[-70, 0]),
        (KILL, &[-(SIGSYS as i64)]),
    ] {
        let seen = same(&[on_nr(-1, verdict)], |board| {
            let child = traced(|inner| inner.put(raw(SYS_getuid as u64, [0; 6]) as i64));
            let mut regs = to_call(PTRACE_SYSCALL, child.pid, SYS_getuid);
            regs[ORIG_RAX] = u64::MAX;
            regs[RAX] = 1234;
            set_registers(child.pid, &regs);
            assert_eq!(ptrace(libc::PTRACE_DETACH, child.pid, 0, 0), Ok(0));
            tell(board, child);
        });
        assert_eq!(seen.well(), end, "{verdict:#x}");
    }
}

/// `PTRACE_SYSEMU`: the tracer does the work and the kernel does nothing, so there is nothing to judge.
fn emulated_calls_are_not_judged() {
    const PTRACE_SYSEMU: u32 = 31;
    let seen = same(&[on_nr(SYS_getuid, KILL)], |board| {
        let child = traced(|inner| {
            inner.put(raw(SYS_getuid as u64, [0; 6]) as i64);
            inner.put(raw(SYS_getuid as u64, [0; 6]) as i64);
        });
        let mut regs = to_call(PTRACE_SYSEMU, child.pid, SYS_getuid);
        regs[RAX] = 4321;
        set_registers(child.pid, &regs);
        assert_eq!(ptrace(libc::PTRACE_DETACH, child.pid, 0, 0), Ok(0));
        tell(board, child);
    });
    // The first one the tracer answered, the second one nobody.
    assert_eq!(seen.well(), [4321, -i64::from(SIGSYS)]);
}

// SPDX-License-Identifier: GPL-2.0
//! A tracee under its tracer's eyes: all stops, what is told at each, and what its parent sees.

use libc::{SIGSTOP, SIGTRAP};

use crate::sys::child::{Board, End, Seen, start};
use crate::sys::sys;
use crate::sys::trace::{ORIG_RAX, Registers, next_stop, ptrace, registers, set_registers};

/// PTRACE_EVENT_SECCOMP as a stop status.
pub(in super::super) const SECCOMP_STOP: i32 = SIGTRAP | 7 << 8;
/// A stop at the entry or the exit of a call, with PTRACE_O_TRACESYSGOOD.
pub(super) const SYSCALL_STOP: i32 = SIGTRAP | 0x80;

pub(in super::super) const PTRACE_O_TRACESECCOMP: u32 = 1 << 7;
const PTRACE_O_EXITKILL: u32 = 1 << 20;

/// What a tracer is told at a stop.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Stop {
    /// The status of `wait4`, without its lowest byte.
    pub(in super::super) kind: i32,
    /// PTRACE_GETEVENTMSG.
    pub(in super::super) message: u64,
    /// si_signo and si_code.
    pub(super) signal: [i32; 2],
    /// `struct ptrace_syscall_info`, without the stack pointer.
    pub(super) call: [u64; 11],
}

impl Stop {
    fn of(pid: i32, kind: i32) -> Stop {
        let mut message = 0u64;
        let told = ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut message as u64);
        assert_eq!(told, Ok(0), "PTRACE_GETEVENTMSG");
        let mut info = [0i32; 32];
        let told = ptrace(libc::PTRACE_GETSIGINFO, pid, 0, info.as_mut_ptr() as u64);
        assert_eq!(told, Ok(0), "PTRACE_GETSIGINFO");
        let mut call = [0u64; 11];
        let (size, at) = (size_of_val(&call) as u64, call.as_mut_ptr() as u64);
        let told = ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, at);
        assert!(told.is_ok(), "PTRACE_GET_SYSCALL_INFO: {told:?}");
        call[2] = 0;
        Stop {
            kind,
            message,
            signal: [info[0], info[2]],
            call,
        }
    }
}

/// What a tracer and a parent see of a tracee.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Traced {
    /// What its parent sees.
    pub(in super::super) seen: Seen,
    /// Its stops, in their order.
    pub(in super::super) stops: Vec<Stop>,
}

impl Traced {
    /// The messages of its events.
    pub(in super::super) fn messages(&self) -> Vec<u64> {
        let events = self.stops.iter().filter(|stop| stop.kind == SECCOMP_STOP);
        events.map(|stop| stop.message).collect()
    }
}

/// Runs `deed` in a tracee that has prepared itself; `answer` is what the tracer does at each event.
#[track_caller]
pub(in super::super) fn watch(
    prepare: &dyn Fn(),
    (request, options): (u32, u32),
    answer: &dyn Fn(i32),
    deed: &dyn Fn(&Board),
) -> Traced {
    let child = start(|board| {
        assert_eq!(ptrace(libc::PTRACE_TRACEME, 0, 0, 0), Ok(0));
        prepare();
        let _ = sys!(libc::SYS_kill, crate::sys::getpid(), SIGSTOP);
        deed(board);
    });
    let pid = child.pid;
    assert_eq!(next_stop(pid) >> 8, SIGSTOP);
    let options = u64::from(options | PTRACE_O_EXITKILL);
    assert_eq!(ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options), Ok(0));
    let mut stops = Vec::new();
    let mut signal = 0;
    loop {
        let resumed = ptrace(request, pid, 0, signal);
        // A tracee that the answer has killed is resumed by that.
        assert!(matches!(resumed, Ok(0) | Err(libc::ESRCH)), "{resumed:?}");
        let status = next_stop(pid);
        if !libc::WIFSTOPPED(status) {
            let seen = Seen {
                end: End::from_status(status),
                values: child.values(),
            };
            return Traced { seen, stops };
        }
        let kind = status >> 8;
        stops.push(Stop::of(pid, kind));
        signal = 0;
        match kind {
            SECCOMP_STOP => answer(pid),
            SYSCALL_STOP => {}
            kind => signal = kind as u64,
        }
    }
}

/// A tracer that changes registers.
pub(in super::super) fn change(how: impl Fn(&mut Registers)) -> impl Fn(i32) {
    move |pid| {
        let mut all = registers(pid);
        how(&mut all);
        set_registers(pid, &all);
    }
}

/// A tracer that puts another number.
pub(in super::super) fn renumber(nr: i64) -> impl Fn(i32) {
    change(move |all| all[ORIG_RAX] = nr as u64)
}

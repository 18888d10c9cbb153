// SPDX-License-Identifier: GPL-2.0
//! `syscall.enter` at `__seccomp_permit_syscall`, which the kernel calls for tasks with the SECCOMP work bit: those that use seccomp, and those with
//! a domain. It comes after ptrace, so a call that a tracer has changed is judged as changed.
#![allow(unsafe_code)]

use filters::event::Event;
use uapi::record::SyscallEnter;

use super::AttachPoint;
use crate::enforce::{self, Flow};
use crate::event;
use crate::ffi::{self, Answer, Trampoline};

extern "C" {
    fn evf_tramp_permit_syscall();
}

pub(super) const PERMIT: AttachPoint = AttachPoint {
    symbol: c"__seccomp_permit_syscall",
    trampoline: Trampoline(evf_tramp_permit_syscall),
};

const WORDS: usize = size_of::<SyscallEnter>() / 4;

pub(super) fn layout_agrees() -> bool {
    event::layout_agrees(Event::SyscallEnter, WORDS, 0)
}

const NR: usize = 0;
const ARCH: usize = 1;

/// `AUDIT_ARCH_X86_64`.
const NATIVE: u32 = 0xc000_003e;
/// The calls by which uprobes return to the kernel. They are made by code that the kernel put there, and pass every filter:
/// `seccomp_uprobe_exception` in `kernel/seccomp.c`.
const UPROBE_CALLS: [u32; 2] = [335, 336];

/// bool __seccomp_permit_syscall(void), for a task with the mark.
#[no_mangle]
extern "C" fn evf_on_permit_syscall() -> Answer {
    if ffi::seccomp_in_use() {
        return Answer::CONTINUE;
    }
    // The original must not run without seccomp in use: it would find no mode that it knows and stop the machine.
    Answer::refuse(isize::from(permit()))
}

/// The same, for a task that also uses seccomp, which has already had its say.
#[no_mangle]
extern "C" fn evf_after_permit_syscall(result: usize) -> usize {
    // A C function that returns bool defines the lowest byte only.
    let permitted = result as u8 != 0;
    usize::from(permitted && permit())
}

/// Judges the system call in the caller's registers and carries the verdict out.
fn permit() -> bool {
    let mut nr = 0;
    let decision = event::ask(Event::SyscallEnter, |domain| {
        let words = ffi::record_words::<WORDS>();
        nr = words.0[NR];
        if words.0[ARCH] == NATIVE && UPROBE_CALLS.contains(&nr) {
            return event::ALLOWED;
        }
        event::decide(domain, Event::SyscallEnter, &words.0, &[])
    });
    decision.is_none_or(|decision| enforce::syscall(decision, nr) == Flow::Continue)
}

// SPDX-License-Identifier: GPL-2.0
//! `syscall.enter` at `__seccomp_permit_syscall`, which the kernel calls for tasks with the SECCOMP work bit: those that use seccomp, and those with
//! a domain. It comes after ptrace, so a call that a tracer has changed is judged as changed.
#![allow(unsafe_code)]

use filters::by_number;
use filters::event::Event;
use filters::record::Record;
use filters::stack::Decision;
use filters::verdict::Action;
use kernel::bindings;
use uapi::record::SyscallEnter;

use crate::attach::{AttachPoint, Hook, Need};
use crate::domain::Domain;
use crate::enforce::{self, Flow};
use crate::event;
use crate::ffi::{self, Answer, Trampoline, Words};

extern "C" {
    fn evf_tramp_permit_syscall();
}

pub(super) const PERMIT: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"__seccomp_permit_syscall")],
    trampoline: Trampoline(evf_tramp_permit_syscall),
    needed_by: Need::FILTERS,
};

const WORDS: usize = size_of::<SyscallEnter>() / 4;

pub(super) fn layout_agrees() -> bool {
    event::layout_agrees(Event::SyscallEnter, WORDS, 0)
}

const NR: usize = 0;
const ARCH: usize = 1;

/// bool __seccomp_permit_syscall(void), for a task with the mark that does not use seccomp, and a 64-bit call that its domain refuses by number.
/// `place` is what stands for the number in the domain's table.
#[no_mangle]
extern "C" fn evf_on_refused_by_number(place: u16) -> bool {
    match by_number::decode(place) {
        Some(verdict) => {
            let decision = Decision {
                verdict,
                layer: None,
            };
            enforce::syscall(decision, ffi::system_call()) == Flow::Continue
        }
        // Not called then.
        None => permit(),
    }
}

/// The same, for a call that is not decided by number: whether it has been found out, in the shortest way there is, that the domain allows it. Preemption is off.
#[no_mangle]
extern "C" fn evf_on_native_syscall(
    domain: *const Domain,
    registers: *const bindings::pt_regs,
) -> bool {
    // SAFETY: The caller's domain, which lives until preemption is on again, and the registers of its call in progress.
    let (domain, words) = unsafe { (&*domain, ffi::native_call(registers)) };
    let record = Record::new(Event::SyscallEnter, &words.0, &[]);
    record.is_some_and(|record| event::is_allowed(domain, record))
}

/// bool __seccomp_permit_syscall(void), for a task with the mark.
#[no_mangle]
extern "C" fn evf_on_permit_syscall() -> Answer {
    if !ffi::seccomp_in_use() {
        // The original must not run without seccomp in use: it would find no mode that it knows and stop the machine.
        return Answer::refuse(isize::from(permit()));
    }
    // seccomp comes next and we after it, so that a call that a tracer changes there is judged as changed. Two verdicts cannot wait that long: the
    // one that is stricter than all of seccomp's, and ours to ask a tracer, because what it changes is for seccomp to judge.
    let (decision, nr) = judge();
    let ends_here = match decision.verdict.action() {
        Action::KillProcess => enforce::syscall(decision, nr) != Flow::Continue,
        Action::Trace => match enforce::syscall(decision, nr) {
            Flow::AskTracer(message) => !enforce::ask_tracer(message),
            // Without a tracer it is a mere errno; seccomp may be stricter.
            _ => false,
        },
        _ => false,
    };
    if ends_here {
        Answer::refuse(0)
    } else {
        Answer::CONTINUE
    }
}

/// The same, for a task that also uses seccomp, which has had its say.
#[no_mangle]
extern "C" fn evf_after_permit_syscall(result: usize) -> usize {
    // A C function that returns bool defines the lowest byte only.
    let permitted = result as u8 != 0;
    if permitted {
        return usize::from(permit_again());
    }
    refuse_more_strictly();
    0
}

/// Judges the system call in the caller's registers and carries the verdict out.
fn permit() -> bool {
    let (decision, nr) = judge();
    match enforce::syscall(decision, nr) {
        Flow::Continue => true,
        Flow::Refuse => false,
        Flow::AskTracer(message) => enforce::ask_tracer(message) && permit_answered(),
    }
}

/// Judges a call as a tracer that was asked has left it. Like seccomp, takes a second verdict to ask for answered, even if the tracer is gone by now.
fn permit_answered() -> bool {
    let (decision, nr) = judge();
    decision.verdict.action() == Action::Trace || enforce::syscall(decision, nr) == Flow::Continue
}

/// Judges a call that seccomp has permitted. A tracer that is there has been asked, by us or by seccomp.
fn permit_again() -> bool {
    let (decision, nr) = judge();
    match enforce::syscall(decision, nr) {
        Flow::Continue | Flow::AskTracer(_) => true,
        Flow::Refuse => false,
    }
}

/// seccomp has refused the call: the stricter of its verdict and ours is carried out. Between an errno and an errno ours is seen.
fn refuse_more_strictly() {
    // Stricter than a kill is only a verdict that has been carried out before. And a call that a tracer has cancelled is nobody's.
    if ffi::killed_by_seccomp() || !ffi::call_goes_on() {
        return;
    }
    let (decision, nr) = judge();
    let stricter = match decision.verdict.action() {
        Action::KillProcess | Action::KillThread | Action::Trap => true,
        // Not stricter than a trap.
        Action::Errno => !ffi::sigsys_pending(),
        Action::Notify | Action::Trace | Action::Log | Action::Allow => false,
    };
    if stricter {
        enforce::syscall(decision, nr);
    }
}

/// What the domain says of the system call in the caller's registers, and its number.
fn judge() -> (Decision, u32) {
    let mut nr = 0;
    let decision = event::ask(Event::SyscallEnter, |domain| {
        let mut words = Words::<WORDS>::new();
        words.gather(u32::MAX);
        nr = words.0[NR];
        let arch = words.0[ARCH];
        match domain.by_number(nr, arch) {
            Some(verdict) => Decision {
                verdict,
                layer: None,
            },
            None => event::decide(domain, Event::SyscallEnter, &words.0, &[]),
        }
    });
    (decision.unwrap_or(event::ALLOWED), nr)
}

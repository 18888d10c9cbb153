// SPDX-License-Identifier: GPL-2.0
//! From a decision to what happens to the task.

use core::ffi::CStr;

use filters::event::Event;
use filters::stack::Decision;
use filters::verdict::Action;
use kernel::bindings;

use crate::ffi::{self, Task};
use crate::symbol::Functions;

/// Whether the event goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Continue,
    /// It does not.
    Refuse,
    /// The tracer is asked, and told this number.
    AskTracer(u16),
}

/// Carries out a decision about a system call, with seccomp's effects (`__seccomp_filter` in `kernel/seccomp.c`).
pub(crate) fn syscall(decision: Decision, nr: u32) -> Flow {
    let verdict = decision.verdict;
    match verdict.action() {
        Action::Allow => Flow::Continue,
        Action::Log => {
            log(c"log", c"syscall.enter", decision, nr);
            Flow::Continue
        }
        Action::Errno => {
            ffi::return_errno(verdict.errno_value());
            Flow::Refuse
        }
        Action::Trace if ffi::has_tracer() => Flow::AskTracer(verdict.data()),
        // Nobody listens: what seccomp answers without a tracer or listener.
        Action::Trace | Action::Notify => {
            ffi::return_errno(bindings::ENOSYS as u16);
            Flow::Refuse
        }
        Action::Trap => {
            ffi::roll_back();
            sigsys(nr, verdict.data(), false);
            Flow::Refuse
        }
        Action::KillThread if !ffi::is_last_thread() => {
            log(c"kill", c"syscall.enter", decision, nr);
            ffi::exit_thread()
        }
        Action::KillThread | Action::KillProcess => {
            log(c"kill", c"syscall.enter", decision, nr);
            ffi::roll_back();
            sigsys(nr, verdict.data(), true);
            Flow::Refuse
        }
    }
}

/// Stops the caller until its tracer lets it go on; returns whether the system call, which may be another one by then, still is to run.
pub(crate) fn ask_tracer(message: u16) -> bool {
    match Functions::get() {
        Some(functions) => {
            functions.ptrace_notify.ptrace_notify_seccomp(message);
            // A fatal signal may have come in place of the tracer's answer.
            ffi::call_goes_on()
        }
        None => false,
    }
}

/// Carries out a decision about an event in the middle of a system call; `Err` with the errno that it is refused with.
pub(crate) fn refusable(decision: Decision, event: Event) -> Result<(), u16> {
    match decision.verdict.action() {
        Action::Allow => Ok(()),
        Action::Errno => Err(decision.verdict.errno_value()),
        _ => refusable_with_effects(decision, event),
    }
}

#[cold]
fn refusable_with_effects(decision: Decision, event: Event) -> Result<(), u16> {
    let verdict = decision.verdict;
    let nr = ffi::system_call();
    let event = match event {
        Event::SyscallEnter => c"syscall.enter",
        Event::VfsGetname => c"vfs.getname",
        Event::VfsPick => c"vfs.pick",
        Event::VfsWalk => c"vfs.walk",
        Event::FdReceive => c"fd.receive",
    };
    match verdict.action() {
        Action::Log => {
            log(c"log", event, decision, nr);
            Ok(())
        }
        // The schema admits no other action; what is left can only mean the end.
        _ => {
            log(c"kill", event, decision, nr);
            if Task::current().is_user_worker() {
                // Such a thread takes no SIGSYS; its process does not survive SIGKILL.
                ffi::kill_process();
            } else {
                sigsys(nr, verdict.data(), true);
            }
            Err(bindings::EPERM as u16)
        }
    }
}

/// Sends the caller SIGSYS as seccomp does; with `fatal` it cannot be caught and dumps core.
fn sigsys(nr: u32, reason: u16, fatal: bool) {
    match Functions::get() {
        Some(functions) => functions
            .force_sig_seccomp
            .force_sig_seccomp(nr, reason, fatal),
        // Not before the hooks are attached, and they lead here: fail closed.
        None => ffi::kill_process(),
    }
}

fn log(what: &CStr, event: &CStr, decision: Decision, nr: u32) {
    let layer = decision.layer.map_or(u32::MAX, |layer| layer as u32);
    ffi::log(what, event, layer, decision.verdict.raw(), nr);
}

// SPDX-License-Identifier: GPL-2.0
//! Who may look into whom: a task may trace only tasks that are at least as confined as itself, or it would act through a freer one.
//!
//! All threads of the traced task's process count: they share their memory, so writing into one is writing into all.
//!
//! `security_ptrace_access_check` also stands before process_vm_readv and _writev, pidfd_getfd, kcmp and the files of /proc/PID.
#![allow(unsafe_code)]

use kernel::bindings;
use kernel::prelude::*;

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{Answer, Task, Trampoline};
use crate::task::process_at_least_as_confined;

extern "C" {
    fn evf_tramp_ptrace_access_check();
    fn evf_tramp_ptrace_traceme();
}

pub(super) const ACCESS_CHECK: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_ptrace_access_check")],
    trampoline: Trampoline(evf_tramp_ptrace_access_check),
    needed_by: Need::FILTERS,
};

pub(super) const TRACEME: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_ptrace_traceme")],
    trampoline: Trampoline(evf_tramp_ptrace_traceme),
    needed_by: Need::FILTERS,
};

fn answer(traced: Option<Task>, tracer: Option<Task>) -> Answer {
    match (traced, tracer) {
        (Some(traced), Some(tracer)) if process_at_least_as_confined(traced, tracer) => {
            Answer::CONTINUE
        }
        _ => Answer::refuse(EPERM.to_errno() as isize),
    }
}

/// int security_ptrace_access_check(struct task_struct *child, unsigned int mode), called by a task with the mark, possibly under spin locks.
#[no_mangle]
extern "C" fn evf_on_ptrace_access_check(child: *mut bindings::task_struct) -> Answer {
    // SAFETY: The argument of the hooked function.
    let child = unsafe { Task::from_raw(child) };
    answer(child, Some(Task::current()))
}

/// int security_ptrace_traceme(struct task_struct *parent), for a parent with the mark, under the tasklist lock.
#[no_mangle]
extern "C" fn evf_on_ptrace_traceme(parent: *mut bindings::task_struct) -> Answer {
    // SAFETY: The argument of the hooked function.
    let parent = unsafe { Task::from_raw(parent) };
    answer(Some(Task::current()), parent)
}

// SPDX-License-Identifier: GPL-2.0
//! The life of a task: allocated by fork, woken for the first time, freed.
#![allow(unsafe_code)]

use kernel::bindings;
use kernel::prelude::*;

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Answer, Task, Trampoline};
use crate::task;

extern "C" {
    fn evf_tramp_task_alloc();
    fn evf_tramp_wake_up_new_task();
    fn evf_tramp_task_free();
}

pub(super) const ALLOC: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_task_alloc")],
    trampoline: Trampoline(evf_tramp_task_alloc),
    needed_by: Need::FILTERS,
};

pub(super) const WAKE_UP_NEW: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"wake_up_new_task")],
    trampoline: Trampoline(evf_tramp_wake_up_new_task),
    needed_by: Need::FILTERS,
};

pub(super) const FREE: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_task_free")],
    trampoline: Trampoline(evf_tramp_task_free),
    needed_by: Need::FILTERS,
};

/// int security_task_alloc(struct task_struct *task, u64 clone_flags), after it has returned, called by a task with the mark.
///
/// Every way of making a task comes here, io_uring's threads included. After the original: if that fails, the child, which is without a domain so far, does not
/// come to life.
#[no_mangle]
extern "C" fn evf_on_task_alloc(
    result: c_int,
    child: *mut bindings::task_struct,
    _clone_flags: u64,
) -> isize {
    if result != 0 {
        return result as isize;
    }
    // SAFETY: The argument of the hooked function; copy_process keeps it for the duration of the call.
    let Some(child) = (unsafe { Task::from_raw(child) }) else {
        return ENOMEM.to_errno() as isize;
    };
    match task::inherit(child) {
        Ok(()) => 0,
        Err(error) => error.to_errno() as isize,
    }
}

/// void wake_up_new_task(struct task_struct *p), called by a task with the mark: the creator of `child`, in process context, no locks held.
#[no_mangle]
extern "C" fn evf_on_wake_up_new_task(child: *mut bindings::task_struct) -> Answer {
    // SAFETY: The argument of the hooked function, which cannot end before it has run.
    if let Some(child) = unsafe { Task::from_raw(child) } {
        task::adopt(child);
    }
    Answer::CONTINUE
}

/// void security_task_free(struct task_struct *task), for a task with the mark; in any context but NMI.
#[no_mangle]
extern "C" fn evf_on_task_free(task: *mut bindings::task_struct) -> Answer {
    // SAFETY: The argument of the hooked function, freed by its caller afterwards.
    if let Some(task) = unsafe { Task::from_raw(task) } {
        ffi::forget_task(task);
    }
    Answer::CONTINUE
}

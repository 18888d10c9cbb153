// SPDX-License-Identifier: GPL-2.0
//! The way in at `security_task_prctl`: needs no device node, so a task whose view of the file system is already narrowed can still nest.
#![allow(unsafe_code)]

use kernel::prelude::*;

use crate::attach::{AttachPoint, Hook, Need};
use crate::control;
use crate::ffi::{Answer, ModulePin, Trampoline};

extern "C" {
    fn evf_tramp_task_prctl();
}

pub(super) const PRCTL: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_task_prctl")],
    trampoline: Trampoline(evf_tramp_task_prctl),
    needed_by: Need::MODULE,
};

/// int security_task_prctl(int option, unsigned long arg2, ...), for our option, by any task.
#[no_mangle]
extern "C" fn evf_on_task_prctl(
    _option: c_int,
    operation: usize,
    arg3: usize,
    arg4: usize,
    arg5: usize,
) -> Answer {
    if !super::is_open() {
        return Answer::CONTINUE;
    }
    // This may sleep in a task that has no domain to keep the module loaded.
    let Some(_pin) = ModulePin::try_new() else {
        return Answer::CONTINUE;
    };
    let result = control::prctl(operation, [arg3, arg4, arg5]);
    Answer::refuse(result.unwrap_or_else(|error| error.to_errno() as isize))
}

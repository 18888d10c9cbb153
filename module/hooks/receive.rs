// SPDX-License-Identifier: GPL-2.0
//! `fd.receive`: a descriptor arrives, by SCM_RIGHTS, pidfd_getfd or a supervisor of seccomp.
#![allow(unsafe_code)]

use filters::event::Event;

use crate::attach::Hook;
use crate::ffi::{Answer, Arguments};
use crate::object::{self, Deed};

pub(super) const HOOKS: &[Hook] = &[Hook::shared(c"security_file_receive", received)];

/// int security_file_receive(struct file *file), called by the task that receives it.
fn received(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let Some(file) = (unsafe { arguments.file(0) }) else {
        return Answer::CONTINUE;
    };
    let judged = file.place.map(|place| {
        object::judge(&Deed {
            event: Event::FdReceive,
            access: file.access,
            flags: file.flags,
            ..Deed::pick(0, place)
        })
    });
    match judged {
        Some(Err(stop)) => Answer::refuse(stop.value()),
        _ => Answer::CONTINUE,
    }
}

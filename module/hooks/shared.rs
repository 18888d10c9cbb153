// SPDX-License-Identifier: GPL-2.0
//! The trampoline that many functions share: where it was entered from tells which of them was called.
#![allow(unsafe_code)]

use kernel::prelude::*;

use crate::attach;
use crate::ffi::{self, Answer, Arguments, Trampoline};

extern "C" {
    fn evf_tramp_shared();
}

pub(super) const TRAMPOLINE: Trampoline = Trampoline(evf_tramp_shared);

/// A shared function was called by a task with the mark; `site` tells which.
#[no_mangle]
extern "C" fn evf_on_shared(site: usize, arguments: *const Arguments) -> Answer {
    // SAFETY: The trampoline has just pushed them.
    let arguments = unsafe { &*arguments };
    match attach::handler_at(site) {
        Some(handler) => handler(arguments),
        None => {
            // Only functions that have a handler are led here: fail closed.
            ffi::kill_process();
            Answer::refuse(EPERM.to_errno() as isize)
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The edge to C: everything `unsafe` that is not the entry of a hook.
//!
//! Safe functions and types here keep these rules, named in the SAFETY arguments:
//!
//! - **Current**: `current` is a valid task for as long as code runs in it.
//! - **Domain**: a task, and a slot of the table of sockets, owns one reference to its domain. A domain is freed a grace period after its last reference
//!   is gone. What [`domain_of`] returns is therefore alive while the RCU read lock is held.
//! - **Filter**: a filter descriptor owns one reference to its filter, given up when the file is released.
#![allow(unsafe_code)]

mod caller;
mod domain;
mod files;
mod filled;
mod name;
mod native;
mod object;
mod path;
mod pinned;
mod root;
mod scope;
mod symbol;
mod sysctl;
mod task;

use core::ffi::CStr;

use kernel::bindings;
use kernel::prelude::*;

pub(crate) use caller::*;
pub(crate) use domain::{domain_of, domain_ref_of, forget_task, own_domain, DomainRef};
pub(crate) use files::{control_fd, filter_fd, filter_of_fd, Device};
pub(crate) use filled::Filled;
pub(crate) use name::{accepts_empty, Filename};
pub(crate) use native::{native_workspace, natives_serve, Compiled, Native};
pub(crate) use object::{put_path, take_path, Arguments, File, Name, Place};
pub(crate) use path::{NoPath, PathRoom, PathRooms, PathText};
pub(crate) use pinned::Pinned;
pub(crate) use root::Root;
pub(crate) use scope::{all_of_pid, domain_of_sock, forget_sock, unix_sock, Sock};
pub(crate) use symbol::{
    attached, find_kallsyms, function, hook, hooks_max, log_taken, log_unhooked, quiesce,
    set_mount_lock, unhook, Function, Roots, Trampoline,
};
pub(crate) use sysctl::Sysctl;
pub(crate) use task::{other_threads, Task, Thread};

extern "C" {
    fn evf_log(what: *const c_char, event: *const c_char, layer: u32, verdict: u32, nr: i32);
}

/// What the handler of a guard answers; see `EVF_GUARD` in trampoline.S.
#[repr(C)]
pub(crate) struct Answer {
    refuse: usize,
    value: usize,
}

impl Answer {
    /// Go on into the hooked function.
    pub(crate) const CONTINUE: Answer = Answer {
        refuse: 0,
        value: 0,
    };

    /// Return `value` to the caller in place of the hooked function.
    pub(crate) const fn refuse(value: isize) -> Answer {
        Answer {
            refuse: 1,
            value: value as usize,
        }
    }
}

/// A full memory barrier.
pub(crate) fn barrier() {
    kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
}

const fn this_module() -> *mut bindings::module {
    kernel::module::this_module::<crate::Evfilter>().as_ptr()
}

/// A reference to this module: while one exists it cannot be unloaded.
pub(crate) struct ModulePin(());

impl ModulePin {
    /// For a caller that is already keeping the module loaded, by an open descriptor or a pin of its own.
    pub(crate) fn new() -> ModulePin {
        // SAFETY: The caller keeps the module from going.
        unsafe { bindings::__module_get(this_module()) };
        ModulePin(())
    }

    /// For a caller that nothing keeps the module loaded for; `None` if it is on its way out.
    pub(crate) fn try_new() -> Option<ModulePin> {
        // SAFETY: Runs in the module's text, which `rmmod` frees only after a grace period for the hook that led here.
        let got = unsafe { bindings::try_module_get(this_module()) };
        // Not `then_some`: a pin made in vain would be dropped, and give back what was never got.
        got.then(|| ModulePin(()))
    }
}

impl Drop for ModulePin {
    fn drop(&mut self) {
        // SAFETY: Pairs with the constructors. The text that runs after this is covered by `quiesce`.
        unsafe { bindings::module_put(this_module()) };
    }
}

/// Writes a line about an event to the kernel log, at most a few a second.
pub(crate) fn log(what: &CStr, event: &CStr, layer: u32, verdict: u32, nr: u32) {
    // SAFETY: Both strings are NUL-terminated.
    unsafe {
        evf_log(
            what.as_char_ptr(),
            event.as_char_ptr(),
            layer,
            verdict,
            nr as i32,
        )
    };
}

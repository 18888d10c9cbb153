// SPDX-License-Identifier: GPL-2.0
//! A name has led to an object: `filename_lookup`, through which every system call goes that resolves a path and does not open, make or remove. What is
//! done with the object has an event of its own where the kernel offers one; where it does not (access, statfs, name_to_handle_at, open_tree, ...) this
//! is the event.
#![allow(unsafe_code)]

use filters::event::Event;
use filters::object::action;
use kernel::bindings;
use kernel::prelude::*;

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Place, Trampoline};
use crate::object::{self, Deed};

extern "C" {
    fn evf_tramp_filename_lookup();
}

pub(in super::super) const LOOKUP: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"filename_lookup")],
    trampoline: Trampoline(evf_tramp_filename_lookup),
    needed_by: Need::events(&[Event::VfsPick]),
};

/// int filename_lookup(int dfd, struct filename *name, unsigned flags, struct path *path, struct path *root), after it has returned, called by a task with
/// the mark.
#[no_mangle]
extern "C" fn evf_on_filename_lookup(
    result: c_int,
    path: *mut bindings::path,
    _flags: usize,
) -> isize {
    if result != 0 {
        return result as isize;
    }
    // SAFETY: The function has just filled in the path, with references that its caller does not know of yet.
    let place = unsafe { Place::of_path(path) };
    let Some(Err(stop)) = place.map(|place| object::judge(&Deed::pick(action::LOOKUP, place)))
    else {
        return 0;
    };
    // SAFETY: The references are ours to give back. Some callers put the path whatever they are told, so nothing must be left in it.
    unsafe { ffi::take_path(path) };
    stop.value()
}

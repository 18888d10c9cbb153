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
use crate::ffi::{self, Place, Trampoline, Words};
use crate::object::{self, Deed, Stop};

extern "C" {
    fn evf_tramp_filename_lookup();
}

pub(in super::super) const LOOKUP: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"filename_lookup")],
    trampoline: Trampoline(evf_tramp_filename_lookup),
    needed_by: Need::events(&[Event::VfsPick]),
};

/// Calls of the mount family that have no other hook: `arch/x86/entry/syscalls`. From 424 on, numbers are those of all architectures.
const OPEN_TREE: u32 = 428;
const FSPICK: u32 = 433;
const MOUNT_SETATTR: u32 = 442;
const OPEN_TREE_ATTR: u32 = 467;
/// `include/uapi/linux/mount.h`
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_NAMESPACE: u32 = 2;
/// The bit of an x32 number.
const X32: u32 = 0x4000_0000;

/// Whether the call in progress changes mounts, or makes one, where the name leads.
fn is_for_mounts() -> bool {
    match ffi::system_call() & !X32 {
        FSPICK | MOUNT_SETATTR | OPEN_TREE_ATTR => true,
        // The third argument has the flags.
        OPEN_TREE => {
            let mut call = Words::<16>::new();
            call.gather(u32::MAX);
            call.0[8] & (OPEN_TREE_CLONE | OPEN_TREE_NAMESPACE) != 0
        }
        _ => false,
    }
}

fn judge(place: Place<'_>) -> Result<(), Stop> {
    object::judge(&Deed::pick(action::LOOKUP, place))?;
    if is_for_mounts() {
        object::judge(&Deed::pick(action::MOUNT, place))?;
    }
    Ok(())
}

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
    let Some(Err(stop)) = place.map(judge) else {
        return 0;
    };
    // SAFETY: The references are ours to give back. Some callers put the path whatever they are told, so nothing must be left in it.
    unsafe { ffi::take_path(path) };
    stop.value()
}

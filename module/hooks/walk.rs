// SPDX-License-Identifier: GPL-2.0
//! `vfs.walk`: the steps on the way to an object. Most of them happen in RCU walk, where nothing may sleep; a path that there is no room for makes the walk
//! begin anew as one that may.
#![allow(unsafe_code)]

use filters::event::Event;
use filters::object::step;
use kernel::bindings;
use kernel::prelude::*;

use super::pick;
use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Answer, Arguments, Place, Trampoline};
use crate::object::{self, Deed};

extern "C" {
    fn evf_tramp_inode_permission();
}

/// Needed by `vfs.pick` too: it is where a working directory is chosen.
pub(super) const PERMISSION: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_inode_permission")],
    trampoline: Trampoline(evf_tramp_inode_permission),
    needed_by: Need::events(&[Event::VfsPick, Event::VfsWalk]),
};

pub(super) const HOOKS: &[Hook] = &[
    Hook::shared(c"security_inode_follow_link", link_followed),
    Hook::shared(c"nd_jump_link", jumped),
];

/// `include/linux/fs.h`
const MAY_EXEC: u32 = 0x01;
const MAY_CHDIR: u32 = 0x40;
const MAY_NOT_BLOCK: u32 = 0x80;

/// int security_inode_permission(struct inode *inode, int mask): looking a name up in a directory asks for MAY_EXEC and nothing else, while a walk stands there.
#[no_mangle]
extern "C" fn evf_on_inode_permission(inode: *mut c_void, mask: u32) -> Answer {
    if mask & MAY_CHDIR != 0 {
        // SAFETY: The argument of the hooked function.
        return unsafe { pick::changed_directory(inode) };
    }
    if mask & !MAY_NOT_BLOCK != MAY_EXEC {
        return Answer::CONTINUE;
    }
    // SAFETY: As above.
    let place = unsafe { Place::searched(inode) };
    walk(step::SEARCH, place, mask & MAY_NOT_BLOCK == 0)
}

/// int security_inode_follow_link(struct dentry *dentry, struct inode *inode, bool rcu)
fn link_followed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let place = unsafe { Place::followed(arguments.pointer(0)) };
    // A bool fills the lowest byte only.
    walk(step::LINK, place, arguments.number(2) as u8 == 0)
}

/// int nd_jump_link(const struct path *path): not in RCU walk. It owns the references of the path.
fn jumped(arguments: &Arguments) -> Answer {
    let path: *const bindings::path = arguments.pointer(0);
    // SAFETY: As the function is declared.
    let Err(stop) = judge(step::MAGIC, unsafe { Place::of_path(path) }, true) else {
        return Answer::CONTINUE;
    };
    // SAFETY: As the function itself does when it refuses.
    unsafe { ffi::put_path(path) };
    Answer::refuse(stop.value())
}

fn walk(step: u32, place: Option<Place<'_>>, may_sleep: bool) -> Answer {
    match judge(step, place, may_sleep) {
        Ok(()) => Answer::CONTINUE,
        Err(stop) => Answer::refuse(stop.value()),
    }
}

fn judge(step: u32, place: Option<Place<'_>>, may_sleep: bool) -> Result<(), object::Stop> {
    match place {
        Some(place) => object::judge(&Deed {
            event: Event::VfsWalk,
            may_sleep,
            ..Deed::pick(step, place)
        }),
        None => Ok(()),
    }
}

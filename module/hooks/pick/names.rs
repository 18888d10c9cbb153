// SPDX-License-Identifier: GPL-2.0
//! Names made, moved and taken away.
#![allow(unsafe_code)]

use filters::object::{action, flag};

use super::answer;
use crate::attach::Hook;
use crate::ffi::{Answer, Arguments, Place};
use crate::object::{self, Deed};

pub(super) const HOOKS: &[Hook] = &[
    Hook::shared(c"security_path_mknod", made),
    Hook::shared(c"security_path_mkdir", directory_made),
    Hook::shared(c"security_path_symlink", symlinked),
    Hook::shared(c"security_path_link", linked),
    Hook::shared(c"security_path_unlink", unlinked),
    Hook::shared(c"security_path_rmdir", directory_removed),
    Hook::shared(c"security_path_rename", renamed),
];

const S_IFMT: u32 = 0o170_000;
const S_IFSOCK: u32 = 0o140_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
/// `include/uapi/linux/fs.h`
const RENAME_EXCHANGE: u32 = 2;

/// int security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev): files, devices, and sockets that are bound.
fn made(arguments: &Arguments) -> Answer {
    // A umode_t fills the lower half of its register only.
    let mode = u32::from(arguments.number(2) as u16);
    let (action, mode) = match mode & S_IFMT {
        0 => (action::CREATE, mode | S_IFREG),
        S_IFREG | S_IFSOCK => (action::CREATE, mode),
        _ => (action::MKNOD, mode),
    };
    // SAFETY: As the function is declared.
    let place = unsafe { arguments.name(0, 1) };
    answer(place.map(|place| Deed::pick(action, place).new_mode(mode)))
}

/// int security_path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)
fn directory_made(arguments: &Arguments) -> Answer {
    let mode = u32::from(arguments.number(2) as u16) & !S_IFMT | S_IFDIR;
    // SAFETY: As the function is declared.
    let place = unsafe { arguments.name(0, 1) };
    answer(place.map(|place| Deed::pick(action::MKDIR, place).new_mode(mode)))
}

/// int security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)
fn symlinked(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let place = unsafe { arguments.name(0, 1) };
    answer(place.map(|place| Deed::pick(action::SYMLINK, place).new_mode(S_IFLNK)))
}

/// int security_path_unlink(const struct path *dir, struct dentry *dentry)
fn unlinked(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    super::simple(action::UNLINK, unsafe { arguments.name(0, 1) })
}

/// int security_path_rmdir(const struct path *dir, struct dentry *dentry)
fn directory_removed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    super::simple(action::RMDIR, unsafe { arguments.name(0, 1) })
}

/// int security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)
fn linked(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared. A link stays on its mount, so the old name is on the new one's.
    let (old, new) = unsafe { (arguments.name(1, 0), arguments.name(1, 2)) };
    ends(action::LINK, old, new, 0)
}

/// int security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry, unsigned int flags)
fn renamed(arguments: &Arguments) -> Answer {
    let exchange = arguments.number(4) & RENAME_EXCHANGE != 0;
    // SAFETY: As the function is declared.
    let (old, new) = unsafe { (arguments.name(0, 1), arguments.name(2, 3)) };
    let flags = if exchange { flag::EXCHANGE } else { 0 };
    ends(action::RENAME, old, new, flags)
}

/// Both ends are judged; either can refuse.
fn ends(action: u32, old: Option<Place<'_>>, new: Option<Place<'_>>, flags: u32) -> Answer {
    let (Some(old), Some(new)) = (old, new) else {
        return Answer::CONTINUE;
    };
    let end = |place, other, flags| {
        object::judge(&Deed {
            flags,
            other: Some(other),
            ..Deed::pick(action, place)
        })
    };
    match end(old, new, flags).and_then(|()| end(new, old, flags | flag::TARGET)) {
        Ok(()) => Answer::CONTINUE,
        Err(stop) => Answer::refuse(stop.value()),
    }
}

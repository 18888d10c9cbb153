// SPDX-License-Identifier: GPL-2.0
//! Directories that a task moves to, mounts, sockets, watches, and what is asked of whole file systems.
#![allow(unsafe_code)]

use filters::object::{action, flag};
use kernel::prelude::*;

use super::{answer, simple};
use crate::attach::Hook;
use crate::ffi::{Answer, Arguments, Name, Place};
use crate::object::Deed;

pub(super) const HOOKS: &[Hook] = &[
    Hook::shared(c"security_path_chroot", root_changed),
    Hook::shared(c"security_sb_mount", mounted),
    Hook::shared(c"security_move_mount", mount_moved),
    Hook::shared(c"security_sb_umount", unmounted),
    Hook::shared(c"security_sb_remount", remounted),
    Hook::shared(c"security_sb_pivotroot", root_pivoted),
    Hook::shared(c"security_path_notify", watched),
    Hook::shared(c"security_unix_find", connected),
    Hook::shared(c"security_sb_statfs", state_read),
    Hook::shared(c"security_quotactl", quota_touched),
    Hook::shared(c"security_quota_on", quota_switched_on),
];

/// The directory with this inode becomes the caller's working directory: chdir, fchdir, and on their way chroot and fchroot. Part of
/// int security_inode_permission(struct inode *inode, int mask), for MAY_CHDIR.
///
/// # Safety
///
/// `inode` must be its argument.
pub(in super::super) unsafe fn changed_directory(inode: *mut c_void) -> Answer {
    // SAFETY: Required of the caller; those who ask for MAY_CHDIR may sleep. A directory has one name.
    let name = unsafe { Name::of_inode(inode) };
    simple(action::CHDIR, name.as_ref().and_then(Name::place))
}

/// int security_path_chroot(const struct path *path)
fn root_changed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::CHROOT, unsafe { arguments.path(0) })
}

/// int security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)
fn mounted(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::MOUNT, unsafe { arguments.path(1) })
}

/// int security_move_mount(const struct path *from_path, const struct path *to_path)
fn mount_moved(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let (from, to) = unsafe { (arguments.path(0), arguments.path(1)) };
    answer(to.map(|to| Deed {
        flags: flag::TARGET,
        other: from,
        ..Deed::pick(action::MOUNT, to)
    }))
}

/// int security_sb_umount(struct vfsmount *mnt, int flags)
fn unmounted(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::UMOUNT, unsafe { arguments.root_of_mount(0) })
}

/// int security_sb_remount(struct super_block *sb, void *mnt_opts)
fn remounted(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::MOUNT, unsafe { arguments.root_of_sb(0) })
}

/// int security_sb_pivotroot(const struct path *old_path, const struct path *new_path)
fn root_pivoted(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let (old, new) = unsafe { (arguments.path(0), arguments.path(1)) };
    answer(new.map(|new| Deed {
        flags: flag::TARGET,
        other: old,
        ..Deed::pick(action::PIVOT_ROOT, new)
    }))
}

/// `enum fsnotify_obj_type` of include/linux/fsnotify_backend.h
const ONE_OBJECT: u32 = 0;
const MOUNT: u32 = 1;

/// int security_path_notify(const struct path *path, u64 mask, unsigned int obj_type). Who watches a whole mount or file system by way of one of its files
/// has chosen the root of it.
fn watched(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let path = unsafe { arguments.path(0) };
    let place = match arguments.number(2) {
        ONE_OBJECT => path,
        MOUNT => path.map(Place::root_of_mount),
        _ => path.map(Place::root_of_file_system),
    };
    simple(action::WATCH, place)
}

/// int security_unix_find(const struct path *path, struct sock *other, int flags)
fn connected(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::CONNECT, unsafe { arguments.path(0) })
}

/// int security_sb_statfs(struct dentry *dentry)
fn state_read(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::STATFS, unsafe { arguments.dentry(0) })
}

/// int security_quotactl(int cmds, int type, int id, const struct super_block *sb)
fn quota_touched(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared; to write all quotas back no file system is named.
    simple(action::QUOTA, unsafe { arguments.root_of_sb(3) })
}

/// int security_quota_on(struct dentry *dentry)
fn quota_switched_on(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::QUOTA, unsafe { arguments.dentry(0) })
}

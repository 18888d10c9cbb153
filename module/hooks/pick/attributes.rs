// SPDX-License-Identifier: GPL-2.0
//! Attributes read and set: lengths, modes, owners, times, extended attributes, access control lists.
#![allow(unsafe_code)]

use filters::object::action;

use super::{answer, simple};
use crate::attach::Hook;
use crate::ffi::{Answer, Arguments};
use crate::object::Deed;

pub(super) const HOOKS: &[Hook] = &[
    Hook::shared(c"security_path_truncate", truncated),
    Hook::shared(c"security_path_chown", owner_set),
    Hook::shared(c"vfs_utimes", times_set),
    Hook::shared(c"security_inode_getattr", asked),
    Hook::shared(c"security_inode_readlink", link_read),
    Hook::shared(c"security_inode_listxattr", xattrs_listed),
    Hook::shared(c"security_inode_file_setattr", attributes_set),
    Hook::shared(c"security_inode_file_getattr", attributes_read),
    Hook::shared(c"security_file_truncate", file_truncated),
    Hook::shared(c"security_path_chmod", mode_set),
    Hook::shared(c"security_inode_getxattr", xattr_read),
    Hook::shared(c"security_inode_setxattr", xattr_set),
    Hook::shared(c"security_inode_removexattr", xattr_removed),
    Hook::shared(c"security_inode_get_acl", acl_read),
    Hook::shared(c"security_inode_set_acl", acl_set),
    Hook::shared(c"security_inode_remove_acl", acl_removed),
];

/// int security_path_truncate(const struct path *path)
fn truncated(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::TRUNCATE, unsafe { arguments.path(0) })
}

/// int security_path_chown(const struct path *path, kuid_t uid, kgid_t gid)
fn owner_set(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::CHOWN, unsafe { arguments.path(0) })
}

/// int vfs_utimes(const struct path *path, struct timespec64 *times)
fn times_set(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::UTIME, unsafe { arguments.path(0) })
}

/// int security_inode_getattr(const struct path *path)
fn asked(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::STAT, unsafe { arguments.path(0) })
}

/// int security_inode_readlink(struct dentry *dentry)
fn link_read(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::READLINK, unsafe { arguments.dentry(0) })
}

/// int security_inode_listxattr(struct dentry *dentry)
fn xattrs_listed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::XATTR_LIST, unsafe { arguments.dentry(0) })
}

/// int security_inode_file_setattr(struct dentry *dentry, struct file_kattr *fa)
fn attributes_set(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::ATTR_SET, unsafe { arguments.dentry(0) })
}

/// int security_inode_file_getattr(struct dentry *dentry, struct file_kattr *fa)
fn attributes_read(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    simple(action::ATTR_GET, unsafe { arguments.dentry(0) })
}

/// int security_file_truncate(struct file *file)
fn file_truncated(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let file = unsafe { arguments.file(0) };
    simple(action::TRUNCATE, file.and_then(|file| file.place))
}

/// int security_path_chmod(const struct path *path, umode_t mode)
fn mode_set(arguments: &Arguments) -> Answer {
    let mode = u32::from(arguments.number(1) as u16);
    // SAFETY: As the function is declared.
    let place = unsafe { arguments.path(0) };
    answer(place.map(|place| Deed::pick(action::CHMOD, place).new_mode(mode)))
}

/// The answer about an attribute with a name. The name is the kernel's own copy.
///
/// # Safety
///
/// Arguments `dentry` and `name` must be a `struct dentry *` and a `const char *`.
unsafe fn named(action: u32, arguments: &Arguments, dentry: usize, name: usize) -> Answer {
    // SAFETY: Required of the caller.
    let (place, xattr) = unsafe { (arguments.dentry(dentry), arguments.text(name)) };
    answer(place.map(|place| Deed {
        xattr,
        ..Deed::pick(action, place)
    }))
}

/// int security_inode_getxattr(struct dentry *dentry, const char *name)
fn xattr_read(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::XATTR_GET, arguments, 0, 1) }
}

/// int security_inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name, ...)
fn xattr_set(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::XATTR_SET, arguments, 1, 2) }
}

/// int security_inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name)
fn xattr_removed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::XATTR_REMOVE, arguments, 1, 2) }
}

/// int security_inode_get_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name)
fn acl_read(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::ACL_GET, arguments, 1, 2) }
}

/// int security_inode_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name, struct posix_acl *kacl)
fn acl_set(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::ACL_SET, arguments, 1, 2) }
}

/// int security_inode_remove_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name)
fn acl_removed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    unsafe { named(action::ACL_SET, arguments, 1, 2) }
}

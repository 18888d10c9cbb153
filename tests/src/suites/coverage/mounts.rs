// SPDX-License-Identifier: GPL-2.0
//! Mounts, namespaces and quotas.

use std::os::fd::OwnedFd;

use libc::{MNT_DETACH, MS_BIND, MS_REMOUNT, O_RDONLY};

use super::scene::{CWD, DIR, FILE, LINK, ROOT, mount, room};
use super::{Row, plain, row};
use crate::sys::{Ret, open, own, sys};

const OPEN_TREE_ATTR: i64 = 467;
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;
const OPEN_TREE_CLONE: u32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
/// `LSMT_ROOT`: the root mount of the caller.
const ROOT_MOUNT: u64 = u64::MAX;
/// `QCMD(Q_GETFMT, USRQUOTA)`.
const Q_GETFMT: u32 = 0x8000_0400;

/// A configuration of a new file system.
#[track_caller]
fn context(kind: &std::ffi::CStr) -> OwnedFd {
    own(sys!(libc::SYS_fsopen, kind, 0)).expect("fsopen")
}

fn create(context: &OwnedFd) -> Ret {
    sys!(libc::SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0)
}

/// `struct mount_attr` that sets MOUNT_ATTR_NODIRATIME.
fn attributes() -> [u64; 4] {
    [0x80, 0, 0, 0]
}

/// `struct mnt_id_req`.
fn request(mount: u64, parameter: u64) -> [u64; 3] {
    [24, mount, parameter]
}

/// Makes the scene's file system the root: one that is unmounted is not taken away but made read-only.
#[track_caller]
pub(super) fn enter_root() {
    assert_eq!(sys!(libc::SYS_chroot, ROOT), Ok(0), "chroot");
    assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0), "chdir");
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = placing();
    rows.extend(configuring());
    rows.extend(asking());
    rows
}

fn placing() -> Vec<Row> {
    vec![
        plain!("mount", sys!(libc::SYS_mount, c"none", DIR, c"tmpfs", 0, 0)),
        plain!(
            "mount",
            "MS_BIND",
            sys!(libc::SYS_mount, ROOT, DIR, 0, MS_BIND, 0)
        ),
        plain!("mount", "MS_REMOUNT", {
            sys!(libc::SYS_mount, 0, ROOT, 0, MS_REMOUNT, 0)
        }),
        plain!("umount2", sys!(libc::SYS_umount2, ROOT, MNT_DETACH)),
        row("umount2", "of the root", |start| {
            enter_root();
            start();
            sys!(libc::SYS_umount2, c"/", 0)
        }),
        row("move_mount", "", |start| {
            mount(c"tmpfs", DIR);
            start();
            sys!(libc::SYS_move_mount, CWD, DIR, CWD, FILE, 0)
        }),
        row("move_mount", "of a copy", |start| {
            let tree = own(sys!(libc::SYS_open_tree, CWD, ROOT, OPEN_TREE_CLONE));
            let tree = tree.expect("open_tree");
            start();
            sys!(
                libc::SYS_move_mount,
                &tree,
                c"",
                CWD,
                DIR,
                MOVE_MOUNT_F_EMPTY_PATH
            )
        }),
        plain!("pivot_root", sys!(libc::SYS_pivot_root, ROOT, DIR)),
        plain!("open_tree", sys!(libc::SYS_open_tree, CWD, LINK, 0)),
        plain!("open_tree", "OPEN_TREE_CLONE", {
            sys!(libc::SYS_open_tree, CWD, DIR, OPEN_TREE_CLONE)
        }),
        plain!("open_tree_attr", {
            let attributes = attributes();
            sys!(
                OPEN_TREE_ATTR,
                CWD,
                DIR,
                OPEN_TREE_CLONE,
                &attributes[..],
                32
            )
        }),
        plain!("mount_setattr", {
            sys!(libc::SYS_mount_setattr, CWD, ROOT, 0, &attributes()[..], 32)
        }),
        row("setns", "mount namespace", |start| {
            let namespace = open(c"/proc/self/ns/mnt", O_RDONLY).expect("the namespace");
            start();
            sys!(libc::SYS_setns, &namespace, 0)
        }),
    ]
}

fn configuring() -> Vec<Row> {
    vec![
        row("fsmount", "", |start| {
            let context = context(c"tmpfs");
            assert_eq!(create(&context), Ok(0), "fsconfig");
            start();
            sys!(libc::SYS_fsmount, &context, 0, 0)
        }),
        plain!("fspick", sys!(libc::SYS_fspick, CWD, ROOT, 0)),
        row("fsconfig", "a device as source", |start| {
            let context = context(c"ext4");
            let (key, name) = (c"source", LINK);
            let set = sys!(
                libc::SYS_fsconfig,
                &context,
                FSCONFIG_SET_STRING,
                key,
                name,
                0
            );
            assert_eq!(set, Ok(0), "fsconfig");
            start();
            create(&context)
        }),
        row("fsconfig", "FSCONFIG_CMD_RECONFIGURE", |start| {
            let context = own(sys!(libc::SYS_fspick, CWD, ROOT, 0)).expect("fspick");
            start();
            sys!(
                libc::SYS_fsconfig,
                &context,
                FSCONFIG_CMD_RECONFIGURE,
                0,
                0,
                0
            )
        }),
    ]
}

fn asking() -> Vec<Row> {
    vec![
        plain!("listmount", {
            sys!(LISTMOUNT, &request(ROOT_MOUNT, 0)[..], &room()[..], 64, 0)
        }),
        row("statmount", "", |start| {
            let mut ids = room();
            let at = ids.as_mut_ptr();
            let listed = sys!(LISTMOUNT, &request(ROOT_MOUNT, 0)[..], at, 64, 0);
            assert!(listed.is_ok_and(|count| count > 0), "listmount: {listed:?}");
            start();
            // STATMOUNT_SB_BASIC
            sys!(STATMOUNT, &request(ids[0], 1)[..], &room()[..], 2048, 0)
        }),
        // The file is no block device, which is found out after it was looked up.
        plain!("quotactl", {
            sys!(libc::SYS_quotactl, Q_GETFMT, LINK, 0, &room()[..])
        }),
    ]
}

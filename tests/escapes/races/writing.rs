// SPDX-License-Identifier: GPL-2.0
//! Calls that change what is there.

use libc::{AT_FDCWD, O_WRONLY};

use super::super::case::Proof;
use super::{Round, Row, row};
use crate::sys::child::{exit, fork, wait};
use crate::sys::{own, sys};

/// The race goes on to its end: the judge sees what was changed.
fn on(ret: Result<u64, i32>) -> Round {
    ret.map(|_| None)
}

pub(super) const ROWS: &[Row] = &[
    row("open_for_writing", "victim", Proof::Changed, |name| {
        let fd = own(sys!(libc::SYS_open, name, O_WRONLY, 0))?;
        on(sys!(libc::SYS_write, &fd, c"owned".as_ptr(), 5))
    }),
    row("creat", "victim", Proof::Changed, |name| {
        own(sys!(libc::SYS_creat, name, 0o644)).map(|_| None)
    }),
    row("truncate", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_truncate, name, 1))
    }),
    row("chmod", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_chmod, name, 0o600))
    }),
    row("fchmodat", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_fchmodat, AT_FDCWD, name, 0o600))
    }),
    row("fchmodat2", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_fchmodat2, AT_FDCWD, name, 0o600, 0))
    }),
    row("chown", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_chown, name, 7, 7))
    }),
    row("lchown", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_lchown, name, 7, 7))
    }),
    row("fchownat", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_fchownat, AT_FDCWD, name, 7, 7, 0))
    }),
    row("utime", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_utime, name, [1u64, 1].as_ptr()))
    }),
    row("utimes", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_utimes, name, [1u64; 4].as_ptr()))
    }),
    row("futimesat", "victim", Proof::Changed, |name| {
        on(sys!(
            libc::SYS_futimesat,
            AT_FDCWD,
            name,
            [1u64; 4].as_ptr()
        ))
    }),
    row("utimensat", "victim", Proof::Changed, |name| {
        on(sys!(
            libc::SYS_utimensat,
            AT_FDCWD,
            name,
            [1u64; 4].as_ptr(),
            0
        ))
    }),
    row("setxattr", "victim", Proof::Changed, |name| {
        on(sys!(
            libc::SYS_setxattr,
            name,
            c"user.mark",
            c"x".as_ptr(),
            1,
            0
        ))
    }),
    row("lsetxattr", "victim", Proof::Changed, |name| {
        on(sys!(
            libc::SYS_lsetxattr,
            name,
            c"user.mark",
            c"x".as_ptr(),
            1,
            0
        ))
    }),
    row("removexattr", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_removexattr, name, c"user.mark"))
    }),
    row("setxattrat", "victim", Proof::Changed, |name| {
        // struct xattr_args: value, size, flags.
        let value = [c"x".as_ptr() as u64, 1];
        on(sys!(
            super::SYS_SETXATTRAT,
            AT_FDCWD,
            name,
            0,
            c"user.mark",
            value.as_ptr(),
            16
        ))
    }),
    row("unlink", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_unlink, name))
    }),
    row("unlinkat", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_unlinkat, AT_FDCWD, name, 0))
    }),
    row("rmdir", "dir", Proof::Changed, |name| {
        on(sys!(libc::SYS_rmdir, name))
    }),
    row("rename_away", "victim", Proof::Changed, |name| {
        on(sys!(libc::SYS_rename, name, c"/home/escape/moved"))
    }),
    row("renameat2_exchange", "victim", Proof::Changed, |name| {
        on(sys!(
            libc::SYS_renameat2,
            AT_FDCWD,
            name,
            AT_FDCWD,
            c"/home/escape/door",
            libc::RENAME_EXCHANGE
        ))
    }),
    row("acct", "victim", Proof::Changed, |name| {
        sys!(libc::SYS_acct, name)?;
        match fork()? {
            0 => exit(0),
            pid => {
                wait(pid);
            }
        }
        on(sys!(libc::SYS_acct, 0))
    }),
    row("mount_over", "dir", Proof::Changed, |name| {
        let mounted = sys!(libc::SYS_mount, c"none", name, c"tmpfs", 0, c"mode=0700");
        if mounted.is_ok() {
            // What was put over the attacker's own directory; the other one stays.
            let _ = sys!(libc::SYS_umount2, c"/home/escape/dir", libc::MNT_DETACH);
        }
        on(mounted)
    }),
];

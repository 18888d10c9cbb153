// SPDX-License-Identifier: GPL-2.0
//! Calls that make something new.

use libc::{AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY};

use super::super::case::Proof;
use super::{Round, Row, row};
use crate::sys::{own, sys};

/// The race goes on to its end: the judge sees what was made. What was made in the attacker's own tree is taken away, so that the next round can
/// make it again.
fn again(made: Result<u64, i32>, remove: i64) -> Round {
    if made.is_ok() {
        let _ = sys!(remove, c"/home/escape/new");
    }
    made.map(|_| None)
}

pub(super) const ROWS: &[Row] = &[
    row("open_to_create", "new", Proof::Changed, |name| {
        let made = own(sys!(
            libc::SYS_open,
            name,
            O_CREAT | O_EXCL | O_WRONLY,
            0o644
        ));
        again(made.map(|_| 0), libc::SYS_unlink)
    }),
    row("openat2_to_create", "new", Proof::Changed, |name| {
        let how = [(O_CREAT | O_EXCL | O_WRONLY) as u64, 0o644, 0];
        let made = own(sys!(libc::SYS_openat2, AT_FDCWD, name, how.as_ptr(), 24));
        again(made.map(|_| 0), libc::SYS_unlink)
    }),
    row("mkdir", "new", Proof::Changed, |name| {
        again(sys!(libc::SYS_mkdir, name, 0o755), libc::SYS_rmdir)
    }),
    row("mkdirat", "new", Proof::Changed, |name| {
        again(
            sys!(libc::SYS_mkdirat, AT_FDCWD, name, 0o755),
            libc::SYS_rmdir,
        )
    }),
    row("mknod", "new", Proof::Changed, |name| {
        let made = sys!(libc::SYS_mknod, name, libc::S_IFIFO | 0o644, 0);
        again(made, libc::SYS_unlink)
    }),
    row("mknodat", "new", Proof::Changed, |name| {
        let made = sys!(libc::SYS_mknodat, AT_FDCWD, name, libc::S_IFREG | 0o644, 0);
        again(made, libc::SYS_unlink)
    }),
    row("symlink", "new", Proof::Changed, |name| {
        again(sys!(libc::SYS_symlink, c"own", name), libc::SYS_unlink)
    }),
    row("symlinkat", "new", Proof::Changed, |name| {
        let made = sys!(libc::SYS_symlinkat, c"own", AT_FDCWD, name);
        again(made, libc::SYS_unlink)
    }),
    row("link_into", "new", Proof::Changed, |name| {
        let made = sys!(libc::SYS_link, c"/home/escape/door", name);
        again(made, libc::SYS_unlink)
    }),
    row("linkat_into", "new", Proof::Changed, |name| {
        let made = sys!(
            libc::SYS_linkat,
            AT_FDCWD,
            c"/home/escape/door",
            AT_FDCWD,
            name,
            0
        );
        again(made, libc::SYS_unlink)
    }),
    row("rename_into", "new", Proof::Changed, |name| {
        move_into(name, |from, to| sys!(libc::SYS_rename, from, to))
    }),
    row("renameat_into", "new", Proof::Changed, |name| {
        move_into(name, |from, to| {
            sys!(libc::SYS_renameat, AT_FDCWD, from, AT_FDCWD, to)
        })
    }),
    row("renameat2_into", "new", Proof::Changed, |name| {
        move_into(name, |from, to| {
            let flags = libc::RENAME_NOREPLACE;
            sys!(libc::SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags)
        })
    }),
];

/// Moves a file of the attacker's, made anew when it is gone.
fn move_into(name: u64, rename: impl Fn(u64, u64) -> Result<u64, i32>) -> Round {
    own(sys!(
        libc::SYS_open,
        c"/home/escape/moves",
        O_CREAT | O_WRONLY,
        0o644
    ))?;
    let from = c"/home/escape/moves".as_ptr() as u64;
    again(rename(from, name), libc::SYS_unlink)
}

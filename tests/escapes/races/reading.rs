// SPDX-License-Identifier: GPL-2.0
//! Calls that read: content, size, attributes, existence.

use libc::{AT_FDCWD, O_RDONLY};

use super::super::case::{Loot, Proof};
use super::super::deeds::{HOME, open, output_of, read, read_name};
use super::{Round, Row, row, unless_own};
use crate::sys::{own, sys};

pub(super) const ROWS: &[Row] = &[
    row("open", "flag", Proof::Content, |name| {
        let fd = own(sys!(libc::SYS_open, name, O_RDONLY, 0))?;
        unless_own(read(&fd))
    }),
    row("openat", "flag", Proof::Content, |name| {
        let fd = own(sys!(libc::SYS_openat, AT_FDCWD, name, O_RDONLY, 0))?;
        unless_own(read(&fd))
    }),
    row("openat2", "flag", Proof::Content, |name| {
        let how = [O_RDONLY as u64, 0, 0];
        let fd = own(sys!(libc::SYS_openat2, AT_FDCWD, name, how.as_ptr(), 24))?;
        unless_own(read(&fd))
    }),
    row("open_as_place", "flag", Proof::Content, |name| {
        let fd = own(sys!(libc::SYS_openat, AT_FDCWD, name, libc::O_PATH, 0))?;
        unless_own(read_name(&super::super::deeds::in_proc(&fd, "")))
    }),
    row("stat", "flag", Proof::Size, |name| {
        // struct stat: the size lies at byte 48.
        let mut room = [0u64; 32];
        sys!(libc::SYS_stat, name, room.as_mut_ptr())?;
        unless_own(Ok(Loot::Number(room[6])))
    }),
    row("lstat", "flag", Proof::Size, |name| {
        let mut room = [0u64; 32];
        sys!(libc::SYS_lstat, name, room.as_mut_ptr())?;
        unless_own(Ok(Loot::Number(room[6])))
    }),
    row("newfstatat", "flag", Proof::Size, |name| {
        let mut room = [0u64; 32];
        sys!(libc::SYS_newfstatat, AT_FDCWD, name, room.as_mut_ptr(), 0)?;
        unless_own(Ok(Loot::Number(room[6])))
    }),
    row("statx", "flag", Proof::Size, |name| {
        let mut room = [0u64; 32];
        sys!(libc::SYS_statx, AT_FDCWD, name, 0, 0x7ff, room.as_mut_ptr())?;
        unless_own(Ok(Loot::Number(room[5])))
    }),
    row("access", "only", Proof::Told, |name| {
        sys!(libc::SYS_access, name, 0).map(|_| Some(Loot::Done))
    }),
    row("faccessat2", "only", Proof::Told, |name| {
        sys!(libc::SYS_faccessat2, AT_FDCWD, name, 0, 0).map(|_| Some(Loot::Done))
    }),
    row("statfs", "only", Proof::Told, |name| {
        let mut room = [0u64; 32];
        sys!(libc::SYS_statfs, name, room.as_mut_ptr()).map(|_| Some(Loot::Done))
    }),
    row("readlink", "link", Proof::Content, |name| {
        let mut room = vec![0u8; 100];
        let count = sys!(libc::SYS_readlink, name, room.as_mut_ptr(), room.len())?;
        room.truncate(count as usize);
        unless_own(Ok(Loot::Bytes(room)))
    }),
    row("readlinkat", "link", Proof::Content, |name| {
        let mut room = vec![0u8; 100];
        let count = sys!(
            libc::SYS_readlinkat,
            AT_FDCWD,
            name,
            room.as_mut_ptr(),
            room.len()
        )?;
        room.truncate(count as usize);
        unless_own(Ok(Loot::Bytes(room)))
    }),
    row("getxattr", "flag", Proof::Content, |name| {
        attribute(libc::SYS_getxattr, name)
    }),
    row("lgetxattr", "flag", Proof::Content, |name| {
        attribute(libc::SYS_lgetxattr, name)
    }),
    row("listxattr", "flag", Proof::Content, |name| {
        let mut room = vec![0u8; 200];
        let count = sys!(libc::SYS_listxattr, name, room.as_mut_ptr(), room.len())?;
        room.truncate(count as usize);
        unless_own(Ok(Loot::Bytes(room)))
    }),
    row("chdir", "full", Proof::Content, |name| {
        sys!(libc::SYS_chdir, name)?;
        let found = unless_own(read_name(c"flag"));
        sys!(libc::SYS_chdir, HOME)?;
        found
    }),
    row("name_to_handle_at", "flag", Proof::Content, |name| {
        let mut handle = [0u32; 34];
        handle[0] = 128;
        let mut mount = 0i32;
        sys!(
            libc::SYS_name_to_handle_at,
            AT_FDCWD,
            name,
            handle.as_mut_ptr(),
            &raw mut mount,
            0
        )?;
        let home = open(HOME, O_RDONLY)?;
        let fd = own(sys!(
            libc::SYS_open_by_handle_at,
            &home,
            handle.as_ptr(),
            O_RDONLY
        ))?;
        unless_own(read(&fd))
    }),
    row("link_away", "flag", Proof::Content, |name| {
        sys!(libc::SYS_link, name, c"/home/escape/hard")?;
        let found = unless_own(read_name(c"/home/escape/hard"));
        sys!(libc::SYS_unlink, c"/home/escape/hard")?;
        found
    }),
    row("execve", "prog", Proof::Ran, |name| {
        run(|words| sys!(libc::SYS_execve, name, words, 0))
    }),
    row("execveat", "prog", Proof::Ran, |name| {
        run(|words| sys!(libc::SYS_execveat, AT_FDCWD, name, words, 0, 0))
    }),
];

/// The secret attribute of a file.
fn attribute(call: i64, name: u64) -> Round {
    let mut room = vec![0u8; 100];
    let count = sys!(call, name, c"user.token", room.as_mut_ptr(), room.len())?;
    room.truncate(count as usize);
    unless_own(Ok(Loot::Bytes(room)))
}

/// What the program says that is started.
fn run(exec: impl Fn(*const u64) -> Result<u64, i32>) -> Round {
    let words = [c"prog".as_ptr() as u64, 0];
    unless_own(output_of(|| {
        exec(words.as_ptr()).expect_err("exec does not return 0")
    }))
}

// SPDX-License-Identifier: GPL-2.0
//! Calls that take the name of a file.

use libc::{
    AT_REMOVEDIR, FAN_MARK_ADD, FAN_OPEN, O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_TRUNC,
    S_IFREG,
};

use super::scene::{
    ACL, ACL_VALUE, ATTRIBUTE, CWD, DIR, FILE, INNER, LINK, NEW, PIPE_MODE, PROGRAM, directory,
    room,
};
use super::{Row, plain, row};
use crate::sys::child::{End, fork, run_and_exit, wait};
use crate::sys::{Ret, own, sys};

/// Calls newer than the C library's list.
const SETXATTRAT: i64 = 463;
const GETXATTRAT: i64 = 464;
const LISTXATTRAT: i64 = 465;
const REMOVEXATTRAT: i64 = 466;
const FILE_GETATTR: i64 = 468;
const FILE_SETATTR: i64 = 469;

const FRESH: i32 = O_CREAT | O_RDWR;
const AGAIN: i32 = O_TRUNC | O_RDWR;

/// `struct open_how`.
fn how(flags: i32) -> [u64; 3] {
    let mode = if flags & O_CREAT != 0 { 0o600 } else { 0 };
    [flags as u64, mode, 0]
}

/// `struct xattr_args` about a value.
fn value<T>(of: &[T]) -> [u64; 2] {
    [of.as_ptr() as u64, size_of_val(of) as u64]
}

fn open_at(name: &std::ffi::CStr, flags: i32) -> Ret {
    sys!(libc::SYS_openat, CWD, name, flags, 0o600)
}

fn open2(name: &std::ffi::CStr, flags: i32) -> Ret {
    sys!(libc::SYS_openat2, CWD, name, &how(flags)[..], 24)
}

/// Executes in a child; what became of it.
pub(super) fn execute(exec: impl FnOnce() -> Ret) -> Ret {
    let pid = match fork()? {
        0 => run_and_exit(|| exec().err().unwrap_or(0)),
        pid => pid,
    };
    match wait(pid) {
        End::Exit(0) => Ok(0),
        End::Exit(errno) => Err(errno),
        // Refused too late for an errno.
        End::Signal(..) => Err(libc::ENOEXEC),
    }
}

fn arguments() -> [u64; 2] {
    [PROGRAM.as_ptr() as u64, 0]
}

fn unlinkat(flags: i32) -> Ret {
    let name = if flags == 0 { FILE } else { DIR };
    sys!(libc::SYS_unlinkat, CWD, name, flags)
}

fn queue(flags: i32) -> Ret {
    sys!(libc::SYS_mq_open, c"evf", flags, 0o600, 0)
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = opening();
    rows.extend(looking());
    rows.extend(changing());
    rows.extend(attributes());
    rows
}

fn opening() -> Vec<Row> {
    vec![
        plain!("open", sys!(libc::SYS_open, LINK, AGAIN, 0)),
        plain!("open", "new", sys!(libc::SYS_open, NEW, FRESH, 0o600)),
        plain!("openat", open_at(LINK, AGAIN)),
        plain!("openat", "new", open_at(NEW, FRESH)),
        plain!("openat", "O_PATH", open_at(LINK, O_PATH)),
        plain!("openat", "directory", open_at(DIR, O_DIRECTORY)),
        plain!(
            "openat",
            "O_TMPFILE",
            open_at(DIR, libc::O_TMPFILE | O_RDWR)
        ),
        plain!("openat", "/proc", open_at(c"/proc/self/exe", O_RDONLY)),
        plain!("openat2", open2(LINK, AGAIN)),
        plain!("openat2", "new", open2(NEW, FRESH)),
        plain!("creat", sys!(libc::SYS_creat, LINK, 0o600)),
        plain!("creat", "new", sys!(libc::SYS_creat, NEW, 0o600)),
        row("open_by_handle_at", "", |start| {
            // struct file_handle: bytes, type, the handle itself.
            let mut handle = [0u32; 34];
            handle[0] = 128;
            let handle = handle.as_mut_ptr();
            let made = sys!(
                libc::SYS_name_to_handle_at,
                CWD,
                FILE,
                handle,
                &room()[..],
                0
            );
            assert_eq!(made, Ok(0), "name_to_handle_at");
            let directory = directory();
            start();
            sys!(libc::SYS_open_by_handle_at, &directory, handle, O_RDONLY)
        }),
        plain!(
            "execve",
            execute(|| sys!(libc::SYS_execve, PROGRAM, &arguments()[..], 0))
        ),
        plain!(
            "execveat",
            execute(|| sys!(libc::SYS_execveat, CWD, PROGRAM, &arguments()[..], 0, 0))
        ),
        plain!("mq_open", "new", queue(FRESH)),
        row("mq_open", "", |start| {
            assert!(queue(FRESH).is_ok(), "mq_open");
            start();
            queue(O_RDWR)
        }),
        row("mq_unlink", "", |start| {
            assert!(queue(FRESH).is_ok(), "mq_open");
            start();
            sys!(libc::SYS_mq_unlink, c"evf")
        }),
        plain!("acct", {
            let begun = sys!(libc::SYS_acct, FILE);
            let _ = sys!(libc::SYS_acct, 0);
            begun
        }),
        plain!("swapon", sys!(libc::SYS_swapon, FILE, 0)),
        plain!("swapoff", sys!(libc::SYS_swapoff, FILE)),
    ]
}

fn looking() -> Vec<Row> {
    vec![
        plain!("access", sys!(libc::SYS_access, LINK, 4)),
        plain!("faccessat", sys!(libc::SYS_faccessat, CWD, LINK, 4)),
        plain!("faccessat2", sys!(libc::SYS_faccessat2, CWD, LINK, 4, 0)),
        plain!("stat", sys!(libc::SYS_stat, LINK, &room()[..])),
        plain!("lstat", sys!(libc::SYS_lstat, LINK, &room()[..])),
        plain!(
            "newfstatat",
            sys!(libc::SYS_newfstatat, CWD, LINK, &room()[..], 0)
        ),
        plain!(
            "statx",
            sys!(libc::SYS_statx, CWD, LINK, 0, 0x7ff, &room()[..])
        ),
        plain!("readlink", sys!(libc::SYS_readlink, LINK, &room()[..], 64)),
        plain!(
            "readlinkat",
            sys!(libc::SYS_readlinkat, CWD, LINK, &room()[..], 64)
        ),
        plain!("statfs", sys!(libc::SYS_statfs, LINK, &room()[..])),
        plain!("name_to_handle_at", {
            let mut handle = [128u32; 34];
            let handle = handle.as_mut_ptr();
            sys!(
                libc::SYS_name_to_handle_at,
                CWD,
                LINK,
                handle,
                &room()[..],
                0
            )
        }),
        plain!("chdir", sys!(libc::SYS_chdir, DIR)),
        plain!("chroot", sys!(libc::SYS_chroot, DIR)),
        row("inotify_add_watch", "", |start| {
            let watcher = own(sys!(libc::SYS_inotify_init1, 0)).expect("inotify_init1");
            start();
            sys!(libc::SYS_inotify_add_watch, &watcher, LINK, libc::IN_OPEN)
        }),
        row("fanotify_mark", "", |start| {
            let watcher = own(sys!(libc::SYS_fanotify_init, 0, 0)).expect("fanotify_init");
            start();
            sys!(
                libc::SYS_fanotify_mark,
                &watcher,
                FAN_MARK_ADD,
                FAN_OPEN,
                CWD,
                LINK
            )
        }),
    ]
}

fn changing() -> Vec<Row> {
    vec![
        plain!("truncate", sys!(libc::SYS_truncate, LINK, 1)),
        plain!("chmod", sys!(libc::SYS_chmod, LINK, 0o600)),
        plain!("fchmodat", sys!(libc::SYS_fchmodat, CWD, LINK, 0o600)),
        plain!("fchmodat2", sys!(libc::SYS_fchmodat2, CWD, LINK, 0o600, 0)),
        plain!("chown", sys!(libc::SYS_chown, LINK, 1, 1)),
        plain!("lchown", sys!(libc::SYS_lchown, LINK, 1, 1)),
        plain!("fchownat", sys!(libc::SYS_fchownat, CWD, LINK, 1, 1, 0)),
        plain!("utime", sys!(libc::SYS_utime, LINK, 0)),
        plain!("utimes", sys!(libc::SYS_utimes, LINK, 0)),
        plain!("futimesat", sys!(libc::SYS_futimesat, CWD, LINK, 0)),
        plain!("utimensat", sys!(libc::SYS_utimensat, CWD, LINK, 0, 0)),
        row("utimensat", "descriptor", |start| {
            let file = super::scene::file();
            start();
            sys!(libc::SYS_utimensat, &file, 0, 0, 0)
        }),
        plain!("mkdir", sys!(libc::SYS_mkdir, NEW, 0o700)),
        plain!("mkdirat", sys!(libc::SYS_mkdirat, CWD, NEW, 0o700)),
        plain!("rmdir", sys!(libc::SYS_rmdir, DIR)),
        plain!("unlink", sys!(libc::SYS_unlink, FILE)),
        plain!("unlinkat", unlinkat(0)),
        plain!("unlinkat", "AT_REMOVEDIR", unlinkat(AT_REMOVEDIR)),
        plain!("rename", sys!(libc::SYS_rename, FILE, INNER)),
        plain!("renameat", sys!(libc::SYS_renameat, CWD, FILE, CWD, INNER)),
        plain!(
            "renameat2",
            sys!(libc::SYS_renameat2, CWD, FILE, CWD, DIR, 2)
        ),
        plain!("link", sys!(libc::SYS_link, FILE, NEW)),
        plain!("linkat", sys!(libc::SYS_linkat, CWD, FILE, CWD, NEW, 0)),
        plain!("symlink", sys!(libc::SYS_symlink, FILE, NEW)),
        plain!("symlinkat", sys!(libc::SYS_symlinkat, FILE, CWD, NEW)),
        plain!("mknod", sys!(libc::SYS_mknod, NEW, S_IFREG | 0o600, 0)),
        plain!("mknod", "pipe", sys!(libc::SYS_mknod, NEW, PIPE_MODE, 0)),
        plain!(
            "mknodat",
            sys!(libc::SYS_mknodat, CWD, NEW, S_IFREG | 0o600, 0)
        ),
        plain!(
            "mknodat",
            "pipe",
            sys!(libc::SYS_mknodat, CWD, NEW, PIPE_MODE, 0)
        ),
    ]
}

/// The four forms of a call about an extended attribute, with a plain one and an access control list.
fn attributes() -> Vec<Row> {
    vec![
        plain!("getxattr", sys!(libc::SYS_getxattr, LINK, ATTRIBUTE, 0, 0)),
        plain!("getxattr", "acl", sys!(libc::SYS_getxattr, LINK, ACL, 0, 0)),
        plain!(
            "lgetxattr",
            sys!(libc::SYS_lgetxattr, FILE, ATTRIBUTE, 0, 0)
        ),
        plain!(
            "lgetxattr",
            "acl",
            sys!(libc::SYS_lgetxattr, FILE, ACL, 0, 0)
        ),
        plain!("getxattrat", {
            sys!(
                GETXATTRAT,
                CWD,
                LINK,
                0,
                ATTRIBUTE,
                &value(&[0u8; 0])[..],
                16
            )
        }),
        plain!("getxattrat", "acl", {
            sys!(GETXATTRAT, CWD, LINK, 0, ACL, &value(&[0u8; 0])[..], 16)
        }),
        plain!("listxattr", sys!(libc::SYS_listxattr, LINK, 0, 0)),
        plain!("llistxattr", sys!(libc::SYS_llistxattr, LINK, 0, 0)),
        plain!("listxattrat", sys!(LISTXATTRAT, CWD, LINK, 0, 0, 0)),
        plain!(
            "setxattr",
            sys!(libc::SYS_setxattr, LINK, ATTRIBUTE, c"y", 1, 0)
        ),
        plain!("setxattr", "acl", {
            sys!(libc::SYS_setxattr, LINK, ACL, &ACL_VALUE[..], 28, 0)
        }),
        plain!(
            "lsetxattr",
            sys!(libc::SYS_lsetxattr, FILE, ATTRIBUTE, c"y", 1, 0)
        ),
        plain!("lsetxattr", "acl", {
            sys!(libc::SYS_lsetxattr, FILE, ACL, &ACL_VALUE[..], 28, 0)
        }),
        plain!("setxattrat", {
            sys!(SETXATTRAT, CWD, LINK, 0, ATTRIBUTE, &value(b"y")[..], 16)
        }),
        plain!("setxattrat", "acl", {
            sys!(SETXATTRAT, CWD, LINK, 0, ACL, &value(&ACL_VALUE)[..], 16)
        }),
        plain!("removexattr", sys!(libc::SYS_removexattr, LINK, ATTRIBUTE)),
        plain!("removexattr", "acl", sys!(libc::SYS_removexattr, LINK, ACL)),
        plain!(
            "lremovexattr",
            sys!(libc::SYS_lremovexattr, FILE, ATTRIBUTE)
        ),
        plain!(
            "lremovexattr",
            "acl",
            sys!(libc::SYS_lremovexattr, FILE, ACL)
        ),
        plain!(
            "removexattrat",
            sys!(REMOVEXATTRAT, CWD, LINK, 0, ATTRIBUTE)
        ),
        plain!(
            "removexattrat",
            "acl",
            sys!(REMOVEXATTRAT, CWD, LINK, 0, ACL)
        ),
        plain!(
            "file_getattr",
            sys!(FILE_GETATTR, CWD, LINK, &room()[..], 24, 0)
        ),
        plain!(
            "file_setattr",
            sys!(FILE_SETATTR, CWD, LINK, &room()[..], 24, 0)
        ),
    ]
}

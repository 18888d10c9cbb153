// SPDX-License-Identifier: GPL-2.0
//! The objects on which the calls are made: a tmpfs in a mount namespace of the process's own, with one object of each kind.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use libc::{CLONE_NEWIPC, CLONE_NEWNS, MS_PRIVATE, MS_REC, O_DIRECTORY, O_RDONLY, O_RDWR, S_IFIFO};

use crate::sys::message::Address;
use crate::sys::{Ret, open, own, sys};

/// Where it is mounted; `/tmp` is a tmpfs as well.
pub(super) const ROOT: &CStr = c"/tmp/evf-coverage";
/// A file with a page of text.
pub(super) const FILE: &CStr = c"/tmp/evf-coverage/file";
/// An empty directory.
pub(super) const DIR: &CStr = c"/tmp/evf-coverage/dir";
/// A symbolic link to the file.
pub(super) const LINK: &CStr = c"/tmp/evf-coverage/link";
/// A name that is not there.
pub(super) const NEW: &CStr = c"/tmp/evf-coverage/new";
/// An executable program that ends well.
pub(super) const PROGRAM: &CStr = c"/tmp/evf-coverage/program";
/// A name inside the directory.
pub(super) const INNER: &CStr = c"/tmp/evf-coverage/dir/inner";
/// The current directory as a directory descriptor.
pub(super) const CWD: i32 = libc::AT_FDCWD;
/// An extended attribute that the file has.
pub(super) const ATTRIBUTE: &CStr = c"user.evf";
/// The attribute that holds an access control list.
pub(super) const ACL: &CStr = c"system.posix_acl_access";

/// An access control list that says what the mode 0644 says.
pub(super) const ACL_VALUE: [u32; 7] = [
    2,
    0x0006_0001,
    u32::MAX,
    0x0004_0004,
    u32::MAX,
    0x0004_0020,
    u32::MAX,
];

/// Makes it all.
pub(super) fn set() {
    let done = |what: &str, ret: Ret| assert!(ret.is_ok(), "{what}: {ret:?}");
    done(
        "unshare",
        sys!(libc::SYS_unshare, CLONE_NEWNS | CLONE_NEWIPC),
    );
    done(
        "private mounts",
        sys!(libc::SYS_mount, 0, c"/", 0, MS_REC | MS_PRIVATE, 0),
    );
    let _ = sys!(libc::SYS_mkdir, ROOT, 0o755);
    mount(c"tmpfs", ROOT);
    let written = std::fs::write(text(FILE), [b'x'; 4096]);
    assert!(written.is_ok(), "{written:?}");
    done("mkdir", sys!(libc::SYS_mkdir, DIR, 0o755));
    done("symlink", sys!(libc::SYS_symlink, FILE, LINK));
    done(
        "setxattr",
        sys!(libc::SYS_setxattr, FILE, ATTRIBUTE, c"x", 1, 0),
    );
    crate::executable::install(PROGRAM, &crate::executable::calls(libc::SYS_sched_yield));
}

/// A constant of this file as a string.
pub(super) fn text(name: &CStr) -> &str {
    name.to_str().expect("a constant name")
}

/// Mounts a file system of this kind there.
#[track_caller]
pub(super) fn mount(kind: &CStr, place: &CStr) {
    let mounted = sys!(libc::SYS_mount, c"none", place, kind, 0, 0);
    assert_eq!(mounted, Ok(0), "mount of {kind:?}");
}

/// Room for whatever a call writes: 2 KiB of zeros.
pub(super) fn room() -> Vec<u64> {
    vec![0; 256]
}

/// The file, open for reading and writing.
#[track_caller]
pub(super) fn file() -> OwnedFd {
    open(FILE, O_RDWR).expect("the file")
}

/// The directory, open for reading.
#[track_caller]
pub(super) fn directory() -> OwnedFd {
    open(DIR, O_RDONLY | O_DIRECTORY).expect("the directory")
}

/// A socket of this kind that is bound to [`NEW`], and listens if it can.
#[track_caller]
pub(super) fn server(kind: i32) -> OwnedFd {
    let server = socket(kind);
    let address = address();
    let (at, len) = address.parts();
    assert_eq!(sys!(libc::SYS_bind, &server, at, len), Ok(0), "bind");
    let _ = sys!(libc::SYS_listen, &server, 8);
    server
}

/// A fresh UNIX socket.
#[track_caller]
pub(super) fn socket(kind: i32) -> OwnedFd {
    own(sys!(libc::SYS_socket, libc::AF_UNIX, kind, 0)).expect("socket")
}

/// The address of [`NEW`].
pub(super) fn address() -> Address {
    Address::new(NEW.to_bytes())
}

/// A mode for a pipe with a name.
pub(super) const PIPE_MODE: u32 = S_IFIFO | 0o600;

// SPDX-License-Identifier: GPL-2.0
//! Calls that act on what a descriptor leads to.

use std::os::fd::OwnedFd;

use libc::{
    CLONE_FILES, F_NOTIFY, MAP_PRIVATE, MAP_SHARED, O_NOCTTY, O_RDONLY, O_RDWR, O_WRONLY,
    PROT_EXEC, PROT_READ,
};

use super::scene::{ACL, ACL_VALUE, ATTRIBUTE, DIR, FILE, directory, file, mount, room, text};
use super::{Row, Start, row};
use crate::sys::memory::PAGE;
use crate::sys::{Ret, open, own, sys};

const FCHROOT: i64 = 472;
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const NS_GET_USERNS: u32 = 0xb701;
const TIOCGPTPEER: u32 = 0x5441;
const DN_CREATE: u32 = 4;
const SHM_EXEC: i32 = 0o100_000;

/// Makes a call on the open file.
fn on_file(start: Start<'_>, call: impl FnOnce(&OwnedFd) -> Ret) -> Ret {
    let file = file();
    start();
    call(&file)
}

/// Makes a call on the open directory.
fn on_directory(start: Start<'_>, call: impl FnOnce(&OwnedFd) -> Ret) -> Ret {
    let directory = directory();
    start();
    call(&directory)
}

/// Maps the first page of the file.
#[track_caller]
fn mapped(protection: i32, flags: i32) -> u64 {
    let file = file();
    sys!(libc::SYS_mmap, 0, PAGE, protection, flags, &file, 0).expect("mmap")
}

/// An instance of fanotify that has an event to tell.
#[track_caller]
pub(super) fn told() -> OwnedFd {
    let flags = libc::FAN_NONBLOCK;
    let watcher = own(sys!(libc::SYS_fanotify_init, flags, O_RDONLY)).expect("fanotify_init");
    let (add, mask) = (libc::FAN_MARK_ADD, libc::FAN_OPEN);
    let marked = sys!(
        libc::SYS_fanotify_mark,
        &watcher,
        add,
        mask,
        libc::AT_FDCWD,
        FILE
    );
    assert_eq!(marked, Ok(0), "fanotify_mark");
    drop(file());
    watcher
}

/// The file of tracefs that takes the name of a file to probe, and a line for it.
#[track_caller]
pub(super) fn probes() -> (OwnedFd, String) {
    mount(c"tracefs", DIR);
    let name = format!("{}/uprobe_events", text(DIR));
    let name = std::ffi::CString::new(name).expect("a name");
    let events = open(&name, O_WRONLY | libc::O_APPEND).expect("uprobe_events");
    (events, format!("p:evfcoverage/probe {}:0x10\n", text(FILE)))
}

/// Writes the line by `write`, and takes the probe away again.
fn probe(start: Start<'_>, write: impl FnOnce(&OwnedFd, &str) -> Ret) -> Ret {
    let (events, line) = probes();
    start();
    let written = write(&events, &line);
    forget(&events);
    written
}

/// The file of debugfs that opens a file by its name, to split its huge pages, and a line for it.
#[track_caller]
pub(super) fn splitter() -> (OwnedFd, String) {
    mount(c"debugfs", DIR);
    let name = std::ffi::CString::new(format!("{}/split_huge_pages", text(DIR)));
    let knob = open(&name.expect("a name"), O_WRONLY).expect("split_huge_pages");
    (knob, format!("{},0x0,0x1", text(FILE)))
}

/// Writes its line by `write`.
fn split(start: Start<'_>, write: impl FnOnce(&OwnedFd, &str) -> Ret) -> Ret {
    let (knob, line) = splitter();
    start();
    write(&knob, &line)
}

/// Takes the probe away.
pub(super) fn forget(events: &OwnedFd) {
    const GONE: &str = "-:evfcoverage/probe\n";
    let _ = sys!(libc::SYS_write, events, GONE.as_bytes(), GONE.len());
}

/// `struct iovec` of some bytes.
pub(super) fn part(bytes: &[u8]) -> [u64; 2] {
    [bytes.as_ptr() as u64, bytes.len() as u64]
}

/// `struct iovec` of room for bytes.
fn room_part(bytes: &mut [u8]) -> [u64; 2] {
    [bytes.as_mut_ptr() as u64, bytes.len() as u64]
}

fn xattr_rows() -> Vec<Row> {
    vec![
        row("fgetxattr", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fgetxattr, fd, ATTRIBUTE, 0, 0))
        }),
        row("fgetxattr", "acl", |start| {
            on_file(start, |fd| sys!(libc::SYS_fgetxattr, fd, ACL, 0, 0))
        }),
        row("fsetxattr", "", |start| {
            on_file(start, |fd| {
                sys!(libc::SYS_fsetxattr, fd, ATTRIBUTE, c"y", 1, 0)
            })
        }),
        row("fsetxattr", "acl", |start| {
            on_file(start, |fd| {
                sys!(libc::SYS_fsetxattr, fd, ACL, &ACL_VALUE[..], 28, 0)
            })
        }),
        row("flistxattr", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_flistxattr, fd, 0, 0))
        }),
        row("fremovexattr", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fremovexattr, fd, ATTRIBUTE))
        }),
        row("fremovexattr", "acl", |start| {
            on_file(start, |fd| sys!(libc::SYS_fremovexattr, fd, ACL))
        }),
    ]
}

fn map_rows() -> Vec<Row> {
    vec![
        row("mmap", "", |start| {
            on_file(start, |fd| {
                sys!(
                    libc::SYS_mmap,
                    0,
                    PAGE,
                    PROT_READ | PROT_EXEC,
                    MAP_PRIVATE,
                    fd,
                    0
                )
            })
        }),
        row("mprotect", "", |start| {
            let at = mapped(PROT_READ, MAP_PRIVATE);
            start();
            sys!(libc::SYS_mprotect, at, PAGE, PROT_READ | PROT_EXEC)
        }),
        row("pkey_mprotect", "", |start| {
            let at = mapped(PROT_READ, MAP_PRIVATE);
            start();
            sys!(libc::SYS_pkey_mprotect, at, PAGE, PROT_READ | PROT_EXEC, -1)
        }),
        row("remap_file_pages", "", |start| {
            let at = mapped(PROT_READ | PROT_EXEC, MAP_SHARED);
            start();
            sys!(libc::SYS_remap_file_pages, at, PAGE, 0, 0, 0)
        }),
        row("shmat", "", |start| {
            let memory = sys!(libc::SYS_shmget, 0, PAGE, libc::IPC_CREAT | 0o700).expect("shmget");
            start();
            sys!(libc::SYS_shmat, memory, 0, SHM_EXEC)
        }),
    ]
}

fn writing_rows() -> Vec<Row> {
    vec![
        row("write", "uprobe", |start| {
            probe(start, |fd, line| {
                sys!(libc::SYS_write, fd, line.as_bytes(), line.len())
            })
        }),
        row("writev", "uprobe", |start| {
            probe(start, |fd, line| {
                sys!(libc::SYS_writev, fd, &part(line.as_bytes())[..], 1)
            })
        }),
        row("pwritev2", "uprobe", |start| {
            probe(start, |fd, line| {
                let part = part(line.as_bytes());
                sys!(libc::SYS_pwritev2, fd, &part[..], 1, -1, -1, 0)
            })
        }),
        row("write", "debugfs", |start| {
            split(start, |fd, line| {
                sys!(libc::SYS_write, fd, line.as_bytes(), line.len())
            })
        }),
        row("writev", "debugfs", |start| {
            split(start, |fd, line| {
                sys!(libc::SYS_writev, fd, &part(line.as_bytes())[..], 1)
            })
        }),
        row("pwritev2", "debugfs", |start| {
            split(start, |fd, line| {
                let part = part(line.as_bytes());
                sys!(libc::SYS_pwritev2, fd, &part[..], 1, 0, 0, 0)
            })
        }),
        row("pwrite64", "debugfs", |start| {
            split(start, |fd, line| {
                sys!(libc::SYS_pwrite64, fd, line.as_bytes(), line.len(), 0)
            })
        }),
        row("pwritev", "debugfs", |start| {
            split(start, |fd, line| {
                sys!(libc::SYS_pwritev, fd, &part(line.as_bytes())[..], 1, 0, 0)
            })
        }),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("fstat", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fstat, fd, &room()[..]))
        }),
        row("fstatfs", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fstatfs, fd, &room()[..]))
        }),
        row("ustat", "", |start| {
            let metadata = std::fs::metadata(text(FILE)).expect("the file");
            let device = std::os::unix::fs::MetadataExt::dev(&metadata);
            start();
            sys!(libc::SYS_ustat, device, &room()[..])
        }),
        row("fchdir", "", |start| {
            on_directory(start, |fd| sys!(libc::SYS_fchdir, fd))
        }),
        row("fchroot", "", |start| {
            on_directory(start, |fd| sys!(FCHROOT, fd, 0))
        }),
        row("ftruncate", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_ftruncate, fd, 1))
        }),
        row("fchmod", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fchmod, fd, 0o600))
        }),
        row("fchown", "", |start| {
            on_file(start, |fd| sys!(libc::SYS_fchown, fd, 1, 1))
        }),
        row("fcntl", "F_NOTIFY", |start| {
            // Alone in its table of files: the watch ends with the descriptor.
            let _ = sys!(libc::SYS_unshare, CLONE_FILES);
            on_directory(start, |fd| sys!(libc::SYS_fcntl, fd, F_NOTIFY, DN_CREATE))
        }),
        row("ioctl", "FS_IOC_GETFLAGS", |start| {
            on_file(start, |fd| {
                sys!(libc::SYS_ioctl, fd, FS_IOC_GETFLAGS, &room()[..])
            })
        }),
        row("ioctl", "FS_IOC_SETFLAGS", |start| {
            on_file(start, |fd| {
                sys!(libc::SYS_ioctl, fd, FS_IOC_SETFLAGS, &room()[..])
            })
        }),
        row("ioctl", "NS_GET_USERNS", |start| {
            let namespace = open(c"/proc/self/ns/mnt", O_RDONLY).expect("the namespace");
            start();
            sys!(libc::SYS_ioctl, &namespace, NS_GET_USERNS)
        }),
        row("ioctl", "TIOCGPTPEER", |start| {
            let terminal = open(c"/dev/ptmx", O_RDWR | O_NOCTTY).expect("/dev/ptmx");
            let unlocked = sys!(libc::SYS_ioctl, &terminal, libc::TIOCSPTLCK, &[0u32][..]);
            assert_eq!(unlocked, Ok(0), "TIOCSPTLCK");
            start();
            sys!(libc::SYS_ioctl, &terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY)
        }),
        row("read", "fanotify", |start| {
            let watcher = told();
            start();
            sys!(libc::SYS_read, &watcher, &room()[..], 512)
        }),
        row("readv", "fanotify", |start| {
            let watcher = told();
            let mut bytes = vec![0u8; 512];
            start();
            sys!(libc::SYS_readv, &watcher, &room_part(&mut bytes)[..], 1)
        }),
        row("preadv2", "fanotify", |start| {
            let watcher = told();
            let mut bytes = vec![0u8; 512];
            start();
            sys!(
                libc::SYS_preadv2,
                &watcher,
                &room_part(&mut bytes)[..],
                1,
                -1,
                -1,
                0
            )
        }),
    ];
    rows.extend(xattr_rows());
    rows.extend(map_rows());
    rows.extend(writing_rows());
    rows
}

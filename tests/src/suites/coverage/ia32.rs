// SPDX-License-Identifier: GPL-2.0
//! Calls of i386, through `int 0x80`: those that only i386 has, and those with another function than the native one of their name.

use std::os::fd::{AsRawFd, OwnedFd};

use libc::{SOCK_STREAM, SOL_SOCKET};

use super::messages::loaded;
use super::names::execute;
use super::scene::{ATTRIBUTE, DIR, FILE, INNER, LINK, NEW, PROGRAM, ROOT, server, socket};
use super::{Row, Start, row};
use crate::harness::skip;
use crate::sys::ia32::call;
use crate::sys::memory::Low;
use crate::sys::message::pair;
use crate::sys::{Ret, sys};

/// Ends the test if it needs the 32-bit entry and the kernel was built or started without it: `getpid` is 20 there.
pub(super) fn need(needed: bool) {
    if needed && call(20, [0; 6]) != Ok(crate::sys::getpid() as u64) {
        skip("this kernel has no 32-bit system calls");
    }
}

/// What a call can point to, all below 4 GiB.
struct At {
    low: Low,
    file: u32,
    link: u32,
    dir: u32,
    new: u32,
    inner: u32,
    attribute: u32,
    /// Zeroed room.
    room: u32,
    /// The file and the directory, open.
    fd: u32,
    dir_fd: u32,
    _open: [OwnedFd; 2],
}

const CWD: u32 = libc::AT_FDCWD as u32;
const READ_EXEC: u32 = 5;
const PRIVATE: u32 = 2;
const PAGE: u32 = 4096;
const FRESH: u32 = (libc::O_CREAT | libc::O_RDWR) as u32;
const AGAIN: u32 = (libc::O_TRUNC | libc::O_RDWR) as u32;

impl At {
    fn new() -> At {
        let mut low = Low::new();
        let open = [super::scene::file(), super::scene::directory()];
        At {
            file: low.text(FILE.to_bytes()),
            link: low.text(LINK.to_bytes()),
            dir: low.text(DIR.to_bytes()),
            new: low.text(NEW.to_bytes()),
            inner: low.text(INNER.to_bytes()),
            attribute: low.text(ATTRIBUTE.to_bytes()),
            room: low.put(&[0; 4096]),
            fd: open[0].as_raw_fd() as u32,
            dir_fd: open[1].as_raw_fd() as u32,
            _open: open,
            low,
        }
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.low.put(&bytes)
    }
}

/// Makes the call with up to six arguments.
fn ask<const N: usize>(start: Start<'_>, nr: u32, list: impl FnOnce(&mut At) -> [u32; N]) -> Ret {
    let mut at = At::new();
    let mut arguments = [0; 6];
    arguments[..N].copy_from_slice(&list(&mut at));
    start();
    call(nr, arguments)
}

/// `i386!("stat", 106, at => at.link, at.room)`: a row of a call by its number and its arguments.
macro_rules! i386 {
    ($call:literal $($how:literal)?, $nr:literal, $at:ident => $($argument:expr),+) => {
        row($call, concat!($($how)?), |start| ask(start, $nr, |$at| [$($argument),+]))
    };
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = names();
    rows.extend(names_at());
    rows.extend(descriptors());
    rows.extend(multiplexed());
    rows
}

fn names() -> Vec<Row> {
    vec![
        i386!("open", 5, at => at.link, AGAIN, 0),
        i386!("open" "new", 5, at => at.new, FRESH, 0o600),
        i386!("creat", 8, at => at.link, 0o600),
        i386!("creat" "new", 8, at => at.new, 0o600),
        i386!("link", 9, at => at.file, at.new),
        i386!("unlink", 10, at => at.file),
        row("execve", "", |start| {
            let mut at = At::new();
            let program = at.low.text(PROGRAM.to_bytes());
            let list = at.words(&[program, 0]);
            start();
            execute(|| call(11, [program, list, list + 4, 0, 0, 0]))
        }),
        i386!("chdir", 12, at => at.dir),
        i386!("mknod", 14, at => at.new, 0o100_600, 0),
        i386!("mknod" "pipe", 14, at => at.new, 0o010_600, 0),
        i386!("chmod", 15, at => at.link, 0o600),
        i386!("lchown", 16, at => at.link, 1, 1),
        i386!("oldstat", 18, at => at.link, at.room),
        i386!("umount", 22, at => { mount(DIR); at.dir }),
        row("umount", "of the root", |start| {
            super::mounts::enter_root();
            let mut low = Low::new();
            let root = low.text(b"/");
            start();
            call(22, [root, 0, 0, 0, 0, 0])
        }),
        i386!("utime", 30, at => at.link, 0),
        i386!("access", 33, at => at.link, 4),
        i386!("rename", 38, at => at.file, at.inner),
        i386!("mkdir", 39, at => at.new, 0o700),
        i386!("rmdir", 40, at => at.dir),
        i386!("chroot", 61, at => at.dir),
        i386!("symlink", 83, at => at.file, at.new),
        i386!("oldlstat", 84, at => at.link, at.room),
        i386!("readlink", 85, at => at.link, at.room, 64),
        i386!("truncate", 92, at => at.link, 1),
        i386!("statfs", 99, at => at.link, at.room),
        i386!("stat", 106, at => at.link, at.room),
        i386!("lstat", 107, at => at.link, at.room),
        i386!("chown", 182, at => at.link, 1, 1),
        i386!("truncate64", 193, at => at.link, 1, 0),
        i386!("stat64", 195, at => at.link, at.room),
        i386!("lstat64", 196, at => at.link, at.room),
        i386!("lchown32", 198, at => at.link, 1, 1),
        i386!("chown32", 212, at => at.link, 1, 1),
        i386!("listxattr", 232, at => at.link, 0, 0),
        i386!("statfs64", 268, at => at.link, 84, at.room),
        i386!("utimes", 271, at => at.link, 0),
    ]
}

fn names_at() -> Vec<Row> {
    vec![
        i386!("openat", 295, at => CWD, at.link, AGAIN, 0),
        i386!("openat" "new", 295, at => CWD, at.new, FRESH, 0o600),
        i386!("mkdirat", 296, at => CWD, at.new, 0o700),
        i386!("fchownat", 298, at => CWD, at.link, 1, 1, 0),
        i386!("futimesat", 299, at => CWD, at.link, 0),
        i386!("fstatat64", 300, at => CWD, at.link, at.room, 0),
        i386!("unlinkat", 301, at => CWD, at.file, 0),
        i386!("unlinkat" "AT_REMOVEDIR", 301, at => CWD, at.dir, libc::AT_REMOVEDIR as u32),
        i386!("renameat", 302, at => CWD, at.file, CWD, at.inner),
        i386!("linkat", 303, at => CWD, at.file, CWD, at.new, 0),
        i386!("symlinkat", 304, at => at.file, CWD, at.new),
        i386!("readlinkat", 305, at => CWD, at.link, at.room, 64),
        i386!("fchmodat", 306, at => CWD, at.link, 0o600),
        i386!("faccessat", 307, at => CWD, at.link, 4),
        i386!("utimensat", 320, at => CWD, at.link, 0, 0),
        i386!("statx", 383, at => CWD, at.link, 0, 0x7ff, at.room),
        i386!("utimensat_time64", 412, at => CWD, at.link, 0, 0),
    ]
}

fn descriptors() -> Vec<Row> {
    vec![
        i386!("oldfstat", 28, at => at.fd, at.room),
        i386!("ftruncate", 93, at => at.fd, 1),
        i386!("fchmod", 94, at => at.fd, 0o600),
        i386!("fchown", 95, at => at.fd, 1, 1),
        i386!("fstatfs", 100, at => at.fd, at.room),
        i386!("fstat", 108, at => at.fd, at.room),
        i386!("mprotect", 125, at => mapped(at.fd), PAGE, READ_EXEC),
        i386!("fchdir", 133, at => at.dir_fd),
        i386!("mmap", 90, at => { let fd = at.fd; at.words(&[0, PAGE, READ_EXEC, PRIVATE, fd, 0]) }),
        i386!("mmap2", 192, at => 0, PAGE, READ_EXEC, PRIVATE, at.fd, 0),
        i386!("ftruncate64", 194, at => at.fd, 1, 0),
        i386!("fstat64", 197, at => at.fd, at.room),
        i386!("fchown32", 207, at => at.fd, 1, 1),
        i386!("fcntl64" "F_NOTIFY", 221, at => at.dir_fd, libc::F_NOTIFY as u32, 4),
        i386!("flistxattr", 234, at => at.fd, 0, 0),
        i386!("fstatfs64", 269, at => at.fd, 84, at.room),
    ]
}

fn mount(place: &std::ffi::CStr) {
    super::scene::mount(c"tmpfs", place);
}

/// A page of the file below 4 GiB.
fn mapped(fd: u32) -> u32 {
    let flags = libc::MAP_PRIVATE | libc::MAP_32BIT;
    let at = sys!(libc::SYS_mmap, 0, PAGE, libc::PROT_READ, flags, fd, 0);
    at.expect("mmap") as u32
}

/// `socketcall` and `ipc`: their calls by number, with the arguments in memory.
fn multiplexed() -> Vec<Row> {
    vec![
        row("socketcall", "SYS_BIND", |start| {
            let socket = socket(SOCK_STREAM);
            named(start, 2, &socket)
        }),
        row("socketcall", "SYS_CONNECT", |start| {
            let _server = server(SOCK_STREAM);
            let socket = socket(SOCK_STREAM);
            named(start, 3, &socket)
        }),
        row("socketcall", "SYS_RECVMSG", |start| {
            let (here, _there) = loaded();
            let mut at = At::new();
            let room = at.room;
            let part = at.words(&[room, 1]);
            // struct compat_msghdr: name, its length, parts, their count, control, its length, flags.
            let message = at.words(&[0, 0, part, 1, room + 1024, 64, 0]);
            let arguments = at.words(&[here.as_raw_fd() as u32, message, 0]);
            start();
            let received = call(102, [17, arguments, 0, 0, 0, 0])?;
            // A descriptor that was refused is left out, and the room for it stays as it was.
            match word(room + 1024) {
                0 => Err(libc::EBADF),
                _ => Ok(received),
            }
        }),
        row("socketcall", "SYS_GETSOCKOPT", |start| {
            let mut ends = [0i32; 2];
            let at = ends.as_mut_ptr();
            let made = sys!(libc::SYS_socketpair, libc::AF_UNIX, SOCK_STREAM, 0, at);
            assert_eq!(made, Ok(0), "socketpair");
            let mut at = At::new();
            let (room, len) = (at.room, at.words(&[4]));
            let fd = ends[0] as u32;
            let arguments = at.words(&[fd, SOL_SOCKET as u32, 77, room, len]);
            start();
            call(102, [15, arguments, 0, 0, 0, 0])
        }),
        row("ipc", "SHMAT", |start| {
            let flags = libc::IPC_CREAT | 0o700;
            let memory = sys!(libc::SYS_shmget, 0, PAGE, flags).expect("shmget") as u32;
            // The address comes back in the room; SHM_EXEC.
            ask(start, 117, |at| [21, memory, 0o100_000, at.room, 0])
        }),
        i386!("mount" "MS_BIND", 21, at => at.low.text(ROOT.to_bytes()), at.dir, 0, 4096, 0),
        i386!("mount", 21, at => at.room, at.dir, at.low.text(b"tmpfs"), 0, 0),
        i386!("getxattr", 229, at => at.link, at.attribute, 0, 0),
        i386!("getxattr" "acl", 229, at => at.link, at.low.text(super::scene::ACL.to_bytes()), 0, 0),
    ]
}

/// The word that the kernel has put at an address: read by the kernel as well, through a pair of sockets.
fn word(address: u32) -> u32 {
    let (here, there) = pair();
    let mut word = 0u32;
    let sent = sys!(libc::SYS_write, &there, address, 4);
    let read = sys!(libc::SYS_read, &here, &raw mut word, 4);
    assert_eq!((sent, read), (Ok(4), Ok(4)), "copying a word");
    word
}

/// A call of `socketcall` that takes an address.
fn named(start: Start<'_>, nr: u32, socket: &OwnedFd) -> Ret {
    let mut at = At::new();
    let mut bytes = [0u8; 110];
    bytes[0] = libc::AF_UNIX as u8;
    bytes[2..2 + NEW.to_bytes().len()].copy_from_slice(NEW.to_bytes());
    let address = at.low.put(&bytes);
    let arguments = at.words(&[socket.as_raw_fd() as u32, address, 110]);
    start();
    call(102, [nr, arguments, 0, 0, 0, 0])
}

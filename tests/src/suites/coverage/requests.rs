// SPDX-License-Identifier: GPL-2.0
//! Operations of io_uring.

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, Fixed, OpenHow};
use libc::{AT_REMOVEDIR, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, SOCK_DGRAM, SOCK_STREAM};

use super::descriptors::{forget, probes, splitter, told};
use super::messages::{Message, loaded};
use super::scene::{
    ACL, ACL_VALUE, ATTRIBUTE, DIR, FILE, INNER, LINK, NEW, address, file, server, socket,
};
use super::{Deed, Row, Start};
use crate::ring::Ring;
use crate::sys::{Ret, open};

const CWD: Fd = Fd(libc::AT_FDCWD);

const fn operation(call: &'static str, how: &'static str, deed: Deed) -> Row {
    Row {
        operation: true,
        ..super::row(call, how, deed)
    }
}

/// Makes a request of a ring that was made before.
fn ask(start: Start<'_>, entry: Entry) -> Ret {
    let mut ring = Ring::new();
    start();
    ring.call(entry)
}

/// The same about the open file.
fn ask_of_file(start: Start<'_>, entry: impl FnOnce(Fd) -> Entry) -> Ret {
    let file = file();
    ask(start, entry(Fd(file.as_raw_fd())))
}

fn how(flags: i32) -> OpenHow {
    let mode = if flags & O_CREAT != 0 { 0o600 } else { 0 };
    OpenHow::new().flags(flags as u64).mode(mode)
}

fn read(start: Start<'_>, entry: impl FnOnce(Fd, *mut u8) -> Entry) -> Ret {
    let watcher = told();
    let mut room = [0u8; 512];
    ask(start, entry(Fd(watcher.as_raw_fd()), room.as_mut_ptr()))
}

fn write(start: Start<'_>, entry: impl FnOnce(Fd, &[u8]) -> Entry) -> Ret {
    let (events, line) = probes();
    let written = ask(start, entry(Fd(events.as_raw_fd()), line.as_bytes()));
    forget(&events);
    written
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = names();
    rows.extend(attributes());
    rows.extend(sockets());
    rows.extend(files());
    rows
}

fn names() -> Vec<Row> {
    vec![
        operation("OPENAT", "", |start| {
            let entry = opcode::OpenAt::new(CWD, LINK.as_ptr()).flags(O_RDWR | O_TRUNC);
            ask(start, entry.build())
        }),
        operation("OPENAT", "new", |start| {
            let entry = opcode::OpenAt::new(CWD, NEW.as_ptr()).flags(O_RDWR | O_CREAT);
            ask(start, entry.mode(0o600).build())
        }),
        operation("OPENAT2", "", |start| {
            let how = how(O_RDWR | O_TRUNC);
            ask(
                start,
                opcode::OpenAt2::new(CWD, LINK.as_ptr(), &how).build(),
            )
        }),
        operation("OPENAT2", "new", |start| {
            let how = how(O_RDWR | O_CREAT);
            ask(start, opcode::OpenAt2::new(CWD, NEW.as_ptr(), &how).build())
        }),
        operation("STATX", "", |start| {
            let mut room = [0u64; 64];
            let room = room.as_mut_ptr().cast();
            ask(start, opcode::Statx::new(CWD, LINK.as_ptr(), room).build())
        }),
        operation("UNLINKAT", "", |start| {
            ask(start, opcode::UnlinkAt::new(CWD, FILE.as_ptr()).build())
        }),
        operation("UNLINKAT", "AT_REMOVEDIR", |start| {
            let entry = opcode::UnlinkAt::new(CWD, DIR.as_ptr()).flags(AT_REMOVEDIR);
            ask(start, entry.build())
        }),
        operation("MKDIRAT", "", |start| {
            ask(start, opcode::MkDirAt::new(CWD, NEW.as_ptr()).build())
        }),
        operation("RENAMEAT", "", |start| {
            let (from, to) = (FILE.as_ptr(), INNER.as_ptr());
            ask(start, opcode::RenameAt::new(CWD, from, CWD, to).build())
        }),
        operation("SYMLINKAT", "", |start| {
            let (target, name) = (FILE.as_ptr(), NEW.as_ptr());
            ask(start, opcode::SymlinkAt::new(CWD, target, name).build())
        }),
        operation("LINKAT", "", |start| {
            let (from, to) = (FILE.as_ptr(), NEW.as_ptr());
            ask(start, opcode::LinkAt::new(CWD, from, CWD, to).build())
        }),
    ]
}

fn attributes() -> Vec<Row> {
    vec![
        operation("GETXATTR", "", |start| {
            let mut room = [0u64; 8];
            let room = room.as_mut_ptr().cast();
            let entry = opcode::GetXattr::new(ATTRIBUTE.as_ptr(), room, LINK.as_ptr(), 64);
            ask(start, entry.build())
        }),
        operation("GETXATTR", "acl", |start| {
            let mut room = [0u64; 8];
            let room = room.as_mut_ptr().cast();
            let entry = opcode::GetXattr::new(ACL.as_ptr(), room, LINK.as_ptr(), 64);
            ask(start, entry.build())
        }),
        operation("SETXATTR", "", |start| {
            let value = c"y".as_ptr().cast();
            let entry = opcode::SetXattr::new(ATTRIBUTE.as_ptr(), value, LINK.as_ptr(), 1);
            ask(start, entry.build())
        }),
        operation("SETXATTR", "acl", |start| {
            let value = ACL_VALUE.as_ptr().cast();
            let entry = opcode::SetXattr::new(ACL.as_ptr(), value, LINK.as_ptr(), 28);
            ask(start, entry.build())
        }),
        operation("FGETXATTR", "", |start| {
            let mut room = [0u64; 8];
            let room = room.as_mut_ptr().cast();
            ask_of_file(start, |fd| {
                opcode::FGetXattr::new(fd, ATTRIBUTE.as_ptr(), room, 64).build()
            })
        }),
        operation("FGETXATTR", "acl", |start| {
            let mut room = [0u64; 8];
            let room = room.as_mut_ptr().cast();
            ask_of_file(start, |fd| {
                opcode::FGetXattr::new(fd, ACL.as_ptr(), room, 64).build()
            })
        }),
        operation("FSETXATTR", "", |start| {
            ask_of_file(start, |fd| {
                opcode::FSetXattr::new(fd, ATTRIBUTE.as_ptr(), c"y".as_ptr().cast(), 1).build()
            })
        }),
        operation("FSETXATTR", "acl", |start| {
            ask_of_file(start, |fd| {
                opcode::FSetXattr::new(fd, ACL.as_ptr(), ACL_VALUE.as_ptr().cast(), 28).build()
            })
        }),
    ]
}

fn sockets() -> Vec<Row> {
    vec![
        operation("BIND", "", |start| {
            let (socket, address) = (socket(SOCK_STREAM), address());
            let (at, len) = address.parts();
            let fd = Fd(socket.as_raw_fd());
            ask(
                start,
                opcode::Bind::new(fd, at as *const _, len as u32).build(),
            )
        }),
        operation("CONNECT", "", |start| {
            let _server = server(SOCK_STREAM);
            let (socket, address) = (socket(SOCK_STREAM), address());
            let (at, len) = address.parts();
            let fd = Fd(socket.as_raw_fd());
            ask(
                start,
                opcode::Connect::new(fd, at as *const _, len as u32).build(),
            )
        }),
        operation("SEND", "", |start| {
            let _server = server(SOCK_DGRAM);
            let (socket, address) = (socket(SOCK_DGRAM), address());
            let (at, len) = address.parts();
            let entry = opcode::Send::new(Fd(socket.as_raw_fd()), c"x".as_ptr().cast(), 1);
            let entry = entry.dest_addr(at as *const _).dest_addr_len(len as u32);
            ask(start, entry.build())
        }),
        operation("SENDMSG", "", |start| {
            let _server = server(SOCK_DGRAM);
            let (socket, address) = (socket(SOCK_DGRAM), address());
            let message = Message::to(address.parts());
            let message = (&raw const message).cast();
            ask(
                start,
                opcode::SendMsg::new(Fd(socket.as_raw_fd()), message).build(),
            )
        }),
        operation("RECVMSG", "SCM_RIGHTS", |start| {
            let (here, _there) = loaded();
            let (mut byte, mut control) = (vec![0u8], vec![0u64; 8]);
            let part = [byte.as_mut_ptr() as u64, 1];
            let mut message = Message::room(&part, &mut control);
            let at = (&raw mut message).cast();
            let result = ask(
                start,
                opcode::RecvMsg::new(Fd(here.as_raw_fd()), at).build(),
            );
            message.taken(result)
        }),
    ]
}

fn files() -> Vec<Row> {
    vec![
        operation("FTRUNCATE", "", |start| {
            ask_of_file(start, |fd| opcode::Ftruncate::new(fd, 1).build())
        }),
        operation("FIXED_FD_INSTALL", "", |start| {
            let mut ring = Ring::new();
            ring.register_files(4);
            let entry = opcode::OpenAt::new(CWD, LINK.as_ptr()).flags(O_RDWR);
            let slot = io_uring::types::DestinationSlot::try_from_slot_target(0).ok();
            let opened = ring.call(entry.file_index(slot).build());
            assert!(opened.is_ok(), "a direct descriptor: {opened:?}");
            start();
            ring.call(opcode::FixedFdInstall::new(Fixed(0), 0).build())
        }),
        operation("URING_CMD", "", |start| {
            let null = open(c"/dev/null", O_WRONLY).expect("/dev/null");
            ask(
                start,
                opcode::UringCmd16::new(Fd(null.as_raw_fd()), 0).build(),
            )
        }),
        operation("READ", "fanotify", |start| {
            read(start, |fd, room| opcode::Read::new(fd, room, 512).build())
        }),
        operation("READV", "fanotify", |start| {
            let mut part = [0u64, 512];
            read(start, |fd, room| {
                part[0] = room as u64;
                opcode::Readv::new(fd, part.as_ptr().cast(), 1).build()
            })
        }),
        operation("WRITE", "uprobe", |start| {
            write(start, |fd, line| {
                opcode::Write::new(fd, line.as_ptr(), line.len() as u32).build()
            })
        }),
        operation("WRITE", "debugfs", |start| {
            let (knob, line) = splitter();
            let (fd, len) = (Fd(knob.as_raw_fd()), line.len() as u32);
            ask(start, opcode::Write::new(fd, line.as_ptr(), len).build())
        }),
        operation("WRITEV", "debugfs", |start| {
            let (knob, line) = splitter();
            let part = super::descriptors::part(line.as_bytes());
            let fd = Fd(knob.as_raw_fd());
            ask(
                start,
                opcode::Writev::new(fd, part.as_ptr().cast(), 1).build(),
            )
        }),
        operation("WRITEV", "uprobe", |start| {
            let mut part = [0u64; 2];
            write(start, |fd, line| {
                part = super::descriptors::part(line);
                opcode::Writev::new(fd, part.as_ptr().cast(), 1).build()
            })
        }),
    ]
}

// SPDX-License-Identifier: GPL-2.0
//! Names in requests of io_uring: taken up by the submitting task, by a worker, by the ring's own thread.

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{DestinationSlot, Fd, OpenHow};
use libc::{AF_UNIX, AT_FDCWD, ENOENT, SOCK_STREAM, c_char};

use super::{ALLOWED, DENIED, OTHER, check, text};
use crate::harness::Test;
use crate::ring::Ring;
use crate::sys::message::Address;
use crate::sys::{Ret, own, sys};

/// What the requests of a row can point to; it outlives them.
struct At {
    name: *const c_char,
    other: *const c_char,
    attribute: *const c_char,
    room: [u64; 64],
    how: OpenHow,
    address: Address,
    socket: i32,
}

const CWD: Fd = Fd(AT_FDCWD);

struct Row(&'static str, fn(&mut At) -> Entry);

const ROWS: &[Row] = &[
    Row("openat", |at| opcode::OpenAt::new(CWD, at.name).build()),
    Row("openat_direct", |at| {
        let slot = DestinationSlot::try_from_slot_target(0).ok();
        opcode::OpenAt::new(CWD, at.name).file_index(slot).build()
    }),
    Row("openat2", |at| {
        opcode::OpenAt2::new(CWD, at.name, &raw const at.how).build()
    }),
    Row("statx", |at| {
        opcode::Statx::new(CWD, at.name, at.room.as_mut_ptr().cast()).build()
    }),
    Row("unlinkat", |at| opcode::UnlinkAt::new(CWD, at.name).build()),
    Row("mkdirat", |at| opcode::MkDirAt::new(CWD, at.name).build()),
    Row("renameat_old", |at| {
        opcode::RenameAt::new(CWD, at.name, CWD, at.other).build()
    }),
    Row("renameat_new", |at| {
        opcode::RenameAt::new(CWD, at.other, CWD, at.name).build()
    }),
    Row("symlinkat_target", |at| {
        opcode::SymlinkAt::new(CWD, at.name, at.other).build()
    }),
    Row("symlinkat_link", |at| {
        opcode::SymlinkAt::new(CWD, at.other, at.name).build()
    }),
    Row("linkat_old", |at| {
        opcode::LinkAt::new(CWD, at.name, CWD, at.other).build()
    }),
    Row("linkat_new", |at| {
        opcode::LinkAt::new(CWD, at.other, CWD, at.name).build()
    }),
    Row("getxattr", |at| {
        let room = at.room.as_mut_ptr().cast();
        opcode::GetXattr::new(at.attribute, room, at.name, 64).build()
    }),
    Row("setxattr", |at| {
        let room = at.room.as_mut_ptr().cast();
        opcode::SetXattr::new(at.attribute, room, at.name, 8).build()
    }),
    Row("connect_unix", |at| {
        let (address, len) = at.address.parts();
        opcode::Connect::new(Fd(at.socket), address as *const _, len as u32).build()
    }),
    Row("bind_unix", |at| {
        let (address, len) = at.address.parts();
        opcode::Bind::new(Fd(at.socket), address as *const _, len as u32).build()
    }),
];

#[derive(Clone, Copy)]
enum Mode {
    /// The submitting task takes the request up.
    Plain,
    /// A worker does (`IOSQE_ASYNC`); names are still taken by the submitter, addresses by the worker.
    Worker,
    /// The ring's thread does.
    SqPoll,
}

impl Mode {
    fn prefix(self) -> &'static str {
        match self {
            Mode::Plain => "uring",
            Mode::Worker => "uring_worker",
            Mode::SqPoll => "sqpoll",
        }
    }

    fn ring(self) -> Ring {
        let mut ring = match self {
            Mode::Plain | Mode::Worker => Ring::new(),
            Mode::SqPoll => Ring::sqpoll(),
        };
        ring.register_files(4);
        ring
    }
}

fn deed(row: &Row, mode: Mode, ring: &mut Ring, name: &str) -> Ret {
    let (name_text, other) = (text(name), text(OTHER));
    let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0)).expect("socket");
    let mut at = At {
        name: name_text.as_ptr(),
        other: other.as_ptr(),
        attribute: c"user.evf".as_ptr(),
        room: [0; 64],
        how: OpenHow::new(),
        address: Address::new(name.as_bytes()),
        socket: std::os::fd::AsRawFd::as_raw_fd(&socket),
    };
    let entry = row.1(&mut at);
    match mode {
        Mode::Worker => ring.call_in_worker(entry),
        Mode::Plain | Mode::SqPoll => ring.call(entry),
    }
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for mode in [Mode::Plain, Mode::Worker, Mode::SqPoll] {
        for row in ROWS {
            // The ring is made before the layer is attached and goes on being used under it.
            tests.push(Test::new(
                format!("getname::{}_{}", mode.prefix(), row.0),
                move || {
                    let mut ring = mode.ring();
                    check(Some(ENOENT), ALLOWED, DENIED, |name| {
                        deed(row, mode, &mut ring, name)
                    });
                },
            ));
        }
        tests.push(Test::new(
            format!("getname::{}_ring_made_under_the_layer", mode.prefix()),
            move || {
                check(Some(ENOENT), ALLOWED, DENIED, |name| {
                    deed(&ROWS[0], mode, &mut mode.ring(), name)
                });
            },
        ));
    }
    tests
}

// SPDX-License-Identifier: GPL-2.0
//! Sockets: addresses that are names, and descriptors that are sent.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};

use super::scene::{address, file, server, socket};
use super::{Row, Start, plain, row};
use crate::sys::message::{pair, send_fd};
use crate::sys::{Ret, sys};

/// `SO_PASSPIDFD` and `SO_PEERPIDFD` of `asm-generic/socket.h`.
const PASS_PIDFD: i32 = 76;
const PEER_PIDFD: i32 = 77;

/// `struct mmsghdr`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Message {
    name: u64,
    name_len: u64,
    parts: u64,
    part_count: u64,
    control: u64,
    control_len: u64,
    flags: u64,
    received: u64,
}

impl Message {
    /// A message without data to an address.
    pub(super) fn to((name, name_len): (u64, u64)) -> Message {
        Message {
            name,
            name_len,
            ..Message::default()
        }
    }

    /// Room for one byte, which `part` is about, and what comes with it.
    pub(super) fn room(part: &[u64; 2], control: &mut [u64]) -> Message {
        Message {
            parts: part.as_ptr() as u64,
            part_count: 1,
            control: control.as_mut_ptr() as u64,
            control_len: size_of_val(control) as u64,
            ..Message::default()
        }
    }

    /// What became of the descriptor that came with it: one that was refused is left out, which a flag says.
    pub(super) fn taken(&self, result: Ret) -> Ret {
        match result {
            Ok(_) if self.flags as i32 & libc::MSG_CTRUNC != 0 => Err(libc::EBADF),
            result => result,
        }
    }
}

/// A socket at which a message with a descriptor waits.
#[track_caller]
pub(super) fn loaded() -> (OwnedFd, OwnedFd) {
    let (here, there) = pair();
    send_fd(&there, file().as_fd());
    (here, there)
}

/// Sends to a socket that is bound to a name.
fn send(start: Start<'_>, call: impl FnOnce(&OwnedFd, (u64, u64)) -> Ret) -> Ret {
    let _server = server(SOCK_DGRAM);
    let (client, address) = (socket(SOCK_DGRAM), address());
    start();
    call(&client, address.parts())
}

/// Receives the waiting message.
fn receive(start: Start<'_>, call: impl FnOnce(&OwnedFd, &mut Message) -> Ret) -> Ret {
    let (here, _there) = loaded();
    let (mut byte, mut control) = (vec![0u8], vec![0u64; 8]);
    let part = [byte.as_mut_ptr() as u64, 1];
    let mut message = Message::room(&part, &mut control);
    start();
    let result = call(&here, &mut message);
    message.taken(result)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        plain!("bind", {
            let (socket, address) = (socket(SOCK_STREAM), address());
            let (at, len) = address.parts();
            sys!(libc::SYS_bind, &socket, at, len)
        }),
        row("connect", "", |start| {
            let _server = server(SOCK_STREAM);
            let (client, address) = (socket(SOCK_STREAM), address());
            let (at, len) = address.parts();
            start();
            sys!(libc::SYS_connect, &client, at, len)
        }),
        row("sendto", "", |start| {
            send(start, |client, (at, len)| {
                sys!(libc::SYS_sendto, client, c"x", 1, 0, at, len)
            })
        }),
        row("sendmsg", "", |start| {
            send(start, |client, address| {
                sys!(libc::SYS_sendmsg, client, &[Message::to(address)][..], 0)
            })
        }),
        row("sendmmsg", "", |start| {
            send(start, |client, address| {
                sys!(
                    libc::SYS_sendmmsg,
                    client,
                    &[Message::to(address)][..],
                    1,
                    0
                )
            })
        }),
        row("recvmsg", "SCM_RIGHTS", |start| {
            receive(start, |socket, message| {
                sys!(libc::SYS_recvmsg, socket, &raw mut *message, 0)
            })
        }),
        row("recvmsg", "SCM_PIDFD", pidfd_with_message),
        row("recvmmsg", "SCM_RIGHTS", |start| {
            receive(start, |socket, message| {
                sys!(libc::SYS_recvmmsg, socket, &raw mut *message, 1, 0, 0)
            })
        }),
        row("getsockopt", "SO_PEERPIDFD", |start| {
            let mut ends = [0i32; 2];
            let made = sys!(
                libc::SYS_socketpair,
                libc::AF_UNIX,
                SOCK_STREAM,
                0,
                ends.as_mut_ptr()
            );
            assert_eq!(made, Ok(0), "socketpair");
            let (mut fd, mut len) = (0i32, 4u32);
            let (fd, len) = (&raw mut fd, &raw mut len);
            start();
            sys!(
                libc::SYS_getsockopt,
                ends[0],
                SOL_SOCKET,
                PEER_PIDFD,
                fd,
                len
            )
        }),
    ]
}

/// A message that brings a descriptor of its sender's process; one that was refused comes as an errno.
fn pidfd_with_message(start: Start<'_>) -> Ret {
    let (here, there) = pair();
    let set = sys!(
        libc::SYS_setsockopt,
        &here,
        SOL_SOCKET,
        PASS_PIDFD,
        &[1i32][..],
        4
    );
    assert_eq!(set, Ok(0), "SO_PASSPIDFD");
    let sent = sys!(libc::SYS_write, there.as_raw_fd(), c"x", 1);
    assert_eq!(sent, Ok(1), "write");
    let (mut byte, mut control) = (vec![0u8], vec![0u64; 8]);
    let part = [byte.as_mut_ptr() as u64, 1];
    let mut message = Message::room(&part, &mut control);
    start();
    sys!(libc::SYS_recvmsg, &here, &raw mut message, 0)?;
    // After cmsg_len, level and type.
    let fd = control[2] as i32;
    if fd < 0 { Err(-fd) } else { Ok(0) }
}

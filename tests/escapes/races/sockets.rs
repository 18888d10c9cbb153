// SPDX-License-Identifier: GPL-2.0
//! Addresses of UNIX sockets are names, too.

use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixListener};

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use std::os::fd::{AsRawFd, OwnedFd};

use super::super::case::{Case, Deed, Loot, Proof, said};
use super::super::deeds::read;
use super::super::stage::Stage;
use super::{Flip, REFERENCE, TRIES, unless_own};
use crate::ring::Ring;
use crate::sys::child::start;
use crate::sys::{own, sys};

/// Length of `struct sockaddr_un`.
const LENGTH: u64 = 110;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, proof, run: fn(&Stage) -> Deed| {
        Case::new("races", name, REFERENCE, TRIES, proof, run)
    };
    vec![
        case("connect", Proof::Content, connect),
        case("uring_connect", Proof::Content, uring_connect),
        case("bind", Proof::Changed, bind),
        case("sendto", Proof::Told, sendto),
        case("sendmsg", Proof::Told, sendmsg),
    ]
}

fn socket(kind: i32) -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_socket,
        AF_UNIX,
        kind | libc::SOCK_CLOEXEC,
        0
    ))
}

/// A free process that tells the secret to whoever connects.
fn serve(stage: &Stage) {
    let listener = UnixListener::bind("/home/secret/sock").expect("bind");
    let flag = stage.world.flag.clone();
    start(move |_| {
        for stream in listener.incoming() {
            // Whoever has gone again is not told.
            let _ = stream.expect("accept").write_all(flag.as_bytes());
        }
    });
}

fn connect(stage: &Stage) -> Deed {
    serve(stage);
    stage.confined(|| {
        let flip = Flip::new(AF_UNIX as u16, "sock");
        flip.race(|name| {
            let socket = socket(SOCK_STREAM)?;
            sys!(libc::SYS_connect, &socket, name - 2, LENGTH)?;
            unless_own(read(&socket))
        })
    })
}

fn uring_connect(stage: &Stage) -> Deed {
    serve(stage);
    stage.confined(|| {
        let mut ring = Ring::new();
        let flip = Flip::new(AF_UNIX as u16, "sock");
        flip.race(|name| {
            let socket = socket(SOCK_STREAM)?;
            let address = (name - 2) as *const libc::sockaddr;
            let entry = opcode::Connect::new(Fd(socket.as_raw_fd()), address, LENGTH as u32);
            ring.call(entry.build())?;
            unless_own(read(&socket))
        })
    })
}

fn bind(stage: &Stage) -> Deed {
    stage.confined(|| {
        let flip = Flip::new(AF_UNIX as u16, "new");
        flip.race(|name| {
            let socket = socket(SOCK_STREAM)?;
            let made = sys!(libc::SYS_bind, &socket, name - 2, LENGTH);
            let _ = sys!(libc::SYS_unlink, c"/home/escape/new");
            made.map(|_| None)
        })
    })
}

/// Whether anything came.
fn arrived(socket: &UnixDatagram) -> Deed {
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    match socket.recv(&mut [0; 16]) {
        Ok(_) => Ok(Loot::Done),
        Err(error) => said(format!("no message arrived: {error}")),
    }
}

fn sendto(stage: &Stage) -> Deed {
    let listener = UnixDatagram::bind("/home/secret/sock").expect("bind");
    let _ = stage.confined(|| {
        let socket = socket(SOCK_DGRAM)?;
        let flip = Flip::new(AF_UNIX as u16, "sock");
        flip.race(|name| {
            let flags = libc::MSG_DONTWAIT;
            let text = c"hello".as_ptr();
            let sent = sys!(libc::SYS_sendto, &socket, text, 5, flags, name - 2, LENGTH);
            sent.map(|_| Some(Loot::Done))
        })
    });
    arrived(&listener)
}

fn sendmsg(stage: &Stage) -> Deed {
    let listener = UnixDatagram::bind("/home/secret/sock").expect("bind");
    let _ = stage.confined(|| {
        let socket = socket(SOCK_DGRAM)?;
        let flip = Flip::new(AF_UNIX as u16, "sock");
        flip.race(|name| {
            let part = [c"hello".as_ptr() as u64, 5];
            // struct msghdr: name and its length, parts and their number, control and its length, flags.
            let message = [name - 2, LENGTH, part.as_ptr() as u64, 1, 0, 0, 0];
            let flags = libc::MSG_DONTWAIT;
            let sent = sys!(libc::SYS_sendmsg, &socket, message.as_ptr(), flags);
            sent.map(|_| Some(Loot::Done))
        })
    });
    arrived(&listener)
}

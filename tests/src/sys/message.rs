// SPDX-License-Identifier: GPL-2.0
//! UNIX sockets: addresses, and descriptors sent over them.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::{own, sys};

/// `struct sockaddr_un`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Address {
    family: u16,
    path: [u8; 108],
}

impl Address {
    /// The address of a path.
    #[track_caller]
    pub fn new(path: &[u8]) -> Address {
        let mut address = Address {
            family: libc::AF_UNIX as u16,
            path: [0; 108],
        };
        address.path[..path.len()].copy_from_slice(path);
        address
    }

    /// Its address and length for a call.
    pub fn parts(&self) -> (u64, u64) {
        (&raw const *self as u64, size_of::<Address>() as u64)
    }
}

/// Two connected sockets.
#[track_caller]
pub fn pair() -> (OwnedFd, OwnedFd) {
    let mut fds = [0i32; 2];
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let done = sys!(
        libc::SYS_socketpair,
        libc::AF_UNIX,
        kind,
        0,
        fds.as_mut_ptr()
    );
    assert_eq!(done, Ok(0), "socketpair");
    (
        own(Ok(fds[0] as u64)).expect("fd"),
        own(Ok(fds[1] as u64)).expect("fd"),
    )
}

#[repr(C)]
struct Control {
    head: libc::cmsghdr,
    fd: i32,
    pad: i32,
}

/// Sends a descriptor.
#[track_caller]
pub fn send_fd(socket: &OwnedFd, fd: BorrowedFd<'_>) {
    let mut control = Control {
        head: libc::cmsghdr {
            cmsg_len: 20,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fd: fd.as_raw_fd(),
        pad: 0,
    };
    let byte = [b'f'];
    let mut part = libc::iovec {
        iov_base: byte.as_ptr() as *mut _,
        iov_len: 1,
    };
    let message = message(&mut part, &mut control);
    assert_eq!(
        sys!(libc::SYS_sendmsg, socket, &raw const message, 0),
        Ok(1),
        "sendmsg"
    );
}

/// Receives a descriptor.
///
/// # Errors
///
/// `ENODATA` if the message comes without it.
#[track_caller]
pub fn receive_fd(socket: &OwnedFd) -> Result<OwnedFd, i32> {
    let mut control = Control {
        head: libc::cmsghdr {
            cmsg_len: 0,
            cmsg_level: 0,
            cmsg_type: 0,
        },
        fd: -1,
        pad: 0,
    };
    let mut byte = [0u8];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let message = message(&mut part, &mut control);
    sys!(
        libc::SYS_recvmsg,
        socket,
        &raw const message,
        libc::MSG_CMSG_CLOEXEC
    )?;
    // What a filter or a limit keeps back is cut off, and the message arrives without it.
    if control.fd < 0 {
        return Err(libc::ENODATA);
    }
    own(Ok(control.fd as u64))
}

fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: zero is a valid msghdr, an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut *control).cast();
    message.msg_controllen = 24;
    message
}

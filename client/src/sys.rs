// SPDX-License-Identifier: GPL-2.0
//! The four calls into the kernel, each behind a safe function. With the C interface the only `unsafe` of this library.

#![expect(
    unsafe_code,
    reason = "prctl and ioctl take raw addresses; this file gives them safe types"
)]

use std::ffi::{c_int, c_ulong, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use uapi::control::{
    IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, Load, PR_EVFILTER, PR_EVFILTER_OPEN, RestrictSelf,
};

/// Opens a control descriptor through `prctl`. Whether what came back is one must still be asked: see [`info`].
pub(crate) fn open_control() -> io::Result<RawFd> {
    const ZERO: c_ulong = 0;
    // SAFETY: this option takes no address; a kernel without the module, which does not know it, touches nothing either.
    let fd = unsafe { libc::prctl(PR_EVFILTER, PR_EVFILTER_OPEN as c_ulong, ZERO, ZERO, ZERO) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

/// Makes `fd`, just returned by [`open_control`], an owned descriptor if it answers to [`IOC_INFO`].
///
/// A seccomp filter can make `prctl` return 0 without running it. That 0 is somebody's standard input, and must be neither used nor closed.
pub(crate) fn adopt_control(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow ends with this function, during which this thread closes nothing. If `fd` is no open descriptor the ioctl says EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    info(borrowed)?;
    // SAFETY: it answers as a control descriptor and `prctl` has just made it for this caller, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// [`IOC_INFO`]: describes the module and the calling thread. What a module older than this library does not tell stays zero.
pub(crate) fn info(control: BorrowedFd<'_>) -> io::Result<Info> {
    let mut answer = Info {
        size: size_of::<Info>() as u32,
        ..Info::default()
    };
    call(control, IOC_INFO, &mut answer)?;
    Ok(answer)
}

/// [`IOC_LOAD`]: verifies `image` and makes a filter descriptor, as `flags` say. A refusal leaves its NUL-terminated text in `message`.
pub(crate) fn load(
    control: BorrowedFd<'_>,
    image: &[u8],
    flags: u32,
    message: &mut [u8],
) -> io::Result<OwnedFd> {
    let length = |len: usize| u32::try_from(len).map_err(|_| io::Error::from(Errno::MSGSIZE));
    let mut argument = Load {
        size: size_of::<Load>() as u32,
        flags,
        image: image.as_ptr() as u64,
        image_len: length(image.len())?,
        message_len: length(message.len())?,
        message: message.as_mut_ptr() as u64,
    };
    let fd = call(control, IOC_LOAD, &mut argument)?;
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: the module has just installed this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Why [`restrict_self`] failed.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What the kernel answered.
    pub(crate) source: io::Error,
    /// The thread that is in the way, 0 if it is not about one.
    pub(crate) thread: u32,
}

/// [`IOC_RESTRICT_SELF`]: pushes the filter, or without one what `flags` name, as `flags` say.
pub(crate) fn restrict_self(
    control: BorrowedFd<'_>,
    filter: Option<BorrowedFd<'_>>,
    flags: u32,
) -> Result<(), Refused> {
    let mut argument = RestrictSelf {
        size: size_of::<RestrictSelf>() as u32,
        flags,
        filter_fd: filter.map_or(-1, |filter| filter.as_raw_fd()),
        thread: 0,
    };
    match call(control, IOC_RESTRICT_SELF, &mut argument) {
        Ok(_) => Ok(()),
        Err(source) => Err(Refused {
            source,
            thread: argument.thread,
        }),
    }
}

/// One ioctl whose argument is the struct `T` and whose answer is the number it returns.
struct Call<'a, T> {
    opcode: u32,
    argument: &'a mut T,
}

// SAFETY: `as_ptr` gives the address of a live, exclusively borrowed `T`, and each caller below pairs an opcode with the very struct that `uapi`
// documents for it. The answer is read from the return value, never through the pointer.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = c_int;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<c_int> {
        Ok(out)
    }
}

fn call<T>(fd: impl AsFd, opcode: u32, argument: &mut T) -> io::Result<c_int> {
    // SAFETY: the structs of `uapi` are plain numbers with a C layout. They begin with their own size, past which the module neither reads nor
    // writes; the addresses inside `Load` belong to slices that its caller borrows for longer than the call. Another driver's descriptor
    // answers these opcodes, type 0xEF, with ENOTTY.
    let answer = unsafe { ioctl(fd, Call { opcode, argument }) };
    Ok(answer?)
}

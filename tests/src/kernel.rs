// SPDX-License-Identifier: GPL-2.0
//! The module's interface, called by hand: no library stands between a test and the kernel.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use uapi::control::{
    ABI_VERSION, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, Load, PR_EVFILTER, PR_EVFILTER_OPEN,
    RESTRICT_STRICT, RestrictSelf,
};

use crate::sys::{Ret, no_new_privs, own, sys};

/// Opens a control descriptor by `prctl`.
pub fn try_control() -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_prctl,
        PR_EVFILTER,
        PR_EVFILTER_OPEN,
        0,
        0,
        0
    ))
}

/// Opens a control descriptor, which must work.
#[track_caller]
pub fn control() -> OwnedFd {
    try_control().expect("prctl(PR_EVFILTER): is the module loaded?")
}

/// An ioctl on any descriptor, with the address of any argument.
pub fn ioctl<T>(fd: BorrowedFd<'_>, request: u32, argument: *const T) -> Ret {
    sys!(libc::SYS_ioctl, fd.as_raw_fd(), request, argument)
}

/// IOC_INFO.
#[track_caller]
pub fn info() -> Info {
    let control = control();
    info_of(control.as_fd())
}

/// IOC_INFO on a descriptor that is open already.
#[track_caller]
pub fn info_of(control: BorrowedFd<'_>) -> Info {
    let mut info = Info {
        size: size_of::<Info>() as u32,
        ..Info::default()
    };
    let done = ioctl(control, IOC_INFO, &raw mut info);
    assert_eq!(done, Ok(0), "IOC_INFO");
    assert_eq!(info.abi, ABI_VERSION);
    info
}

/// Number of layers on the calling thread.
#[track_caller]
pub fn layers() -> u32 {
    info().layers
}

/// IOC_LOAD without a message.
pub fn try_load(image: &[u8]) -> Result<OwnedFd, i32> {
    try_load_with(0, image)
}

/// IOC_LOAD with flags.
pub fn try_load_with(flags: u32, image: &[u8]) -> Result<OwnedFd, i32> {
    let control = control();
    let load = Load {
        size: size_of::<Load>() as u32,
        flags,
        image: image.as_ptr() as u64,
        image_len: image.len() as u32,
        ..Load::default()
    };
    own(ioctl(control.as_fd(), IOC_LOAD, &raw const load))
}

/// IOC_LOAD with a buffer for the verifier's message, which is returned up to its NUL.
#[track_caller]
pub fn load_with_message(image: &[u8], buffer: &mut [u8]) -> (Result<OwnedFd, i32>, String) {
    let control = control();
    let load = Load {
        size: size_of::<Load>() as u32,
        image: image.as_ptr() as u64,
        image_len: image.len() as u32,
        message: buffer.as_mut_ptr() as u64,
        message_len: buffer.len() as u32,
        ..Load::default()
    };
    let loaded = own(ioctl(control.as_fd(), IOC_LOAD, &raw const load));
    let text = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    (loaded, String::from_utf8_lossy(text).into_owned())
}

/// Loads an image that must be accepted.
#[track_caller]
pub fn load(image: &[u8]) -> OwnedFd {
    let mut buffer = [0u8; 256];
    match load_with_message(image, &mut buffer) {
        (Ok(filter), _) => filter,
        (Err(errno), message) => panic!("IOC_LOAD: errno {errno}, {message:?}"),
    }
}

/// Loads an image that must be accepted, as `flags` say.
#[track_caller]
pub fn load_with(flags: u32, image: &[u8]) -> OwnedFd {
    match try_load_with(flags, image) {
        Ok(filter) => filter,
        Err(errno) => panic!("IOC_LOAD with flags {flags:#x}: errno {errno}"),
    }
}

/// IOC_RESTRICT_SELF.
pub fn try_restrict(filter: &OwnedFd) -> Ret {
    let control = try_control()?;
    restrict_through(control.as_fd(), filter.as_raw_fd())
}

/// IOC_RESTRICT_SELF on a control descriptor that is open already.
pub fn restrict_through(control: BorrowedFd<'_>, filter: i32) -> Ret {
    let argument = RestrictSelf {
        size: size_of::<RestrictSelf>() as u32,
        filter_fd: filter,
        ..RestrictSelf::default()
    };
    ioctl(control, IOC_RESTRICT_SELF, &raw const argument)
}

/// IOC_RESTRICT_SELF with flags; its result, and what the struct says of a thread afterwards.
#[track_caller]
pub fn restrict_with(flags: u32, filter: i32) -> (Ret, u32) {
    restrict_flags_through(control().as_fd(), flags, filter)
}

/// Pushes the strict filter. The control descriptor stays open: `close` is not among what is allowed afterwards.
#[track_caller]
pub fn restrict_strict(flags: u32) {
    let control = std::mem::ManuallyDrop::new(control());
    let done = restrict_flags_through(control.as_fd(), flags | RESTRICT_STRICT, -1);
    if done != (Ok(0), 0) {
        panic!("RESTRICT_STRICT: {done:?}");
    }
}

/// [`restrict_with`] on a control descriptor that is open already.
pub fn restrict_flags_through(control: BorrowedFd<'_>, flags: u32, filter: i32) -> (Ret, u32) {
    let mut argument = RestrictSelf {
        size: size_of::<RestrictSelf>() as u32,
        flags,
        filter_fd: filter,
        thread: 0,
    };
    let done = ioctl(control, IOC_RESTRICT_SELF, &raw mut argument);
    (done, argument.thread)
}

/// Pushes a filter on the caller, which must work.
#[track_caller]
pub fn restrict(filter: &OwnedFd) {
    assert_eq!(try_restrict(filter), Ok(0), "IOC_RESTRICT_SELF");
}

/// Puts the caller under `image`, as an unprivileged program would.
#[track_caller]
pub fn attach(image: &[u8]) {
    no_new_privs();
    restrict(&load(image));
}

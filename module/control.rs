// SPDX-License-Identifier: GPL-2.0
//! The control descriptor: does what user space asks for.
//!
//! Arguments are decoded by `uapi::argument`, from one copy. Every refusal has its errno, listed in the documentation of `uapi::control`.

use core::fmt::Write;
use core::mem::offset_of;

use filters::event::Event;
use filters::limits::{MAX_IMAGE_BYTES, MAX_INSNS, MAX_LAYERS, MAX_STACK_COST};
use filters::refusal::Refusal;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice};
use uapi::argument::{self, Memory};
use uapi::control::{
    Info, Load, RestrictSelf, ABI_VERSION, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, LOAD_INTERPRETED,
    SECURITY_SEQUENCE,
};

use crate::ffi::{self, Task};
use crate::filter::{Filter, LoadError};
use crate::task::{self, Obstacle};

/// Answers an ioctl on a control descriptor.
pub(crate) fn ioctl(cmd: u32, arg: usize) -> Result<isize> {
    let arg = UserPtr::from_addr(arg);
    match cmd {
        IOC_INFO => info(arg),
        IOC_LOAD => load(arg),
        IOC_RESTRICT_SELF => restrict_self(arg),
        _ => Err(ENOTTY),
    }
}

/// Answers the `prctl` option: opens a control descriptor.
pub(crate) fn prctl(operation: usize, rest: [usize; 3]) -> Result<isize> {
    if !argument::asks_for_control(operation as u64, rest.map(|rest| rest as u64)) {
        return Err(EINVAL);
    }
    ffi::control_fd().map(|fd| fd as isize)
}

fn info(arg: UserPtr) -> Result<isize> {
    let room = Info::room(&mut Argument(arg)).map_err(refused)?;
    let info = Info {
        size: size_of::<Info>() as u32,
        abi: ABI_VERSION,
        security_sequence: SECURITY_SEQUENCE,
        layers: task::layers(Task::current()) as u32,
        events: Event::ALL
            .iter()
            .fold(0, |events, event| events | 1 << event.number()),
        max_layers: MAX_LAYERS as u32,
        max_insns: MAX_INSNS as u32,
        max_image: MAX_IMAGE_BYTES as u32,
        max_stack_cost: MAX_STACK_COST,
        native_layers: task::native_layers(Task::current()) as u32,
        native: u32::from(ffi::natives_serve()),
    };
    UserSlice::new(arg, room)
        .writer()
        .write_slice(&info.to_bytes()[..room])?;
    Ok(0)
}

fn load(arg: UserPtr) -> Result<isize> {
    let load = Load::read(&mut Argument(arg)).map_err(refused)?;
    match Filter::load(
        UserPtr::from_addr(load.image as usize),
        load.image_len as usize,
        load.flags & LOAD_INTERPRETED != 0,
    ) {
        Ok(filter) => ffi::filter_fd(filter).map(|fd| fd as isize),
        Err(LoadError::Kernel(error)) => Err(error),
        Err(LoadError::Refused(refusal)) => {
            tell(&refusal, load.message, load.message_len as usize)?;
            Err(errno(u32::from(refusal.errno().0)))
        }
    }
}

fn restrict_self(arg: UserPtr) -> Result<isize> {
    let restriction = RestrictSelf::read(&mut Argument(arg)).map_err(refused)?;
    let filter = match restriction.filter_fd {
        Some(fd) => ffi::filter_of_fd(fd)?,
        None => Filter::strict()?,
    };
    match task::restrict_self(&filter, restriction.whom) {
        Ok(()) => Ok(0),
        Err(Obstacle::Error(error)) => Err(error),
        Err(Obstacle::Thread(id)) => {
            let at = arg.wrapping_byte_add(offset_of!(RestrictSelf, thread));
            UserSlice::new(at, size_of::<u32>())
                .writer()
                .write_slice(&id.to_ne_bytes())?;
            Err(ESRCH)
        }
    }
}

/// Writes the verifier's message to the caller's buffer, cut to fit and NUL-terminated.
fn tell(refusal: &Refusal, buffer: u64, len: usize) -> Result {
    if len == 0 {
        return Ok(());
    }
    let mut message = Message {
        bytes: [0; 192],
        len: 0,
    };
    // Cut, not failed: `Message` takes what fits.
    let _ = write!(message, "{refusal}");
    let text = message.len.min(len - 1);
    let mut writer = UserSlice::new(UserPtr::from_addr(buffer as usize), len).writer();
    writer.write_slice(&message.bytes[..text])?;
    writer.write_slice(&[0])
}

struct Message {
    bytes: [u8; 192],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = &mut self.bytes[self.len..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        Ok(())
    }
}

/// The caller's memory from an argument's address on; each read is a copy.
struct Argument(UserPtr);

impl Memory for Argument {
    type Fault = Error;

    fn read(&mut self, offset: usize, to: &mut [u8]) -> Result {
        let from = self.0.wrapping_byte_add(offset);
        UserSlice::new(from, to.len()).reader().read_slice(to)
    }
}

fn refused(refusal: argument::Refusal<Error>) -> Error {
    match refusal {
        argument::Refusal::Fault(error) => error,
        argument::Refusal::Invalid => EINVAL,
        argument::Refusal::TooBig => E2BIG,
        argument::Refusal::NotSupported => EOPNOTSUPP,
    }
}

fn errno(number: u32) -> Error {
    Error::from_errno(-(number as i32))
}

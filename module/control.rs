// SPDX-License-Identifier: GPL-2.0
//! The control descriptor: decodes what user space asks for.
//!
//! Arguments are copied once, through readers that are consumed. Every refusal has its errno, listed in the documentation of `uapi::control`.

use core::fmt::Write;
use core::mem::offset_of;

use filters::event::Event;
use filters::limits::{MAX_IMAGE_BYTES, MAX_INSNS, MAX_LAYERS, MAX_STACK_COST};
use filters::refusal::Refusal;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice};
use uapi::control::{
    Info, Load, RestrictSelf, ABI_VERSION, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, LOAD_INTERPRETED,
    RESTRICT_AT_EXEC, RESTRICT_STRICT, RESTRICT_TSYNC, SECURITY_SEQUENCE,
};

use crate::ffi::{self, Task};
use crate::filter::{Filter, LoadError};
use crate::task::{self, Obstacle, Whom};

/// The largest argument struct that a future version may send.
const MAX_ARGUMENT: usize = 4096;

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
    if operation as u64 != uapi::control::PR_EVFILTER_OPEN || rest != [0; 3] {
        return Err(EINVAL);
    }
    ffi::control_fd().map(|fd| fd as isize)
}

fn info(arg: UserPtr) -> Result<isize> {
    let known = size_of::<Info>();
    let size = UserSlice::new(arg, size_of::<u32>())
        .reader()
        .read::<u32>()? as usize;
    if size < Info::MIN_SIZE as usize {
        return Err(EINVAL);
    }
    if size > MAX_ARGUMENT {
        return Err(E2BIG);
    }
    let info = Info {
        size: known as u32,
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
    let mut bytes = [0; size_of::<Info>()];
    let mut at = 0;
    let fields: [&[u8]; 11] = [
        &info.size.to_ne_bytes(),
        &info.abi.to_ne_bytes(),
        &info.security_sequence.to_ne_bytes(),
        &info.layers.to_ne_bytes(),
        &info.events.to_ne_bytes(),
        &info.max_layers.to_ne_bytes(),
        &info.max_insns.to_ne_bytes(),
        &info.max_image.to_ne_bytes(),
        &info.max_stack_cost.to_ne_bytes(),
        &info.native_layers.to_ne_bytes(),
        &info.native.to_ne_bytes(),
    ];
    for field in fields {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    UserSlice::new(arg, known.min(size))
        .writer()
        .write_slice(&bytes[..known.min(size)])?;
    Ok(0)
}

fn load(arg: UserPtr) -> Result<isize> {
    let argument: Argument<{ size_of::<Load>() }> = Argument::read(arg)?;
    let load = Load {
        size: argument.u32(0),
        flags: argument.u32(4),
        image: argument.u64(8),
        image_len: argument.u32(16),
        message_len: argument.u32(20),
        message: argument.u64(24),
    };
    if load.flags & !LOAD_INTERPRETED != 0 {
        return Err(EOPNOTSUPP);
    }
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
    let argument: Argument<{ size_of::<RestrictSelf>() }> = Argument::read(arg)?;
    let restrict = RestrictSelf {
        size: argument.u32(0),
        flags: argument.u32(4),
        filter_fd: argument.u32(8) as i32,
        thread: argument.u32(12),
    };
    let whom = match restrict.flags & !RESTRICT_STRICT {
        0 => Whom::Caller,
        RESTRICT_TSYNC => Whom::AllThreads,
        RESTRICT_AT_EXEC => Whom::CallerAtExec,
        known if known == RESTRICT_TSYNC | RESTRICT_AT_EXEC => return Err(EINVAL),
        _ => return Err(EOPNOTSUPP),
    };
    if restrict.thread != 0 {
        return Err(EINVAL);
    }
    let filter = if restrict.flags & RESTRICT_STRICT == 0 {
        ffi::filter_of_fd(restrict.filter_fd)?
    } else if restrict.filter_fd == -1 {
        Filter::strict()?
    } else {
        return Err(EINVAL);
    };
    match task::restrict_self(&filter, whom) {
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

/// An argument struct of `N` bytes as this version knows it, all of whose fields are required (`size` first).
struct Argument<const N: usize> {
    bytes: [u8; N],
}

impl<const N: usize> Argument<N> {
    /// Copies the struct; what a newer caller has behind it must be zero.
    fn read(arg: UserPtr) -> Result<Argument<N>> {
        let size = UserSlice::new(arg, size_of::<u32>())
            .reader()
            .read::<u32>()? as usize;
        if size < N {
            return Err(EINVAL);
        }
        if size > MAX_ARGUMENT {
            return Err(E2BIG);
        }
        // `size` is not looked at again: what the second copy holds there does not matter.
        let mut reader = UserSlice::new(arg, size).reader();
        let mut bytes = [0; N];
        reader.read_slice(&mut bytes)?;
        while !reader.is_empty() {
            if reader.read::<u8>()? != 0 {
                return Err(E2BIG);
            }
        }
        Ok(Argument { bytes })
    }

    fn u32(&self, at: usize) -> u32 {
        let mut field = [0; 4];
        field.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_ne_bytes(field)
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }
}

fn errno(number: u32) -> Error {
    Error::from_errno(-(number as i32))
}

// SPDX-License-Identifier: GPL-2.0
//! What the module makes of the arguments that user space hands it: sizes, unknown tails, flags, fields that must have one value.
//!
//! The module reads them with this code, and so do the tests on the host. Nothing is read twice but `size`, whose first value counts: the memory belongs to the
//! caller, who may change it between two reads.

use core::mem::size_of;

use crate::control::{
    Info, Load, RestrictSelf, LOAD_INTERPRETED, PR_EVFILTER_OPEN, RESTRICT_AT_EXEC,
    RESTRICT_STRICT, RESTRICT_TSYNC,
};

/// The largest argument struct that a future version may send.
pub const MAX_ARGUMENT: usize = 4096;

/// Bytes of the unknown tail that are looked at together.
const TAIL_BYTES: usize = 64;

/// The caller's memory, from the address of the argument on.
pub trait Memory {
    /// Why memory cannot be read.
    type Fault;

    /// Copies as many bytes as fit `to`, from `offset` bytes behind the address on.
    ///
    /// # Errors
    ///
    /// The memory cannot be read; what is in `to` means nothing then.
    fn read(&mut self, offset: usize, to: &mut [u8]) -> Result<(), Self::Fault>;
}

/// Why an argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<F> {
    /// The memory cannot be read: `EFAULT`.
    Fault(F),
    /// `EINVAL`: the size is too small, flags exclude each other, or a field that must have one value has another.
    Invalid,
    /// `E2BIG`: the size is above [`MAX_ARGUMENT`], or what lies behind all known fields is not zero.
    TooBig,
    /// `EOPNOTSUPP`: an unknown flag is set.
    NotSupported,
}

/// Whom a layer is pushed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The calling thread.
    Caller,
    /// All threads of its process: [`RESTRICT_TSYNC`].
    AllThreads,
    /// The calling thread, when its next exec has succeeded: [`RESTRICT_AT_EXEC`].
    CallerAtExec,
}

/// What [`crate::control::IOC_RESTRICT_SELF`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Whom the layer is pushed on.
    pub whom: Whom,
    /// The descriptor of the filter; `None` for the strict filter.
    pub filter_fd: Option<i32>,
}

/// Whether these arguments of [`crate::control::PR_EVFILTER`], from the second one on, ask for a control descriptor.
pub fn asks_for_control(operation: u64, rest: [u64; 3]) -> bool {
    operation == PR_EVFILTER_OPEN && rest == [0; 3]
}

impl Info {
    /// How many bytes of the answer the caller has room for.
    ///
    /// # Errors
    ///
    /// As listed at [`crate::control::IOC_INFO`].
    pub fn room<M: Memory>(memory: &mut M) -> Result<usize, Refusal<M::Fault>> {
        let size = size(memory, Info::MIN_SIZE as usize)?;
        Ok(size.min(size_of::<Info>()))
    }

    /// The bytes of the answer.
    pub fn to_bytes(&self) -> [u8; size_of::<Info>()] {
        let fields: [&[u8]; 11] = [
            &self.size.to_ne_bytes(),
            &self.abi.to_ne_bytes(),
            &self.security_sequence.to_ne_bytes(),
            &self.layers.to_ne_bytes(),
            &self.events.to_ne_bytes(),
            &self.max_layers.to_ne_bytes(),
            &self.max_insns.to_ne_bytes(),
            &self.max_image.to_ne_bytes(),
            &self.max_stack_cost.to_ne_bytes(),
            &self.native_layers.to_ne_bytes(),
            &self.native.to_ne_bytes(),
        ];
        let mut bytes = [0; size_of::<Info>()];
        let from = fields.iter().flat_map(|field| field.iter());
        bytes
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        bytes
    }
}

impl Load {
    /// Reads the argument of [`crate::control::IOC_LOAD`].
    ///
    /// # Errors
    ///
    /// As listed there.
    pub fn read<M: Memory>(memory: &mut M) -> Result<Load, Refusal<M::Fault>> {
        let Fields([size, flags, image, image_high, image_len, message_len, message, message_high]) =
            Fields::read(memory)?;
        if flags & !LOAD_INTERPRETED != 0 {
            return Err(Refusal::NotSupported);
        }
        Ok(Load {
            size,
            flags,
            image: long(image, image_high),
            image_len,
            message_len,
            message: long(message, message_high),
        })
    }
}

impl RestrictSelf {
    /// Reads the argument of [`crate::control::IOC_RESTRICT_SELF`].
    ///
    /// # Errors
    ///
    /// As listed there, as far as the argument alone tells.
    pub fn read<M: Memory>(memory: &mut M) -> Result<Restriction, Refusal<M::Fault>> {
        const BOTH: u32 = RESTRICT_TSYNC | RESTRICT_AT_EXEC;
        let Fields([_, flags, filter_fd, thread]) = Fields::read(memory)?;
        let whom = match flags & !RESTRICT_STRICT {
            0 => Whom::Caller,
            RESTRICT_TSYNC => Whom::AllThreads,
            RESTRICT_AT_EXEC => Whom::CallerAtExec,
            BOTH => return Err(Refusal::Invalid),
            _ => return Err(Refusal::NotSupported),
        };
        if thread != 0 {
            return Err(Refusal::Invalid);
        }
        let filter_fd = match filter_fd as i32 {
            fd if flags & RESTRICT_STRICT == 0 => Some(fd),
            -1 => None,
            _ => return Err(Refusal::Invalid),
        };
        Ok(Restriction { whom, filter_fd })
    }
}

/// An argument struct of `N` words as this version knows it, all of whose fields are required, `size` first.
struct Fields<const N: usize>([u32; N]);

impl<const N: usize> Fields<N> {
    /// Copies the struct; what a newer caller has behind it must be zero.
    fn read<M: Memory>(memory: &mut M) -> Result<Fields<N>, Refusal<M::Fault>> {
        let known = size_of::<[u32; N]>();
        let size = size(memory, known)?;
        let mut words = [[0; size_of::<u32>()]; N];
        memory
            .read(0, words.as_flattened_mut())
            .map_err(Refusal::Fault)?;
        let mut fields = words.map(u32::from_ne_bytes);
        if let Some(first) = fields.first_mut() {
            // It has been read twice; the first value counts.
            *first = size as u32;
        }
        let mut at = known;
        while at < size {
            let mut bytes = [0; TAIL_BYTES];
            let (part, _) = bytes.split_at_mut(size.saturating_sub(at).min(TAIL_BYTES));
            memory.read(at, part).map_err(Refusal::Fault)?;
            if part.iter().any(|byte| *byte != 0) {
                return Err(Refusal::TooBig);
            }
            at = at.saturating_add(TAIL_BYTES);
        }
        Ok(Fields(fields))
    }
}

/// Reads the size of an argument struct of which the first `least` bytes are required.
fn size<M: Memory>(memory: &mut M, least: usize) -> Result<usize, Refusal<M::Fault>> {
    let mut bytes = [0; size_of::<u32>()];
    memory.read(0, &mut bytes).map_err(Refusal::Fault)?;
    match u32::from_ne_bytes(bytes) as usize {
        size if size < least => Err(Refusal::Invalid),
        size if size > MAX_ARGUMENT => Err(Refusal::TooBig),
        size => Ok(size),
    }
}

/// The two halves of a long field.
fn long(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

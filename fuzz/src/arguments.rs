// SPDX-License-Identifier: GPL-2.0
//! Arguments of the ioctls and of the `prctl` option in any memory, which the caller changes while it is read: nothing but the size is read twice, and what comes of them is as
//! `uapi::control` says.
//!
//! The input is which request it is, where the memory ends, how the caller changes a byte after each read, and the memory.

use std::collections::BTreeMap;

use uapi::argument::{self, MAX_ARGUMENT, Memory, Refusal, Restriction, Whom};
use uapi::control::{Info, Load, PR_EVFILTER_OPEN, RestrictSelf};

/// The caller's memory. All bytes change after every read, so that whoever reads one twice gets two values.
struct Hostile<'d> {
    bytes: &'d [u8],
    /// What the caller flips after each read.
    change: u8,
    reads: u8,
    /// The bytes that have been read, as they were at the last read, by offset; and how often.
    read: BTreeMap<usize, (u8, u32)>,
}

/// The memory ends before this offset.
#[derive(Debug, PartialEq, Eq)]
struct Fault(usize);

impl Memory for Hostile<'_> {
    type Fault = Fault;

    fn read(&mut self, offset: usize, to: &mut [u8]) -> Result<(), Fault> {
        assert!(offset + to.len() <= MAX_ARGUMENT, "more than may be read");
        let from = self.bytes.get(offset..offset + to.len());
        let from = from.ok_or(Fault(self.bytes.len()))?;
        for (index, (to, from)) in to.iter_mut().zip(from).enumerate() {
            *to = from ^ self.change.wrapping_mul(self.reads);
            let seen = self.read.entry(offset + index).or_default();
            *seen = (*to, seen.1 + 1);
        }
        self.reads = self.reads.wrapping_add(1);
        Ok(())
    }
}

/// What the last read of `offset` and what follows it has given.
fn word(read: &BTreeMap<usize, (u8, u32)>, offset: usize) -> u32 {
    let byte = |index| read.get(&(offset + index)).map_or(0, |seen| seen.0);
    u32::from_le_bytes([0, 1, 2, 3].map(byte))
}

fn long(read: &BTreeMap<usize, (u8, u32)>, offset: usize) -> u64 {
    u64::from(word(read, offset)) | u64::from(word(read, offset + 4)) << 32
}

/// Runs `decode` and asserts what holds of every decoding of a struct of which `known` bytes are required: nothing but the size is read twice, all of it is read if it
/// has a tail that must be zero (`reads_all`), and what is refused is refused for its reason.
fn decode<T>(
    memory: &mut Hostile<'_>,
    known: usize,
    reads_all: bool,
    decode: impl FnOnce(&mut Hostile<'_>) -> Result<T, Refusal<Fault>>,
) -> Option<T> {
    let size = memory
        .bytes
        .first_chunk()
        .map(|size| u32::from_le_bytes(*size) as usize);
    let decoded = decode(memory);
    for (offset, (_, times)) in &memory.read {
        assert!(
            *times == 1 || (*offset < 4 && *times <= 2),
            "byte {offset} is read {times} times"
        );
    }
    let furthest = memory
        .read
        .last_key_value()
        .map_or(0, |(offset, _)| offset + 1);
    let tail = memory.read.iter().filter(|(offset, _)| **offset >= known);
    let tail_is_zero = tail.clone().all(|(_, (byte, _))| *byte == 0);
    match (&decoded, size) {
        (_, None) => assert!(matches!(decoded, Err(Refusal::Fault(_)))),
        (_, Some(size)) if size < known => assert!(matches!(decoded, Err(Refusal::Invalid))),
        (_, Some(size)) if size > MAX_ARGUMENT => assert!(matches!(decoded, Err(Refusal::TooBig))),
        (Err(Refusal::Fault(fault)), Some(size)) => assert!(fault.0 < size),
        (Err(Refusal::TooBig), Some(_)) => assert!(!tail_is_zero),
        // The rest is about the fields: then all was there, and the tail was seen whole.
        (_, Some(size)) => {
            assert!(tail_is_zero);
            assert_eq!(furthest, if reads_all { size } else { 4 });
        }
    }
    decoded.ok()
}

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let [request, change, bytes @ ..] = data else {
        return;
    };
    let mut memory = Hostile {
        bytes,
        change: *change,
        reads: 0,
        read: BTreeMap::new(),
    };
    match request % 4 {
        0 => info(&mut memory),
        1 => load(&mut memory),
        2 => restrict_self(&mut memory),
        _ => prctl(bytes),
    }
}

fn info(memory: &mut Hostile<'_>) {
    if let Some(room) = decode(memory, Info::MIN_SIZE as usize, false, |memory| {
        Info::room(memory)
    }) {
        assert!((16..=size_of::<Info>()).contains(&room));
        assert!(room <= word(&memory.read, 0) as usize);
    }
}

fn load(memory: &mut Hostile<'_>) {
    let size = memory
        .bytes
        .first_chunk()
        .map(|size| u32::from_le_bytes(*size));
    let decoded = decode(memory, size_of::<Load>(), true, |memory| Load::read(memory));
    let read = &memory.read;
    if let Some(load) = decoded {
        assert!(load.flags <= 1, "an unknown flag");
        let expected = Load {
            size: size.expect("it was read"),
            flags: word(read, 4),
            image: long(read, 8),
            image_len: word(read, 16),
            message_len: word(read, 20),
            message: long(read, 24),
        };
        assert_eq!(load, expected);
    }
}

fn restrict_self(memory: &mut Hostile<'_>) {
    let mut refusal = None;
    let decoded = decode(memory, size_of::<RestrictSelf>(), true, |memory| {
        let decoded = RestrictSelf::read(memory);
        refusal = decoded.as_ref().err().map(|refusal| match refusal {
            Refusal::Fault(_) => "fault",
            Refusal::Invalid => "invalid",
            Refusal::TooBig => "too big",
            Refusal::NotSupported => "not supported",
        });
        decoded
    });
    let read = &memory.read;
    if read.len() < size_of::<RestrictSelf>() || matches!(refusal, Some("fault" | "too big")) {
        return;
    }
    let [flags, fd, thread] = [4, 8, 12].map(|offset| word(read, offset));
    // The eight sets of known flags, one by one.
    let whom = match flags {
        0 | 2 => Ok(Whom::Caller),
        1 | 3 => Ok(Whom::AllThreads),
        4 | 6 => Ok(Whom::CallerAtExec),
        5 | 7 => Err("invalid"),
        _ => Err("not supported"),
    };
    let is_strict = flags & 2 != 0;
    let expected = whom.and_then(|whom| match (thread, is_strict, fd) {
        (0, false, fd) => Ok(Restriction {
            whom,
            filter_fd: Some(fd as i32),
        }),
        (0, true, u32::MAX) => Ok(Restriction {
            whom,
            filter_fd: None,
        }),
        _ => Err("invalid"),
    });
    assert_eq!(decoded.ok_or(refusal), expected.map_err(Some));
}

fn prctl(bytes: &[u8]) {
    let mut words = bytes
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    let [operation, a, b, c] = [(); 4].map(|()| words.next().unwrap_or(0));
    let expected = operation == PR_EVFILTER_OPEN && (a, b, c) == (0, 0, 0);
    assert_eq!(argument::asks_for_control(operation, [a, b, c]), expected);
}

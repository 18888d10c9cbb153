// SPDX-License-Identifier: GPL-2.0
//! The policy image: how programs travel from user space into the kernel.
//!
//! All numbers are little-endian `u32`; every part is a multiple of four bytes long. A change of meaning changes [`MAGIC`].
//!
//! ```text
//! header    magic, size of the whole image, number of programs, scopes
//! program   event, size of this part, instructions, strings, tables, reserved (0)
//!           instructions   8 bytes each, see `insn`
//!           strings        offset into the pool, length
//!           tables         offset into the pool, length
//!           pool           the rest
//! ```

use core::ops::Range;

use crate::event::Event;
use crate::insn::INSN_BYTES;
use crate::limits::{MAX_IMAGE_BYTES, MAX_INSNS, MAX_STRINGS, MAX_TABLES};
use crate::refusal::{Reason, Refusal};
use crate::scope::Scopes;
use crate::verifier::Findings;

/// First word of an image: "EVF1".
pub const MAGIC: u32 = u32::from_le_bytes(*b"EVF1");

/// Bytes of the image's header.
pub const HEADER_BYTES: usize = 16;

/// Bytes of a program's header.
pub const PROGRAM_HEADER_BYTES: usize = 24;

/// Bytes of one entry of the string or table list.
pub const ENTRY_BYTES: usize = 8;

/// The little-endian word at byte `offset`.
pub(crate) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// Where the parts of one program lie in the image, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) event: Event,
    pub(crate) insns: Range<usize>,
    pub(crate) strings: Range<usize>,
    pub(crate) tables: Range<usize>,
    pub(crate) pool: Range<usize>,
    /// Set once the program is verified.
    pub(crate) findings: Findings,
}

/// Reads the image's header; returns the number of programs and the scopes.
pub(crate) fn header(image: &[u8]) -> Result<(u32, Scopes), Refusal> {
    if image.len() > MAX_IMAGE_BYTES {
        return Err(Refusal::image(Reason::ImageTooLarge));
    }
    let field = |offset| word(image, offset).ok_or(Refusal::image(Reason::BadLength));
    if field(0)? != MAGIC {
        return Err(Refusal::image(Reason::BadMagic));
    }
    if field(4)? as usize != image.len() || image.len() % 4 != 0 {
        return Err(Refusal::image(Reason::BadLength));
    }
    let scopes = Scopes::from_bits(field(12)?).ok_or(Refusal::image(Reason::ReservedNotZero))?;
    match field(8)? {
        0 if scopes == Scopes::NONE => Err(Refusal::image(Reason::NoProgram)),
        programs => Ok((programs, scopes)),
    }
}

/// Reads the program header at `start`; returns its parts and the offset of what follows it.
pub(crate) fn section(image: &[u8], start: usize) -> Result<(Section, usize), Refusal> {
    let field = |index: usize| {
        index
            .checked_mul(4)
            .and_then(|offset| start.checked_add(offset))
            .and_then(|offset| word(image, offset))
            .ok_or(Refusal::image(Reason::BadLength))
    };
    let number = field(0)?;
    let event = Event::from_number(number).ok_or(Refusal::image(Reason::UnknownEvent(number)))?;
    let refuse = |reason| Refusal::program(event, reason);

    let size = field(1)? as usize;
    let (insns, strings, tables) = (field(2)? as usize, field(3)? as usize, field(4)? as usize);
    if field(5)? != 0 {
        return Err(refuse(Reason::ReservedNotZero));
    }
    if insns == 0 || insns > MAX_INSNS {
        return Err(refuse(Reason::ProgramLength));
    }
    if strings > MAX_STRINGS {
        return Err(refuse(Reason::TooManyStrings));
    }
    if tables > MAX_TABLES {
        return Err(refuse(Reason::TooManyTables));
    }

    let bad = || refuse(Reason::BadLength);
    let end = start.checked_add(size).ok_or_else(bad)?;
    if size % 4 != 0 || end > image.len() {
        return Err(bad());
    }
    let part = |from: usize, count: usize, bytes: usize| {
        let to = count.checked_mul(bytes).and_then(|n| from.checked_add(n));
        match to {
            Some(to) if to <= end => Ok(from..to),
            _ => Err(bad()),
        }
    };
    let insns = part(
        start.checked_add(PROGRAM_HEADER_BYTES).ok_or_else(bad)?,
        insns,
        INSN_BYTES,
    )?;
    let strings = part(insns.end, strings, ENTRY_BYTES)?;
    let tables = part(strings.end, tables, ENTRY_BYTES)?;
    let pool = tables.end..end;
    Ok((
        Section {
            event,
            insns,
            strings,
            tables,
            pool,
            findings: Findings::default(),
        },
        end,
    ))
}

// SPDX-License-Identifier: GPL-2.0
//! A verified program, as a view into the image that holds it.

use core::ops::Range;

use crate::event::Event;
use crate::image::{Section, ENTRY_BYTES};
use crate::insn::{Insn, INSN_BYTES};
use crate::table::Table;

/// A program that the verifier has accepted.
///
/// There is no other way to have one: the fields are private and only [`crate::policy::Policy`] makes it, from an image that it has verified.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    image: &'a [u8],
    section: &'a Section,
    insns: &'a [u8],
}

impl<'a> Program<'a> {
    /// The parts of `image` that `section` names; what they hold is not yet verified.
    ///
    /// This happens for every event that is judged, so lists and pool are looked up when they are asked for.
    #[inline]
    pub(crate) fn view(image: &'a [u8], section: &'a Section) -> Option<Program<'a>> {
        Some(Program {
            image,
            section,
            insns: image.get(section.insns.clone())?,
        })
    }

    /// The event that the program judges.
    #[inline]
    pub const fn event(&self) -> Event {
        self.section.event
    }

    /// Number of instructions.
    pub const fn len(&self) -> usize {
        self.insns.len() / INSN_BYTES
    }

    /// Never true of a verified program; here because `len` is.
    pub const fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }

    /// Instruction `index`.
    pub fn insn(&self, index: usize) -> Option<Insn> {
        let offset = index.checked_mul(INSN_BYTES)?;
        let bytes = self.insns.get(offset..)?.first_chunk::<INSN_BYTES>()?;
        Some(Insn::from_bytes(*bytes))
    }

    /// Number of string constants.
    pub fn strings(&self) -> usize {
        self.section.strings.len() / ENTRY_BYTES
    }

    /// Number of tables.
    pub fn tables(&self) -> usize {
        self.section.tables.len() / ENTRY_BYTES
    }

    /// String constant `index`.
    #[inline]
    pub fn string(&self, index: usize) -> Option<&'a [u8]> {
        self.pooled(&self.section.strings, index)
    }

    /// Table `index`.
    #[inline]
    pub fn table(&self, index: usize) -> Option<Table<'a>> {
        self.pooled(&self.section.tables, index).map(Table::view)
    }

    /// Bytes of the pool, which strings and tables lie in.
    pub(crate) fn pool_bytes(&self) -> usize {
        self.section.pool.len()
    }

    /// The bytes of table `index`.
    #[cfg(feature = "lang")]
    pub(crate) fn table_bytes(&self, index: usize) -> Option<&'a [u8]> {
        self.pooled(&self.section.tables, index)
    }

    /// The bytes of the pool that entry `index` of `list` names.
    #[inline]
    fn pooled(&self, list: &Range<usize>, index: usize) -> Option<&'a [u8]> {
        let at = index.checked_mul(ENTRY_BYTES)?;
        let list = self.image.get(list.start..list.end)?;
        let entry = list.get(at..at.checked_add(ENTRY_BYTES)?)?;
        let [a, b, c, d, e, f, g, h] = *entry.first_chunk::<ENTRY_BYTES>()?;
        let offset = u32::from_le_bytes([a, b, c, d]) as usize;
        let len = u32::from_le_bytes([e, f, g, h]) as usize;
        let pool = self
            .image
            .get(self.section.pool.start..self.section.pool.end)?;
        pool.get(offset..offset.checked_add(len)?)
    }
}

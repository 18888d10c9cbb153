// SPDX-License-Identifier: GPL-2.0
//! A verified program, as a view into the image that holds it.

use crate::event::Event;
use crate::image::{word, Section, ENTRY_BYTES};
use crate::insn::{Insn, INSN_BYTES};
use crate::table::Table;

/// A program that the verifier has accepted.
///
/// There is no other way to have one: the fields are private and only [`crate::policy::Policy`] makes it, from an image that it has verified.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    event: Event,
    insns: &'a [u8],
    strings: &'a [u8],
    tables: &'a [u8],
    pool: &'a [u8],
}

impl<'a> Program<'a> {
    /// The parts of `image` that `section` names; what they hold is not yet verified.
    pub(crate) fn view(image: &'a [u8], section: &Section) -> Option<Program<'a>> {
        Some(Program {
            event: section.event,
            insns: image.get(section.insns.clone())?,
            strings: image.get(section.strings.clone())?,
            tables: image.get(section.tables.clone())?,
            pool: image.get(section.pool.clone())?,
        })
    }

    /// The event that the program judges.
    pub const fn event(&self) -> Event {
        self.event
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
    pub const fn strings(&self) -> usize {
        self.strings.len() / ENTRY_BYTES
    }

    /// Number of tables.
    pub const fn tables(&self) -> usize {
        self.tables.len() / ENTRY_BYTES
    }

    /// String constant `index`.
    pub fn string(&self, index: usize) -> Option<&'a [u8]> {
        self.pooled(self.strings, index)
    }

    /// Table `index`.
    pub fn table(&self, index: usize) -> Option<Table<'a>> {
        Table::view(self.pooled(self.tables, index)?)
    }

    /// Bytes of the pool, which strings and tables lie in.
    pub(crate) const fn pool_bytes(&self) -> usize {
        self.pool.len()
    }

    /// The bytes of table `index`.
    #[cfg(feature = "lang")]
    pub(crate) fn table_bytes(&self, index: usize) -> Option<&'a [u8]> {
        self.pooled(self.tables, index)
    }

    /// The bytes of the pool that entry `index` of `list` names.
    fn pooled(&self, list: &[u8], index: usize) -> Option<&'a [u8]> {
        let at = index.checked_mul(ENTRY_BYTES)?;
        let offset = word(list, at)? as usize;
        let len = word(list, at.checked_add(4)?)? as usize;
        self.pool.get(offset..offset.checked_add(len)?)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A product as a table, to be walked and to be multiplied again.

use core::ops::Deref;

use super::Names;
use crate::table::Table;

/// The value of names that all allow; that of all others is 0.
pub(super) const ALLOWED: u32 = 1;

/// The names that several programs allow, all of them.
#[derive(Clone, Debug)]
pub struct Merged<B> {
    field: usize,
    bytes: B,
}

impl<B: Deref<Target = [u8]>> Merged<B> {
    /// The table that `bytes` are. What was written is verified like one that comes from elsewhere: a walk through an unsound one need not end.
    pub(super) fn new(field: usize, bytes: B) -> Option<Merged<B>> {
        Table::view(&bytes)
            .verify()
            .then_some(Merged { field, bytes })
    }

    /// Whether all records are allowed, by all, that have this name; "no" may mean that it depends on more.
    #[inline]
    pub fn allow(&self, name: &[u8]) -> bool {
        Table::view(&self.bytes).lookup(name) == Some(ALLOWED)
    }

    /// The names, to be multiplied with those of another program.
    pub fn names(&self) -> Names<'_> {
        Names::new(self.field, Table::view(&self.bytes), 1 << ALLOWED, !ALLOWED)
    }

    /// The table.
    pub fn table(&self) -> &[u8] {
        &self.bytes
    }
}

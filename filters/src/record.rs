// SPDX-License-Identifier: GPL-2.0
//! The record of one event: all that a program can see.

use crate::event::Event;

/// Most string fields that a record can have.
pub const MAX_STRINGS: usize = 4;

/// A record, borrowed from whoever gathered it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    event: Event,
    words: &'a [u32],
    strings: &'a [&'a [u8]],
}

impl<'a> Record<'a> {
    /// A record of `event`, or `None` if words or strings are not as many as its schema says.
    pub fn new(event: Event, words: &'a [u32], strings: &'a [&'a [u8]]) -> Option<Record<'a>> {
        let schema = event.schema();
        let bytes = words.len().checked_mul(4)?;
        if bytes == schema.record_bytes as usize && strings.len() == schema.strings as usize {
            Some(Record {
                event,
                words,
                strings,
            })
        } else {
            None
        }
    }

    /// The event.
    pub const fn event(&self) -> Event {
        self.event
    }

    /// The word at byte `offset`, which must be a multiple of four.
    pub(crate) fn word(&self, offset: u32) -> Option<u32> {
        if offset & 3 != 0 {
            return None;
        }
        self.words.get((offset >> 2) as usize).copied()
    }

    /// The string field with this index.
    pub(crate) fn string(&self, field: usize) -> Option<&'a [u8]> {
        self.strings.get(field).copied()
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The record of one event: all that a program can see.

use crate::event::Event;

/// Most string fields that a record can have.
pub const MAX_STRINGS: usize = 4;

/// Ids of the task that an event happens in, as the task itself sees them (`getpid`, `gettid`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Id of the process.
    pub process: u32,
    /// Id of the thread.
    pub thread: u32,
}

/// A record, borrowed from whoever gathered it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    event: Event,
    words: &'a [u32],
    strings: &'a [&'a [u8]],
    caller: Option<Caller>,
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
                caller: None,
            })
        } else {
            None
        }
    }

    /// A record of `syscall.enter` of which only number and architecture are known: a run that asks for more comes to nothing.
    pub(crate) fn of_number(head: &'a [u32; 2]) -> Record<'a> {
        Record {
            event: Event::SyscallEnter,
            words: head,
            strings: &[],
            caller: None,
        }
    }

    /// The same record with the ids of the caller. A program that asks for them where they are missing kills.
    pub const fn called_by(self, caller: Caller) -> Record<'a> {
        Record {
            caller: Some(caller),
            ..self
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

    /// The ids of the caller.
    pub(crate) const fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// The string field with this index.
    pub(crate) fn string(&self, field: usize) -> Option<&'a [u8]> {
        self.strings.get(field).copied()
    }
}

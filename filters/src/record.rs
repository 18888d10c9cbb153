// SPDX-License-Identifier: GPL-2.0
//! The record of one event: all that a program can see.

use core::fmt;

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

/// Stands for where a layer looks from (the root that it was attached under), so that an [`Object`] can tell one from another. Means nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View(pub usize);

/// What of a record costs something to find out, and is asked for only when a program reads it.
pub trait Object {
    /// Shows the string field with this index, as seen by a layer.
    ///
    /// # Errors
    ///
    /// The errno to refuse the event with, where the string cannot be had: a program must not decide on a string that it has not seen.
    fn show(&self, field: usize, view: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16>;

    /// Whether the object lies beneath the root of a layer.
    fn is_reachable(&self, view: View) -> bool;
}

#[derive(Clone, Copy)]
enum Strings<'a> {
    Given(&'a [&'a [u8]]),
    Of(&'a dyn Object, View),
}

/// Why a program has come to no verdict of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something that the verifier rules out.
    Malformed,
    /// What the program wants to look at cannot be had; the event is refused with this errno.
    Refused(u16),
}

/// A record, borrowed from whoever gathered it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    event: Event,
    words: &'a [u32],
    strings: Strings<'a>,
    caller: Option<Caller>,
}

impl<'a> Record<'a> {
    /// A record of `event`, or `None` if words or strings are not as many as its schema says.
    #[inline]
    pub fn new(event: Event, words: &'a [u32], strings: &'a [&'a [u8]]) -> Option<Record<'a>> {
        let fits = strings.len() == event.schema().strings as usize;
        fits.then_some(Strings::Given(strings))
            .and_then(|strings| Record::with(event, words, strings))
    }

    /// A record of `event` about an object, or `None` if there are not as many words as its schema says.
    #[inline]
    pub fn of_object(event: Event, words: &'a [u32], object: &'a dyn Object) -> Option<Record<'a>> {
        Record::with(event, words, Strings::Of(object, View::default()))
    }

    #[inline]
    fn with(event: Event, words: &'a [u32], strings: Strings<'a>) -> Option<Record<'a>> {
        let bytes = words.len().checked_mul(4)?;
        (bytes == event.schema().record_bytes as usize).then_some(Record {
            event,
            words,
            strings,
            caller: None,
        })
    }

    /// Whether it is about an object, which a layer sees in its own way.
    #[inline]
    pub const fn is_about_object(&self) -> bool {
        matches!(self.strings, Strings::Of(..))
    }

    /// The same record as a layer with this view sees it.
    #[must_use]
    #[inline]
    pub const fn seen_from(self, view: View) -> Record<'a> {
        let strings = match self.strings {
            Strings::Of(object, _) => Strings::Of(object, view),
            given @ Strings::Given(_) => given,
        };
        Record { strings, ..self }
    }

    /// A record of `syscall.enter` of which only number and architecture are known: a run that asks for more comes to nothing.
    pub(crate) fn of_number(head: &'a [u32; 2]) -> Record<'a> {
        Record {
            event: Event::SyscallEnter,
            words: head,
            strings: Strings::Given(&[]),
            caller: None,
        }
    }

    /// A record of which nothing is known but the event.
    pub(crate) const fn of_nothing(event: Event) -> Record<'static> {
        Record {
            event,
            words: &[],
            strings: Strings::Given(&[]),
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
        if let Strings::Of(object, view) = self.strings {
            if self.event.schema().reachable == Some(offset) {
                return Some(u32::from(object.is_reachable(view)));
            }
        }
        self.words.get((offset >> 2) as usize).copied()
    }

    /// Its words, as many as the schema of `event` says; `None` if it is a record of another event, or one of which only the number is known.
    #[inline]
    pub(crate) fn words_of(&self, event: Event) -> Option<&'a [u32]> {
        let bytes = self.words.len().checked_mul(4)?;
        let whole = self.event == event && bytes == event.schema().record_bytes as usize;
        whole.then_some(self.words)
    }

    /// The ids of the caller.
    pub(crate) const fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// What `look` finds in the string field with this index.
    pub(crate) fn look<T>(&self, field: usize, look: impl FnOnce(&[u8]) -> T) -> Result<T, Stop> {
        match self.strings {
            Strings::Given(strings) => match strings.get(field) {
                Some(string) => Ok(look(string)),
                None => Err(Stop::Malformed),
            },
            Strings::Of(object, view) => {
                let (mut look, mut found) = (Some(look), None);
                let mut to = |string: &[u8]| found = look.take().map(|look| look(string));
                object.show(field, view, &mut to).map_err(Stop::Refused)?;
                found.ok_or(Stop::Malformed)
            }
        }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("event", &self.event)
            .field("words", &self.words)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

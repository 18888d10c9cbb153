// SPDX-License-Identifier: GPL-2.0
//! Sets of events: what a policy judges and what a module can.

use std::fmt;

use filters::event::Event;

/// A set of events, one bit for each event number as in `uapi::control::Info::events`.
///
/// A module newer than this library may report events that have no name here; they are kept, and shown as `event 7`.
///
/// ```
/// use evfilter::{Event, EventSet};
///
/// let set: EventSet = [Event::VfsGetname].into_iter().collect();
/// assert!(set.contains(Event::VfsGetname));
/// assert!(!set.contains(Event::SyscallEnter));
/// assert_eq!(set.to_string(), "vfs.getname");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSet(u64);

impl EventSet {
    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> EventSet {
        EventSet(bits)
    }

    /// The bits, by event number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `event` is in the set.
    pub fn contains(self, event: Event) -> bool {
        self.0 & bit(event.number()) != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The events of this set that `other` lacks.
    #[must_use]
    pub const fn without(self, other: EventSet) -> EventSet {
        EventSet(self.0 & !other.0)
    }

    /// The events of the set that this library knows, by number.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL
            .into_iter()
            .filter(move |&event| self.contains(event))
    }

    /// Names of the events, by number.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..u64::BITS)
            .filter(move |&number| self.0 & bit(number) != 0)
            .map(|number| match Event::from_number(number) {
                Some(event) => event.schema().name.to_owned(),
                None => format!("event {number}"),
            })
    }
}

const fn bit(number: u32) -> u64 {
    match 1u64.checked_shl(number) {
        Some(bit) => bit,
        None => 0,
    }
}

impl FromIterator<Event> for EventSet {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> EventSet {
        EventSet(
            events
                .into_iter()
                .fold(0, |bits, event| bits | bit(event.number())),
        )
    }
}

impl fmt::Display for EventSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let wanted: EventSet = Event::ALL.into_iter().collect();
        let offered: EventSet = [Event::SyscallEnter].into_iter().collect();
        assert_eq!(
            wanted.without(offered).to_string(),
            "vfs.getname, vfs.pick, vfs.walk, fd.receive"
        );
        assert!(offered.without(wanted).is_empty());
    }

    #[test]
    fn unknown_events_keep_their_number() {
        let set = EventSet::from_bits(1 | 1 << 63);
        assert_eq!(set.to_string(), "syscall.enter, event 63");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! From an event to a decision: what is the same for every hook.

use filters::by_path::Deed;
use filters::event::Event;
use filters::record::Record;
use filters::stack::Decision;
use filters::verdict::Verdict;
use kernel::sync::rcu;

use crate::domain::Domain;
use crate::ffi::{self, PathRoom, Pinned, Place, Task};

/// Asks the domain of the calling task, which has the mark.
///
/// `judge` gathers the record and asks; it is called only if some layer has a program for `event`, and under the RCU read lock, so it must not
/// sleep. `None` means that nothing in the domain speaks of the event.
pub(crate) fn ask(event: Event, judge: impl FnOnce(&Domain) -> Decision) -> Option<Decision> {
    let rcu = rcu::read_lock();
    match ffi::domain_of(Task::current(), &rcu) {
        Some(domain) if domain.judges(event) => Some(judge(domain)),
        Some(_) => None,
        // A mark without a domain cannot be: fail closed.
        None => Some(REFUSED),
    }
}

/// Whether it has been found out, in the shortest way there is, that `domain`, the caller's, allows a system call.
#[inline]
pub(crate) fn is_allowed(domain: &Domain, call: Record<'_>) -> bool {
    domain.allows(&match domain.asks_for_caller(Event::SyscallEnter) {
        true => call.called_by(ffi::caller()),
        false => call,
    })
}

/// The same for a name.
#[inline]
pub(crate) fn is_name_allowed(name: &[u8]) -> bool {
    let pinned = Pinned::new();
    ffi::own_domain(&pinned).is_some_and(|domain| domain.allows_name(name))
}

/// The same for what happens to an object, which has no flags.
#[inline]
pub(crate) fn is_path_allowed(event: Event, deed: Deed, place: &Place<'_>) -> bool {
    PathRoom::with(|pinned, room| {
        ffi::own_domain(pinned)
            .is_some_and(|domain| domain.allows_path(event, deed, |root| room.find(place, root)))
    })
}

/// Whether the domain of the calling task, which has the mark, speaks of `event`.
pub(crate) fn is_judged(event: Event) -> bool {
    let rcu = rcu::read_lock();
    // Without a domain, which cannot be, `ask` refuses.
    ffi::domain_of(Task::current(), &rcu).is_none_or(|domain| domain.judges(event))
}

/// The decision of `domain` about a record of `event`.
pub(crate) fn decide(domain: &Domain, event: Event, words: &[u32], strings: &[&[u8]]) -> Decision {
    decide_record(domain, Record::new(event, words, strings))
}

/// The decision of `domain` about a record; `None` is one that does not fit its schema.
#[inline]
pub(crate) fn decide_record(domain: &Domain, record: Option<Record<'_>>) -> Decision {
    match &record {
        Some(record) if domain.asks_for_caller(record.event()) => {
            domain.judge(&record.called_by(ffi::caller()))
        }
        Some(record) => domain.judge(record),
        // A record that does not fit its schema: fail closed. `layouts_agree` has refused to load such a module.
        None => REFUSED,
    }
}

/// Whether records of these sizes fit the schema of `event`.
pub(crate) fn layout_agrees(event: Event, words: usize, strings: usize) -> bool {
    let schema = event.schema();
    schema.record_bytes as usize == words * 4 && usize::from(schema.strings) == strings
}

/// What happens when there is nothing to decide by.
const REFUSED: Decision = Decision {
    verdict: Verdict::KILL_PROCESS,
    layer: None,
};

/// What is decided about an event that every filter lets pass.
pub(crate) const ALLOWED: Decision = Decision {
    verdict: Verdict::ALLOW,
    layer: None,
};

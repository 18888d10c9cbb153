// SPDX-License-Identifier: GPL-2.0
//! Which events see a system call or an operation of io_uring: `coverage.tbl`, for one version of the kernel.
//!
//! `syscall.enter` sees every system call and no operation, and is not said here.

use std::prelude::rust_2021::*;
use std::sync::OnceLock;

use super::calls::{lines, Arch};
use crate::event::Event;

/// What is asked of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A system call, on these architectures.
    Call(Vec<Arch>),
    /// The operation of io_uring with this number.
    Operation(u32),
}

/// Why no event sees a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// It acts on what a descriptor leads to already.
    Descriptor,
    /// It acts on nothing outside of the task that has a name: memory, time, identity.
    Object,
    /// It can be used for something that no event sees, see [`Entry::limit`].
    Limit,
    /// The kernel has a number for it and no function.
    Absent,
}

impl Unseen {
    /// All reasons.
    pub const ALL: [Unseen; 4] = [
        Unseen::Descriptor,
        Unseen::Object,
        Unseen::Limit,
        Unseen::Absent,
    ];

    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Unseen::Descriptor => "descriptor",
            Unseen::Object => "object",
            Unseen::Limit => "limit",
            Unseen::Absent => "absent",
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the call or operation.
    pub name: &'static str,
    /// Which of both it is.
    pub kind: Kind,
    /// Events that can see it: with other arguments it may be another one of them.
    pub events: Vec<Event>,
    /// Actions with which `vfs.pick` sees it, as `filters::object` names them.
    pub actions: Vec<&'static str>,
    /// Rules about other tasks that it is under: names of `filters::scope`, and `tracing`, which needs no word in a policy.
    pub scopes: Vec<&'static str>,
    /// Why nothing sees it; there is a reason exactly if the lists are empty.
    pub unseen: Option<Unseen>,
    /// What it can be used for without an event that sees it.
    pub limit: Option<&'static str>,
}

/// The table.
#[derive(Debug)]
pub struct Coverage {
    /// The version of the kernel that it describes.
    pub release: &'static str,
    /// Calls by name, then operations by number.
    pub entries: Vec<Entry>,
}

/// The table.
pub fn coverage() -> &'static Coverage {
    static COVERAGE: OnceLock<Coverage> = OnceLock::new();
    COVERAGE.get_or_init(|| read(include_str!("coverage.tbl")))
}

fn read(table: &'static str) -> Coverage {
    let mut coverage = Coverage {
        release: "",
        entries: Vec::new(),
    };
    let mut operations = false;
    for line in lines(table) {
        if let Some(release) = line.strip_prefix("linux ") {
            coverage.release = release;
        } else if line.starts_with('[') {
            operations = line == "[operations]";
        } else {
            // A malformed line is left out: a test of this crate reads the table strictly.
            coverage.entries.extend(entry(line, operations));
        }
    }
    coverage
}

fn entry(line: &'static str, operation: bool) -> Option<Entry> {
    let (line, limit) = match line.split_once(" | ") {
        Some((line, limit)) => (line, Some(limit)),
        None => (line, None),
    };
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let place = words.next()?;
    let kind = if operation {
        Kind::Operation(place.parse().ok()?)
    } else {
        let arches: Option<Vec<Arch>> = place.split(',').map(Arch::from_name).collect();
        Kind::Call(arches?)
    };
    let mut entry = Entry {
        name,
        kind,
        events: Vec::new(),
        actions: Vec::new(),
        scopes: Vec::new(),
        unseen: None,
        limit,
    };
    for word in words {
        match word.split_once('=') {
            Some(("none", why)) => {
                entry.unseen = Some(Unseen::ALL.into_iter().find(|it| it.name() == why)?);
            }
            Some(("scope", scopes)) => entry.scopes.extend(scopes.split(',')),
            Some((event, actions)) => {
                entry.events.push(Event::from_name(event)?);
                entry.actions.extend(actions.split(','));
            }
            None => entry.events.push(Event::from_name(word)?),
        }
    }
    Some(entry)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::calls::calls;
    use super::*;
    use crate::object::action;
    use crate::scope::Scopes;

    fn of_call(arch: Arch, name: &str) -> Vec<&'static Entry> {
        let here = |entry: &&Entry| match &entry.kind {
            Kind::Call(arches) => entry.name == name && arches.contains(&arch),
            Kind::Operation(_) => false,
        };
        coverage().entries.iter().filter(here).collect()
    }

    #[test]
    fn every_line_is_read() {
        let table = include_str!("coverage.tbl");
        let others = lines(table).filter(|line| line.starts_with('[') || line.starts_with("linux"));
        assert_eq!(
            lines(table).count() - others.count(),
            coverage().entries.len()
        );
        assert!(!coverage().release.is_empty());
    }

    #[test]
    fn every_call_of_every_architecture_is_there_once() {
        let mut count = 0;
        for arch in Arch::ALL {
            for call in calls(arch).iter() {
                assert_eq!(of_call(arch, call.name).len(), 1, "{}", call.name);
                count += 1;
            }
        }
        let said = |entry: &Entry| match &entry.kind {
            Kind::Call(arches) => arches.len(),
            Kind::Operation(_) => 0,
        };
        assert_eq!(coverage().entries.iter().map(said).sum::<usize>(), count);
    }

    #[test]
    fn operations_are_numbered_from_zero() {
        let numbers = coverage()
            .entries
            .iter()
            .filter_map(|entry| match entry.kind {
                Kind::Operation(number) => Some(number),
                Kind::Call(_) => None,
            });
        assert!(numbers.clone().eq(0..numbers.count() as u32));
    }

    #[test]
    fn an_entry_is_seen_or_says_why_not() {
        for entry in &coverage().entries {
            let seen = !(entry.events.is_empty() && entry.scopes.is_empty());
            assert_eq!(seen, entry.unseen.is_none(), "{}", entry.name);
            let picked = entry.events.contains(&Event::VfsPick);
            assert_eq!(picked, !entry.actions.is_empty(), "{}", entry.name);
            assert!(!entry.events.contains(&Event::SyscallEnter));
        }
    }

    #[test]
    fn every_action_and_every_scope_has_a_call_and_no_other_name_is_used() {
        let used = |list: fn(&Entry) -> &Vec<&'static str>| -> BTreeSet<&str> {
            coverage().entries.iter().flat_map(list).copied().collect()
        };
        let actions: BTreeSet<&str> = action::NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(used(|entry| &entry.actions), actions);
        let scopes = Scopes::NAMES.iter().map(|(name, _)| *name);
        let scopes: BTreeSet<&str> = scopes.chain(["tracing"]).collect();
        assert_eq!(used(|entry| &entry.scopes), scopes);
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = "odd x86_64,x32 vfs.walk vfs.pick=open,create scope=signal | a = b";
        let odd = entry(line, false).unwrap();
        assert_eq!(odd.kind, Kind::Call(vec![Arch::X86_64, Arch::X32]));
        assert_eq!(odd.events, [Event::VfsWalk, Event::VfsPick]);
        assert_eq!(odd.actions, ["open", "create"]);
        assert_eq!((odd.scopes, odd.limit), (vec!["signal"], Some("a = b")));
        let nop = entry("NOP 0 none=object", true).unwrap();
        assert_eq!(nop.kind, Kind::Operation(0));
        assert_eq!(nop.unseen, Some(Unseen::Object));
        for line in ["odd", "odd vax", "odd x32 vfs.fly", "odd x32 none=x"] {
            assert_eq!(entry(line, false), None, "{line}");
        }
    }
}

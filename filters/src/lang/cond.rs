// SPDX-License-Identifier: GPL-2.0
//! Conditions after names are resolved: what the code generator works on.

use std::prelude::rust_2021::*;
use std::vec;

use super::pattern::Pattern;
use super::ranges::Ranges;

/// Where a number lies in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    /// Byte offset of its low word.
    pub(crate) offset: u32,
    /// Whether a high word follows.
    pub(crate) long: bool,
}

/// Whether a number, after a mask, lies in a set. Every comparison of a number is one of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NumberTest {
    pub(crate) number: Number,
    pub(crate) mask: u64,
    pub(crate) ranges: Ranges,
}

impl NumberTest {
    /// The answer, if it is the same for every number.
    fn constant(&self) -> Option<bool> {
        if self.ranges.covers(0, self.mask) {
            return Some(true);
        }
        // A set of which no member survives the mask.
        let possible = self.ranges.iter().any(|(low, high)| {
            if low != high {
                return low <= self.mask;
            }
            low & !self.mask == 0
        });
        (!possible).then_some(false)
    }
}

/// An id of the calling task, as the task itself sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Id {
    /// What `getpid` returns.
    Process,
    /// What `gettid` returns.
    Thread,
}

impl Id {
    /// Names in the language.
    pub(crate) const NAMES: [(&'static str, Id); 2] =
        [("self", Id::Process), ("self.thread", Id::Thread)];

    /// The id of this name.
    pub(crate) fn named(name: &str) -> Option<Id> {
        Id::NAMES
            .iter()
            .find(|(found, _)| *found == name)
            .map(|&(_, id)| id)
    }
}

/// Whether a number, after a mask, is an id of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallerTest {
    pub(crate) number: Number,
    pub(crate) mask: u64,
    pub(crate) id: Id,
}

/// Whether a string matches at least one of the patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TextTest {
    pub(crate) field: u8,
    pub(crate) patterns: Vec<Pattern>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cond {
    Const(bool),
    Not(Box<Cond>),
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Number(NumberTest),
    Caller(CallerTest),
    Text(TextTest),
}

impl Cond {
    /// The opposite.
    pub(crate) fn negate(self) -> Cond {
        match self {
            Cond::Const(value) => Cond::Const(!value),
            Cond::Not(inner) => *inner,
            Cond::And(parts) => Cond::any(parts.into_iter().map(Cond::negate).collect()),
            Cond::Or(parts) => Cond::all(parts.into_iter().map(Cond::negate).collect()),
            Cond::Number(test) => Cond::number(NumberTest {
                ranges: test.ranges.complement(),
                ..test
            }),
            other @ (Cond::Caller(_) | Cond::Text(_)) => Cond::Not(Box::new(other)),
        }
    }

    pub(crate) fn number(test: NumberTest) -> Cond {
        match test.constant() {
            Some(value) => Cond::Const(value),
            None => Cond::Number(test),
        }
    }

    /// All of `parts`.
    pub(crate) fn all(parts: Vec<Cond>) -> Cond {
        Cond::join(parts, true)
    }

    /// At least one of `parts`.
    pub(crate) fn any(parts: Vec<Cond>) -> Cond {
        Cond::join(parts, false)
    }

    /// Joins `parts`: flat, without constants, tests of the same number made one.
    fn join(parts: Vec<Cond>, and: bool) -> Cond {
        let mut joined: Vec<Cond> = Vec::new();
        for part in parts {
            let inner = match part {
                Cond::And(inner) if and => inner,
                Cond::Or(inner) if !and => inner,
                other => vec![other],
            };
            for part in inner {
                match part {
                    // The neutral element, and the one that decides.
                    Cond::Const(value) if value == and => {}
                    Cond::Const(value) => return Cond::Const(value),
                    part => merge(&mut joined, part, and),
                }
            }
        }
        if let Some(&Cond::Const(value)) = joined
            .iter()
            .find(|part| matches!(part, Cond::Const(value) if *value != and))
        {
            return Cond::Const(value);
        }
        joined.retain(|part| !matches!(part, Cond::Const(_)));
        match joined.len() {
            0 => Cond::Const(and),
            1 => joined.remove(0),
            _ if and => Cond::And(joined),
            _ => Cond::Or(joined),
        }
    }

    /// The patterns, if the condition only asks whether one string field matches one of them.
    pub(crate) fn as_text(&self) -> Option<&TextTest> {
        match self {
            Cond::Text(test) => Some(test),
            _ => None,
        }
    }
}

/// Adds `part` to `joined`, into a test of the same number or string if there is one.
fn merge(joined: &mut Vec<Cond>, part: Cond, and: bool) {
    for existing in joined.iter_mut() {
        match (&mut *existing, &part) {
            (Cond::Number(old), Cond::Number(new))
                if old.number == new.number && old.mask == new.mask =>
            {
                let ranges = if and {
                    old.ranges.intersection(&new.ranges)
                } else {
                    old.ranges.union(&new.ranges)
                };
                *existing = Cond::number(NumberTest {
                    ranges,
                    ..old.clone()
                });
                return;
            }
            (Cond::Text(old), Cond::Text(new)) if !and && old.field == new.field => {
                old.patterns.extend(new.patterns.iter().cloned());
                return;
            }
            _ => {}
        }
    }
    joined.push(part);
}

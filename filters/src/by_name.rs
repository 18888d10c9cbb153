// SPDX-License-Identifier: GPL-2.0
//! What is decided by a name alone.
//!
//! Most programs about names walk through one automaton and look at nothing but what comes out. For each value that may come out the program is run once,
//! when it is loaded, as for numbers of calls in [`crate::by_number`]: an instruction that asks for anything else ends the run undecided. What is kept is
//! which values mean "allow", so that the walk alone decides about a name that is allowed.
//!
//! Where several programs have to allow a name, their automata are multiplied ([`Product`]): one walk through the product then says whether all of them do.

use crate::insn::{Insn, SMATCH};
use crate::program::Program;
use crate::table::{Bytes, Place, Table};
use crate::verdict::Action;
use crate::vm;

mod graph;
mod layout;
mod merged;
mod product;
mod rows;
mod shape;
mod trim;

pub use merged::Merged;
pub use product::{Product, Work, Workspace};

/// Values that are kept: from 0 up to this one. The language gives rules small ones.
const VALUES: u32 = u64::BITS;

/// The names that a program allows, if it begins with a walk through a table.
#[derive(Clone, Copy, Debug)]
pub struct ByName {
    field: usize,
    table: usize,
    /// Bit by value.
    allowed: u64,
}

impl ByName {
    /// What `program` allows by name; `None` if that is nothing, or if it does not begin with a walk.
    pub fn of(program: &Program<'_>) -> Option<ByName> {
        let first: Insn = program.insn(0)?;
        if first.code != SMATCH {
            return None;
        }
        let allows = |value: &u32| {
            let verdict = vm::run_by_value(program, *value);
            verdict.is_some_and(|verdict| verdict.action() == Action::Allow)
        };
        let allowed = (0..VALUES).filter(allows).fold(0, |allowed, value| {
            allowed | 1u64.checked_shl(value).unwrap_or(0)
        });
        (allowed != 0).then_some(ByName {
            field: first.field(),
            table: first.index(),
            allowed,
        })
    }

    /// The string field that is walked.
    #[inline]
    pub const fn field(&self) -> usize {
        self.field
    }

    /// The names themselves; `program` is what this was made from.
    pub fn names<'a>(&self, program: &Program<'a>) -> Option<Names<'a>> {
        let table = program.table(self.table)?;
        Some(Names::new(self.field, table, self.allowed, !(VALUES - 1)))
    }
}

/// A set of names: those to which a table gives certain values.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    field: usize,
    table: Table<'a>,
    /// Bit by value.
    allowed: u64,
    /// Bits of a value that must be zero; above them it may be anything.
    beyond: u32,
}

impl<'a> Names<'a> {
    /// The strings in field `field` to which `table` gives one of 64 values that are `allowed`, bit by value. Bits of the value that are in `beyond` must be zero;
    /// others above the sixth count for nothing.
    pub(crate) const fn new(field: usize, table: Table<'a>, allowed: u64, beyond: u32) -> Self {
        Names {
            field,
            table,
            allowed,
            beyond,
        }
    }

    /// The string field that is walked.
    #[inline]
    pub const fn field(&self) -> usize {
        self.field
    }

    /// Whether all records are allowed that have this name; "no" may mean that it depends on more.
    #[inline]
    pub fn allow(&self, name: &[u8]) -> bool {
        self.has(self.table.lookup(name))
    }

    #[inline]
    fn has(&self, value: Option<u32>) -> bool {
        value.is_some_and(|value| {
            value & self.beyond == 0 && self.allowed >> (value & (VALUES - 1)) & 1 != 0
        })
    }

    /// The state of the automaton that `place` is. What all strings have in common that go on from a sink makes it one of two.
    fn state(&self, place: Option<Place>) -> Option<State> {
        let place = place?;
        Some(match place.is_sink() {
            false => State(place.number()),
            true if self.has(Some(self.table.value_at(place)?)) => State::ALL,
            true => State::NONE,
        })
    }

    fn start(&self) -> Option<State> {
        self.state(self.table.start())
    }

    fn ends(&self, state: State) -> Option<bool> {
        match state {
            State::NONE => Some(false),
            State::ALL => Some(true),
            State(number) => Some(self.has(Some(self.table.value_at(Place::of(number))?))),
        }
    }

    fn step(&self, state: State, byte: u8) -> Option<State> {
        match state {
            State::NONE | State::ALL => Some(state),
            State(number) => self.state(self.table.step(Place::of(number), byte)),
        }
    }

    /// Adds the bytes that may lead elsewhere than the default. Returns how many cells it took to find them.
    fn bytes_at(&self, state: State, bytes: &mut Bytes) -> Option<usize> {
        match state {
            State::NONE | State::ALL => Some(0),
            State(number) => self.table.bytes_at(Place::of(number), bytes),
        }
    }

    fn default_of(&self, state: State) -> Option<State> {
        match state {
            State::NONE | State::ALL => Some(state),
            State(number) => self.state(self.table.default_of(Place::of(number))),
        }
    }
}

/// A state of a set of names seen as an automaton: a place in its table, or one of two from which nothing leads away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u32);

impl State {
    /// No name is allowed that comes here.
    const NONE: State = State(u32::MAX);
    /// Every name is allowed that comes here.
    const ALL: State = State(u32::MAX - 1);
}

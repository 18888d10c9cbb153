// SPDX-License-Identifier: GPL-2.0
//! What is decided by a name alone.
//!
//! Most programs about names walk through one automaton and look at nothing but what comes out. For each value that may come out the program is run once,
//! when it is loaded, as for numbers of calls in [`crate::by_number`]: an instruction that asks for anything else ends the run undecided. What is kept is
//! which values mean "allow", so that the walk alone decides about a name that is allowed.

use crate::insn::{Insn, SMATCH};
use crate::program::Program;
use crate::table::Table;
use crate::verdict::Action;
use crate::vm;

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

    /// The table that it is walked through, of the program that this was made from.
    pub fn table<'a>(&self, program: &Program<'a>) -> Option<Table<'a>> {
        program.table(self.table)
    }

    /// Whether all records are allowed that have this name; "no" may mean that it depends on more. `table` is that of [`ByName::table`].
    #[inline]
    pub fn allows(&self, table: Table<'_>, name: &[u8]) -> bool {
        let value = table.lookup(name);
        let bit = value.and_then(|value| self.allowed.checked_shr(value));
        bit.is_some_and(|bit| bit & 1 != 0)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Rows of comparisons: the same A is compared with one constant after the other.
//!
//! What people and compilers write for "one of these calls". The row is taken as a whole and sorted, so that it can be searched by halving, and neighbours that
//! lead to the same place become one range.

use super::flow::{landing, targets, Nodes};
use crate::insn::*;
use crate::program::Program;

/// Comparisons from which on a row is taken as a whole; with so many only if some of them make a range.
const SHORTEST: usize = 4;

/// Values of A, ends included, and the instruction that they lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    /// Values behind the first.
    more: u16,
    pub(super) target: u16,
}

impl Range {
    /// The last value.
    pub(super) const fn last(self) -> u32 {
        self.first.saturating_add(self.more as u32)
    }

    /// Whether it is a single value.
    pub(super) const fn is_point(self) -> bool {
        self.more == 0
    }

    /// As a number that sorts by the first value, then by the middle 16 bits.
    const fn pack(first: u32, middle: u16, target: u16) -> u64 {
        (first as u64) << 32 | (middle as u64) << 16 | target as u64
    }

    pub(super) const fn unpack(packed: u64) -> Range {
        Range {
            first: (packed >> 32) as u32,
            more: (packed >> 16) as u16,
            target: packed as u16,
        }
    }
}

/// A row.
pub(super) struct Row<'w> {
    /// Its ranges, packed, ascending and disjoint.
    pub(super) ranges: &'w [u64],
    /// The instruction that all other values lead to.
    pub(super) otherwise: usize,
}

/// The row that begins at `start`; `None` if there is none that is worth it.
///
/// `memory` has room for as many entries as there are instructions.
pub(super) fn row<'w>(
    program: &Program<'_>,
    nodes: &Nodes<'_>,
    start: usize,
    memory: &'w mut [u64],
) -> Option<Row<'w>> {
    let mut count = 0u16;
    let mut note = |value, target| {
        let entry = Range::pack(value, count, u16::try_from(target).ok()?);
        *memory.get_mut(usize::from(count))? = entry;
        count = count.checked_add(1)?;
        Some(())
    };
    let otherwise = walk(program, nodes, start, &mut note)?;
    let entries = memory.get_mut(..usize::from(count))?;
    if entries.len() < SHORTEST {
        return None;
    }
    sort(entries)?;
    let kept = merge(program, entries, otherwise)?;
    let ranges = entries.get(..kept)?;
    let pays = count > SHORTEST as u16
        || ranges
            .iter()
            .any(|&packed| !Range::unpack(packed).is_point());
    pays.then_some(Row { ranges, otherwise })
}

/// Walks along the row, as long as nothing else leads into it, and notes the constant of each comparison and where it leads. Jumps and loads between them, of the word
/// that A holds anyway, change nothing. Returns the first instruction behind the row.
fn walk(
    program: &Program<'_>,
    nodes: &Nodes<'_>,
    start: usize,
    note: &mut impl FnMut(u32, usize) -> Option<()>,
) -> Option<usize> {
    let mut at = start;
    loop {
        let insn = program.insn(at)?;
        if insn.code == JMP | JEQ | K {
            let (yes, no) = targets(insn, at)?;
            note(insn.k, landing(program, yes)?)?;
            at = no;
        } else if insn.code == JMP | JA {
            at = targets(insn, at)?.0;
        } else if nodes.holds(at, insn) {
            at = at.checked_add(1)?;
        } else {
            return Some(at);
        }
        if !nodes.has_one_way(at) {
            return Some(at);
        }
    }
}

/// Of equal values the first comparison counts; neighbours that lead to the same place become one range. Returns how many ranges there are.
fn merge(program: &Program<'_>, entries: &mut [u64], otherwise: usize) -> Option<usize> {
    let otherwise = u16::try_from(otherwise).ok()?;
    let mut kept = 0usize;
    let mut before = None;
    for index in 0..entries.len() {
        let entry = Range::unpack(*entries.get(index)?);
        let again = before.replace(entry.first) == Some(entry.first);
        if again || alike(program, entry.target, otherwise) {
            continue;
        }
        let last = kept.checked_sub(1).and_then(|last| entries.get_mut(last));
        if let Some(last) = last {
            let range = Range::unpack(*last);
            let touches = range.last().checked_add(1) == Some(entry.first);
            if touches && alike(program, range.target, entry.target) {
                *last = Range::pack(range.first, range.more.checked_add(1)?, range.target);
                continue;
            }
        }
        *entries.get_mut(kept)? = Range::pack(entry.first, 0, entry.target);
        kept = kept.checked_add(1)?;
    }
    Some(kept)
}

/// Whether it makes no difference which of two instructions is next: they are the same, or return the same.
fn alike(program: &Program<'_>, one: u16, other: u16) -> bool {
    let [first, second] = [one, other].map(|at| program.insn(at.into()));
    one == other || first == second && first.is_some_and(|insn| insn.code == RET | K)
}

/// Sorts by heap: short, without recursion, and in time that does not depend on what somebody has written. (The sort of `core` could panic, for all that the kernel's
/// object checker can see.)
fn sort(list: &mut [u64]) -> Option<()> {
    for root in (0..list.len() / 2).rev() {
        sift(list, root)?;
    }
    for end in (1..list.len()).rev() {
        exchange(list, 0, end)?;
        sift(list.get_mut(..end)?, 0)?;
    }
    Some(())
}

/// Lets the entry at `root` sink below larger ones.
fn sift(heap: &mut [u64], mut root: usize) -> Option<()> {
    loop {
        let left = root.checked_mul(2)?.checked_add(1)?;
        let Some(&value) = heap.get(left) else {
            return Some(());
        };
        let right = left.checked_add(1)?;
        let child = match heap.get(right) {
            Some(&other) if other > value => right,
            _ => left,
        };
        if heap.get(root)? >= heap.get(child)? {
            return Some(());
        }
        exchange(heap, root, child)?;
        root = child;
    }
}

fn exchange(list: &mut [u64], one: usize, other: usize) -> Option<()> {
    let (a, b) = (*list.get(one)?, *list.get(other)?);
    *list.get_mut(one)? = b;
    *list.get_mut(other)? = a;
    Some(())
}

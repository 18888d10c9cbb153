// SPDX-License-Identifier: GPL-2.0
//! Rows of comparisons: the same A is compared with one constant after the other.
//!
//! What people and compilers write for "one of these calls". The row is taken as a whole and sorted, so that it can be searched by halving, and neighbours that
//! lead to the same place become one range.

use super::flow::{targets, Nodes};
use crate::insn::*;
use crate::program::Program;

/// Comparisons from which on a row is searched by halving.
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

/// The row that begins at `start`; `None` if there is none that is worth it. Everything in it but `start` needs no code of its own from then on.
///
/// `memory` has room for as many entries as there are instructions.
pub(super) fn row<'w>(
    program: &Program<'_>,
    nodes: &mut Nodes<'_>,
    start: usize,
    memory: &'w mut [u64],
) -> Option<Row<'w>> {
    let mut count = 0usize;
    let otherwise = walk(program, nodes, start, |_, _, comparison| {
        count = count.saturating_add(usize::from(comparison.is_some()));
        Some(())
    })?;
    if count < SHORTEST {
        return None;
    }
    let entries = memory.get_mut(..count)?;
    let mut order = 0u16;
    walk(program, nodes, start, |nodes, at, comparison| {
        if let Some((value, target)) = comparison {
            *entries.get_mut(order as usize)? =
                Range::pack(value, order, u16::try_from(target).ok()?);
            order = order.checked_add(1)?;
        }
        if at != start {
            nodes.cover(at)?;
        }
        Some(())
    })?;
    let entries = entries.get_mut(..order as usize)?;
    entries.sort_unstable();
    let kept = merge(entries, otherwise)?;
    Some(Row {
        ranges: entries.get(..kept)?,
        otherwise,
    })
}

/// Walks along the row, as long as nothing else leads into it, and shows each instruction of it: a comparison, with its constant and where it leads, or one that
/// does nothing in between. Returns the first instruction behind it.
fn walk(
    program: &Program<'_>,
    nodes: &mut Nodes<'_>,
    start: usize,
    mut see: impl FnMut(&mut Nodes<'_>, usize, Option<(u32, usize)>) -> Option<()>,
) -> Option<usize> {
    let mut at = start;
    loop {
        let insn = program.insn(at)?;
        let next = if insn.code == JMP | JEQ | K {
            let (yes, no) = targets(insn, at)?;
            see(nodes, at, Some((insn.k, yes)))?;
            no
        } else if at != start && insn.code == JMP | JA {
            see(nodes, at, None)?;
            targets(insn, at)?.0
        } else if at != start && nodes.holds(at, insn) {
            see(nodes, at, None)?;
            at.checked_add(1)?
        } else {
            return Some(at);
        };
        at = next;
        if !nodes.has_one_way(at) {
            return Some(at);
        }
    }
}

/// Of equal values the first comparison counts; neighbours that lead to the same place become one range. Returns how many ranges there are.
fn merge(entries: &mut [u64], otherwise: usize) -> Option<usize> {
    let mut kept = 0usize;
    let mut before = None;
    for index in 0..entries.len() {
        let entry = Range::unpack(*entries.get(index)?);
        if before.replace(entry.first) == Some(entry.first)
            || usize::from(entry.target) == otherwise
        {
            continue;
        }
        let last = kept.checked_sub(1).and_then(|last| entries.get_mut(last));
        if let Some(last) = last {
            let range = Range::unpack(*last);
            if range.target == entry.target && range.last().checked_add(1) == Some(entry.first) {
                *last = Range::pack(range.first, range.more.checked_add(1)?, range.target);
                continue;
            }
        }
        *entries.get_mut(kept)? = Range::pack(entry.first, 0, entry.target);
        kept = kept.checked_add(1)?;
    }
    Some(kept)
}

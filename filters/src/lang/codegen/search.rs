// SPDX-License-Identifier: GPL-2.0
//! Decisions over numbers: a binary search in the ranges of A, and 64-bit numbers as two words.

use std::collections::BTreeMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::assembler::{Assembler, Label};
use super::super::cond::{CallerTest, Id, NumberTest};
use crate::insn::*;

/// Where A leads: `(first number, label)`, ascending, the first for 0; each interval reaches to the next. Cost grows with the logarithm.
pub(crate) fn search(asm: &mut Assembler, intervals: &[(u32, Label)]) {
    match *intervals {
        [] => {}
        [(_, only)] => asm.goto(only),
        [(_, below), (start, above)] => asm.branch(JMP | JGE | K, start, above, below),
        // A single number among others.
        [(_, below), (point, at), (next, above)] if below == above && next == point + 1 => {
            asm.branch(JMP | JEQ | K, point, at, below);
        }
        _ => {
            let (left, right) = intervals.split_at(intervals.len() / 2);
            let yes = target(asm, right);
            let no = target(asm, left);
            asm.branch(JMP | JGE | K, right[0].0, yes, no);
            for (part, label) in [(left, no), (right, yes)] {
                if part.len() > 1 {
                    asm.bind(label);
                    search(asm, part);
                }
            }
        }
    }
}

/// Where to jump for a part of the intervals: to the only label in it, or to a search of its own.
fn target(asm: &mut Assembler, part: &[(u32, Label)]) -> Label {
    match part {
        [(_, only)] => *only,
        _ => asm.label(),
    }
}

/// Adds an interval, unless it leads to where the one before leads.
pub(crate) fn push(intervals: &mut Vec<(u32, Label)>, start: u32, label: Label) {
    if intervals.last().is_some_and(|last| last.0 == start) {
        intervals.pop();
    }
    if intervals.last().is_none_or(|last| last.1 != label) {
        intervals.push((start, label));
    }
}

/// Intervals of a set of 32-bit ranges.
fn intervals(ranges: &[(u32, u32)], yes: Label, no: Label) -> Vec<(u32, Label)> {
    let mut list = vec![(0, no)];
    for &(low, high) in ranges {
        push(&mut list, low, yes);
        if let Some(next) = high.checked_add(1) {
            push(&mut list, next, no);
        }
    }
    list
}

/// Loads a word and keeps the bits of `mask`.
fn load(asm: &mut Assembler, offset: u32, mask: u32) {
    asm.insn(Insn::stmt(LD | ABS, offset));
    if mask != u32::MAX {
        asm.insn(Insn::stmt(ALU | AND | K, mask));
    }
}

/// Tests one word.
fn word(asm: &mut Assembler, offset: u32, mask: u32, ranges: &[(u32, u32)], yes: Label, no: Label) {
    // A single bit needs no mask and no comparison.
    if mask.is_power_of_two() && ranges == [(mask, mask)] {
        asm.insn(Insn::stmt(LD | ABS, offset));
        asm.branch(JMP | JSET | K, mask, yes, no);
        return;
    }
    load(asm, offset, mask);
    if ranges == [(0, 0)] {
        asm.branch(JMP | JEQ | K, 0, yes, no);
        return;
    }
    search(asm, &intervals(ranges, yes, no));
}

/// Emits code that jumps to `yes` if the number is the id of the caller, else to `no`. An id has 32 bits: of a longer number the rest must be zero.
pub(crate) fn caller(asm: &mut Assembler, test: &CallerTest, yes: Label, no: Label) {
    let offset = test.number.offset;
    let high_mask = (test.mask >> 32) as u32;
    if test.number.long && high_mask != 0 {
        let low = asm.label();
        load(asm, offset + 4, high_mask);
        asm.branch(JMP | JEQ | K, 0, low, no);
        asm.bind(low);
    }
    load(asm, offset, test.mask as u32);
    let id = match test.id {
        Id::Process => SELF_PROCESS,
        Id::Thread => SELF_THREAD,
    };
    asm.insn(Insn::stmt(SELF, id));
    asm.branch(JMP | JEQ | X, 0, yes, no);
}

/// Ranges of a word.
type Words = Vec<(u32, u32)>;

/// Emits code that jumps to `yes` if the test holds, else to `no`.
pub(crate) fn number(asm: &mut Assembler, test: &NumberTest, yes: Label, no: Label) {
    let offset = test.number.offset;
    let (low_mask, high_mask) = (test.low_mask(), test.high_mask());
    if !test.number.long || high_mask == 0 {
        let limit = u64::from(u32::MAX);
        let ranges: Words = test
            .ranges
            .iter()
            .filter(|&(low, _)| low <= limit)
            .map(|(low, high)| (low as u32, high.min(limit) as u32))
            .collect();
        word(asm, offset, low_mask, &ranges, yes, no);
        return;
    }
    // The high word decides alone, or leads to a test of the low word.
    let mut partial: BTreeMap<u32, Words> = BTreeMap::new();
    let mut whole: Words = Vec::new();
    for (low, high) in test.ranges.iter() {
        let (low_high, low_low) = ((low >> 32) as u32, low as u32);
        let (high_high, high_low) = ((high >> 32) as u32, high as u32);
        if low_high == high_high {
            if low_low == 0 && high_low == u32::MAX {
                whole.push((low_high, low_high));
            } else {
                partial
                    .entry(low_high)
                    .or_default()
                    .push((low_low, high_low));
            }
            continue;
        }
        let mut first = u64::from(low_high);
        let mut end = u64::from(high_high) + 1;
        if low_low != 0 {
            partial
                .entry(low_high)
                .or_default()
                .push((low_low, u32::MAX));
            first += 1;
        }
        if high_low != u32::MAX {
            partial.entry(high_high).or_default().push((0, high_low));
            end -= 1;
        }
        if first < end {
            whole.push((first as u32, (end - 1) as u32));
        }
    }
    let lows: Vec<(u32, Words, Label)> = partial
        .into_iter()
        .map(|(high, ranges)| (high, ranges, asm.label()))
        .collect();
    let mut parts: Vec<(u32, u32, Label)> = whole
        .into_iter()
        .map(|(first, last)| (first, last, yes))
        .chain(lows.iter().map(|&(high, _, label)| (high, high, label)))
        .collect();
    parts.sort_unstable_by_key(|part| part.0);
    let mut list = vec![(0, no)];
    for (first, last, label) in parts {
        push(&mut list, first, label);
        if let Some(next) = last.checked_add(1) {
            push(&mut list, next, no);
        }
    }
    load(asm, offset + 4, high_mask);
    search(asm, &list);
    for (_, ranges, label) in lows {
        asm.bind(label);
        word(asm, offset, low_mask, &ranges, yes, no);
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Checked rules to instructions.

use std::prelude::rust_2021::*;

use super::assembler::{Assembler, Label};
use super::cond::{Cond, NumberTest, TextTest};
use super::pattern::Pattern;
use super::source::Span;
use crate::insn::*;
use crate::limits::{COMPARE_COST, MATCH_COST, MAX_NEEDLE_BYTES, MAX_TABLES, SEARCH_COST};
use crate::verdict::Verdict;

pub(crate) mod calls;
pub(crate) mod paths;
pub(crate) mod run;
mod search;

/// A rule whose names are resolved.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Its index in the map.
    pub(crate) id: u32,
    pub(crate) verdict: Verdict,
    pub(crate) span: Span,
}

/// Why a program cannot be generated.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// An automaton with too many states; the patterns it was for.
    States {
        states: usize,
        open: usize,
        patterns: usize,
        spans: Vec<Span>,
    },
    /// More tables than a program may have.
    Tables(Span),
}

/// Emits code that jumps to `yes` if the condition holds, else to `no`.
pub(crate) fn condition(
    asm: &mut Assembler,
    cond: &Cond,
    span: Span,
    yes: Label,
    no: Label,
) -> Result<(), Failure> {
    match cond {
        Cond::Const(value) => asm.goto(if *value { yes } else { no }),
        Cond::Not(inner) => condition(asm, inner, span, no, yes)?,
        Cond::And(parts) | Cond::Or(parts) => {
            let and = matches!(cond, Cond::And(_));
            for (index, part) in parts.iter().enumerate() {
                if index + 1 == parts.len() {
                    condition(asm, part, span, yes, no)?;
                    break;
                }
                let next = asm.label();
                let (on_yes, on_no) = if and { (next, no) } else { (yes, next) };
                condition(asm, part, span, on_yes, on_no)?;
                asm.bind(next);
            }
        }
        Cond::Number(test) => search::number(asm, test, yes, no),
        Cond::Caller(test) => search::caller(asm, test, yes, no),
        Cond::Text(test) => text(asm, test, span, yes, no)?,
    }
    Ok(())
}

/// What single string instructions for these patterns would cost; `None` if one of them needs a table.
pub(crate) fn cost<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Option<u32> {
    patterns
        .into_iter()
        .map(|pattern| match pattern {
            Pattern::Glob(_) => None,
            Pattern::Contains(literal) => {
                (literal.len() <= MAX_NEEDLE_BYTES).then_some(SEARCH_COST)
            }
            _ => Some(COMPARE_COST),
        })
        .sum()
}

/// Whether a table is cheaper than single instructions, or the only way.
pub(crate) fn wants_table<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> bool {
    cost(patterns).is_none_or(|cost| cost > MATCH_COST)
}

fn text(
    asm: &mut Assembler,
    test: &TextTest,
    span: Span,
    yes: Label,
    no: Label,
) -> Result<(), Failure> {
    if wants_table(&test.patterns) {
        let patterns: Vec<(&Pattern, u32)> = test.patterns.iter().map(|p| (p, 1)).collect();
        let (index, _) = add_table(asm, &patterns, &[span])?;
        asm.insn(Insn::stmt(SMATCH, Insn::string_operand(test.field, index)));
        asm.branch(JMP | JEQ | K, 0, no, yes);
        return Ok(());
    }
    for (index, pattern) in test.patterns.iter().enumerate() {
        let last = index + 1 == test.patterns.len();
        let next = if last { no } else { asm.label() };
        compare(asm, test.field, pattern, yes, next);
        if !last {
            asm.bind(next);
        }
    }
    Ok(())
}

/// One string instruction.
fn compare(asm: &mut Assembler, field: u8, pattern: &Pattern, yes: Label, no: Label) {
    let code = match pattern {
        Pattern::Equal(_) => SEQ,
        Pattern::Prefix(_) => SPREFIX,
        Pattern::Suffix(_) => SSUFFIX,
        Pattern::Contains(_) => SCONTAINS,
        // A glob never comes here: `cost` sends it to a table.
        Pattern::Under(_) | Pattern::Glob(_) => SUNDER,
    };
    let index = asm.string(pattern.literal().unwrap_or_default());
    asm.branch(code, Insn::string_operand(field, index), yes, no);
}

/// Adds the table of `patterns`; returns its index and the patterns that never decide.
fn add_table(
    asm: &mut Assembler,
    patterns: &[(&Pattern, u32)],
    spans: &[Span],
) -> Result<(u32, Vec<u32>), Failure> {
    let table = super::table::table(patterns).map_err(|error| {
        let open = |&index: &usize| patterns[index].0.is_open();
        Failure::States {
            states: error.0,
            open: (0..patterns.len()).filter(open).count(),
            patterns: patterns.len(),
            spans: spans.to_vec(),
        }
    })?;
    let index = asm.table(table.bytes);
    if asm.tables() > MAX_TABLES {
        return Err(Failure::Tables(spans.first().copied().unwrap_or_default()));
    }
    Ok((index, table.shadowed))
}

impl NumberTest {
    fn low_mask(&self) -> u32 {
        self.mask as u32
    }

    fn high_mask(&self) -> u32 {
        (self.mask >> 32) as u32
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Events without a system call of their own: rules one after another, runs of rules on the same string in one walk through a table.

use std::collections::BTreeMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::assembler::{Assembler, Label, Origin};
use super::super::cond::Cond;
use super::super::pattern::Pattern;
use super::super::source::Span;
use super::search::{push, search};
use super::{add_table, condition, wants_table, Checked, Failure};
use crate::insn::*;

/// Rules of one run that get a return of their own. Beyond that, rules with the same verdict share one.
const MAX_RETURNS: usize = 512;

/// Patterns that never decide for which the reason is searched.
const MAX_EXPLAINED: usize = 100;

/// Patterns of a run up to which searches and literals share a table.
const MAX_MIXED: usize = 256;

/// Changes between rules with and without searches in a run that may be split.
const MAX_PARTS: usize = 8;

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct PlainRule {
    pub(crate) rule: Checked,
    pub(crate) cond: Cond,
    /// Places of the patterns, if the condition is nothing but patterns.
    pub(crate) patterns: Vec<Span>,
}

impl PlainRule {
    /// The string field and the patterns, if the rule asks for nothing else.
    fn text(&self) -> Option<(u8, &[Pattern])> {
        let test = self.cond.as_text()?;
        Some((test.field, &test.patterns))
    }
}

/// A pattern that never decides: its rule and its place in it, and the rule and pattern that decide before, where known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shadowed {
    pub(crate) rule: usize,
    pub(crate) pattern: usize,
    pub(crate) by: Option<(usize, usize)>,
}

/// The rules behind a table, by value.
pub(crate) struct TableRules {
    pub(crate) table: u32,
    pub(crate) field: u8,
    pub(crate) rules: Vec<u32>,
}

/// What was found on the way.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) shadowed: Vec<Shadowed>,
    /// [`Origin::Table`] is an index into this.
    pub(crate) tables: Vec<TableRules>,
}

/// Emits the rules and the default.
pub(crate) fn generate(
    asm: &mut Assembler,
    rules: &[PlainRule],
    default: &Checked,
) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let (mut at, mut is_first) = (0, true);
    while at < rules.len() {
        let run = run_length(&rules[at..]);
        let run = same_kind(&rules[at..at + run]);
        let patterns = rules[at..at + run]
            .iter()
            .filter_map(PlainRule::text)
            .flat_map(|(_, patterns)| patterns);
        // The first run always: what a walk alone decides costs least (`crate::by_name`, `crate::by_path`).
        if run > 0 && (is_first || wants_table(patterns)) {
            is_first = false;
            table_run(asm, rules, at, run, &mut findings)?;
            at += run;
            continue;
        }
        for rule in &rules[at..at + run.max(1)] {
            let (yes, no) = (asm.label(), asm.label());
            condition(asm, &rule.cond, rule.rule.span, yes, no)?;
            asm.bind(yes);
            asm.ret(rule.rule.verdict.raw(), Origin::Rule(rule.rule.id));
            asm.bind(no);
        }
        at += run.max(1);
    }
    asm.ret(default.verdict.raw(), Origin::Rule(default.id));
    Ok(findings)
}

/// How many rules from the first on only ask for patterns of one and the same string.
fn run_length(rules: &[PlainRule]) -> usize {
    let Some((field, _)) = rules.first().and_then(PlainRule::text) else {
        return 0;
    };
    rules
        .iter()
        .take_while(|rule| rule.text().is_some_and(|(other, _)| other == field))
        .count()
}

/// How many rules of the run go into one table.
///
/// All of them, unless there are many: a search in the table of many literals goes along with every one of them, so that no state is a plain
/// literal any more and the table grows tenfold. Then rules with and without searches get tables of their own, as long as that makes only a few.
fn same_kind(run: &[PlainRule]) -> usize {
    let open = |rule: &PlainRule| {
        let patterns = rule.text().map_or(&[][..], |(_, patterns)| patterns);
        patterns.iter().any(Pattern::is_open)
    };
    let patterns: usize = run
        .iter()
        .filter_map(PlainRule::text)
        .map(|(_, patterns)| patterns.len())
        .sum();
    let changes = run
        .windows(2)
        .filter(|pair| open(&pair[0]) != open(&pair[1]))
        .count();
    if patterns <= MAX_MIXED || changes > MAX_PARTS {
        return run.len();
    }
    let first = run.first().is_some_and(open);
    run.iter().take_while(|rule| open(rule) == first).count()
}

fn table_run(
    asm: &mut Assembler,
    rules: &[PlainRule],
    first: usize,
    len: usize,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let run = &rules[first..first + len];
    let field = run[0].text().map_or(0, |(field, _)| field);
    let values = values(run);
    let mut patterns: Vec<(&Pattern, u32)> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (index, rule) in run.iter().enumerate() {
        for (at, pattern) in rule
            .text()
            .map_or(&[][..], |(_, list)| list)
            .iter()
            .enumerate()
        {
            patterns.push((pattern, values[index]));
            places.push((first + index, at));
        }
    }
    let spans: Vec<Span> = run.iter().map(|rule| rule.rule.span).collect();
    let (table, shadowed) = add_table(asm, &patterns, &spans)?;
    for index in shadowed {
        let index = index as usize;
        let (rule, pattern) = places[index];
        let example = patterns[index].0.example();
        let by = (0..index)
            .filter(|_| findings.shadowed.len() < MAX_EXPLAINED)
            .find(|&earlier| patterns[earlier].0.matches(&example))
            .map(|earlier| places[earlier]);
        findings.shadowed.push(Shadowed { rule, pattern, by });
    }

    asm.insn(Insn::stmt(SMATCH, Insn::string_operand(field, table)));
    let next = asm.label();
    let mut intervals = vec![(0, next)];
    let mut returns: Vec<(Label, u32, Origin)> = Vec::new();
    if len <= MAX_RETURNS {
        for (rule, &value) in run.iter().zip(&values) {
            let label = asm.label();
            push(&mut intervals, value, label);
            let origin = Origin::Rule(rule.rule.id);
            returns.push((label, rule.rule.verdict.raw(), origin));
        }
    } else {
        let mut by_value: Vec<(u32, &PlainRule)> = values.iter().copied().zip(run).collect();
        by_value.sort_unstable_by_key(|&(value, _)| value);
        let origin = Origin::Table(findings.tables.len() as u32);
        findings.tables.push(TableRules {
            table,
            field,
            rules: by_value.iter().map(|(_, rule)| rule.rule.id).collect(),
        });
        for (value, rule) in by_value {
            let verdict = rule.rule.verdict.raw();
            if returns.last().is_none_or(|last| last.1 != verdict) {
                returns.push((asm.label(), verdict, origin));
            }
            if let Some(&(label, ..)) = returns.last() {
                push(&mut intervals, value, label);
            }
        }
    }
    search(asm, &intervals);
    for (label, verdict, origin) in returns {
        asm.bind(label);
        asm.ret(verdict, origin);
    }
    asm.bind(next);
    Ok(())
}

/// The value of each rule: its place in the run, or, in a long run, its place after the rules are sorted by verdict.
fn values(run: &[PlainRule]) -> Vec<u32> {
    if run.len() <= MAX_RETURNS {
        return (1..=run.len() as u32).collect();
    }
    let mut by_verdict: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, rule) in run.iter().enumerate() {
        let verdict = rule.rule.verdict.raw();
        by_verdict.entry(verdict).or_default().push(index);
    }
    let mut values = vec![0; run.len()];
    for (value, index) in by_verdict.into_values().flatten().enumerate() {
        values[index] = value as u32 + 1;
    }
    values
}

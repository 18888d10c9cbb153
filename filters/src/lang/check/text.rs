// SPDX-License-Identifier: GPL-2.0
//! Comparisons of strings.

use std::format;
use std::prelude::rust_2021::*;

use super::super::ast::{ElementKind, Op, Test};
use super::super::cond::{Cond, Id, TextTest};
use super::super::diagnostics::Report;
use super::super::pattern::Pattern;
use super::super::source::Span;
use super::super::units::Leaf;
use super::Checker;
use crate::limits::MAX_STRING_BYTES;

impl Checker<'_, '_> {
    pub(super) fn text(&mut self, field: u8, test: &Test, spans: &mut Vec<Span>) -> Option<Cond> {
        if let Some(mask) = &test.mask {
            self.reports.add(
                Report::error(format!("`{}` is a string", test.field.text))
                    .label(mask.span, "a string has no bits"),
            );
            return None;
        }
        let op = match test.op {
            // A list in braces means the same as one behind `==`.
            Op::In => Op::Eq,
            op => op,
        };
        if !op.is_textual() && !matches!(op, Op::Eq | Op::Ne) {
            self.reports.add(
                Report::error(format!("`{}` is a string", test.field.text))
                    .label(test.op_span, "an operator for numbers")
                    .help("for strings there are == != under prefix suffix contains matches"),
            );
            return None;
        }
        let leaves = self.units.expand(&test.operands, self.reports)?;
        let mut patterns = Vec::new();
        for leaf in leaves {
            let pattern = self.pattern(op, &leaf)?;
            spans.push(leaf.span);
            patterns.push(pattern);
        }
        let cond = Cond::Text(TextTest { field, patterns });
        Some(if op == Op::Ne { cond.negate() } else { cond })
    }

    fn pattern(&mut self, op: Op, leaf: &Leaf) -> Option<Pattern> {
        let ElementKind::Text(literal) = &leaf.kind else {
            let report = Report::error("expected a string")
                .label(leaf.span, "not a string")
                .help(match &leaf.kind {
                    ElementKind::Value(value) if value.name().is_some_and(|name| Id::named(name).is_some()) => {
                        "`self` is the number of the caller; a path to its own files is \"/proc/self/...\""
                    }
                    _ => "strings stand in double quotes",
                });
            let report = self.through(leaf, report);
            self.reports.add(report);
            return None;
        };
        if literal.len() > MAX_STRING_BYTES {
            let report = Report::error(format!(
                "a string has at most {MAX_STRING_BYTES} bytes, this one has {}",
                literal.len()
            ))
            .label(leaf.span, "longer than any path");
            self.reports.add(report);
            return None;
        }
        if literal.is_empty() && !matches!(op, Op::Eq | Op::Ne | Op::Matches) {
            let (what, help) = if op == Op::Under {
                ("is no directory", "the root directory is \"/\"")
            } else {
                (
                    "is part of every string",
                    "the empty name itself is written == \"\"",
                )
            };
            let report = Report::error(format!("the empty string {what}"))
                .label(leaf.span, "empty")
                .help(help);
            let report = self.through(leaf, report);
            self.reports.add(report);
            return None;
        }
        let pattern = match op {
            Op::Prefix => Pattern::Prefix(literal.clone()),
            Op::Suffix => Pattern::Suffix(literal.clone()),
            Op::Contains => Pattern::Contains(literal.clone()),
            Op::Under => {
                self.directory(literal, leaf);
                Pattern::under(literal)
            }
            Op::Matches => match Pattern::glob(literal) {
                Ok(pattern) => pattern,
                Err((at, message)) => {
                    let report = Report::error(format!("not a pattern: {message}"))
                        .label(leaf.span, format!("at byte {at} of the string"));
                    let report = self.through(leaf, report);
                    self.reports.add(report);
                    return None;
                }
            },
            _ => {
                self.wildcard(literal, leaf);
                Pattern::Equal(literal.clone())
            }
        };
        Some(pattern)
    }

    /// Warns of directories that look as if something else was meant.
    fn directory(&mut self, literal: &[u8], leaf: &Leaf) {
        let report = if literal.contains(&b'*') {
            Report::warning("`under` takes no pattern: the `*` stands for itself")
                .label(leaf.span, "a literal directory name")
                .help("write `matches` for a pattern")
        } else if !literal.starts_with(b"/") {
            Report::warning("names are compared as the program writes them")
                .label(
                    leaf.span,
                    "only matches names that begin like this, not absolute ones",
                )
                .help("an absolute directory begins with `/`")
        } else {
            return;
        };
        let report = self.through(leaf, report);
        self.reports.add(report);
    }

    fn wildcard(&mut self, literal: &[u8], leaf: &Leaf) {
        if literal.contains(&b'*') {
            let report = Report::warning("`==` takes no pattern: the `*` stands for itself")
                .label(leaf.span, "a literal name")
                .help("write `matches` for a pattern");
            let report = self.through(leaf, report);
            self.reports.add(report);
        }
    }
}

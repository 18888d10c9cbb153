// SPDX-License-Identifier: GPL-2.0
//! Rules and patterns that decide nothing, because those before them decide about all of it.

use std::collections::BTreeMap;
use std::prelude::rust_2021::*;

use super::super::codegen::run::{PlainRule, Shadowed};
use super::super::codegen::Checked;
use super::super::diagnostics::{Report, Reports};

/// Reports a rule that decides nothing because of those before it: an error if that changes what happens, else a warning.
pub(super) fn unreachable(rule: &Checked, by: Option<&Checked>, reports: &mut Reports) {
    let message = "the rule is never reached";
    let same = by.is_some_and(|by| by.verdict == rule.verdict);
    let mut report = if same {
        Report::warning(message)
    } else {
        Report::error(message)
    };
    report = report.label(rule.span, "earlier rules decide all of this");
    if let Some(by) = by {
        report = report.label(by.span, "this one, for example");
    }
    if !same {
        report = report.help("the first rule that matches wins: move the exception before the rule that it is an exception to");
    }
    reports.add(report);
}

/// Reports patterns that decide nothing because of those before them.
pub(crate) fn shadowed(rules: &[PlainRule], list: &[Shadowed], reports: &mut Reports) {
    let mut by_rule: BTreeMap<usize, Vec<&Shadowed>> = BTreeMap::new();
    for found in list {
        by_rule.entry(found.rule).or_default().push(found);
    }
    for (index, of_rule) in by_rule {
        let rule = &rules[index];
        if of_rule.len() == rule.patterns.len() {
            let by = of_rule.iter().find_map(|found| found.by);
            let by = by.filter(|&(by, _)| by != index);
            unreachable(&rule.rule, by.map(|(by, _)| &rules[by].rule), reports);
            continue;
        }
        for found in of_rule {
            let Some(&span) = rule.patterns.get(found.pattern) else {
                continue;
            };
            let by = found
                .by
                .and_then(|(rule, pattern)| rules[rule].patterns.get(pattern));
            let mut report = Report::warning("the pattern never decides")
                .label(span, "everything that it matches is decided before");
            if let Some(&by) = by {
                report = report.label(by, "by this one, for example");
            }
            reports.add(report);
        }
    }
}

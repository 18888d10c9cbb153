// SPDX-License-Identifier: GPL-2.0
//! The calls before `when`: for each one the condition is resolved on its own, since arguments lie elsewhere in each.

use std::collections::BTreeMap;
use std::format;
use std::prelude::rust_2021::*;

use super::super::ast::{ElementKind, Rule};
use super::super::calls::{calls, known, Arch, Call};
use super::super::codegen::calls::Applies;
use super::super::cond::Cond;
use super::super::diagnostics::Report;
use super::super::source::Span;
use super::super::units::Leaf;
use super::field::Scope;
use super::Checker;
use crate::event::Event;

impl Checker<'_, '_> {
    pub(super) fn applies(&mut self, rule: &Rule, arch: Option<Arch>) -> Option<Applies> {
        if rule.calls.is_empty() {
            let scope = Scope {
                event: Event::SyscallEnter,
                arch,
                call: None,
            };
            // The grammar allows a rule without calls only with a condition.
            let cond = self.lower(&scope, rule.condition.as_ref()?, &mut Vec::new())?;
            self.constant(&cond, rule.span);
            return Some(Applies::All(cond));
        }
        let Some(arch) = arch else {
            let span = rule.calls.first()?.span;
            self.reports.add(
                Report::error("foreign entries have no names for their calls")
                    .label(span, "which architecture's call?")
                    .help("test `arch` and `nr`, or write a block for `arch i386`"),
            );
            return None;
        };
        let leaves = self.units.expand(&rule.calls, self.reports)?;
        let mut named: BTreeMap<u32, Span> = BTreeMap::new();
        let mut conditions = BTreeMap::new();
        for leaf in leaves {
            let Some(call) = self.call(&leaf, arch)? else {
                continue;
            };
            let first = named.insert(call.number, leaf.place());
            if let (Some(first), None) = (first, leaf.through) {
                self.reports.add(
                    Report::warning(format!("`{}` is in the list twice", call.name))
                        .label(leaf.span, "again")
                        .label(first, "already here"),
                );
            }
            if conditions.contains_key(&call.number) {
                continue;
            }
            let cond = match &rule.condition {
                None => Cond::Const(true),
                Some(expr) => {
                    let scope = Scope {
                        event: Event::SyscallEnter,
                        arch: Some(arch),
                        call: Some(call),
                    };
                    self.lower(&scope, expr, &mut Vec::new())?
                }
            };
            conditions.insert(call.number, cond);
        }
        if conditions.is_empty() {
            self.reports.add(
                Report::error(format!("none of these calls exists on {}", arch.name()))
                    .label(rule.span, "this rule decides nothing"),
            );
            return None;
        }
        Some(Applies::To(conditions))
    }

    /// The call that is named. The inner `None` is a call of a set that this architecture does not have; the outer one an error.
    pub(super) fn call(&mut self, leaf: &Leaf, arch: Arch) -> Option<Option<&'static Call>> {
        let name = match &leaf.kind {
            ElementKind::Value(value) => value.name(),
            _ => None,
        };
        let Some(name) = name else {
            self.reports.add(self.through(
                leaf,
                Report::error("expected a system call").label(leaf.span, "not a system call"),
            ));
            return None;
        };
        if let Some(call) = calls(arch).by_name(name) {
            return Some(Some(call));
        }
        if leaf.through.is_some() && known(name) {
            return Some(None);
        }
        let mut report = if known(name) {
            Report::error(format!("{} has no system call `{name}`", arch.name()))
                .label(leaf.span, "another architecture has it")
        } else {
            Report::error(format!("unknown system call `{name}`")).label(leaf.span, "not known")
        };
        if self.units.has_set(name) {
            report = report.help(format!("the set is written `@{name}`"));
        }
        report = report.suggest(name, calls(arch).iter().map(|call| call.name));
        if !report.has_help()
            && !known(name)
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            report = report
                .help("a call that is newer than this compiler is named by number: when nr == 473");
        }
        let report = self.through(leaf, report);
        self.reports.add(report);
        None
    }

    /// Adds the place in the rule for an element that came through a set.
    pub(super) fn through(&self, leaf: &Leaf, report: Report) -> Report {
        match leaf.through {
            Some(span) => report.label(span, "used here"),
            None => report,
        }
    }
}

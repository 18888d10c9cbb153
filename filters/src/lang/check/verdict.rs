// SPDX-License-Identifier: GPL-2.0
//! Verdicts: which ones an event can carry out, and with which number.

use std::format;
use std::prelude::rust_2021::*;

use super::super::ast::{TermKind, Value, VerdictWord};
use super::super::constants::{errno, errno_name, errno_names};
use super::super::diagnostics::Report;
use super::{errno_limit, possible, Checker};
use crate::event::Event;
use crate::limits::MAX_ERRNO;
use crate::verdict::{Action, Verdict};

impl Checker<'_, '_> {
    pub(super) fn verdict(&mut self, event: Event, word: &VerdictWord) -> Option<Verdict> {
        let action = match word.word.text.as_str() {
            "allow" => Action::Allow,
            "log" => Action::Log,
            "deny" => Action::Errno,
            "trap" => Action::Trap,
            "kill" | "kill-process" => Action::KillProcess,
            "kill-thread" => Action::KillThread,
            "trace" => Action::Trace,
            other => {
                self.reports.add(
                    Report::error(format!("`{other}` is not possible yet"))
                        .label(word.word.span, "this version has no listener")
                        .help("without one it would mean `deny ENOSYS`: write that"),
                );
                return None;
            }
        };
        if !possible(event, action) {
            let names: Vec<&str> = [
                ("allow", Action::Allow),
                ("log", Action::Log),
                ("deny", Action::Errno),
                ("trap", Action::Trap),
                ("trace", Action::Trace),
                ("kill", Action::KillProcess),
                ("kill-thread", Action::KillThread),
            ]
            .into_iter()
            .filter(|&(_, action)| possible(event, action))
            .map(|(name, _)| name)
            .collect();
            let schema = event.schema();
            self.reports.add(
                Report::error(format!("{} cannot {}", schema.name, word.word.text))
                    .label(word.word.span, "not possible here")
                    .help(format!("{} can {}", schema.name, names.join(", "))),
            );
            return None;
        }
        let data = match action {
            Action::Errno => self.errno(event, word)?,
            Action::Trap | Action::Trace => self.free_number(word)?,
            _ => {
                if let Some(data) = &word.data {
                    self.reports.add(
                        Report::error(format!("`{}` takes no number", word.word.text))
                            .label(data.span, "not expected")
                            .help("only `deny` takes an error number, and `trap` and `trace` a number of your choice"),
                    );
                    return None;
                }
                0
            }
        };
        Some(Verdict::new(action, data))
    }

    fn errno(&mut self, event: Event, word: &VerdictWord) -> Option<u16> {
        let Some(value) = &word.data else {
            // EPERM says "you may not do this", EACCES "you may not have this file".
            let name = if event == Event::SyscallEnter {
                "EPERM"
            } else {
                "EACCES"
            };
            return errno(name);
        };
        if let Some(name) = value.name() {
            let number = errno(name);
            if number.is_none() {
                self.reports.add(
                    Report::error(format!("there is no error `{name}`"))
                        .label(value.span, "not known")
                        .suggest(name, errno_names()),
                );
            }
            return number;
        }
        let number = self.plain_number(value)?;
        let limit = errno_limit(event);
        let zero_is_possible = limit == MAX_ERRNO;
        let valid = (u64::from(!zero_is_possible)..=u64::from(limit)).contains(&number);
        if !valid {
            let lowest = u32::from(!zero_is_possible);
            let last = u16::try_from(limit).ok().and_then(errno_name);
            let upto = last.map_or(String::new(), |name| format!(" ({name})"));
            self.reports.add(
                Report::error(format!(
                    "{} cannot return error {number}",
                    event.schema().name
                ))
                .label(value.span, format!("expected {lowest} to {limit}{upto}")),
            );
            return None;
        }
        u16::try_from(number).ok()
    }

    /// A number that the policy may choose: what a trap and a tracer are told.
    fn free_number(&mut self, word: &VerdictWord) -> Option<u16> {
        let Some(value) = &word.data else {
            return Some(0);
        };
        let number = self.plain_number(value)?;
        let data = u16::try_from(number);
        if data.is_err() {
            self.reports.add(
                Report::error(format!("the number of a {} has 16 bits", word.word.text))
                    .label(value.span, "larger than 65535"),
            );
        }
        data.ok()
    }

    /// A single number, neither negative nor a name.
    fn plain_number(&mut self, value: &Value) -> Option<u64> {
        if let [term] = value.terms.as_slice() {
            if let TermKind::Number {
                negative: false,
                magnitude,
            } = term.kind
            {
                return Some(magnitude);
            }
        }
        self.reports
            .add(Report::error("expected a single number").label(value.span, "not a plain number"));
        None
    }
}

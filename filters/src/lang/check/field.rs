// SPDX-License-Identifier: GPL-2.0
//! Fields: what a name on the left of an operator stands for.

use std::format;
use std::prelude::rust_2021::*;

use super::super::ast::{Expr, Name, Test};
use super::super::calls::{calls, Arch, Call, Width};
use super::super::cond::{Cond, Id, Number};
use super::super::diagnostics::Report;
use super::super::source::Span;
use super::Checker;
use crate::event::{Event, Place};

/// Byte offset of the first argument in `struct seccomp_data`.
const ARGS: u32 = 16;

/// What names mean in a rule.
pub(super) struct Scope<'c> {
    pub(super) event: Event,
    /// The architecture whose calls are judged, where it is known.
    pub(super) arch: Option<Arch>,
    /// The call that is judged.
    pub(super) call: Option<&'c Call>,
}

impl Scope<'_> {
    pub(super) fn event(event: Event) -> Scope<'static> {
        Scope {
            event,
            arch: None,
            call: None,
        }
    }
}

/// What a field holds.
pub(super) enum Field {
    Text(u8),
    Number {
        number: Number,
        width: Width,
        /// Names of its values in the event's schema.
        values: &'static [(&'static str, u32)],
        /// Groups of constants that name its values.
        groups: Vec<&'static str>,
        /// Whether it is the number of a system call, whose values are named by calls.
        is_call: bool,
    },
}

/// The register that `reg0` to `reg5` name: all of it, whatever the call declares. It is what a seccomp program compares.
fn register(name: &str) -> Option<u32> {
    let index: u32 = name.strip_prefix("reg")?.parse().ok()?;
    (index < 6 && name.len() == 4).then_some(index)
}

impl Checker<'_, '_> {
    /// The condition with its names resolved; `spans` receives the places of patterns, in their order.
    pub(super) fn lower(
        &mut self,
        scope: &Scope<'_>,
        expr: &Expr,
        spans: &mut Vec<Span>,
    ) -> Option<Cond> {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                // Every part is looked at, so that all errors of a rule are shown at once.
                let lowered: Vec<Option<Cond>> = parts
                    .iter()
                    .map(|part| self.lower(scope, part, spans))
                    .collect();
                let parts: Vec<Cond> = lowered.into_iter().collect::<Option<_>>()?;
                Some(match expr {
                    Expr::And(_) => Cond::all(parts),
                    _ => Cond::any(parts),
                })
            }
            Expr::Not(inner) => Some(self.lower(scope, inner, spans)?.negate()),
            Expr::Test(test) => self.test(scope, test, spans),
        }
    }

    fn test(&mut self, scope: &Scope<'_>, test: &Test, spans: &mut Vec<Span>) -> Option<Cond> {
        match self.field(scope, &test.field)? {
            Field::Text(field) => self.text(field, test, spans),
            Field::Number {
                number,
                width,
                values,
                groups,
                is_call,
            } => {
                if is_call {
                    if let Some(cond) = self.call_test(scope, test) {
                        return cond;
                    }
                }
                self.compare(number, width, values, &groups, test)
            }
        }
    }

    fn field(&mut self, scope: &Scope<'_>, name: &Name) -> Option<Field> {
        let schema = scope.event.schema();
        if let Some(call) = scope.call {
            let found = call.arg(&name.text).or_else(|| {
                // `arg2` of a known call is as wide as the kernel reads it.
                let index: usize = name.text.strip_prefix("arg")?.parse().ok()?;
                Some((index, call.args.get(index)?))
            });
            if let Some((index, arg)) = found {
                return Some(Field::Number {
                    number: Number {
                        offset: ARGS + 8 * index as u32,
                        long: true,
                    },
                    width: arg.width,
                    values: &[],
                    groups: arg.groups.clone(),
                    is_call: false,
                });
            }
        }
        if let Some(index) = register(&name.text) {
            return Some(Field::Number {
                number: Number {
                    offset: ARGS + 8 * index,
                    long: true,
                },
                width: Width::REGISTER,
                values: &[],
                groups: Vec::new(),
                is_call: false,
            });
        }
        let Some(field) = schema.field(&name.text) else {
            self.unknown_field(scope, name);
            return None;
        };
        Some(match field.place {
            Place::String(index) => Field::Text(index),
            Place::Word(offset) => Field::Number {
                number: Number {
                    offset,
                    long: false,
                },
                width: Width {
                    bits: 32,
                    signed: false,
                },
                values: field.values,
                groups: Vec::new(),
                is_call: field.name == "nr",
            },
            Place::Long(offset) => Field::Number {
                number: Number { offset, long: true },
                width: Width::REGISTER,
                values: field.values,
                groups: Vec::new(),
                is_call: false,
            },
        })
    }

    fn unknown_field(&mut self, scope: &Scope<'_>, name: &Name) {
        let schema = scope.event.schema();
        let mut names: Vec<&str> = Vec::new();
        let mut owner = schema.name.to_string();
        if let Some(call) = scope.call {
            names.extend(call.args.iter().map(|arg| arg.alias.unwrap_or(arg.name)));
            owner = format!("`{}`", call.name);
        }
        let own = names.len();
        names.extend(schema.fields.iter().map(|field| field.name));
        let message = if scope.call.is_some() {
            format!("{owner} has no argument `{}`", name.text)
        } else {
            format!("{owner} has no field `{}`", name.text)
        };
        let mut report = Report::error(message)
            .label(name.span, "not known here")
            .suggest(&name.text, names.iter().copied());
        if Id::named(&name.text).is_some() {
            report = report.help(format!(
                "the caller stands on the right: pid == {}",
                name.text
            ));
        }
        if !report.has_help() {
            let arch = scope.arch.unwrap_or(Arch::X86_64);
            let is_argument = scope.call.is_none()
                && calls(arch)
                    .iter()
                    .any(|call| call.arg(&name.text).is_some());
            report = if is_argument && scope.event == Event::SyscallEnter {
                report.help("arguments are named by call: write the calls before `when`")
            } else if own > 0 {
                report.help(format!("its arguments are {}", names[..own].join(", ")))
            } else if scope.call.is_some() {
                report.help("this call takes no arguments")
            } else {
                report.help(format!("its fields are {}", names.join(", ")))
            };
        }
        self.reports.add(report);
    }
}

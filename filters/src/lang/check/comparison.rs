// SPDX-License-Identifier: GPL-2.0
//! Comparisons of numbers, at the width at which the kernel reads them.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::ast::{ElementKind, Op, TermKind, Test, Value};
use super::super::calls::{Arch, Width};
use super::super::cond::{CallerTest, Cond, Id, Number, NumberTest};
use super::super::constants::{self, Group};
use super::super::diagnostics::Report;
use super::super::ranges::Ranges;
use super::super::source::Span;
use super::super::units::Leaf;
use super::field::Scope;
use super::Checker;

/// Offsets of `nr` and `arch` in every record.
const NR: Number = Number {
    offset: 0,
    long: false,
};
const ARCH: Number = Number {
    offset: 4,
    long: false,
};

/// Names that a field's values have.
struct Names<'n> {
    field: &'n str,
    values: &'static [(&'static str, u32)],
    groups: Vec<&'static Group>,
}

/// The numbers that a width can hold.
struct Domain {
    lowest: i128,
    highest: i128,
    size: i128,
}

impl Domain {
    fn of(width: Width) -> Domain {
        let size = 1i128 << width.bits;
        if width.signed {
            Domain {
                lowest: -(size / 2),
                highest: size / 2 - 1,
                size,
            }
        } else {
            Domain {
                lowest: 0,
                highest: size - 1,
                size,
            }
        }
    }

    /// The number as its bits, taking -1 for an unsigned and 0xffffffff for a signed field as what they mean in C.
    fn bits(&self, value: i128) -> Option<u64> {
        let wrapped = if (-(self.size / 2)..0).contains(&value) {
            value + self.size
        } else {
            value
        };
        (0..self.size).contains(&wrapped).then_some(wrapped as u64)
    }

    /// Adds the numbers from `low` to `high`, in the order of the domain.
    fn add(&self, ranges: &mut Ranges, low: i128, high: i128) {
        let (low, high) = (low.max(self.lowest), high.min(self.highest));
        if low > high {
            return;
        }
        if low < 0 {
            let last = high.min(-1);
            ranges.add((low + self.size) as u64, (last + self.size) as u64);
        }
        if high >= 0 {
            ranges.add(low.max(0) as u64, high as u64);
        }
    }
}

/// The ids of the caller among the operands, and the other operands. Where values have names of their own, `self` is none of them.
fn split_ids(names: &Names<'_>, op: Op, leaves: Vec<Leaf>) -> (Vec<Id>, Vec<Leaf>) {
    let typed = !names.groups.is_empty() || !names.values.is_empty();
    if typed || !matches!(op, Op::Eq | Op::Ne | Op::In) {
        return (Vec::new(), leaves);
    }
    let mut ids = Vec::new();
    let mut others = Vec::new();
    for leaf in leaves {
        let id = match &leaf.kind {
            ElementKind::Value(value) => value.name().and_then(Id::named),
            _ => None,
        };
        match id {
            Some(id) if ids.contains(&id) => {}
            Some(id) => ids.push(id),
            None => others.push(leaf),
        }
    }
    (ids, others)
}

impl Checker<'_, '_> {
    pub(super) fn compare(
        &mut self,
        number: Number,
        width: Width,
        values: &'static [(&'static str, u32)],
        groups: &[&'static str],
        test: &Test,
    ) -> Option<Cond> {
        let names = Names {
            field: &test.field.text,
            values,
            groups: groups
                .iter()
                .filter_map(|name| constants::group(name))
                .collect(),
        };
        if test.op.is_textual() {
            self.reports.add(
                Report::error(format!("`{}` is a number", test.field.text))
                    .label(test.op_span, "an operator for strings")
                    .help("for numbers there are == != < <= > >= in has, and `& MASK` before them"),
            );
            return None;
        }
        // What is left after a mask has no sign.
        let width = match test.mask {
            Some(_) => Width {
                signed: false,
                ..width
            },
            None => width,
        };
        let domain = Domain::of(width);
        let mut mask = width.mask();
        if let Some(value) = &test.mask {
            mask = self.bits(&names, &domain, value)?;
            if test.op == Op::Has {
                self.reports.add(
                    Report::error("`has` brings its own mask")
                        .label(value.span, "a second mask")
                        .help("write `flags has A` or `flags & A == A`"),
                );
                return None;
            }
        }
        // A lower part of a register is what an int in it is: -1 is then all of its bits.
        let domain = match mask {
            0xff | 0xffff | 0xffff_ffff if test.mask.is_some() => Domain::of(Width {
                bits: mask.count_ones(),
                signed: false,
            }),
            _ => domain,
        };
        if test.op == Op::Has {
            return self.has(number, &names, &domain, test);
        }
        let leaves = self.units.expand(&test.operands, self.reports)?;
        if leaves.len() > 1 && matches!(test.op, Op::Eq | Op::Ne) {
            self.reports.add(
                Report::error("several values are written with `in`")
                    .label(test.span, "more than one value")
                    .help("write: in {A, B}"),
            );
            return None;
        }
        let (ids, leaves) = split_ids(&names, test.op, leaves);
        let ranges = self.ranges(&names, &domain, test, &leaves)?;
        let mut alternatives = vec![Cond::number(NumberTest {
            number,
            mask,
            ranges,
        })];
        alternatives.extend(
            ids.into_iter()
                .map(|id| Cond::Caller(CallerTest { number, mask, id })),
        );
        let equal = Cond::any(alternatives);
        Some(if test.op == Op::Ne {
            equal.negate()
        } else {
            equal
        })
    }

    fn has(
        &mut self,
        number: Number,
        names: &Names<'_>,
        domain: &Domain,
        test: &Test,
    ) -> Option<Cond> {
        let mut all = 0;
        for leaf in self.units.expand(&test.operands, self.reports)? {
            let ElementKind::Value(value) = &leaf.kind else {
                self.not_a_number(leaf.span);
                return None;
            };
            all |= self.bits(names, domain, value)?;
        }
        if all == 0 {
            self.reports.add(
                Report::error("every number has all bits of 0")
                    .label(test.span, "always true")
                    .help("compare with `== 0` or `& MASK == 0`"),
            );
            return None;
        }
        let mut ranges = Ranges::new();
        ranges.add(all, all);
        Some(Cond::number(NumberTest {
            number,
            mask: all,
            ranges,
        }))
    }

    /// The numbers that the operands stand for, `==` and `!=` alike.
    fn ranges(
        &mut self,
        names: &Names<'_>,
        domain: &Domain,
        test: &Test,
        leaves: &[Leaf],
    ) -> Option<Ranges> {
        let mut ranges = Ranges::new();
        let several = leaves.len() > 1;
        for leaf in leaves {
            match (&leaf.kind, test.op) {
                (ElementKind::Value(value), Op::Eq | Op::Ne | Op::In) => {
                    let bits = self.bits(names, domain, value)?;
                    ranges.add(bits, bits);
                }
                (ElementKind::Value(value), op) if !several => {
                    let bound = self.bound(names, domain, value)?;
                    match op {
                        Op::Lt => domain.add(&mut ranges, domain.lowest, bound - 1),
                        Op::Le => domain.add(&mut ranges, domain.lowest, bound),
                        Op::Gt => domain.add(&mut ranges, bound + 1, domain.highest),
                        _ => domain.add(&mut ranges, bound, domain.highest),
                    }
                }
                (ElementKind::Range(low, high), Op::In) => {
                    let first = self.bound(names, domain, low)?;
                    let last = self.bound(names, domain, high)?;
                    if first > last {
                        self.reports.add(
                            Report::error("the range is empty")
                                .label(leaf.span, format!("{first} is larger than {last}")),
                        );
                        return None;
                    }
                    domain.add(&mut ranges, first, last);
                }
                (ElementKind::Range(..), op) => {
                    self.reports.add(
                        Report::error(format!("`{}` takes no range", op.word()))
                            .label(leaf.span, "a range")
                            .help("write `in` before a range"),
                    );
                    return None;
                }
                _ => {
                    self.not_a_number(leaf.span);
                    return None;
                }
            }
        }
        Some(ranges)
    }

    fn not_a_number(&mut self, span: Span) {
        self.reports
            .add(Report::error("expected a single number or name").label(span, "not a number"));
    }

    /// A value as the bits of the field.
    fn bits(&mut self, names: &Names<'_>, domain: &Domain, value: &Value) -> Option<u64> {
        let number = self.value(names, value)?;
        let bits = domain.bits(number);
        if bits.is_none() {
            self.too_wide(names, domain, value);
        }
        bits
    }

    /// A value as a bound in the order of the field.
    fn bound(&mut self, names: &Names<'_>, domain: &Domain, value: &Value) -> Option<i128> {
        let number = self.value(names, value)?;
        if (domain.lowest..=domain.highest).contains(&number) {
            return Some(number);
        }
        self.too_wide(names, domain, value);
        None
    }

    fn too_wide(&mut self, names: &Names<'_>, domain: &Domain, value: &Value) {
        let Domain {
            lowest, highest, ..
        } = domain;
        self.reports.add(
            Report::error(format!("`{}` never has this value", names.field)).label(
                value.span,
                format!("the kernel reads a number from {lowest} to {highest}"),
            ),
        );
    }

    fn value(&mut self, names: &Names<'_>, value: &Value) -> Option<i128> {
        let mut all: i128 = 0;
        let single = value.terms.len() == 1;
        for term in &value.terms {
            let number = match &term.kind {
                TermKind::Number {
                    negative,
                    magnitude,
                } => {
                    let magnitude = i128::from(*magnitude);
                    if *negative {
                        -magnitude
                    } else {
                        magnitude
                    }
                }
                TermKind::Name(name) => self.constant_value(names, name, term.span)?,
            };
            if number < 0 && !single {
                self.reports.add(
                    Report::error("a negative number has no flags to join")
                        .label(term.span, "negative"),
                );
                return None;
            }
            all = if single { number } else { all | number };
        }
        Some(all)
    }

    fn constant_value(&mut self, names: &Names<'_>, name: &str, span: Span) -> Option<i128> {
        if let Some(&(_, value)) = names.values.iter().find(|(found, _)| *found == name) {
            return Some(i128::from(value));
        }
        if let Some(value) = names.groups.iter().find_map(|group| group.value(name)) {
            return Some(value);
        }
        if Id::named(name).is_some() {
            self.reports.add(
                Report::error(format!("`{}` cannot be compared with `{name}` in this way", names.field))
                    .label(span, "an id that is known only when the policy runs")
                    .help("`self` is an operand of == and != for plain numbers, and may stand in a list after `in`"),
            );
            return None;
        }
        let elsewhere = constants::find(name);
        let typed = !names.groups.is_empty() || !names.values.is_empty();
        if let (Some((_, value)), false) = (elsewhere, typed) {
            return Some(value);
        }
        let mut report = match elsewhere {
            Some((group, _)) => Report::error(format!("`{name}` is no value of `{}`", names.field))
                .label(span, format!("one of the {}", group.title)),
            None => Report::error(format!("unknown value `{name}`")).label(span, "not known"),
        };
        let own = names.values.iter().map(|&(name, _)| name);
        let grouped = names.groups.iter().flat_map(|group| &group.values);
        let mut candidates: Vec<&str> = own.chain(grouped.map(|&(name, _)| name)).collect();
        if !typed {
            let all = constants::groups().iter().flat_map(|group| &group.values);
            candidates.extend(all.map(|&(name, _)| name));
            candidates.extend(Id::NAMES.map(|(name, _)| name));
        }
        report = report.suggest(name, candidates.iter().copied());
        if !report.has_help() && typed {
            let titles: Vec<&str> = names.groups.iter().map(|group| group.title).collect();
            report = if titles.is_empty() {
                report.help(format!("its values are {}", candidates.join(", ")))
            } else {
                report.help(format!("expected {}", titles.join(" or ")))
            };
        }
        self.reports.add(report);
        None
    }

    /// A test of `nr` by the names of calls; `None` if it is by numbers only.
    pub(super) fn call_test(&mut self, scope: &Scope<'_>, test: &Test) -> Option<Option<Cond>> {
        let Some(leaves) = self.units.expand(&test.operands, self.reports) else {
            return Some(None);
        };
        let named = leaves.iter().any(|leaf| match &leaf.kind {
            ElementKind::Value(value) => value.name().is_some(),
            _ => false,
        });
        if !named || test.mask.is_some() {
            return None;
        }
        if !matches!(test.op, Op::Eq | Op::Ne | Op::In) {
            self.reports.add(
                Report::error("calls have no order")
                    .label(test.op_span, "an operator for numbers")
                    .help("write `nr == openat` or `nr in {openat, open}`"),
            );
            return Some(None);
        }
        let arches: Vec<Arch> = match scope.arch {
            Some(arch) => vec![arch],
            None => Arch::ALL.to_vec(),
        };
        let mut by_audit: Vec<(u32, Ranges)> = Vec::new();
        for &arch in &arches {
            let mut ranges = Ranges::new();
            for leaf in &leaves {
                if let ElementKind::Value(value) = &leaf.kind {
                    if value.name().is_none() {
                        let domain = Domain::of(Width {
                            bits: 32,
                            signed: false,
                        });
                        let names = Names {
                            field: "nr",
                            values: &[],
                            groups: Vec::new(),
                        };
                        let Some(bits) = self.bits(&names, &domain, value) else {
                            return Some(None);
                        };
                        ranges.add(bits, bits);
                        continue;
                    }
                }
                // A call that only one of several architectures has is simply not among the numbers of the others.
                let mut leaf = leaf.clone();
                if arches.len() > 1 && arch != Arch::X86_64 {
                    leaf.through = leaf.through.or(Some(leaf.span));
                }
                let elsewhere = arches.len() > 1 && self.exists_elsewhere(&leaf);
                if elsewhere && leaf.through.is_none() {
                    leaf.through = Some(leaf.span);
                }
                match self.call(&leaf, arch) {
                    None => return Some(None),
                    Some(None) => {}
                    Some(Some(call)) => ranges.add(u64::from(call.number), u64::from(call.number)),
                }
            }
            match by_audit.iter_mut().find(|known| known.0 == arch.audit()) {
                Some((_, known)) => *known = known.union(&ranges),
                None => by_audit.push((arch.audit(), ranges)),
            }
        }
        let mut alternatives = Vec::new();
        for (audit, ranges) in by_audit {
            let is_call = Cond::number(NumberTest {
                number: NR,
                mask: u64::from(u32::MAX),
                ranges,
            });
            if scope.arch.is_some() {
                alternatives.push(is_call);
                continue;
            }
            let mut entry = Ranges::new();
            entry.add(u64::from(audit), u64::from(audit));
            let is_arch = Cond::number(NumberTest {
                number: ARCH,
                mask: u64::from(u32::MAX),
                ranges: entry,
            });
            alternatives.push(Cond::all(vec![is_arch, is_call]));
        }
        let cond = Cond::any(alternatives);
        Some(Some(if test.op == Op::Ne {
            cond.negate()
        } else {
            cond
        }))
    }

    fn exists_elsewhere(&self, leaf: &Leaf) -> bool {
        match &leaf.kind {
            ElementKind::Value(value) => value.name().is_some_and(super::super::calls::known),
            _ => false,
        }
    }
}

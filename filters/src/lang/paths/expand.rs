// SPDX-License-Identifier: GPL-2.0
//! One block to the programs of all events that it is about.

use std::collections::BTreeSet;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::check::Program;
use super::super::codegen::paths::Places;
use super::super::codegen::run::PlainRule;
use super::super::codegen::{Checked, Failure};
use super::super::cond::{Cond, Number, NumberTest, TextTest};
use super::super::map::Map;
use super::super::pattern::Pattern;
use super::super::ranges::Ranges;
use super::place::{mapped, ways, wildernesses, Name};
use super::rights::{DENY, GRANTS, HIDE, WAY};
use super::table::{Landscape, Part};
use super::Paths;
use crate::event::{Event, Place as Field};
use crate::object::{flag, step};
use crate::verdict::Verdict;

/// `EPERM` of `include/uapi/asm-generic/errno-base.h`.
pub(crate) const EPERM: u16 = 1;
/// `ENOENT`, of the same place.
pub(crate) const ENOENT: u16 = 2;
/// `EACCES`, of the same place.
pub(crate) const EACCES: u16 = 13;
/// `EXDEV`, of the same place.
pub(crate) const EXDEV: u16 = 18;

/// What a block comes to.
pub(crate) struct Expanded {
    pub(crate) programs: Vec<Program>,
    /// Places, by index, that decide about at least one path.
    pub(crate) deciding: BTreeSet<usize>,
}

impl Paths {
    /// The events that the block judges.
    pub(crate) fn events(&self) -> Vec<Event> {
        let refuses = self.places.iter().any(|place| place.refuses());
        let mut events = vec![Event::VfsPick, Event::FdReceive];
        if refuses {
            events.push(Event::VfsGetname);
        }
        if refuses || self.hides {
            events.push(Event::VfsWalk);
        }
        events
    }

    /// The refusals, each as a rule about the string `path`.
    fn refusals(&self) -> Vec<PlainRule> {
        let statements = self.statements.iter().enumerate();
        let refusing = statements.filter(|(_, stated)| stated.rights & (DENY | HIDE) != 0);
        refusing
            .filter_map(|(index, stated)| {
                let said = |place: &&super::Place| {
                    let mut mentions = place.mentions.iter();
                    place.refuses() && mentions.any(|mention| mention.statement == index)
                };
                let places = self.places.iter().filter(said);
                let patterns: Vec<Pattern> = places.flat_map(|place| place.name.covers()).collect();
                let errno = if stated.rights & HIDE != 0 {
                    ENOENT
                } else {
                    EACCES
                };
                let rule = Checked {
                    id: stated.rule,
                    verdict: Verdict::errno(errno),
                    span: stated.span,
                };
                (!patterns.is_empty()).then_some(PlainRule {
                    rule,
                    cond: Cond::Text(TextTest { field: 0, patterns }),
                    patterns: Vec::new(),
                })
            })
            .collect()
    }

    fn allow(&self, id: u32) -> Checked {
        Checked {
            id,
            verdict: Verdict::ALLOW,
            span: self.head,
        }
    }

    fn plain(&self, event: Event, rules: Vec<PlainRule>, default: Checked) -> Program {
        Program::Plain {
            event,
            rules,
            default,
            head: self.head,
            expanded: true,
        }
    }

    /// Names that are refused in whatever way they are used: they are refused before the kernel looks for them.
    fn getname(&self) -> Program {
        let allow = self.allow(self.laws.other);
        self.plain(Event::VfsGetname, self.refusals(), allow)
    }

    fn walk(&self, ways: &[(Pattern, u32)]) -> Program {
        let event = Event::VfsWalk;
        let rule = |rule: Checked, cond: Cond| PlainRule {
            rule,
            cond,
            patterns: Vec::new(),
        };
        let internal = bit(event, "flags", flag::INTERNAL);
        let unreachable = is(event, "reachable", 0);
        let mut rules = vec![
            rule(self.allow(self.laws.internal), internal),
            rule(self.default.clone(), unreachable),
        ];
        rules.extend(self.refusals());
        if !self.hides {
            return self.plain(event, rules, self.allow(self.laws.other));
        }
        // A link that lies where nothing is granted may be followed: what it leads to is judged. Libraries are often reached by one.
        let follows = is(event, "step", step::SEARCH).negate();
        rules.push(rule(self.allow(self.laws.steps), follows));
        let granted = self.places.iter().filter(|place| !place.refuses());
        let mut patterns: Vec<Pattern> = granted.flat_map(|place| place.name.covers()).collect();
        patterns.extend(ways.iter().map(|(way, _)| way.clone()));
        patterns.extend(wildernesses(&self.places));
        // Searches and literals do not share a table well.
        let (open, closed): (Vec<Pattern>, Vec<Pattern>) =
            patterns.into_iter().partition(Pattern::is_open);
        for patterns in [closed, open] {
            if !patterns.is_empty() {
                let cond = Cond::Text(TextTest { field: 0, patterns });
                rules.push(rule(self.allow(self.laws.steps), cond));
            }
        }
        self.plain(event, rules, self.default.clone())
    }
}

/// The byte offset of a word of the event's record.
pub(crate) fn offset(event: Event, field: &str) -> u32 {
    match event.schema().field(field).map(|field| field.place) {
        Some(Field::Word(offset) | Field::Long(offset)) => offset,
        // The fields that are asked for are in the schemas; `tests` would see the first word being read instead.
        Some(Field::String(_)) | None => 0,
    }
}

fn number(event: Event, field: &str, mask: u32, value: u32) -> Cond {
    let mut ranges = Ranges::new();
    ranges.add(value.into(), value.into());
    Cond::number(NumberTest {
        number: Number {
            offset: offset(event, field),
            long: false,
        },
        mask: mask.into(),
        ranges,
    })
}

fn is(event: Event, field: &str, value: u32) -> Cond {
    number(event, field, u32::MAX, value)
}

fn bit(event: Event, field: &str, bit: u32) -> Cond {
    number(event, field, bit, bit)
}

/// Patterns up to which those with wildcards share a table with paths.
///
/// In a table of many paths a search goes along with every one of them, so that no state is a plain literal any more, and the table grows tenfold.
const MAX_MIXED: usize = 256;

/// What goes into one table.
struct Sheet {
    part: Part,
    patterns: Vec<(Pattern, u32)>,
    /// For the first of the patterns: the places that they are from.
    owners: Vec<usize>,
}

/// One sheet for everything; or one for refusals and patterns, which win, and one for paths.
fn sheets(paths: &Paths, ways: &[(Pattern, u32)]) -> Vec<Sheet> {
    let sheet = |part: Part| {
        let here = |wins: bool| match part {
            Part::Whole => true,
            Part::First => wins,
            Part::Second => !wins,
        };
        let mut patterns = Vec::new();
        let mut owners = Vec::new();
        for (index, place) in paths.places.iter().enumerate() {
            if here(place.refuses() || matches!(place.name, Name::Glob(_))) {
                for pattern in place.name.covers() {
                    patterns.push((pattern, place.rights));
                    owners.push(index);
                }
            }
        }
        for (way, _) in ways {
            if here(matches!(way, Pattern::Glob(_))) {
                patterns.push((way.clone(), WAY));
            }
        }
        Sheet {
            part,
            patterns,
            owners,
        }
    };
    let whole = sheet(Part::Whole);
    let open = whole.patterns.iter().any(|(pattern, _)| pattern.is_open());
    if open && whole.patterns.len() > MAX_MIXED {
        vec![sheet(Part::First), sheet(Part::Second)]
    } else {
        vec![whole]
    }
}

/// Expands the block, and enters its places into the map.
///
/// # Errors
///
/// The patterns multiply each other.
pub(crate) fn expand(paths: &Paths, map: &mut Map) -> Result<Expanded, Failure> {
    let ways = ways(&paths.places, paths.laws.steps);
    let sheets = sheets(paths, &ways);
    let too_large = |states: usize| {
        let all = || paths.places.iter().flat_map(|place| place.name.covers());
        Failure::States {
            states,
            open: all().filter(Pattern::is_open).count(),
            patterns: all().count(),
            spans: paths.statements.iter().map(|stated| stated.span).collect(),
        }
    };
    let mut deciding = BTreeSet::new();
    let mut landscapes = Vec::new();
    for sheet in &sheets {
        let landscape = Landscape::new(&sheet.patterns).map_err(|error| too_large(error.states))?;
        let owners = landscape.deciding.iter();
        deciding.extend(owners.filter_map(|&index| sheet.owners.get(index as usize).copied()));
        landscapes.push((sheet.part, landscape));
    }
    let tables = |event: Event| {
        let tables = landscapes.iter().map(|(part, landscape)| match event {
            Event::VfsPick => landscape.names(*part),
            _ => Ok(landscape.rights(GRANTS | WAY | DENY | HIDE)),
        });
        tables.collect::<Result<Vec<_>, _>>()
    };
    let mut programs = Vec::new();
    for event in paths.events() {
        programs.push(match event {
            Event::VfsGetname => paths.getname(),
            Event::VfsWalk => paths.walk(&ways),
            _ => Program::Places(Places {
                event,
                tables: tables(event).map_err(|error| too_large(error.states))?,
                default: paths.default.clone(),
                hides: paths.hides,
                laws: paths.laws,
                head: paths.head,
            }),
        });
    }
    map.set_places(mapped(&paths.places, &ways, paths.default.id));
    Ok(Expanded { programs, deciding })
}

// SPDX-License-Identifier: GPL-2.0
//! Which rule is behind which instruction: what a policy image leaves out and a user wants to see.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::prelude::rust_2021::*;

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use crate::event::Event;
use crate::policy::Policy;
use crate::record::Record;
use crate::verdict::Verdict;
use crate::vm::{self, Outcome};

/// A rule, as a user knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// File that it stands in.
    pub file: String,
    /// Line that it begins on, counted from 1.
    pub line: u32,
    /// Its text, on one line.
    pub text: String,
}

/// What stands behind a return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Decider {
    /// This rule.
    Rule(u32),
    /// The rules behind a table: `rules[value - 1]`.
    Table {
        table: u32,
        field: u8,
        rules: Vec<u32>,
    },
    /// The statements about the first place that covers the string; of these the first that gives one of the rights `wanted`.
    Place { field: u8, wanted: u32 },
}

/// A place of a `paths` block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// What it covers.
    pub(crate) patterns: Vec<Pattern>,
    /// The statements about it, each with the rights that it gives.
    pub(crate) rules: Vec<(u32, u32)>,
}

/// The places of a `paths` block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// The first one that covers a path decides.
    pub(crate) list: Vec<Place>,
    /// The rule about paths that no place covers.
    pub(crate) default: u32,
}

impl Places {
    fn rule(&self, path: &[u8], wanted: u32) -> u32 {
        let covers = |place: &&Place| place.patterns.iter().any(|pattern| pattern.matches(path));
        let Some(place) = self.list.iter().find(covers) else {
            return self.default;
        };
        let gives = |rule: &&(u32, u32)| rule.0 & wanted != 0;
        let rule = place.rules.iter().find(gives).or(place.rules.first());
        rule.map_or(self.default, |&(_, rule)| rule)
    }
}

/// Leads from a verdict back to the rule that gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Name of the policy.
    pub policy: String,
    rules: Vec<Rule>,
    /// For each event by name: the returns by instruction.
    returns: BTreeMap<String, BTreeMap<u32, Decider>>,
    #[serde(default)]
    places: Option<Places>,
}

/// A verdict and the rule behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation<'m> {
    /// The verdict.
    pub verdict: Verdict,
    /// The instruction that returned it.
    pub insn: u32,
    /// The rule; `None` only if the map does not belong to the image.
    pub rule: Option<&'m Rule>,
}

impl Map {
    pub(crate) fn new(policy: &str) -> Map {
        Map {
            policy: policy.to_string(),
            ..Map::default()
        }
    }

    pub(crate) fn add_rule(&mut self, rule: Rule) -> u32 {
        self.rules.push(rule);
        (self.rules.len() - 1) as u32
    }

    pub(crate) fn add_return(&mut self, event: Event, insn: u32, rule: u32) {
        self.program(event).insert(insn, Decider::Rule(rule));
    }

    pub(crate) fn add_table_return(
        &mut self,
        event: Event,
        insn: u32,
        table: u32,
        field: u8,
        rules: Vec<u32>,
    ) {
        let decider = Decider::Table {
            table,
            field,
            rules,
        };
        self.program(event).insert(insn, decider);
    }

    pub(crate) fn add_place_return(&mut self, event: Event, insn: u32, field: u8, wanted: u32) {
        let decider = Decider::Place { field, wanted };
        self.program(event).insert(insn, decider);
    }

    pub(crate) fn set_places(&mut self, places: Places) {
        self.places = Some(places);
    }

    fn program(&mut self, event: Event) -> &mut BTreeMap<u32, Decider> {
        self.returns
            .entry(event.schema().name.to_string())
            .or_default()
    }

    /// All rules of the policy, in the order of the text; `default` is one, too.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule behind the return at instruction `insn`.
    ///
    /// `None` also for a return that serves many rules (the statements of a `paths` block; a run of more than 512 rules on the same string);
    /// [`Map::explain`] knows these.
    pub fn rule(&self, event: Event, insn: usize) -> Option<&Rule> {
        match self.decider(event, insn)? {
            Decider::Rule(rule) => self.rules.get(*rule as usize),
            Decider::Table { .. } | Decider::Place { .. } => None,
        }
    }

    fn decider(&self, event: Event, insn: usize) -> Option<&Decider> {
        self.returns
            .get(event.schema().name)?
            .get(&u32::try_from(insn).ok()?)
    }

    /// Runs `policy` over `record` and names the rule that decides. `None` if the policy has no program for the event.
    pub fn explain<B: Deref<Target = [u8]>>(
        &self,
        policy: &Policy<B>,
        record: &Record<'_>,
    ) -> Option<Explanation<'_>> {
        let program = policy.program(record.event())?;
        let Outcome { verdict, insn } = vm::run(&program, record);
        let rule = match self.decider(record.event(), insn) {
            Some(Decider::Rule(rule)) => self.rules.get(*rule as usize),
            Some(Decider::Table {
                table,
                field,
                rules,
            }) => program
                .table(*table as usize)
                .and_then(|table| {
                    let found = record.look(usize::from(*field), |text| table.lookup(text));
                    found.ok()?
                })
                .and_then(|value| rules.get((value as usize).checked_sub(1)?))
                .and_then(|&rule| self.rules.get(rule as usize)),
            Some(Decider::Place { field, wanted }) => self
                .places
                .as_ref()
                .and_then(|places| {
                    let found = record.look(usize::from(*field), |path| places.rule(path, *wanted));
                    found.ok()
                })
                .and_then(|rule| self.rules.get(rule as usize)),
            None => None,
        };
        Some(Explanation {
            verdict,
            insn: insn as u32,
            rule,
        })
    }

    /// The map as JSON, to be kept beside the image.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them: there is nothing that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The map from its JSON.
    ///
    /// # Errors
    ///
    /// The text is not what [`Map::to_json`] writes.
    pub fn from_json(text: &str) -> Result<Map, serde_json::Error> {
        serde_json::from_str(text)
    }
}

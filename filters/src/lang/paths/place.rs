// SPDX-License-Identifier: GPL-2.0
//! Places: what a statement's string names.

use std::collections::HashMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::map;
use super::super::pattern::{Part, Pattern};
use super::super::source::Span;
use super::rights::{DENY, HIDE, WAY};

/// What a string names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// An absolute path.
    Literal(Vec<u8>),
    /// A pattern.
    Glob(Vec<Part>),
}

impl Name {
    /// What it covers: itself and everything below.
    pub(crate) fn covers(&self) -> Vec<Pattern> {
        match self {
            Name::Literal(path) => vec![Pattern::under(path)],
            // It covers everything below by itself.
            Name::Glob(parts) if parts.last() == Some(&Part::Any) => {
                vec![Pattern::Glob(parts.clone())]
            }
            Name::Glob(parts) => {
                let mut below = parts.clone();
                below.extend([Part::Byte(b'/'), Part::Any]);
                vec![Pattern::Glob(parts.clone()), Pattern::Glob(below)]
            }
        }
    }

    /// The directories on the way to it, as far as they can be told without walking through `**`.
    fn way(&self) -> Vec<Pattern> {
        match self {
            Name::Literal(path) => {
                let slashes = (1..path.len()).filter(|&at| path[at] == b'/');
                slashes
                    .map(|at| Pattern::Equal(path[..at].to_vec()))
                    .collect()
            }
            Name::Glob(parts) => {
                let plain = parts
                    .iter()
                    .take_while(|part| !matches!(part, Part::Any | Part::Directories))
                    .count();
                let slashes = (1..plain).filter(|&at| parts[at] == Part::Byte(b'/'));
                slashes
                    .map(|at| Pattern::Glob(parts[..at].to_vec()))
                    .collect()
            }
        }
    }

    /// What has to be walked through to find what `**` stands for.
    fn wilderness(&self) -> Option<Pattern> {
        let Name::Glob(parts) = self else { return None };
        let wide = |part: &Part| matches!(part, Part::Any | Part::Directories);
        let at = parts.iter().position(wide)?;
        let mut around = parts[..at].to_vec();
        around.push(Part::Any);
        Some(Pattern::Glob(around))
    }
}

/// What a block says about one name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: Name,
    pub(crate) rights: u32,
    /// The statements that speak of it.
    pub(crate) mentions: Vec<Mention>,
}

/// A statement's word about a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mention {
    /// Index of the statement.
    pub(crate) statement: usize,
    pub(crate) rights: u32,
    /// The rule in the map.
    pub(crate) rule: u32,
    pub(crate) span: Span,
    /// It stands in a set, not in the statement itself.
    pub(crate) through_set: bool,
}

impl Place {
    pub(crate) fn refuses(&self) -> bool {
        self.rights & (DENY | HIDE) != 0
    }
}

/// Gathers places in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    refused: Vec<Place>,
    granted: Vec<Place>,
    known: HashMap<(bool, Name), usize>,
}

impl Gathered {
    /// Adds what a statement says about a name.
    pub(crate) fn add(&mut self, name: Name, mention: Mention) {
        let refuses = mention.rights & (DENY | HIDE) != 0;
        let list = if refuses {
            &mut self.refused
        } else {
            &mut self.granted
        };
        // Refusals are not joined: the first of them decides.
        if !refuses {
            if let Some(&at) = self.known.get(&(refuses, name.clone())) {
                list[at].rights |= mention.rights;
                list[at].mentions.push(mention);
                return;
            }
            self.known.insert((refuses, name.clone()), list.len());
        }
        list.push(Place {
            name,
            rights: mention.rights,
            mentions: vec![mention],
        });
    }

    /// All places in the order in which they decide.
    pub(crate) fn in_order(self) -> Vec<Place> {
        let (patterns, mut literals): (Vec<Place>, Vec<Place>) = self
            .granted
            .into_iter()
            .partition(|place| matches!(place.name, Name::Glob(_)));
        // Of two literals that cover the same path the longer one is the deeper one.
        literals.sort_by_key(|place| match &place.name {
            Name::Literal(path) => std::cmp::Reverse(path.len()),
            Name::Glob(_) => std::cmp::Reverse(0),
        });
        let mut all = self.refused;
        all.extend(patterns);
        all.extend(literals);
        all
    }
}

/// The directories on the way to what is granted, each with the rule that makes it one. `alone` is the rule for the root directory of a block that
/// grants nothing.
pub(crate) fn ways(places: &[Place], alone: u32) -> Vec<(Pattern, u32)> {
    let mut seen: HashMap<Pattern, usize> = HashMap::new();
    let mut ways = Vec::new();
    let granted = places.iter().filter(|place| !place.refuses());
    let first = granted.clone().find_map(|place| place.mentions.first());
    let root = first.map_or(alone, |mention| mention.rule);
    let found = granted.flat_map(|place| {
        let rule = place.mentions.first().map_or(alone, |mention| mention.rule);
        place.name.way().into_iter().map(move |way| (way, rule))
    });
    for (way, rule) in [(Pattern::Equal(b"/".to_vec()), root)]
        .into_iter()
        .chain(found)
    {
        if seen.insert(way.clone(), ways.len()).is_none() {
            ways.push((way, rule));
        }
    }
    ways
}

/// What has to be walked through to find what is granted behind `**`.
pub(crate) fn wildernesses(places: &[Place]) -> Vec<Pattern> {
    let granted = places.iter().filter(|place| !place.refuses());
    granted
        .filter_map(|place| place.name.wilderness())
        .collect()
}

/// The places as the map keeps them.
pub(crate) fn mapped(places: &[Place], ways: &[(Pattern, u32)], default: u32) -> map::Places {
    let said = places.iter().map(|place| map::Place {
        patterns: place.name.covers(),
        rules: place
            .mentions
            .iter()
            .map(|mention| (mention.rights, mention.rule))
            .collect(),
    });
    let ways = ways.iter().map(|(way, rule)| map::Place {
        patterns: vec![way.clone()],
        rules: vec![(WAY, *rule)],
    });
    map::Places {
        list: said.chain(ways).collect(),
        default,
    }
}

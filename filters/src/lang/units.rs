// SPDX-License-Identifier: GPL-2.0
//! Collecting a policy from its files: includes are expanded, sets and blocks gathered.

use std::collections::{BTreeMap, HashMap};
use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::ast::{Block, Element, ElementKind, Item, Name, PathsBlock, SetDef};
use super::diagnostics::{Report, Reports};
use super::parser::parse;
use super::source::{Loader, Sources, Span, MAX_SOURCE_BYTES};
use crate::scope::Scopes;

/// Files inside each other, at most.
const MAX_DEPTH: usize = 16;

/// Elements that all uses of sets may come to, at most.
const MAX_EXPANDED: usize = 1 << 20;

/// The sets that are always there.
const BUILT_IN: &str = include_str!("sets/systemd.evf");

/// All files of a policy, put together.
#[derive(Debug, Default)]
pub(crate) struct Units {
    pub(crate) name: Option<Name>,
    pub(crate) blocks: Vec<Block>,
    /// The `paths` blocks: at most one from each file.
    pub(crate) paths: Vec<PathsBlock>,
    pub(crate) scopes: Scopes,
    sets: HashMap<String, SetDef>,
    built_in: HashMap<String, SetDef>,
}

/// One element behind a list, sets expanded.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// A string, value or range; never a set.
    pub(crate) kind: ElementKind,
    /// Its place.
    pub(crate) span: Span,
    /// Where the set stands in the rule through which it came.
    pub(crate) through: Option<Span>,
}

impl Leaf {
    /// The place in the rule.
    pub(crate) fn place(&self) -> Span {
        self.through.unwrap_or(self.span)
    }
}

/// Parses `text` and what it includes.
pub(crate) fn collect(
    name: &str,
    text: &str,
    loader: &dyn Loader,
    sources: &mut Sources,
    reports: &mut Reports,
) -> Units {
    let mut units = Units::default();
    let file = sources.add("built-in systemd.evf", BUILT_IN);
    for item in parse(file, BUILT_IN, reports) {
        if let Item::Set(set) = item {
            units.built_in.insert(set.name.text.clone(), set);
        }
    }
    if text.len() > MAX_SOURCE_BYTES {
        reports.add(Report::error(format!("{name} is larger than 16 MiB")));
        return units;
    }
    let mut files = Files {
        loader,
        sources,
        reports,
        known: BTreeMap::new(),
        open: vec![loader.identity(name)],
    };
    let file = files.sources.add(name, text);
    files.known.insert(loader.identity(name), file);
    files.file(file, name, text, &mut units);
    units
}

struct Files<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut Sources,
    reports: &'a mut Reports,
    /// Files that were read, by identity.
    known: BTreeMap<String, u32>,
    /// Files that are being read, outermost first.
    open: Vec<String>,
}

impl Files<'_> {
    fn file(&mut self, file: u32, name: &str, text: &str, units: &mut Units) {
        let mut header: Option<Name> = None;
        for item in parse(file, text, self.reports) {
            match item {
                Item::Policy(policy) => {
                    if let Some(first) = &header {
                        self.reports.add(
                            Report::error("a file has one `policy` line")
                                .label(policy.span, "a second name")
                                .label(first.span, "the first one"),
                        );
                    }
                    // What an included file calls itself does not matter.
                    if self.open.len() == 1 && units.name.is_none() {
                        units.name = Some(policy.clone());
                    }
                    header = Some(policy);
                }
                Item::Include { path, span } => self.include(name, &path, span, units),
                Item::Set(set) => self.set(set, units),
                Item::Block(block) => units.blocks.push(block),
                Item::Paths(block) => self.paths(block, units),
                Item::Scope(names) => self.scope(&names, units),
            }
        }
    }

    /// Blocks of several files are one block; in one file a second one is more likely a slip.
    fn paths(&mut self, block: PathsBlock, units: &mut Units) {
        let here = |other: &&PathsBlock| other.head.file == block.head.file;
        if let Some(first) = units.paths.iter().find(here) {
            self.reports.add(
                Report::error("a file has one `paths` block")
                    .label(block.head, "a second one")
                    .label(first.head, "the first one")
                    .help("put the statements together: their order only matters among `deny` and `hidden`, and among patterns"),
            );
            return;
        }
        units.paths.push(block);
    }

    fn scope(&mut self, names: &[Name], units: &mut Units) {
        let mut here = Scopes::NONE;
        for name in names {
            let found = Scopes::NAMES.iter().find(|(word, _)| *word == name.text);
            let Some(&(_, scope)) = found else { continue };
            if here.intersects(scope) {
                self.reports.add(
                    Report::warning(format!("`{}` is in the list twice", name.text))
                        .label(name.span, "again"),
                );
            }
            here = here | scope;
            units.scopes = units.scopes | scope;
        }
    }

    fn include(&mut self, from: &str, path: &str, span: Span, units: &mut Units) {
        let loaded = match self.loader.load(from, path) {
            Ok(loaded) => loaded,
            Err(message) => {
                self.reports
                    .add(Report::error(message).label(span, "included here"));
                return;
            }
        };
        if self.open.contains(&loaded.identity) {
            self.reports.add(
                Report::error(format!("{path} includes itself"))
                    .label(span, "this closes the circle"),
            );
            return;
        }
        if self.known.contains_key(&loaded.identity) {
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            self.reports.add(
                Report::error(format!("more than {MAX_DEPTH} files include each other"))
                    .label(span, "too deep"),
            );
            return;
        }
        if loaded.text.len() > MAX_SOURCE_BYTES {
            self.reports.add(
                Report::error(format!("{path} is larger than 16 MiB")).label(span, "included here"),
            );
            return;
        }
        let file = self.sources.add(&loaded.name, &loaded.text);
        self.known.insert(loaded.identity.clone(), file);
        self.open.push(loaded.identity);
        self.file(file, &loaded.name, &loaded.text, units);
        self.open.pop();
    }

    fn set(&mut self, set: SetDef, units: &mut Units) {
        if let Some(first) = units.sets.get(&set.name.text) {
            self.reports.add(
                Report::error(format!("the set @{} is defined twice", set.name.text))
                    .label(set.name.span, "a second definition")
                    .label(first.name.span, "the first one"),
            );
            return;
        }
        units.sets.insert(set.name.text.clone(), set);
    }
}

impl Units {
    /// A set: one of the policy's own, or one that is built in.
    fn set(&self, name: &str) -> Option<&SetDef> {
        self.sets.get(name).or_else(|| self.built_in.get(name))
    }

    /// Whether there is a set of this name.
    pub(crate) fn has_set(&self, name: &str) -> bool {
        self.set(name).is_some()
    }

    /// The sets that the policy itself defines.
    pub(crate) fn own_sets(&self) -> impl Iterator<Item = &SetDef> {
        let mut sets: Vec<&SetDef> = self.sets.values().collect();
        sets.sort_by_key(|set| set.name.span);
        sets.into_iter()
    }

    /// The elements of a list with all sets in it expanded. Unknown sets and circles are reported and left out.
    pub(crate) fn expand(&self, elements: &[Element], reports: &mut Reports) -> Option<Vec<Leaf>> {
        let mut leaves = Vec::new();
        let errors = reports.errors();
        for element in elements {
            let mut open = Vec::new();
            self.expand_into(element, None, &mut open, &mut leaves, reports);
        }
        (reports.errors() == errors).then_some(leaves)
    }

    fn expand_into<'s>(
        &'s self,
        element: &'s Element,
        through: Option<Span>,
        open: &mut Vec<&'s str>,
        leaves: &mut Vec<Leaf>,
        reports: &mut Reports,
    ) {
        let ElementKind::Set(name) = &element.kind else {
            leaves.push(Leaf {
                kind: element.kind.clone(),
                span: element.span,
                through,
            });
            return;
        };
        let Some(set) = self.set(name) else {
            let names = self.sets.keys().chain(self.built_in.keys());
            let names: Vec<String> = names.map(|name| format!("@{name}")).collect();
            reports.add(
                Report::error(format!("there is no set @{name}"))
                    .label(element.span, "not defined")
                    .suggest(&format!("@{name}"), names.iter().map(String::as_str)),
            );
            return;
        };
        if open.contains(&set.name.text.as_str()) {
            reports.add(
                Report::error(format!("the set @{name} contains itself"))
                    .label(element.span, "this closes the circle")
                    .label(set.name.span, "defined here"),
            );
            return;
        }
        open.push(&set.name.text);
        for inner in &set.elements {
            if leaves.len() >= MAX_EXPANDED {
                reports.add(
                    Report::error(format!("more than {MAX_EXPANDED} elements"))
                        .label(through.unwrap_or(element.span), "through this set"),
                );
                break;
            }
            let errors = reports.errors();
            self.expand_into(inner, through.or(Some(element.span)), open, leaves, reports);
            if reports.errors() > errors {
                break;
            }
        }
        open.pop();
    }
}

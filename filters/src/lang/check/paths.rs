// SPDX-License-Identifier: GPL-2.0
//! `paths { ... }`: what its strings name, and what cannot be meant.

use std::collections::BTreeSet;
use std::format;
use std::prelude::rust_2021::*;

use super::super::ast::{ElementKind, PathsBlock, Statement};
use super::super::codegen::Checked;
use super::super::diagnostics::{Report, Reports};
use super::super::map::Rule as MapRule;
use super::super::paths::place::{Gathered, Mention, Name};
use super::super::paths::{rights, Laws, Paths, Stated, EACCES, ENOENT};
use super::super::pattern::{Part, Pattern};
use super::super::source::Span;
use super::super::units::Leaf;
use super::{Checker, Group};
use crate::event::Event;
use crate::limits::MAX_STRING_BYTES;
use crate::verdict::Verdict;

impl Checker<'_, '_> {
    /// All `paths` blocks of the policy as one; `None` if there is none, or one that cannot be used.
    pub(super) fn paths(&mut self, groups: &[Group<'_>]) -> Option<Paths> {
        let units = self.units;
        let head = units.paths.first()?.head;
        let statements: Vec<&Statement> = units
            .paths
            .iter()
            .flat_map(|block| &block.statements)
            .collect();
        let mut gathered = Gathered::default();
        let mut stated = Vec::new();
        for (index, statement) in statements.iter().enumerate() {
            let rule = self.map_rule(statement.span);
            let rights = rights::of(statement.verb);
            stated.push(Stated {
                rule,
                rights,
                span: statement.span,
            });
            let Some(leaves) = self.units.expand(&statement.places, self.reports) else {
                continue;
            };
            let mut useless: Option<Span> = None;
            for leaf in leaves {
                if leaf.through.is_some() && leaf.through == useless {
                    continue;
                }
                let Some(name) = self.place(&leaf) else {
                    // Of a set that holds something else, one message says enough.
                    useless = leaf.through;
                    continue;
                };
                let mention = Mention {
                    statement: index,
                    rights,
                    rule,
                    span: leaf.span,
                    through_set: leaf.through.is_some(),
                };
                gathered.add(name, mention);
            }
        }
        let places = gathered.in_order();
        for place in &places {
            self.repeated(&place.mentions, &statements);
        }
        let (default, hides) = self.paths_default(head)?;
        if stated.is_empty() && units.paths.iter().all(nothing) {
            self.reports.add(
                Report::error("the block grants nothing")
                    .label(head, "every file would be refused")
                    .help("if that is meant, say so: default deny EACCES"),
            );
        }
        let laws = Laws::new(Laws::TEXTS.map(|text| self.law(head, text)));
        let paths = Paths {
            head,
            places,
            statements: stated,
            default,
            hides,
            laws,
        };
        self.judged_twice(&paths, groups);
        Some(paths)
    }

    fn law(&mut self, head: Span, text: &str) -> u32 {
        self.map.add_rule(MapRule {
            file: self.sources.name(head).to_string(),
            line: self.sources.line(head),
            text: text.to_string(),
        })
    }

    /// What happens where nothing is granted, and whether that is to look as if nothing were there.
    fn paths_default(&mut self, head: Span) -> Option<(Checked, bool)> {
        let units = self.units;
        let mut defaults = units
            .paths
            .iter()
            .filter_map(|block| block.default.as_ref());
        let Some(default) = defaults.next() else {
            let checked = Checked {
                id: self.law(head, "paths: deny EACCES what nothing grants"),
                verdict: Verdict::errno(EACCES),
                span: head,
            };
            return Some((checked, false));
        };
        if let Some(second) = defaults.next() {
            self.reports.add(
                Report::error("a policy has one `default` for its paths")
                    .label(second.span, "a second `default`")
                    .label(default.span, "the first one")
                    .help("the `paths` blocks of all files are one block"),
            );
        }
        if default.verdict.word.text == "hidden" {
            let checked = Checked {
                id: self.map_rule(default.span),
                verdict: Verdict::errno(ENOENT),
                span: default.span,
            };
            return Some((checked, true));
        }
        let checked = self.checked(Event::VfsPick, &default.verdict, default.span)?;
        Some((checked, false))
    }

    /// Blocks of the policy for events that its `paths` block judges already.
    fn judged_twice(&mut self, paths: &Paths, groups: &[Group<'_>]) {
        let events = paths.events();
        for group in groups {
            if let (true, Some(block)) = (events.contains(&group.event), group.blocks.first()) {
                let name = group.event.schema().name;
                self.reports.add(
                    Report::error(format!("the `paths` block already judges {name}"))
                        .label(block.head, "a second program for the same event")
                        .label(paths.head, "this one is expanded to programs for several events")
                        .help("put this block into a policy of its own and load both: the stricter verdict counts"),
                );
            }
        }
    }

    /// Grants of one place that say the same.
    fn repeated(&mut self, mentions: &[Mention], statements: &[&Statement]) {
        for (at, mention) in mentions.iter().enumerate() {
            if mention.through_set {
                continue;
            }
            let covers = |other: &&Mention| other.rights & mention.rights == mention.rights;
            let verb = |mention: &Mention| {
                let statement = statements.get(mention.statement);
                statement.map_or("", |statement| statement.verb.word())
            };
            let earlier = mentions[..at].iter().find(covers);
            let later = mentions[at + 1..]
                .iter()
                .find(|other| covers(other) && other.rights != mention.rights);
            if let Some(other) = earlier.or(later) {
                let (this, that) = (verb(mention), verb(other));
                let message = if this == that {
                    "the place is named twice".to_string()
                } else {
                    format!("`{that}` gives `{this}` as well")
                };
                self.reports.add(
                    Report::warning(message)
                        .label(mention.span, "adds nothing")
                        .label(other.span, "the same place"),
                );
            }
        }
    }

    /// What the string names.
    fn place(&mut self, leaf: &Leaf) -> Option<Name> {
        let ElementKind::Text(text) = &leaf.kind else {
            let report = Report::error("expected a place")
                .label(leaf.span, "not a string")
                .help("places are paths and patterns in double quotes: \"/usr\", \"**/.env\"");
            return self.misnamed(leaf, report);
        };
        if text.len() > MAX_STRING_BYTES {
            let report = Report::error(format!(
                "a path has at most {MAX_STRING_BYTES} bytes, this one has {}",
                text.len()
            ))
            .label(leaf.span, "longer than any path");
            return self.misnamed(leaf, report);
        }
        if text.is_empty() {
            let report = Report::error("the empty string is no place")
                .label(leaf.span, "empty")
                .help("the root directory, and with it everything, is \"/\"");
            return self.misnamed(leaf, report);
        }
        if !text.starts_with(b"/") && !text.starts_with(b"**") {
            let shown = String::from_utf8_lossy(text);
            let report =
                Report::error("a place is an absolute path, or a pattern that begins with `**`")
                    .label(leaf.span, "relative to what?");
            let report = if text.starts_with(b"~") {
                report.help("`~` is known to shells only: write the directory itself")
            } else {
                let shown = shown.trim_start_matches("./");
                report.help(format!(
                    "\"/{shown}\" is one place, \"**/{shown}\" every place of that name"
                ))
            };
            return self.misnamed(leaf, report);
        }
        self.components(leaf, text)?;
        match Pattern::glob(text) {
            Ok(Pattern::Glob(parts)) => Some(named(parts)),
            Ok(_) => None,
            Err((at, message)) => {
                let report = Report::error(format!("not a pattern: {message}"))
                    .label(leaf.span, format!("at byte {at} of the string"));
                self.misnamed(leaf, report)
            }
        }
    }

    /// The kernel's paths have no components that mean another directory, and no slash too many: a place with one would never fit.
    fn components(&mut self, leaf: &Leaf, text: &[u8]) -> Option<()> {
        if text == b"/" {
            return Some(());
        }
        let inner = text.strip_prefix(b"/").unwrap_or(text);
        let mut components: Vec<&[u8]> = inner.split(|&byte| byte == b'/').collect();
        if components.last() == Some(&&b""[..]) {
            components.pop();
            let tidy = String::from_utf8_lossy(&text[..text.len() - 1]).into_owned();
            let report = Report::error("a place has no slash at its end")
                .label(leaf.span, "one slash too many")
                .help(format!(
                    "\"{tidy}\" is the directory and everything below it"
                ));
            self.misnamed::<()>(leaf, report);
            return None;
        }
        for component in components {
            let what = match component {
                b"" => "`//`",
                b"." => "`.`",
                b".." => "`..`",
                _ => continue,
            };
            let report = Report::error(format!("a place has no {what} in it"))
                .label(leaf.span, format!("has {what}"))
                .help("paths are judged as the kernel has resolved them: write where it leads");
            self.misnamed::<()>(leaf, report);
            return None;
        }
        Some(())
    }

    fn misnamed<T>(&mut self, leaf: &Leaf, report: Report) -> Option<T> {
        let report = self.through(leaf, report);
        self.reports.add(report);
        None
    }
}

/// A block in which nothing is written; what could not be read is something.
fn nothing(block: &PathsBlock) -> bool {
    block.statements.is_empty() && block.default.is_none() && !block.broken
}

/// A pattern without wildcards is a path.
fn named(parts: Vec<Part>) -> Name {
    let bytes: Option<Vec<u8>> = parts
        .iter()
        .map(|part| match part {
            Part::Byte(byte) => Some(*byte),
            _ => None,
        })
        .collect();
    match bytes {
        Some(path) => Name::Literal(path),
        None => Name::Glob(parts),
    }
}

/// Reports statements and places that decide about no path, because others decide about all of theirs.
pub(crate) fn undecided(paths: &Paths, deciding: &BTreeSet<usize>, reports: &mut Reports) {
    let idle = |index: &usize| !deciding.contains(index);
    for (number, statement) in paths.statements.iter().enumerate() {
        let of_statement: Vec<(usize, Mention)> = paths
            .places
            .iter()
            .enumerate()
            .flat_map(|(index, place)| {
                let mentions = place.mentions.iter().filter(|m| m.statement == number);
                mentions.map(move |mention| (index, *mention))
            })
            .collect();
        if of_statement.is_empty() {
            continue;
        }
        let whole = of_statement.iter().all(|(index, _)| idle(index));
        if whole {
            let (index, _) = of_statement[0];
            let by = blocker(paths, index);
            let same = by.is_some_and(|by| by.rights == statement.rights);
            let message = "the statement never decides";
            let mut report = if same {
                Report::warning(message)
            } else {
                Report::error(message)
            };
            report = report.label(statement.span, "others decide about all of its places");
            if let Some(by) = by {
                report = report.label(by.span, "this one, for example");
            }
            if !same {
                report = report.help(precedence(by, statement.rights));
            }
            reports.add(report);
            continue;
        }
        for (index, mention) in of_statement {
            if !idle(&index) || mention.through_set {
                continue;
            }
            let mut report = Report::warning("the place never decides")
                .label(mention.span, "others decide about all that it covers");
            if let Some(by) = blocker(paths, index) {
                report = report
                    .label(by.span, "this one, for example")
                    .help(precedence(Some(by), statement.rights));
            }
            reports.add(report);
        }
    }
}

/// An earlier place that covers an example of what the place covers.
fn blocker(paths: &Paths, index: usize) -> Option<Mention> {
    let example = paths.places[index].name.covers().first()?.example();
    let covers = |pattern: &Pattern| pattern.matches(&example);
    let earlier = paths.places[..index].iter();
    let mut covering = earlier.filter(|place| place.name.covers().iter().any(covers));
    covering.next()?.mentions.first().copied()
}

fn precedence(by: Option<Mention>, rights: u32) -> &'static str {
    let refuses = |rights: u32| rights & (rights::DENY | rights::HIDE) != 0;
    match by {
        Some(by) if refuses(by.rights) && !refuses(rights) => {
            "`deny` and `hidden` win over every grant; an exception to them cannot be granted"
        }
        Some(by) if refuses(by.rights) => "of several refusals the first one decides",
        _ => "patterns win over paths, and of patterns the first one decides",
    }
}

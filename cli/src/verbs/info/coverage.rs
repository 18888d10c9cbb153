// SPDX-License-Identifier: GPL-2.0
//! `evf info --coverage`: which events see a system call or an operation of io_uring, from the table that was built in.

use std::collections::BTreeMap;

use filters::event::Event;
use filters::lang::coverage::{Coverage, Entry, Kind, Unseen};
use serde::Serialize;

use crate::failure::Failure;
use crate::verbs::json;

/// Lines are not longer.
const WIDTH: usize = 100;
const INDENT: &str = "  ";

/// The table, as JSON shows it.
#[derive(Serialize)]
struct Table {
    kernel: &'static str,
    calls: Vec<Line>,
    operations: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    /// Besides syscall.enter.
    events: Vec<&'static str>,
    actions: Vec<&'static str>,
    scopes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
}

/// Prints the table as JSON.
pub(super) fn print_json(coverage: &Coverage) -> Result<(), Failure> {
    let lines = |operations: bool| {
        let wanted = |entry: &&Entry| is_operation(entry) == operations;
        coverage.entries.iter().filter(wanted).map(line).collect()
    };
    json::print(&Table {
        kernel: coverage.release,
        calls: lines(false),
        operations: lines(true),
    })
}

fn is_operation(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Operation(_))
}

fn line(entry: &Entry) -> Line {
    let (architectures, number) = match &entry.kind {
        Kind::Call(arches) => (arches.iter().map(|arch| arch.name()).collect(), None),
        Kind::Operation(number) => (Vec::new(), Some(*number)),
    };
    Line {
        name: entry.name,
        architectures,
        number,
        events: names(&entry.events),
        actions: entry.actions.clone(),
        scopes: entry.scopes.clone(),
        unseen: entry.unseen.map(Unseen::name),
        limit: entry.limit,
    }
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.schema().name).collect()
}

/// The table for people: who sees what, calls that are seen alike together.
pub(super) fn text(coverage: &Coverage) -> String {
    let absent = |entry: &&Entry| entry.unseen != Some(Unseen::Absent);
    let (operations, calls): (Vec<&Entry>, Vec<&Entry>) = coverage
        .entries
        .iter()
        .filter(absent)
        .partition(|entry| is_operation(entry));
    let mut text = format!(
        "Linux {}: {} system calls (x86_64, i386, x32) and {} operations of io_uring.\n\
         syscall.enter sees every system call and no operation. Other events see a call if its arguments lead to them.\n",
        coverage.release,
        calls.len(),
        operations.len()
    );
    for (title, entries) in [
        ("System calls", &calls),
        ("Operations of io_uring", &operations),
    ] {
        text.push_str(&format!("\n{title}\n"));
        seen(&mut text, entries);
        for (why, reason) in [
            (
                Unseen::Descriptor,
                "seen by no other event, because they act on what a descriptor leads to already",
            ),
            (
                Unseen::Object,
                "seen by no other event, because they act on nothing outside of the task that has a name",
            ),
            (
                Unseen::Limit,
                "seen by no other event, see the limits below",
            ),
        ] {
            let list: Vec<&str> = entries
                .iter()
                .filter(|entry| entry.unseen == Some(why))
                .map(|entry| entry.name)
                .collect();
            block(&mut text, reason, &list);
        }
    }
    text.push_str("\nLimits: what can be done without an event that sees it\n");
    let mut limits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in calls.iter().chain(&operations) {
        if let Some(limit) = entry.limit {
            limits.entry(limit).or_default().push(entry.name);
        }
    }
    let mut limits: Vec<(Vec<&str>, &str)> = limits
        .into_iter()
        .map(|(limit, names)| (names, limit))
        .collect();
    limits.sort();
    for (names, limit) in limits {
        block(&mut text, limit, &names);
    }
    text
}

/// Events other than `vfs.pick`, its actions, scopes.
type Seen<'n> = (Vec<&'n str>, Vec<&'n str>, Vec<&'n str>);

/// The calls that are seen, by who sees them.
fn seen(text: &mut String, entries: &[&Entry]) {
    let mut groups: BTreeMap<Seen<'_>, Vec<&str>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.unseen.is_none()) {
        let mut events = names(&entry.events);
        events.retain(|name| *name != Event::VfsPick.schema().name);
        groups
            .entry((events, entry.actions.clone(), entry.scopes.clone()))
            .or_default()
            .push(entry.name);
    }
    for ((mut events, actions, scopes), names) in groups {
        let pick = format!("vfs.pick ({})", actions.join(" "));
        if !actions.is_empty() {
            events.push(&pick);
        }
        let scope = format!("scope {}", scopes.join(" "));
        if !scopes.is_empty() {
            events.push(&scope);
        }
        block(text, &events.join(", "), &names);
    }
}

/// A heading, and names below it.
fn block(text: &mut String, heading: &str, names: &[&str]) {
    if names.is_empty() {
        return;
    }
    filled(text, INDENT, heading.split(' '));
    filled(text, "      ", names.iter().copied());
}

/// Words in lines of at most [`WIDTH`] characters, if a word is not longer.
fn filled<'w>(text: &mut String, indent: &str, words: impl Iterator<Item = &'w str>) {
    let mut line = indent.to_owned();
    for word in words {
        let first = line.len() == indent.len();
        if !first && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = indent.to_owned();
        } else if !first {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use filters::lang::calls::Arch;
    use filters::lang::coverage::coverage;

    use super::*;

    fn entry(name: &'static str, kind: Kind) -> Entry {
        Entry {
            name,
            kind,
            events: Vec::new(),
            actions: Vec::new(),
            scopes: Vec::new(),
            unseen: None,
            limit: None,
        }
    }

    #[test]
    fn calls_that_are_seen_alike_stand_together() {
        let call = |name| entry(name, Kind::Call(vec![Arch::X86_64]));
        let seen = |name| Entry {
            events: vec![Event::VfsWalk, Event::VfsPick],
            actions: vec!["open", "create"],
            scopes: vec!["signal"],
            limit: Some("a sentence"),
            ..call(name)
        };
        let unseen = |name, why| Entry {
            unseen: Some(why),
            ..call(name)
        };
        let coverage = Coverage {
            release: "7.3.4",
            entries: vec![
                seen("openat"),
                unseen("read", Unseen::Descriptor),
                unseen("gone", Unseen::Absent),
                seen("open"),
                Entry {
                    unseen: Some(Unseen::Object),
                    ..entry("NOP", Kind::Operation(0))
                },
            ],
        };
        let expected = "\
Linux 7.3.4: 3 system calls (x86_64, i386, x32) and 1 operations of io_uring.
syscall.enter sees every system call and no operation. Other events see a call if its arguments lead to them.

System calls
  vfs.walk, vfs.pick (open create), scope signal
      openat open
  seen by no other event, because they act on what a descriptor leads to already
      read

Operations of io_uring
  seen by no other event, because they act on nothing outside of the task that has a name
      NOP

Limits: what can be done without an event that sees it
  a sentence
      openat open
";
        assert_eq!(text(&coverage), expected);
    }

    #[test]
    fn every_call_of_the_table_is_in_the_text() {
        let text = text(coverage());
        for entry in &coverage().entries {
            let there = text.split_whitespace().any(|word| word == entry.name);
            let shown = entry.unseen != Some(Unseen::Absent);
            assert!(there || !shown, "{}", entry.name);
        }
        assert!(text.lines().skip(2).all(|line| line.len() <= WIDTH));
    }
}

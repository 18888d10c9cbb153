// SPDX-License-Identifier: GPL-2.0
//! The table of which events see a call (`filters::lang::coverage`), held against the kernel.
//!
//! A row invokes a call on objects that are there. It is run again and again in fresh processes, each under a layer that refuses every event that has not
//! been seen yet, each with an errno of its own: what the call returns names the next event that sees it, until nothing does. All rows of an entry together must
//! see exactly what the table says, except for what `untried` lists with a reason.
//!
//! Rules about other tasks (scopes) are no events, and have suites of their own. Calls of x32 have the functions of those of x86_64.

mod descriptors;
mod ia32;
mod messages;
mod mounts;
mod names;
mod processes;
mod requests;
mod scene;
mod seen;
mod untried;

use std::collections::{BTreeMap, BTreeSet};

use filters::event::Event;
use filters::lang::coverage::{Entry, Kind, coverage};

use crate::harness::Test;
use crate::sys::Ret;
use seen::Item;

/// Puts the layer in force.
type Start<'s> = &'s dyn Fn();

/// Prepares what the call needs, starts, makes the call.
type Deed = fn(Start<'_>) -> Ret;

/// One way to make a call of the table.
struct Row {
    /// The call's name in the table.
    call: &'static str,
    /// Whether it is an operation of io_uring.
    operation: bool,
    /// What is special about this row.
    how: &'static str,
    deed: Deed,
}

const fn row(call: &'static str, how: &'static str, deed: Deed) -> Row {
    Row {
        call,
        operation: false,
        how,
        deed,
    }
}

/// A row whose call needs nothing but what [`scene`] has: `plain!("stat", sys!(...))`.
macro_rules! plain {
    ($call:literal, $how:literal, $deed:expr) => {
        super::row($call, $how, |start| {
            start();
            $deed
        })
    };
    ($call:literal, $deed:expr) => {
        plain!($call, "", $deed)
    };
}
use plain;

fn rows() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("", names::rows()),
        ("", descriptors::rows()),
        ("", mounts::rows()),
        ("", messages::rows()),
        ("", processes::rows()),
        ("uring_", requests::rows()),
        ("ia32_", ia32::rows()),
    ]
}

fn entry(row: &Row) -> &'static Entry {
    let fits = |entry: &&Entry| {
        let operation = matches!(entry.kind, Kind::Operation(_));
        entry.name == row.call && operation == row.operation && !expected(entry).is_empty()
    };
    let found = coverage().entries.iter().find(fits);
    found.unwrap_or_else(|| panic!("the table says of {} that no event sees it", row.call))
}

/// What the table says.
fn expected(entry: &Entry) -> BTreeSet<Item> {
    let mut items = BTreeSet::new();
    for event in &entry.events {
        match event {
            Event::VfsPick => items.extend(entry.actions.iter().map(|name| Item::pick(name))),
            Event::VfsGetname => _ = items.insert(Item::Getname),
            Event::VfsWalk => _ = items.insert(Item::Walk),
            Event::FdReceive => _ = items.insert(Item::Receive),
            Event::SyscallEnter => {}
        }
    }
    items
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests = vec![Test::new(
        "coverage::no_entry_is_neither_tested_nor_listed",
        no_entry_is_neither_tested_nor_listed,
    )];
    for (prefix, rows) in rows() {
        let mut calls: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for row in rows {
            calls.entry(row.call).or_default().push(row);
        }
        tests.extend(calls.into_iter().map(|(call, rows)| {
            Test::new(format!("coverage::{prefix}{call}"), move || {
                ia32::need(prefix == "ia32_");
                the_table_is_right(&rows);
            })
        }));
    }
    tests
}

fn the_table_is_right(rows: &[Row]) {
    let mut found = BTreeSet::new();
    for row in rows {
        let seen = seen::by(row.deed);
        // Shown if the test fails.
        println!("{} {}: {seen:?}", row.call, row.how);
        found.extend(seen);
    }
    let entry = entry(&rows[0]);
    let untried: BTreeSet<Item> = untried::of(rows[0].call, rows[0].operation).collect();
    let expected = expected(entry);
    let unexpected: Vec<&Item> = found.difference(&expected).collect();
    assert!(
        unexpected.is_empty(),
        "seen against the table: {unexpected:?}"
    );
    let both: Vec<&Item> = found.intersection(&untried).collect();
    assert!(both.is_empty(), "seen though listed as untried: {both:?}");
    let missing: Vec<&Item> = expected
        .iter()
        .filter(|item| !(found.contains(item) || untried.contains(item)))
        .collect();
    assert!(
        missing.is_empty(),
        "not seen against the table: {missing:?}"
    );
}

/// Every event of every entry is seen by a row that has a test, or listed; and nothing is listed that the table does not say.
fn no_entry_is_neither_tested_nor_listed() {
    let rows: Vec<Row> = rows().into_iter().flat_map(|(_, rows)| rows).collect();
    let tested: BTreeSet<(&str, bool)> = rows.iter().map(|row| (row.call, row.operation)).collect();
    let mut left = Vec::new();
    for entry in &coverage().entries {
        let operation = matches!(entry.kind, Kind::Operation(_));
        let untried: BTreeSet<Item> = untried::of(entry.name, operation).collect();
        let said = expected(entry);
        assert!(
            untried.is_subset(&said) || said.is_empty(),
            "{}: {untried:?} is listed, the table says {said:?}",
            entry.name
        );
        if !tested.contains(&(entry.name, operation)) && !said.is_subset(&untried) {
            left.push(entry.name);
        }
    }
    assert!(left.is_empty(), "neither tested nor listed: {left:?}");
    let named = |name: &str| coverage().entries.iter().any(|entry| entry.name == name);
    for name in untried::names() {
        assert!(named(name), "{name} is listed and not in the table");
    }
    for row in &rows {
        entry(row);
    }
}

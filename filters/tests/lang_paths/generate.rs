// SPDX-License-Identifier: GPL-2.0
//! Random blocks and paths over a few names, so that places meet, cover and contradict each other.

use filters::object::{access, action, flag};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::judge::{Question, DIRECTORY, FILE};
use super::laws::{Block, Default, Verb};

/// Names of files and directories. The last is in no place.
pub(crate) const NAMES: [&str; 5] = ["a", "b", "bin", ".env", "zz"];

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..4])
}

/// A path of one to three names.
pub(crate) fn literal() -> impl Strategy<Value = String> {
    vec(name(), 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn pattern() -> impl Strategy<Value = String> {
    let shape = select(
        &[
            "**/N",
            "**/N/M",
            "/N/*",
            "/N/*/M",
            "/N/**/M",
            "/N/**",
            "/N/b*",
            "**/.e??",
            "**b",
            "/N**/M",
            "/*",
            "/?/M",
            "**/N/**/M",
            "/**/N",
            "**",
        ][..],
    );
    (shape, name(), name())
        .prop_map(|(shape, one, other)| shape.replace('N', one).replace('M', other))
}

fn place() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => literal(),
        1 => Just("/".to_string()),
        5 => pattern(),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        2 => Just(Verb::Read),
        5 => Just(Verb::Write),
        3 => Just(Verb::Exec),
        1 => Just(Verb::Connect),
        1 => Just(Verb::Deny),
        1 => Just(Verb::Hidden),
    ]
}

/// A block.
pub(crate) fn block() -> impl Strategy<Value = Block> {
    let default = select(&[Default::Unsaid, Default::Hidden, Default::Deny(1)][..]);
    let statement = (verb(), vec(place(), 1..3));
    (vec(statement, 1..7), default).prop_map(|(statements, default)| Block {
        statements,
        default,
    })
}

/// A path below the root, or the root itself.
pub(crate) fn path() -> impl Strategy<Value = String> {
    let deep = vec(select(&NAMES[..]), 1..5).prop_map(|names| format!("/{}", names.join("/")));
    prop_oneof![30 => deep, 1 => Just("/".to_string())]
}

/// Everything that can lie below a directory, as far as the blocks can tell it apart.
pub(crate) fn continuations() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..3 {
        last = last
            .iter()
            .flat_map(|start| NAMES.iter().map(move |name| format!("{start}/{name}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Anything that can happen to an object, changes of names most of the time.
pub(crate) fn question() -> impl Strategy<Value = Question> {
    let numbers: Vec<u32> = action::NAMES.iter().map(|&(_, number)| number).collect();
    let any_action = prop_oneof![
        3 => select(numbers),
        2 => select(&[action::RENAME, action::LINK, action::OPEN, action::MKNOD][..]),
        1 => Just(99),
    ];
    let any_access = prop_oneof![
        4 => 0u32..32,
        1 => Just(access::PATH),
        1 => Just(access::READ),
    ];
    let flags = prop_oneof![
        6 => select(&[0, flag::TARGET, flag::EXCHANGE, flag::TARGET | flag::EXCHANGE, flag::INTERPRETER][..]),
        1 => 0u32..64,
    ];
    let kind = select(&[FILE, DIRECTORY, FILE, DIRECTORY, 0, 2, 6, 10][..]);
    let strings = (path(), path());
    (any_action, any_access, flags, kind, strings, 0u32..20).prop_map(
        |(action, access, flags, kind, (path, other), unreachable)| Question {
            action,
            access,
            kind,
            flags,
            path,
            other,
            unreachable: unreachable == 0,
        },
    )
}

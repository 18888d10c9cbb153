// SPDX-License-Identifier: GPL-2.0
//! Tables that the compiler would never make, and the verifier accepts all the same: whatever walks through them give, one through their product gives too.

use oracle::automaton::{Automaton, Node};
use oracle::generate::{automaton, cases};
use proptest::prelude::*;

use super::*;

/// Nearly all of them come out of the generator's automata at times.
const VALUES: [u32; 6] = [0, 1, 2, 3, 5, 63];

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"ab/l\x00\xfc\xff".to_vec()), 0..24)
}

proptest! {
    #![proptest_config(cases(4096, 2))]

    #[test]
    fn any_two_sound_tables_multiply(
        tables in prop::array::uniform3(automaton()),
        allowed in prop::array::uniform3(prop::sample::subsequence(VALUES.to_vec(), 1..5)),
        texts in prop::collection::vec(name(), 40),
    ) {
        let policies: Vec<_> = tables
            .iter()
            .zip(&allowed)
            .map(|(table, allowed)| policy_of(table.encode(), allowed).expect("a sound table"))
            .collect();
        let merged = product_of_all(&policies, &mut workspace()).expect("few states");
        for text in &texts {
            let allows = |(table, allowed): (&Automaton, &Vec<u32>)| {
                allowed.contains(&table.value(text).expect("a sound table"))
            };
            let all = tables.iter().zip(&allowed).all(allows);
            prop_assert_eq!(merged.allow(text), all, "{:?}", text);
            // What is not refused by a program is allowed by its name here.
            prop_assert_eq!(policies.iter().all(|policy| allows_alone(policy, text)), all);
        }
    }

    /// A set multiplied by itself is itself, and however often that is done it grows no more: a mark's state can be there twice, as what lies behind the mark too.
    #[test]
    fn powers_are_no_larger(
        table in automaton(),
        allowed in prop::sample::subsequence(VALUES.to_vec(), 1..5),
        texts in prop::collection::vec(name(), 10),
    ) {
        let policy = policy_of(table.encode(), &allowed).expect("a sound table");
        let own = names(&policy).expect("names");
        let mut workspace = workspace();
        let square = product(&own, &own, &mut workspace).expect("few states");
        let mut power = product(&square.names(), &own, &mut workspace).expect("few states");
        let size = power.table().len();
        for _ in 0..4 {
            power = product(&power.names(), &own, &mut workspace).expect("few states");
            prop_assert_eq!(power.table().len(), size);
        }
        for text in &texts {
            prop_assert_eq!(square.allow(text), own.allow(text));
            prop_assert_eq!(power.allow(text), own.allow(text));
        }
    }
}

fn allows_alone(policy: &Policy<Vec<u8>>, text: &[u8]) -> bool {
    names(policy).expect("names").allow(text)
}

/// Tables of a single node of each kind, with each other: both outcomes of an empty name, and of others.
#[test]
fn tables_of_one_node() {
    let nodes = [
        Node::Sink { value: 0 },
        Node::Sink { value: 1 },
        Node::Branch {
            value: 1,
            edges: vec![],
            default: 0,
        },
        Node::Branch {
            value: 0,
            edges: (0..=255).map(|byte| (byte, 0)).collect(),
            default: 0,
        },
        Node::Skip {
            value: 1,
            stops: [b'/', b'/'],
            mark: b'/',
            edges: vec![(b'/', 0)],
        },
        Node::Skip {
            value: 0,
            stops: [0, 0],
            mark: 255,
            edges: vec![],
        },
    ];
    let tables = nodes.map(|node| Automaton {
        start: 0,
        nodes: vec![node],
    });
    let mut workspace = workspace();
    for left in &tables {
        for right in &tables {
            let policies =
                [left, right].map(|table| policy_of(table.encode(), &[1]).expect("sound"));
            let merged = product_of_all(&policies, &mut workspace).expect("a state or two");
            // Whatever is always so is a sink at the start.
            assert_eq!(merged.table().len(), 16 + 8);
            for text in [&b""[..], b"a", b"/", b"//", b"\xff\x00", &[b'/'; 4095]] {
                let all = [left, right].map(|table| table.value(text) == Some(1));
                assert_eq!(
                    merged.allow(text),
                    all == [true; 2],
                    "{left:?} {right:?} {text:?}"
                );
            }
        }
    }
}

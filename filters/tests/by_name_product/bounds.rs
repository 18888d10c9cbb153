// SPDX-License-Identifier: GPL-2.0
//! What is too large is not made, and costs no more than is allowed.

use filters::limits::{
    MAX_LAYERS, MAX_MERGED_CELLS, MAX_MERGED_EDGES, MAX_MERGED_STATES, MAX_MERGE_WORK,
};
use oracle::automaton::{Automaton, Node};

use super::*;

/// Names whose length is a multiple of `length`: a ring of states.
fn ring(length: u32) -> Policy<Vec<u8>> {
    let node = |at: u32| Node::Branch {
        value: u32::from(at == 0),
        edges: vec![],
        default: (at + 1) % length,
    };
    let ring = Automaton {
        start: 0,
        nodes: (0..length).map(node).collect(),
    };
    policy_of(ring.encode(), &[1]).expect("a sound table")
}

/// Names of `length` bytes or fewer, where each byte leads elsewhere.
fn fan(length: u32) -> Policy<Vec<u8>> {
    let node = |at: u32| Node::Branch {
        value: u32::from(at % 2 == 0),
        edges: (0..=255u8)
            .map(|byte| (byte, (at + 1 + u32::from(byte) % 7) % length))
            .collect(),
        default: 0,
    };
    let fan = Automaton {
        start: 0,
        nodes: (0..length).map(node).collect(),
    };
    policy_of(fan.encode(), &[1]).expect("a sound table")
}

#[test]
fn as_many_states_as_there_may_be_and_no_more() {
    let mut workspace = workspace();
    // 63 × 65 = 4095 pairs would not leave room for the two that are always there; they have no common divisor.
    let of = |one: u32, other: u32, workspace: &mut Workspace| {
        let (one, other) = (ring(one), ring(other));
        product(
            &names(&one).expect("names"),
            &names(&other).expect("names"),
            workspace,
        )
    };
    assert!(of(63, 65, &mut workspace).is_none());
    let most = of(62, 63, &mut workspace).expect("3906 states");
    const { assert!(62 * 63 + 2 <= MAX_MERGED_STATES) };
    for length in [0usize, 1, 62, 63, 62 * 63, 4095] {
        let all = length % 62 == 0 && length % 63 == 0;
        assert_eq!(most.allow(&vec![b'x'; length]), all, "{length}");
    }
    assert!(most.table().len() <= 24 + 16 * MAX_MERGED_STATES + 8 * MAX_MERGED_CELLS);
}

#[test]
fn as_many_edges_as_there_may_be_and_no_more() {
    let mut workspace = workspace();
    let small = (MAX_MERGED_EDGES / 256) as u32 / 2;
    let one = fan(small);
    let own = names(&one).expect("names");
    let square = product(&own, &own, &mut workspace).expect("few edges");
    for text in [&b""[..], b"a", b"abc", b"\x00\x01\x02\x03", &[7; 4095]] {
        assert_eq!(square.allow(text), allows(&one, text));
    }
    let many = fan(MAX_MERGED_EDGES as u32 / 128);
    let own = names(&many).expect("names");
    assert!(product(&own, &own, &mut workspace).is_none());
}

#[test]
fn work_is_spent_once() {
    let (one, other) = (ring(61), fan(61));
    let (one, other) = (names(&one).expect("names"), names(&other).expect("names"));
    let mut workspace = workspace();
    let mut work = Work::new();
    let mut attempts = 0;
    while work.left() > 0 {
        let before = work.left();
        // Too large each time, for one reason or another.
        assert!(Product::of(&one, &other, &mut work, &mut workspace).is_none());
        assert!(work.left() < before);
        attempts += 1;
    }
    assert!(
        attempts < MAX_MERGE_WORK / 1000,
        "{attempts} attempts at next to nothing each"
    );
    // Nothing more can be had for nothing, however small.
    let sink = policy_of(Automaton::sink(1).encode(), &[1]).expect("a sound table");
    let sink = names(&sink).expect("names");
    assert!(Product::of(&one, &sink, &mut work, &mut workspace).is_none());
    assert!(Product::of(&one, &sink, &mut Work::new(), &mut workspace).is_some());
}

/// Each layer's ring has no divisor in common with the others'. The product grows until it may not; then it is what it was, and the layers are walked beside it.
#[test]
fn layers_that_multiply_each_other_stop_at_a_limit() {
    let primes = (2..400u32).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
    let rings: Vec<_> = primes.take(MAX_LAYERS).map(ring).collect();
    let mut workspace = workspace();
    let mut merged = product_of_all(&rings[..2], &mut workspace).expect("six states");
    let mut left_out = 0;
    for ring in &rings[2..] {
        match product(
            &merged.names(),
            &names(ring).expect("names"),
            &mut workspace,
        ) {
            Some(more) => merged = more,
            None => left_out += 1,
        }
    }
    // 2 × 3 × 5 × 7 = 210, × 11 = 2310.
    assert_eq!(left_out, MAX_LAYERS - 5);
    for length in [0usize, 210, 2310, 4000] {
        assert_eq!(merged.allow(&vec![0; length]), length % 2310 == 0);
    }
}

#[test]
fn strings_of_different_fields_do_not_mix() {
    let on = |field: u8| {
        let draft = Draft {
            event: Event::VfsPick.number(),
            insns: vec![
                Insn::stmt(SMATCH, Insn::string_operand(field, 0)),
                Insn::jump(JMP | JEQ | K, 1, 0, 1),
                Insn::stmt(RET | K, Verdict::ALLOW.raw()),
                Insn::stmt(RET | K, Verdict::errno(13).raw()),
            ],
            tables: vec![Automaton::sink(1).encode()],
            ..Draft::default()
        };
        image::verify(image::encode(&[draft])).expect("a sound policy")
    };
    let (path, other) = (on(0), on(1));
    let of = |policy| {
        let policy: &Policy<Vec<u8>> = policy;
        let program = policy.program(Event::VfsPick).expect("it has one");
        let by_name = ByName::of(&program).expect("it walks");
        by_name.names(&program).expect("its table")
    };
    let mut workspace = workspace();
    let mut both =
        |one, other| Product::of(&one, &other, &mut Work::new(), &mut workspace).is_some();
    assert!(both(of(&path), of(&path)) && both(of(&other), of(&other)));
    assert!(!both(of(&path), of(&other)) && !both(of(&other), of(&path)));
}

// SPDX-License-Identifier: GPL-2.0
//! String instructions and automaton tables say what the plainest definition says.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::insn::{Insn, SCONTAINS, SEQ, SMATCH, SPREFIX, SSUFFIX, SUNDER};
use filters::limits::{MAX_NEEDLE_BYTES, MAX_STRING_BYTES};
use filters::policy::Policy;
use filters::verdict::Verdict;
use filters::vm;
use oracle::automaton::{Automaton, Node};
use oracle::generate::{self, OwnedRecord};
use oracle::image::{self, Draft};
use oracle::naive;
use proptest::collection::vec;
use proptest::prelude::*;

const ALLOW: Insn = Insn::stmt(0x06, 0x7fff_0000);
const REFUSE: Insn = Insn::stmt(0x06, 0x0005_0001);

fn judge(policy: &Policy<Vec<u8>>, path: &[u8]) -> Verdict {
    let record = OwnedRecord {
        event: Event::VfsGetname,
        words: vec![0; 20],
        strings: vec![path.to_vec()],
    };
    let program = policy.program(Event::VfsGetname).expect("it has one");
    record.view(|record| vm::run(&program, record).verdict)
}

/// What a string jump says of `field`.
fn test(code: u16, field: &[u8], constant: &[u8]) -> bool {
    let draft = Draft {
        event: Event::VfsGetname.number(),
        insns: vec![Insn::jump(code, 0, 0, 1), ALLOW, REFUSE],
        strings: vec![constant.to_vec()],
        tables: vec![],
    };
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    judge(&policy, field) == Verdict::ALLOW
}

fn table_policy(automaton: &Automaton, expected: u32) -> Policy<Vec<u8>> {
    let draft = Draft {
        event: Event::VfsGetname.number(),
        insns: vec![
            Insn::stmt(SMATCH, 0),
            Insn::jump(0x15, expected, 0, 1),
            ALLOW,
            REFUSE,
        ],
        strings: vec![],
        tables: vec![automaton.encode()],
    };
    image::verify(image::encode(&[draft])).expect("a sound table")
}

/// Asserts the value that the table gives to `input`, all 32 bits of it.
fn assert_value(automaton: &Automaton, input: &[u8], expected: u32) {
    let right = judge(&table_policy(automaton, expected), input);
    assert_eq!(
        right,
        Verdict::ALLOW,
        "{automaton:?} should give {expected} to {input:x?}"
    );
    let wrong = judge(&table_policy(automaton, expected ^ 1), input);
    assert_eq!(wrong, Verdict::errno(1));
}

/// Whether a constant (second) holds of a field (first).
type Predicate = fn(&[u8], &[u8]) -> bool;

const PREDICATES: [(u16, Predicate); 5] = [
    (SEQ, |field, constant| field == constant),
    (SPREFIX, naive::prefix),
    (SSUFFIX, naive::suffix),
    (SCONTAINS, naive::contains),
    (SUNDER, naive::under),
];

#[test]
fn under_ends_at_component_boundaries() {
    for (path, tree, expected) in [
        ("/lib", "/lib", true),
        ("/lib/", "/lib", true),
        ("/lib/x", "/lib", true),
        ("/lib//x", "/lib", true),
        ("/library", "/lib", false),
        ("/lib64/x", "/lib", false),
        ("/li", "/lib", false),
        ("lib/x", "/lib", false),
        ("/x/lib/y", "/lib", false),
        ("/lib/x", "/lib/", true),
        ("/lib/", "/lib/", true),
        ("/lib", "/lib/", false),
        ("/", "/", true),
        ("/etc", "/", true),
        ("etc", "/", false),
        ("", "/", false),
        ("", "", true),
        ("a", "", false),
        ("a", "a", true),
        ("a/b", "a", true),
        ("ab", "a", false),
    ] {
        assert_eq!(
            test(SUNDER, path.as_bytes(), tree.as_bytes()),
            expected,
            "{path:?} under {tree:?}"
        );
        assert_eq!(
            naive::under(path.as_bytes(), tree.as_bytes()),
            expected,
            "the second opinion: {path:?} under {tree:?}"
        );
    }
}

#[test]
fn empty_strings_and_bytes_that_are_no_text() {
    for (code, predicate) in PREDICATES {
        for field in [&b""[..], b"a", b"\xff\xfe", b"\x00", b"a\x00b"] {
            for constant in [&b""[..], b"a", b"\xff", b"\xfe", b"\x00", b"b"] {
                assert_eq!(
                    test(code, field, constant),
                    predicate(field, constant),
                    "{code:#x} {field:x?} {constant:x?}"
                );
            }
        }
    }
}

#[test]
fn the_longest_paths_and_constants() {
    let path = vec![b'a'; MAX_STRING_BYTES - 1];
    let mut other = path.clone();
    *other.last_mut().expect("not empty") = b'b';
    for code in [SEQ, SPREFIX, SSUFFIX, SUNDER] {
        assert!(test(code, &path, &path), "{code:#x}");
        assert!(!test(code, &path, &other), "{code:#x}");
        assert!(
            !test(code, &path, &vec![b'a'; MAX_STRING_BYTES]),
            "{code:#x}: constant longer than the field"
        );
    }
    let mut needle = vec![b'a'; MAX_NEEDLE_BYTES];
    assert!(test(SCONTAINS, &path, &needle));
    needle[MAX_NEEDLE_BYTES - 1] = b'b';
    assert!(!test(SCONTAINS, &path, &needle));
    assert!(
        test(SCONTAINS, &other, &needle),
        "the match ends with the field"
    );
}

#[test]
fn a_table_made_by_hand() {
    // "/usr/lib" and what is below it: 1. "/etc/passwd" exactly: 2. The empty string: 7. All else: 0.
    let chain = |value, literal: &[u8], default| Node::Chain {
        value,
        literal: literal.to_vec(),
        default,
    };
    let automaton = Automaton {
        start: 2,
        nodes: vec![
            Node::Sink { value: 0 },
            Node::Sink { value: 1 },
            chain(7, b"/", 0),
            Node::Dense {
                value: 0,
                lowest: b'e',
                targets: [vec![6], vec![0; 15], vec![4]].concat(),
                default: 0,
            },
            chain(0, b"sr/lib", 0),
            Node::Sparse {
                value: 1,
                ranges: vec![(b'/', b'/', 1)],
                default: 0,
            },
            chain(0, b"tc/passwd", 0),
            Node::Sparse {
                value: 2,
                ranges: vec![],
                default: 0,
            },
        ],
    };
    for (path, value) in [
        ("/usr/lib", 1),
        ("/usr/lib/x", 1),
        ("/usr/library", 0),
        ("/usr/li", 0),
        ("/etc/passwd", 2),
        ("/etc/passwd-", 0),
        ("/etc/passw", 0),
        ("/etc", 0),
        ("/", 0),
        ("", 7),
        ("x", 0),
        ("/v", 0),
        ("/d", 0),
    ] {
        assert_eq!(
            automaton.value(path.as_bytes()),
            Some(value),
            "the second opinion: {path}"
        );
        assert_value(&automaton, path.as_bytes(), value);
    }
}

#[test]
fn every_byte_takes_its_own_edge() {
    let sink = |value| Node::Sink { value };
    let mut nodes = vec![
        Node::Dense {
            value: 300,
            lowest: 0,
            targets: (2..258).collect(),
            default: 1,
        },
        sink(400),
    ];
    nodes.extend((0..256).map(sink));
    let dense = Automaton { start: 0, nodes };
    let sparse = Automaton {
        start: 0,
        nodes: vec![
            Node::Sparse {
                value: 5,
                ranges: vec![(0, 0, 2), (1, 9, 3), (11, 254, 4), (255, 255, 5)],
                default: 1,
            },
            sink(10),
            sink(0),
            sink(1),
            sink(11),
            sink(255),
        ],
    };
    for byte in (0..=255u8).step_by(if cfg!(miri) { 51 } else { 1 }) {
        assert_value(&dense, &[byte], byte.into());
        let expected = match byte {
            0 => 0,
            1..=9 => 1,
            10 => 10,
            255 => 255,
            _ => 11,
        };
        assert_value(&sparse, &[byte, b'x'], expected);
    }
    assert_value(&dense, &[], 300);
    assert_value(&sparse, &[], 5);
}

#[test]
fn a_chain_ends_inside_at_its_end_and_beyond() {
    let automaton = Automaton {
        start: 0,
        nodes: vec![
            Node::Chain {
                value: 1,
                literal: b"abab".to_vec(),
                default: 3,
            },
            Node::Chain {
                value: 2,
                literal: vec![b'c'; 4000],
                default: 0,
            },
            Node::Sink { value: 4 },
            Node::Sparse {
                value: 3,
                ranges: vec![(b'a', b'a', 0)],
                default: 3,
            },
        ],
    };
    let long = [b"abab".to_vec(), vec![b'c'; 4000]].concat();
    let mut broken = long.clone();
    broken[2000] = b'x';
    let expectations: [(&[u8], u32); 9] = [
        (b"", 1),
        (b"aba", 1),
        (b"abab", 2),
        (b"ababc", 2),
        (b"abx", 3),
        (b"abxx", 3),
        (b"abxaabab", 2),
        (&long, 4),
        (&broken, 3),
    ];
    for (input, expected) in expectations {
        let second = automaton.value(input);
        assert_eq!(second, Some(expected), "the second opinion on {input:?}");
        assert_value(&automaton, input, expected);
    }
}

#[test]
fn a_walk_over_the_longest_path_ends() {
    let endless = Automaton {
        start: 0,
        nodes: vec![Node::Sparse {
            value: 6,
            ranges: vec![(0, 255, 0)],
            default: 0,
        }],
    };
    assert_value(&endless, &vec![b'/'; MAX_STRING_BYTES - 1], 6);
    let hopping = Automaton {
        start: 0,
        nodes: vec![
            Node::Chain {
                value: 8,
                literal: b"ab".to_vec(),
                default: 0,
            },
            Node::Sink { value: 9 },
        ],
    };
    assert_value(&hopping, &vec![b'a'; MAX_STRING_BYTES - 1], 8);
}

proptest! {
    #![proptest_config(generate::cases(3000, 5))]

    #[test]
    fn string_jumps_agree_with_plain_definitions(field in generate::string(), constant in generate::string(), cut in any::<prop::sample::Index>()) {
        // Also constants that are parts of the field, or they would rarely match.
        let at = cut.index(field.len() + 1);
        for constant in [&constant[..], &field[..at], &field[at..]] {
            for (code, predicate) in PREDICATES {
                if code != SCONTAINS || constant.len() <= MAX_NEEDLE_BYTES {
                    prop_assert_eq!(test(code, &field, constant), predicate(&field, constant), "{:#x} {:?} {:?}", code, field, constant);
                }
            }
        }
    }

    #[test]
    fn tables_agree_with_a_walk_byte_by_byte(
        automaton in generate::automaton(),
        inputs in vec(prop_oneof![generate::string(), vec(prop::sample::select(&b"ab/l\xfc"[..]), 0..24)], 6),
    ) {
        for input in &inputs {
            let expected = automaton.value(input).expect("a sound table");
            assert_value(&automaton, input, expected);
        }
    }
}

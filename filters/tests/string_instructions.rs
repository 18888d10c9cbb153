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

/// A program that asks whether the table gives the expected value.
fn asking(table: Vec<u8>, expected: u32) -> Draft {
    Draft {
        event: Event::VfsGetname.number(),
        insns: vec![
            Insn::stmt(SMATCH, 0),
            Insn::jump(0x15, expected, 0, 1),
            ALLOW,
            REFUSE,
        ],
        strings: vec![],
        tables: vec![table],
    }
}

fn table_policy(automaton: &Automaton, expected: u32) -> Policy<Vec<u8>> {
    let draft = asking(automaton.encode(), expected);
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

fn sink(value: u32) -> Node {
    Node::Sink { value }
}

fn chain(literal: &[u8], fallback: u32, next: u32) -> Node {
    Node::Chain {
        literal: literal.to_vec(),
        fallback,
        next,
    }
}

fn branch(value: u32, edges: &[(u8, u32)], default: u32) -> Node {
    Node::Branch {
        value,
        edges: edges.to_vec(),
        default,
    }
}

/// Asserts what the table and the second opinion say.
#[track_caller]
fn assert_values(automaton: &Automaton, expectations: &[(&[u8], u32)]) {
    for (input, expected) in expectations {
        let second = automaton.value(input);
        assert_eq!(second, Some(*expected), "the second opinion on {input:?}");
        assert_value(automaton, input, *expected);
    }
}

#[test]
fn a_table_made_by_hand() {
    // "/usr/lib" and what is below it: 1. "/etc/passwd" exactly: 2. The empty string: 7. All else: 0.
    let automaton = Automaton {
        start: 2,
        nodes: vec![
            sink(0),
            sink(1),
            branch(7, &[(b'/', 3)], 0),
            branch(0, &[(b'e', 6), (b'u', 4)], 0),
            chain(b"sr/lib", 0, 5),
            branch(1, &[(b'/', 1)], 0),
            chain(b"tc/pas", 0, 7),
            chain(b"swd", 0, 8),
            branch(2, &[], 0),
        ],
    };
    let expectations: [(&[u8], u32); 13] = [
        (b"/usr/lib", 1),
        (b"/usr/lib/x", 1),
        (b"/usr/library", 0),
        (b"/usr/li", 0),
        (b"/etc/passwd", 2),
        (b"/etc/passwd-", 0),
        (b"/etc/passw", 0),
        (b"/etc", 0),
        (b"/", 0),
        (b"", 7),
        (b"x", 0),
        (b"/v", 0),
        (b"/d", 0),
    ];
    assert_values(&automaton, &expectations);
}

#[test]
fn every_byte_takes_its_own_edge() {
    let all: Vec<(u8, u32)> = (0..=255).map(|byte| (byte, u32::from(byte) + 2)).collect();
    let mut nodes = vec![branch(300, &all, 1), sink(400)];
    nodes.extend((0..256).map(sink));
    let full = Automaton { start: 0, nodes };
    let few = Automaton {
        start: 0,
        nodes: vec![
            branch(5, &[(0, 2), (9, 3), (255, 4)], 1),
            sink(10),
            sink(0),
            sink(9),
            sink(255),
        ],
    };
    for byte in (0..=255u8).step_by(if cfg!(miri) { 51 } else { 1 }) {
        assert_value(&full, &[byte], byte.into());
        let expected = match byte {
            0 | 9 | 255 => byte.into(),
            _ => 10,
        };
        assert_value(&few, &[byte, b'x'], expected);
    }
    assert_value(&full, &[], 300);
    assert_value(&few, &[], 5);
}

#[test]
fn a_row_ends_where_the_next_begins() {
    // The row of the first branch is short; what bytes above its last edge find is in the second row, or behind the table's end.
    let automaton = Automaton {
        start: 0,
        nodes: vec![
            branch(1, &[(b'a', 1)], 2),
            branch(3, &[(b'a', 3), (b'z', 3)], 4),
            sink(5),
            sink(6),
            sink(7),
        ],
    };
    for byte in 0..=255u8 {
        let first = if byte == b'a' { 3 } else { 5 };
        assert_values(&automaton, &[(&[byte], first)]);
        let second = if byte == b'a' || byte == b'z' { 6 } else { 7 };
        assert_values(&automaton, &[(&[b'a', byte], second)]);
    }
}

#[test]
fn a_chain_ends_inside_at_its_end_and_beyond() {
    let automaton = Automaton {
        start: 0,
        nodes: vec![
            chain(b"abab", 3, 1),
            chain(b"cccccccc", 3, 2),
            chain(b"c", 4, 1),
            branch(3, &[(b'a', 0)], 3),
            sink(4),
        ],
    };
    let long = [b"abab".to_vec(), vec![b'c'; 900]].concat();
    let mut broken = long.clone();
    broken[4 + 18] = b'x';
    let mut last = long.clone();
    last[4 + 8] = b'x';
    let expectations: [(&[u8], u32); 11] = [
        (b"", 3),
        (b"aba", 3),
        (b"abab", 3),
        (b"ababc", 3),
        (b"ababcccccccc", 4),
        (b"abx", 3),
        (b"abxx", 3),
        (b"abxaababcccccccc", 4),
        (&long, 3),
        (&broken, 3),
        (&last, 4),
    ];
    assert_values(&automaton, &expectations);
}

#[test]
fn a_chain_of_each_length_differs_at_each_place() {
    for length in 1..=8 {
        let literal = &b"/usrlib8"[..length];
        let automaton = Automaton {
            start: 0,
            nodes: vec![
                chain(literal, 1, 2),
                branch(1, &[(b'x', 3), (0, 4)], 5),
                sink(2),
                sink(3),
                sink(4),
                sink(5),
            ],
        };
        for rest in [&b""[..], b"r", b"rest", b"a rest that is longer"] {
            assert_values(&automaton, &[(&[literal, rest].concat(), 2)]);
            for place in 0..length {
                // Zeros stand for what comes after the end; as bytes of a string they are none of a literal's.
                let cut = &literal[..place];
                let expectations: [(&[u8], u32); 4] = [
                    (cut, 1),
                    (&[cut, b"x", rest].concat(), 3),
                    (&[cut, b"\0", rest].concat(), 4),
                    (&[cut, b"y", rest].concat(), 5),
                ];
                assert_values(&automaton, &expectations);
            }
        }
    }
}

#[test]
fn a_skip_finds_stops_at_each_place() {
    let skip = |stops| Node::Skip {
        value: 1,
        stops,
        mark: b'/',
        edges: vec![(b'.', 1), (b'/', 2)],
    };
    // A dot after a slash: 4, if another dot follows, 5. Another dot: 3. A second stop without an edge is passed, and is no mark.
    let automaton = |stops| Automaton {
        start: 0,
        nodes: vec![
            skip(stops),
            sink(3),
            branch(9, &[(b'.', 3), (b'/', 2)], 0),
            branch(4, &[(b'.', 4)], 0),
            sink(5),
        ],
    };
    for before in 0..20 {
        let passed = vec![b'x'; before];
        for rest in [&b""[..], b"r", b"a rest that is longer"] {
            let dot = [&passed, &b"."[..], rest].concat();
            let marked = [&passed, &b"/.."[..], rest].concat();
            let far = [&passed, &b"//x."[..], rest].concat();
            let zero = [&passed, &b"\0/\0"[..], rest].concat();
            for stops in [*b"..", *b".\0", *b"\0."] {
                let automaton = automaton(stops);
                let expectations: [(&[u8], u32); 3] = [(&dot, 3), (&marked, 5), (&far, 3)];
                assert_values(&automaton, &expectations);
                assert_values(&automaton, &[(&zero, 1), (&passed, 1)]);
            }
        }
        let (slash, dot) = (
            [&passed, &b"/"[..]].concat(),
            [&passed, &b"/."[..]].concat(),
        );
        assert_values(&automaton(*b".."), &[(&slash, 9), (&dot, 4)]);
    }
}

#[test]
fn a_walk_over_the_longest_path_ends() {
    let longest = vec![b'/'; MAX_STRING_BYTES - 1];
    let endless = Automaton {
        start: 0,
        nodes: vec![branch(6, &[], 0)],
    };
    assert_value(&endless, &longest, 6);
    let hopping = Automaton {
        start: 0,
        nodes: vec![chain(b"/a", 1, 2), branch(8, &[], 0), sink(9)],
    };
    assert_value(&hopping, &longest, 8);
    for (stops, mark) in [(*b"//", b'/'), (*b"ab", b'/'), (*b"/a", b'a')] {
        let edges = vec![(b'/', 0)];
        let staying = Automaton {
            start: 0,
            nodes: vec![Node::Skip {
                value: 10,
                stops,
                mark,
                edges,
            }],
        };
        assert_value(&staying, &longest, 10);
    }
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

    #[test]
    fn what_is_accepted_is_walked_to_its_end(
        automaton in generate::automaton(),
        changes in vec((any::<prop::sample::Index>(), 0u32..40, any::<prop::sample::Index>()), 1..4),
        inputs in vec(prop_oneof![generate::string(), vec(prop::sample::select(&b"ab/l\x00\xfc"[..]), 0..24)], 6),
    ) {
        // Each word becomes another one of the table, or moves a little: both often give targets that lead elsewhere.
        let mut table = automaton.encode();
        for (at, by, other) in &changes {
            let words = table.len() / 4;
            let (at, other) = (4 * at.index(words), 4 * other.index(words));
            let word = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().expect("four bytes"));
            let changed = match by {
                0..20 => word(at).wrapping_add(*by).wrapping_sub(10),
                20..30 => word(other),
                _ => word(at) ^ 1 << (*by % 32),
            };
            table[at..at + 4].copy_from_slice(&changed.to_le_bytes());
        }
        if let Ok(policy) = image::verify(image::encode(&[asking(table, 0)])) {
            for input in &inputs {
                prop_assert_ne!(judge(&policy, input), Verdict::KILL_PROCESS);
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! What is allowed by a path and a deed is what the interpreter allows, whatever else the record says.

#![cfg(feature = "lang")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use std::cell::Cell;

use filters::by_path::{ByPath, Deed};
use filters::event::Event;
use filters::insn::{Insn, JMP, JSET, K, RET, SMATCH};
use filters::lang::{compile, Memory};
use filters::object::{access, action, offset};
use filters::policy::Policy;
use filters::verdict::{Action, Verdict};
use filters::vm;
use oracle::automaton::{Automaton, Node};
use oracle::generate::{self, OwnedRecord};
use oracle::image::{self, Draft};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

const ABOUT_OBJECTS: [Event; 3] = [Event::VfsPick, Event::VfsWalk, Event::FdReceive];

/// What is known of an object by its deed, at the places where it stands in the record.
fn with_deed(mut record: OwnedRecord, action: u32, access: u32) -> OwnedRecord {
    for (offset, value) in [
        (offset::ACTION, action),
        (offset::ACCESS, access),
        (offset::FLAGS, 0),
        (offset::REACHABLE, 1),
    ] {
        record.words[offset as usize / 4] = value;
    }
    record
}

/// A policy, and what its program says of paths.
struct Judge {
    policy: Policy<Vec<u8>>,
    event: Event,
    by_path: Option<ByPath>,
}

impl Judge {
    fn of(image: Vec<u8>, event: Event) -> Judge {
        let policy = image::verify(image).expect("a sound image");
        let by_path = policy
            .program(event)
            .and_then(|program| ByPath::of(&program));
        Judge {
            policy,
            event,
            by_path,
        }
    }

    /// Whether it is said that the object of `record` is allowed; and whether it is.
    fn judged(&self, record: &OwnedRecord) -> (bool, bool) {
        let program = self.policy.program(self.event).expect("it has one");
        let word = |offset: u32| record.words[offset as usize / 4];
        let says = match (
            &self.by_path,
            Deed::new(word(offset::ACTION), word(offset::ACCESS)),
        ) {
            (Some(by_path), Some(deed)) => {
                let question = by_path.question(&program).expect("it asks something");
                let says = by_path.allows(&question, deed, &record.strings[0]);
                assert!(!says || by_path.allows_some(deed));
                says
            }
            _ => false,
        };
        let verdict = record.view(|record| vm::run(&program, record).verdict);
        (says, verdict.action() == Action::Allow)
    }
}

/// A deed that may happen.
fn deed() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![
        (Just(action::OPEN), 0u32..32),
        (select(&[action::EXEC, action::MAP][..]), Just(access::EXEC)),
        (1u32..36, Just(0)),
        (any::<u32>(), any::<u32>()),
    ]
}

/// A program that asks mostly for what is known, and most often of the path, with records for it.
fn case() -> impl Strategy<Value = (Draft, Vec<OwnedRecord>)> {
    select(&ABOUT_OBJECTS[..]).prop_flat_map(|event| {
        let known = [
            offset::ACTION,
            offset::ACCESS,
            offset::FLAGS,
            offset::REACHABLE,
        ];
        let draft = generate::draft_for(event).prop_map(move |mut draft| {
            for (at, insn) in draft.insns.iter_mut().enumerate() {
                if insn.code == 0x20 && at % 4 != 0 {
                    insn.k = known[(insn.k / 4 % 4) as usize];
                }
            }
            draft
        });
        let record = (generate::record_of(event), deed());
        let records =
            record.prop_map(|(record, (action, access))| with_deed(record, action, access));
        (draft, vec(records, 6))
    })
}

#[test]
fn what_is_said_of_a_path_holds_whatever_the_record_says() {
    let mut runner = TestRunner::new(generate::cases(3_000, 5));
    let said = Cell::new(0);
    runner
        .run(&case(), |(draft, records)| {
            let event = Event::from_number(draft.event).expect("an event");
            let judge = Judge::of(image::encode(&[draft]), event);
            for record in &records {
                let (says, is) = judge.judged(record);
                said.set(said.get() + u32::from(says));
                prop_assert!(is || !says, "{record:?}");
            }
            Ok(())
        })
        .expect("what is said holds");
    assert!(
        said.get() > 100 || cfg!(miri),
        "hardly anything was said: {said:?}"
    );
}

/// A policy's text, with an object that it allows and one that it does not.
struct Known {
    policy: &'static str,
    event: Event,
    allowed: (u32, u32, &'static str),
    refused: (u32, u32, &'static str),
}

const READ: u32 = access::READ;

const POLICIES: [Known; 6] = [
    Known {
        policy: "paths {\n read \"/usr\"\n write \"/tmp\", \"/var/tmp\"\n deny \"**/.env\"\n}",
        event: Event::VfsPick,
        allowed: (action::OPEN, READ | access::WRITE, "/var/tmp/x"),
        refused: (action::OPEN, READ | access::WRITE, "/usr/x"),
    },
    Known {
        policy: "paths {\n read \"/usr\"\n deny \"**/.env\"\n}",
        event: Event::VfsPick,
        allowed: (action::OPEN, READ, "/usr/env"),
        refused: (action::OPEN, READ, "/usr/.env"),
    },
    Known {
        policy: "paths {\n read \"/usr\"\n write \"/tmp\"\n deny \"**/.env\"\n}",
        event: Event::VfsWalk,
        allowed: (0, 0, "/usr/lib"),
        refused: (0, 0, "/usr/.env"),
    },
    Known {
        policy: "paths {\n read \"/usr\"\n exec \"/usr/bin\"\n}",
        event: Event::VfsPick,
        allowed: (action::EXEC, access::EXEC, "/usr/bin/env"),
        refused: (action::EXEC, access::EXEC, "/usr/share/x"),
    },
    Known {
        policy: "paths {\n read \"/usr\"\n}",
        event: Event::FdReceive,
        allowed: (0, READ, "/usr/lib"),
        refused: (0, READ | access::APPEND, "/usr/lib"),
    },
    Known {
        policy: "on vfs.pick {\n deny EACCES when reachable == no\n allow path under \"/usr\"\n default deny EACCES\n}",
        event: Event::VfsPick,
        allowed: (action::STAT, 0, "/usr"),
        refused: (action::STAT, 0, "/us"),
    },
];

#[test]
fn ordinary_policies_are_decided_by_path() {
    for known in POLICIES {
        let text = format!("policy t\n{}\n", known.policy);
        let compiled = compile("t.evf", &text, &Memory::new()).expect("a sound policy");
        let judge = Judge::of(compiled.image, known.event);
        let record = |(action, access, path): (u32, u32, &str)| {
            let schema = known.event.schema();
            let mut strings = vec![Vec::new(); schema.strings.into()];
            strings[0] = path.as_bytes().to_vec();
            let record = OwnedRecord {
                event: known.event,
                words: vec![0; schema.record_bytes as usize / 4],
                strings,
            };
            with_deed(record, action, access)
        };
        let text = known.policy;
        assert_eq!(judge.judged(&record(known.allowed)), (true, true), "{text}");
        assert_eq!(
            judge.judged(&record(known.refused)),
            (false, false),
            "{text}"
        );
        // With a flag, or out of sight, nothing is said of an object; who asks for it all the same has not read the documentation.
        let (action, access, _) = known.allowed;
        assert!(
            Deed::new(action, access | 0x100).is_none() || access == 0,
            "{text}"
        );
    }
}

#[test]
fn deeds_that_never_happen_are_none() {
    for (action, access) in [
        (action::OPEN, 32),
        (action::OPEN, u32::MAX),
        (action::STAT, READ),
        (action::EXEC, 0),
        (action::MAP, READ),
        (36, 0),
        (u32::MAX, 0),
    ] {
        assert_eq!(Deed::new(action, access), None, "{action} {access}");
    }
}

/// Thousands of places have thousands of values, in the bits that only renames look at.
#[test]
fn many_places_are_decided_like_one() {
    let places: Vec<String> = (0..3000).map(|n| format!("\"/srv/{n}\"")).collect();
    let text = format!("policy t\npaths {{\n write {}\n}}\n", places.join(", "));
    let compiled = compile("t.evf", &text, &Memory::new()).expect("a sound policy");
    let judge = Judge::of(compiled.image, Event::VfsPick);
    let program = judge.policy.program(Event::VfsPick).expect("it has one");
    let by_path = judge.by_path.expect("it decides by path");
    let question = by_path.question(&program).expect("it asks something");
    let write = Deed::new(action::OPEN, access::WRITE).expect("a deed");
    for n in [0, 1, 63, 64, 65, 1023, 1024, 1025, 2999] {
        let path = format!("/srv/{n}/x");
        assert!(by_path.allows(&question, write, path.as_bytes()), "{path}");
    }
    assert!(!by_path.allows(&question, write, b"/srv/3000"));
}

/// Whether it is said that reading these paths is allowed, and whether it is, where the program asks string `field` and refuses answers with the flag 64.
fn flagged(field: u8) -> Vec<(bool, bool)> {
    let sink = |value| Node::Sink { value };
    let table = Automaton {
        start: 0,
        nodes: vec![
            Node::Branch {
                value: 64,
                edges: vec![(b'a', 1), (b'b', 2), (b'c', 3)],
                default: 3,
            },
            sink(1),
            sink(65),
            sink(1 << 12 | 1),
        ],
    };
    let draft = Draft {
        event: Event::VfsPick.number(),
        insns: vec![
            Insn::stmt(SMATCH, Insn::string_operand(field, 0)),
            Insn::jump(JMP | JSET | K, 64, 1, 0),
            Insn::stmt(RET | K, Verdict::ALLOW.raw()),
            Insn::stmt(RET | K, Verdict::errno(1).raw()),
        ],
        strings: vec![],
        tables: vec![table.encode()],
    };
    let judge = Judge::of(image::encode(&[draft]), Event::VfsPick);
    let paths = ["a", "b", "c", ""];
    let records = paths.map(|path| {
        let record = OwnedRecord {
            event: Event::VfsPick,
            words: vec![0; 30],
            strings: vec![path.into(), vec![], vec![]],
        };
        with_deed(record, action::OPEN, READ)
    });
    records.iter().map(|record| judge.judged(record)).collect()
}

#[test]
fn flags_beyond_those_that_are_kept_are_not_lost() {
    assert_eq!(
        flagged(0),
        [(true, true), (false, false), (true, true), (false, false)]
    );
}

#[test]
fn another_string_is_not_taken_for_the_path() {
    assert_eq!(flagged(1), [(false, false); 4]);
}

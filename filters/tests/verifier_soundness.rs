// SPDX-License-Identifier: GPL-2.0
//! Whatever the verifier accepts runs to a verdict, in as many steps as it has instructions at most, on every record.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::policy::Policy;
use filters::record::Record;
use filters::stack::Layer;
use filters::verdict::{Action, Verdict};
use filters::vm;
use oracle::generate::{self, OwnedRecord};
use oracle::image::{self, Draft};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Runs whatever was accepted; returns how many programs it had.
fn run_all(policy: &Policy<Vec<u8>>, records: &[OwnedRecord]) -> usize {
    for owned in records {
        owned.view(|record| run_one(policy, record));
    }
    Event::ALL
        .into_iter()
        .filter(|event| policy.program(*event).is_some())
        .count()
}

fn run_one(policy: &Policy<Vec<u8>>, record: &Record<'_>) {
    let event = record.event();
    let Some(program) = policy.program(event) else {
        assert_eq!(policy.judge(record), None);
        assert_eq!(policy.cost(event), 0);
        return;
    };
    let outcome = vm::run(&program, record);
    assert_eq!(policy.judge(record), Some(outcome.verdict));
    assert!(
        outcome.insn < program.len(),
        "it ends at one of its own instructions"
    );
    let last = program
        .insn(outcome.insn)
        .expect("the instruction that decided");
    // A return, or a division by the X that was 0. Only what the verifier should have ruled out ends elsewhere.
    assert!(
        matches!(last.code, 0x06 | 0x16 | 0x3c),
        "ended at {last:x?}"
    );
    let schema = event.schema();
    let verdict = outcome.verdict;
    assert!(
        schema.actions.contains(verdict.action()),
        "{verdict:?} of {}",
        schema.name
    );
    if schema.max_errno < 4095 && verdict.action() == Action::Errno {
        assert!((1..=schema.max_errno).contains(&verdict.data()));
    }
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let all = Event::ALL.map(|event| vec(generate::record_of(event), 3));
    all.prop_map(|records| records.concat())
}

/// What happens to a byte image on its way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Word(Index, u32),
    Copy(Index, Index, usize),
    Cut(Index),
    Grow(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        4 => (any::<Index>(), generate::number()).prop_map(|(at, word)| Damage::Word(at, word)),
        2 => (any::<Index>(), any::<Index>(), 1usize..32).prop_map(|(from, to, len)| Damage::Copy(from, to, len)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => vec(any::<u8>(), 1..9).prop_map(Damage::Grow),
    ]
}

fn damaged(mut image: Vec<u8>, damages: &[Damage], mend: bool) -> Vec<u8> {
    for damage in damages {
        match damage {
            Damage::Flip(at, bit) => {
                let at = at.index(image.len());
                image[at] ^= 1 << bit;
            }
            Damage::Word(at, word) => {
                let at = at.index(image.len() / 4) * 4;
                image[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            Damage::Copy(from, to, len) => {
                let (from, to) = (from.index(image.len()), to.index(image.len()));
                let len = (*len).min(image.len() - from.max(to));
                image.copy_within(from..from + len, to);
            }
            Damage::Cut(at) => image.truncate(4 + at.index(image.len() - 3)),
            Damage::Grow(bytes) => image.extend(bytes),
        }
    }
    if mend && image.len() >= 8 {
        // Past the first check, so that the later ones have something to do.
        image.resize(image.len().next_multiple_of(4), 0);
        let size = (image.len() as u32).to_le_bytes();
        image[..4].copy_from_slice(b"EVF1");
        image[4..8].copy_from_slice(&size);
    }
    image
}

proptest! {
    #![proptest_config(generate::cases(1500, 10))]

    #[test]
    fn sound_programs_are_accepted_and_run_to_a_verdict(drafts in generate::drafts(), records in records()) {
        let policy = image::verify(image::encode(&drafts));
        prop_assert!(policy.is_ok(), "{:?}", policy.err());
        prop_assert_eq!(run_all(&policy.expect("checked"), &records), drafts.len());
    }

    #[test]
    fn damaged_images_are_refused_or_run_to_a_verdict(
        drafts in generate::drafts(),
        damages in vec(damage(), 1..4),
        mend in proptest::bool::weighted(0.9),
        records in records(),
    ) {
        if let Ok(policy) = image::verify(damaged(image::encode(&drafts), &damages, mend)) {
            prop_assert!(run_all(&policy, &records) > 0);
        }
    }

    #[test]
    fn random_programs_are_refused_or_run_to_a_verdict(
        event in 0u32..3,
        insns in vec((0u16..0x200, 0u8..6, 0u8..6, generate::number()), 1..6),
        strings in vec(generate::string(), 0..3),
        tables in vec(vec(any::<u8>(), 0..64), 0..2),
        records in records(),
    ) {
        let mut insns: Vec<_> = insns.into_iter().map(|(code, jt, jf, k)| filters::insn::Insn { code, jt, jf, k }).collect();
        insns.push(filters::insn::Insn::stmt(0x16, 0));
        let draft = Draft { event, insns, strings, tables };
        if let Ok(policy) = image::verify(image::encode(&[draft])) {
            prop_assert_eq!(run_all(&policy, &records), 1);
        }
    }

    #[test]
    fn random_bytes_are_refused_or_run_to_a_verdict(bytes in vec(any::<u8>(), 0..256), records in records()) {
        for mend in [false, true] {
            if let Ok(policy) = image::verify(damaged(bytes.clone(), &[], mend)) {
                run_all(&policy, &records);
            }
        }
    }
}

#[test]
fn a_program_run_on_another_events_record_kills() {
    let allow = filters::insn::Insn::stmt(0x06, 0x7fff_0000);
    let policy = image::verify(image::encode(&[Draft::new(0, vec![allow])])).expect("sound");
    let program = policy.program(Event::SyscallEnter).expect("it has one");
    let other = OwnedRecord {
        event: Event::VfsGetname,
        words: vec![0; 20],
        strings: vec![vec![]],
    };
    assert_eq!(
        other.view(|record| vm::run(&program, record).verdict),
        Verdict::KILL_PROCESS
    );
}

#[test]
fn a_record_that_does_not_fit_its_schema_is_no_record() {
    let words = [0; 32];
    let paths = [&b""[..]; 4];
    for event in Event::ALL {
        let schema = event.schema();
        let (count, strings) = (schema.record_bytes as usize / 4, schema.strings as usize);
        for len in 0..words.len() {
            for given in 0..4 {
                let fits = len == count && given == strings;
                let made = Record::new(event, &words[..len], &paths[..given]);
                assert_eq!(made.is_some(), fits, "{} {len} {given}", schema.name);
            }
        }
    }
}

#[test]
fn a_computed_verdict_that_the_event_cannot_carry_out_kills() {
    let returns = |event: Event, raw| {
        let insns = vec![
            filters::insn::Insn::stmt(0x00, raw),
            filters::insn::Insn::stmt(0x16, 0),
        ];
        let policy =
            image::verify(image::encode(&[Draft::new(event.number(), insns)])).expect("sound");
        let schema = event.schema();
        let record = OwnedRecord {
            event,
            words: vec![0; schema.record_bytes as usize / 4],
            strings: vec![vec![]; schema.strings as usize],
        };
        record
            .view(|record| policy.judge(record))
            .expect("it has a program")
    };
    for raw in [
        0,
        0x0003_0000,
        0x7fc0_0000,
        0x7ff0_0000,
        0x7ffe_0000,
        0x0005_0000,
        0x0005_0086,
        0x0005_0200,
        0x0005_ffff,
    ] {
        assert_eq!(
            returns(Event::VfsGetname, raw),
            Verdict::KILL_PROCESS,
            "{raw:#x}"
        );
    }
    for raw in [
        0x0005_0001,
        0x0005_0085,
        0x7ffc_0007,
        0x7fff_ffff,
        0x8000_0001,
    ] {
        assert_eq!(returns(Event::VfsGetname, raw).raw(), raw);
    }
    for raw in [0, 0x0003_0000, 0x7ff0_0000, 0x0005_0000, 0x0005_ffff] {
        assert_eq!(
            returns(Event::SyscallEnter, raw).raw(),
            raw,
            "as in seccomp"
        );
    }
}

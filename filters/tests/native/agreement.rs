// SPDX-License-Identifier: GPL-2.0
//! Random programs over random records: code and interpreter say the same.
//!
//! `PROPTEST_CASES=30000 cargo test -p filters --test native` takes that many cases for each property, more than 100,000 in all, in some five minutes.

use filters::event::Event;
use filters::native::{self, Frame, Takes};
use filters::policy::Policy;
use filters::record::Record;
use oracle::generate::{self, OwnedRecord};
use oracle::image::{self, Draft};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::programs::{self, Form, Thing};
use oracle::lowered::{assert_agreement, expected_of_all, program, Code};

fn verified(draft: &Draft) -> Policy<Vec<u8>> {
    image::verify(image::encode(std::slice::from_ref(draft))).expect("a sound program")
}

/// A program with records for it.
type Case = (Draft, Vec<OwnedRecord>, Vec<Thing>);

/// Any event; what its objects show is another kind of record.
fn case() -> impl Strategy<Value = Case> {
    generate::event().prop_flat_map(|event| {
        let things = if event.schema().strings == 0 { 0 } else { 3 };
        (
            generate::draft_for(event),
            vec(generate::record_of(event), 5),
            vec(programs::thing(event), things),
        )
    })
}

fn check(draft: &Draft, records: &[OwnedRecord]) {
    let policy = verified(draft);
    let event = Event::from_number(draft.event).expect("an event");
    let program = program(&policy, event);
    let code = Code::of(&[program]);
    for owned in records {
        owned.view(|record| assert_agreement(&code, &program, record));
    }
}

proptest! {
    #![proptest_config(generate::cases(12_000, 5))]

    #[test]
    fn code_agrees_with_the_interpreter((draft, records, things) in case()) {
        let policy = verified(&draft);
        let program = program(&policy, Event::from_number(draft.event).expect("an event"));
        let code = Code::of(&[program]);
        for owned in &records {
            owned.view(|record| assert_agreement(&code, &program, record));
        }
        for thing in &things {
            thing.view(|record| assert_agreement(&code, &program, record));
        }
    }
}

proptest! {
    #![proptest_config(generate::cases(8_000, 5))]

    #[test]
    fn rows_agree_with_the_interpreter(insns in programs::rows(0..40), records in vec(programs::record(), 8)) {
        check(&Draft::syscall(&insns), &records);
    }

    #[test]
    fn rows_in_every_form_agree_with_the_interpreter(
        form in select(&[Form::Direct, Form::Mirrored, Form::Reloading][..]),
        values in vec((programs::value(), select(&[0x0005_0001, 0x0005_0002, 0x7fff_0000][..])), 0..40),
        otherwise in select(&[0x0005_0001, 0x7fff_0000][..]),
    ) {
        // Each value and its neighbours.
        let around = values.iter().flat_map(|(value, _)| [value.wrapping_sub(1), *value, value.wrapping_add(1)]);
        let records: Vec<OwnedRecord> = around
            .chain([0, u32::MAX])
            .map(|word| OwnedRecord {
                event: Event::SyscallEnter,
                words: vec![word; 16],
                strings: Vec::new(),
            })
            .collect();
        check(&Draft::syscall(&programs::row(form, 16, &values, otherwise)), &records);
    }

    #[test]
    fn many_programs_agree_with_one_after_the_other(
        layers in vec(prop_oneof![programs::rows(0..12), generate::classic_program(12)], 1..7),
        asks in any::<bool>(),
        records in vec(prop_oneof![programs::record(), generate::record_of(Event::SyscallEnter)], 8),
    ) {
        let mut policies: Vec<_> = layers.iter().map(|insns| verified(&Draft::syscall(insns))).collect();
        if asks {
            // X becomes the process, A the first argument, and what is asked for is that they are the same.
            let own = [(0x101, 0, 0, 0), (0x20, 0, 0, 16), (0x1d, 1, 0, 0), (0x06, 0, 0, 0x0005_0001), (0x06, 0, 0, 0x7fff_0007)];
            let own = own.map(|(code, jt, jf, k)| filters::insn::Insn { code, jt, jf, k });
            policies.insert(layers.len() / 2, verified(&Draft::syscall(&own)));
        }
        let programs: Vec<_> = policies.iter().map(|policy| program(policy, Event::SyscallEnter)).collect();
        let code = Code::of(&programs);
        prop_assert_eq!(code.shape.takes == Takes::Words, !asks);
        for owned in &records {
            owned.view(|record| {
                let raw = code.run(&programs[0], record).raw;
                assert_eq!(native::verdict(Event::SyscallEnter, raw), expected_of_all(&programs, record));
            });
        }
    }
}

/// Long programs are tried one for every two hundred others.
fn few() -> ProptestConfig {
    let cases = generate::cases(12_000, 200);
    ProptestConfig {
        cases: cases.cases / 200,
        ..cases
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn the_longest_programs_agree_with_the_interpreter(insns in programs::rows(3500..4000), records in vec(programs::record(), 40)) {
        check(&Draft::syscall(&insns), &records);
    }
}

#[test]
fn a_frame_is_of_the_same_event_and_has_the_caller_that_the_code_needs() {
    let policy = verified(&Draft::syscall(&[
        filters::insn::Insn::stmt(0x101, 1),
        filters::insn::Insn::stmt(0x87, 0),
        filters::insn::Insn::stmt(0x16, 0),
    ]));
    let program = program(&policy, Event::SyscallEnter);
    let takes = Code::of(&[program]).shape.takes;
    assert_eq!(takes, Takes::Frame { caller: true });
    let words = [0; 16];
    let record = Record::new(Event::SyscallEnter, &words, &[]).expect("16 words");
    assert!(Frame::new(&program, &record, takes).is_none());
    assert!(Frame::new(&program, &record, Takes::Frame { caller: false }).is_some());
    let record = record.called_by(generate::CALLER);
    let frame = Frame::new(&program, &record, takes).expect("it has the caller");
    // Nobody but lowered code reads these two, by their offset.
    assert!(format!("{frame:?}").contains("process: 3, thread: 5"));
    let words = [0; 20];
    let path = [&b"/"[..]];
    let other = Record::new(Event::VfsGetname, &words, &path).expect("20 words");
    assert!(Frame::new(&program, &other.called_by(generate::CALLER), takes).is_none());
    assert!(native::words(Event::SyscallEnter, &other).is_none());
}

// SPDX-License-Identifier: GPL-2.0
//! Any bytes: the image is refused, or its programs run to a verdict on any record.
//!
//! The input is an image, and behind it, if the image says so by its size, what the record is made of.

#![no_main]

use filters::event::Event;
use filters::policy::Policy;
use filters::record::{Caller, Record};
use filters::stack::Layer;
use filters::verdict::Action;
use filters::vm;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let size = data.get(4..8).map_or(0, |size| {
        u32::from_le_bytes([size[0], size[1], size[2], size[3]])
    });
    let (image, rest) = data.split_at_checked(size as usize).unwrap_or((data, &[]));
    let mut workspace = Box::new([0; filters::limits::MAX_INSNS]);
    let Ok(policy) = Policy::verify(image, &mut workspace) else {
        return;
    };
    for event in Event::ALL {
        let Some(program) = policy.program(event) else {
            continue;
        };
        let schema = event.schema();
        let word = |at: usize| {
            rest.get(4 * at..4 * at + 4).map_or(at as u32, |word| {
                u32::from_le_bytes([word[0], word[1], word[2], word[3]])
            })
        };
        let words: Vec<u32> = (0..schema.record_bytes as usize / 4).map(word).collect();
        let path = &rest[..rest.len().min(4095)];
        let strings = vec![path; schema.strings as usize];
        let record = Record::new(event, &words, &strings).expect("a record by its schema");
        let record = record.called_by(Caller {
            process: word(0),
            thread: word(1),
        });
        let outcome = vm::run(&program, &record);
        assert_eq!(policy.judge(&record), Some(outcome.verdict));
        assert!(outcome.insn < program.len());
        assert!(policy.cost(event) <= filters::limits::MAX_STACK_COST);
        let last = program
            .insn(outcome.insn)
            .expect("the instruction that decided");
        assert!(
            matches!(last.code, 0x06 | 0x16 | 0x3c),
            "ended at {last:x?}"
        );
        assert!(schema.actions.contains(outcome.verdict.action()));
        if schema.max_errno < 4095 && outcome.verdict.action() == Action::Errno {
            assert!((1..=schema.max_errno).contains(&outcome.verdict.data()));
        }
    }
});

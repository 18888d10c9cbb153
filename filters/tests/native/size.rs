// SPDX-License-Identifier: GPL-2.0
//! How long code becomes, and how much of it is run.

use filters::event::Event;
use filters::insn::Insn;
use filters::native::Takes;
use oracle::generate::OwnedRecord;
use oracle::image::{self, Draft};

use super::programs::{row, Form};
use oracle::lowered::{assert_agreement, program, Code};

const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0001;

fn record(word: u32) -> OwnedRecord {
    let mut words = vec![0; 16];
    words[4] = word;
    OwnedRecord {
        event: Event::SyscallEnter,
        words,
        strings: Vec::new(),
    }
}

/// Instructions of the code for a row over the first argument, and the most that one run takes: jumps, and others.
fn cost(form: Form, values: &[u32], last: u32) -> (usize, usize, usize) {
    let values: Vec<(u32, u32)> = values.iter().map(|value| (*value, REFUSE)).collect();
    let insns = row(form, 16, &values, ALLOW);
    let policy = image::verify(image::encode(&[Draft::syscall(&insns)])).expect("a sound program");
    let program = program(&policy, Event::SyscallEnter);
    let code = Code::of(&[program]);
    assert_eq!(
        (code.shape.takes, code.shape.stack_bytes),
        (Takes::Words, 0)
    );
    let (mut jumps, mut others) = (0, 0);
    for word in 0..last {
        record(word).view(|record| {
            assert_agreement(&code, &program, record);
            let ended = code.run(&program, record);
            (jumps, others) = (jumps.max(ended.jumps), others.max(ended.others));
        });
    }
    (code.insns.len(), jumps, others)
}

#[test]
fn a_row_is_searched_by_halving_in_whatever_form_it_is_written() {
    for form in [Form::Direct, Form::Mirrored, Form::Reloading] {
        for (count, expected) in [
            (3, (12, 3, 3)),
            (4, (15, 4, 3)),
            (5, (21, 4, 3)),
            (10, (42, 5, 3)),
            (100, (408, 8, 3)),
            (200, (816, 9, 3)),
        ] {
            // No two of them are neighbours.
            let mut values: Vec<u32> = (0..count).map(|index| index * 3 + 7).collect();
            let message = format!("{form:?}, {count}");
            assert_eq!(cost(form, &values, count * 3 + 20), expected, "{message}");
            values.reverse();
            assert_eq!(cost(form, &values, count * 3 + 20), expected, "{message}");
        }
    }
}

#[test]
fn neighbours_become_one_range_however_many_they_are() {
    for form in [Form::Direct, Form::Mirrored, Form::Reloading] {
        for count in [4, 10, 100, 200] {
            let values: Vec<u32> = (7..count + 7).collect();
            assert_eq!(
                cost(form, &values, count + 20),
                (9, 2, 3),
                "{form:?}, {count}"
            );
        }
    }
}

#[test]
fn of_equal_values_the_first_counts_and_the_rest_costs_nothing() {
    let mut values = vec![(7, REFUSE)];
    values.extend((0..2000).map(|index| (7, 0x0005_0002 + index % 9)));
    let policy = image::verify(image::encode(&[Draft::syscall(&row(
        Form::Mirrored,
        16,
        &values,
        ALLOW,
    ))]));
    let policy = policy.expect("a sound program");
    let program = program(&policy, Event::SyscallEnter);
    let code = Code::of(&[program]);
    assert_eq!(code.insns.len(), 6);
    for word in [6, 7, 8] {
        record(word).view(|record| assert_agreement(&code, &program, record));
    }
}

#[test]
fn a_row_that_is_entered_everywhere_does_not_grow_beyond_itself() {
    let mut insns = vec![Insn::stmt(0x20, 16)];
    insns.extend((0..200).map(|index| Insn::jump(0x45, 1 << (index % 32), 199, 0)));
    insns.extend((0..200).map(|index| Insn::jump(0x15, index * 3, (200 - index) as u8, 0)));
    insns.extend([ALLOW, REFUSE].map(|raw| Insn::stmt(0x06, raw)));
    let policy = image::verify(image::encode(&[Draft::syscall(&insns)])).expect("a sound program");
    let program = program(&policy, Event::SyscallEnter);
    let code = Code::of(&[program]);
    assert_eq!(code.insns.len(), 405);
    for word in 0..700 {
        record(word).view(|record| assert_agreement(&code, &program, record));
    }
}

#[test]
fn scratch_words_are_kept_apart_and_take_no_more_room_than_they_need() {
    for used in [0xffffu16, 0x820d, 0x8000, 0x0006] {
        let words: Vec<u32> = (0..16).filter(|word| used >> word & 1 != 0).collect();
        let mut insns = Vec::new();
        for word in &words {
            insns.extend([Insn::stmt(0x00, 100 + word), Insn::stmt(0x02, *word)]);
        }
        for word in &words {
            insns.push(Insn::stmt(0x60, *word));
            insns.push(Insn::jump(0x15, 100 + word, 1, 0));
            insns.push(Insn::stmt(0x06, REFUSE + word));
        }
        insns.push(Insn::stmt(0x06, ALLOW));
        let policy = image::verify(image::encode(&[Draft::syscall(&insns)]));
        let policy = policy.expect("a sound program");
        let program = program(&policy, Event::SyscallEnter);
        let code = Code::of(&[program]);
        assert_eq!(code.shape.stack_bytes as usize, 4 * words.len());
        record(0).view(|record| assert_eq!(code.run(&program, record).raw, ALLOW, "{used:#x}"));
    }
}

#[test]
fn string_jumps_as_many_as_may_be_are_lowered() {
    // Over all of them, if the first word says so.
    let mut insns = vec![
        Insn::stmt(0x20, 0),
        Insn::jump(0x15, 0, 1, 0),
        Insn::stmt(0x05, 4088),
    ];
    insns.extend((0..4087).map(|_| Insn::jump(0x105, 0, 1, 2)));
    insns.extend([ALLOW, REFUSE, ALLOW].map(|raw| Insn::stmt(0x06, raw)));
    insns[4089].jf = 0;
    let draft = Draft {
        event: Event::VfsGetname.number(),
        insns,
        strings: vec![b"/x".to_vec()],
        tables: vec![],
    };
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    let program = program(&policy, Event::VfsGetname);
    let code = Code::of(&[program]);
    assert_eq!(code.shape.takes, Takes::Frame { caller: false });
    assert_eq!(code.insns.len(), 28612);
    for first in [0, 1] {
        for path in [&b"/x"[..], b"/y"] {
            let mut words = vec![0; 20];
            words[0] = first;
            let record = OwnedRecord {
                event: Event::VfsGetname,
                words,
                strings: vec![path.to_vec()],
            };
            record.view(|record| assert_agreement(&code, &program, record));
        }
    }
}

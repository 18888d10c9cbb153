// SPDX-License-Identifier: GPL-2.0
//! How long code becomes, and how much of it is run.

use filters::event::Event;
use filters::insn::Insn;
use filters::native::Takes;
use oracle::generate::OwnedRecord;
use oracle::image::{self, Draft};

use super::judge::{assert_agreement, program, Code};
use super::programs::{row, Form};

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

/// Instructions of the code for a row of so many values of the first argument, three apart, and the most that one run takes: jumps, and others.
fn cost(form: Form, count: u32) -> (usize, usize, usize) {
    let values: Vec<(u32, u32)> = (0..count).map(|index| (index * 3 + 7, REFUSE)).collect();
    let insns = row(form, 16, &values, ALLOW);
    let policy = image::verify(image::encode(&[Draft::syscall(&insns)])).expect("a sound program");
    let program = program(&policy, Event::SyscallEnter);
    let code = Code::of(&[program]);
    assert_eq!(
        (code.shape.takes, code.shape.stack_bytes),
        (Takes::Words, 0)
    );
    let (mut jumps, mut others) = (0, 0);
    for word in 0..count * 3 + 20 {
        record(word).view(|record| {
            assert_agreement(&code, &program, record);
            let ended = code.run(&program, record);
            jumps = jumps.max(ended.jumps);
            others = others.max(ended.others);
        });
    }
    (code.insns.len(), jumps, others)
}

#[test]
fn a_row_is_searched_by_halving_in_whatever_form_it_is_written() {
    for form in [Form::Direct, Form::Mirrored, Form::Reloading] {
        for count in [3, 4, 10, 100, 200] {
            println!("{form:?} {count}: {:?}", cost(form, count));
        }
    }
}

#[test]
fn string_jumps_as_many_as_may_be_are_lowered() {
    let mut insns = vec![Insn::stmt(0x05, 4090)];
    insns.extend((0..4090).map(|_| Insn::jump(0x105, 0, 1, 2)));
    insns.extend([
        Insn::stmt(0x06, ALLOW),
        Insn::stmt(0x06, REFUSE),
        Insn::stmt(0x06, ALLOW),
    ]);
    insns[4090].jt = 0;
    let draft = Draft {
        event: Event::VfsGetname.number(),
        insns,
        strings: vec![b"/x".to_vec()],
        tables: vec![],
    };
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    let program = program(&policy, Event::VfsGetname);
    let code = Code::of(&[program]);
    println!("{:?}", code.shape);
}

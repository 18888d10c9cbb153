// SPDX-License-Identifier: GPL-2.0
//! Programs about objects that ask one thing of the path and then compute, which the language's never do. What such a program comes to, where the path alone
//! decides, is computed when it is loaded, with words of which some are known.

use std::mem::offset_of;

use filters::event::Event;
use filters::insn::*;
use filters::limits::SCRATCH_WORDS;
use filters::object::offset;
use uapi::record::Object;

use super::alike_in_all_kinds;
use super::paths::{DIRS, ROOT, done, tree};
use crate::harness::{Test, note};
use crate::program::{ALLOW, ODD, Part, errno, image, load, ret};
use crate::random::{Random, Wish};

/// Of the scratch memory, the words that a program has written before it reads them.
const WRITTEN: u32 = SCRATCH_WORDS as u32 - 1;

/// Words of the record: those by which programs are told apart when they are loaded, and as many that are known later, which are different for each object.
const WORDS: [u32; 8] = [
    offset::ACTION,
    offset::ACCESS,
    offset::FLAGS,
    offset::REACHABLE,
    offset_of!(Object, kind) as u32,
    offset_of!(Object, ino) as u32,
    offset_of!(Object, mode) as u32,
    offset_of!(Object, nlink) as u32,
];

/// Cases of a run that names no other number.
const CASES: u64 = 300;

pub(super) fn tests() -> Vec<Test> {
    let count = Wish::get().cases(CASES);
    let random = Test::new(
        "native::random_computed_policies_decide_as_interpreted",
        decide_as_interpreted,
    );
    vec![random.limit(120 + count)]
}

fn decide_as_interpreted() {
    tree();
    let wish = Wish::get();
    let (seed, count) = (wish.seed(), wish.cases(CASES));
    note(&format!("--seed {seed} --count {count}"));
    let (mut refused, mut allowed) = (0, 0);
    for own in (0..count).map(|at| seed.wrapping_add(at)) {
        let repeat = format!("native::random_computed --seed {own} --count 1");
        let mut random = Random::new(own);
        let images = [policy(&mut random)];
        let dirs = [random.pick(&DIRS)];
        let seen = alike_in_all_kinds(&images, &mut random, &repeat, |layers| {
            done(layers, 0, &dirs)
        });
        // What the program has refused, and not the file system.
        let own = seen.iter().filter(|value| **value == -i64::from(ODD));
        refused += own.count() as u64;
        allowed += seen.iter().filter(|value| **value >= 0).count() as u64;
    }
    note(&format!("{refused} deeds refused, {allowed} done"));
    if count >= CASES {
        assert!(
            refused > count * 5 && allowed > count * 5,
            "{refused} refused, {allowed} done"
        );
    }
}

/// An image with one such program for `vfs.pick`.
fn policy(random: &mut Random) -> Vec<u8> {
    let place = format!("{ROOT}{}", random.pick(&DIRS));
    let question = random.pick(&[SUNDER, SPREFIX, SCONTAINS, SSUFFIX, SEQ]);
    let text = match question {
        SCONTAINS => "lib",
        SSUFFIX => ".env",
        _ => &place,
    };
    let mut insns = answered(random, question);
    insns.extend([
        Insn::stmt(ST, WRITTEN),
        Insn::stmt(LDX | IMM, small(random)),
    ]);
    for _ in 0..1 + random.below(4) {
        insns.extend(computed(random));
    }
    insns.extend(decided(random));
    image(&[Part {
        event: Event::VfsPick.number(),
        insns,
        strings: vec![text.as_bytes().to_vec()],
    }])
}

/// A number that others are likely to be equal to.
fn small(random: &mut Random) -> u32 {
    random.below(6) as u32
}

/// Two numbers for the two answers; some programs never come to the question.
fn answered(random: &mut Random, question: u16) -> Vec<Insn> {
    let number = |random: &mut Random| match random.percent(80) {
        true => small(random),
        false => random.number() as u32,
    };
    let operand = Insn::string_operand(0, 0);
    // A jump whose ways both lead further than to the next instruction.
    let asked = match random.percent(50) {
        true => vec![Insn::jump(question, operand, 0, 2)],
        false => vec![
            Insn::jump(question, operand, 1, 3),
            Insn::stmt(LD | IMM, number(random)),
        ],
    };
    let answers = vec![
        Insn::stmt(LD | IMM, number(random)),
        Insn::stmt(JMP | JA, 1),
        Insn::stmt(LD | IMM, number(random)),
    ];
    [asked, answers].concat()
}

/// A step of the computation. The number that the answer gave stays in scratch memory.
fn computed(random: &mut Random) -> Vec<Insn> {
    let small = small(random);
    let operand = match random.percent(60) {
        true => (K, small),
        false => (X, 0),
    };
    let arithmetic = random.pick(&[ADD, SUB, MUL, OR, AND, LSH, RSH, XOR]);
    let reading = [
        vec![load(random.pick(&WORDS))],
        vec![load(random.pick(&WORDS)), Insn::stmt(MISC | TAX, 0)],
        vec![Insn::stmt(LD | MEM, WRITTEN)],
        vec![Insn::stmt(LDX | MEM, WRITTEN)],
        vec![Insn::stmt(LD | LEN, 0)],
        vec![Insn::stmt(LDX | LEN, 0)],
        vec![Insn::stmt(LDX | IMM, small)],
        vec![Insn::stmt(MISC | TAX, 0)],
        vec![Insn::stmt(MISC | TXA, 0)],
        vec![Insn::stmt(ST, 0), Insn::stmt(LDX | MEM, 0)],
        vec![Insn::stmt(STX, 1), Insn::stmt(LD | MEM, 1)],
    ];
    // Bits of a word: some are known whatever it is.
    if random.percent(40) {
        let bits = random.pick(&[AND, OR, LSH, RSH]);
        return vec![load(random.pick(&WORDS)), Insn::stmt(ALU | bits | K, small)];
    }
    if random.percent(40) {
        return reading[random.below(reading.len())].clone();
    }
    let divisor = small | 1;
    match random.below(10) {
        0 => vec![Insn::stmt(ALU | NEG, 0)],
        1 => vec![Insn::stmt(ALU | DIV | K, divisor)],
        // By a number in X, which is not zero: that would be the end.
        2 => vec![Insn::stmt(LDX | IMM, divisor), Insn::stmt(ALU | DIV | X, 0)],
        _ => vec![Insn::stmt(ALU | arithmetic | operand.0, operand.1)],
    }
}

/// The verdict: by a comparison, or computed.
fn decided(random: &mut Random) -> Vec<Insn> {
    let refuse = errno(ODD);
    if random.percent(25) {
        return vec![
            Insn::stmt(ALU | AND | K, 1),
            Insn::stmt(ALU | MUL | K, ALLOW - refuse),
            Insn::stmt(ALU | ADD | K, refuse),
            Insn::stmt(RET | A, 0),
        ];
    }
    let code = random.pick(&[JEQ, JGT, JGE, JSET]);
    let (source, k) = match random.percent(70) {
        true => (K, small(random)),
        false => (X, 0),
    };
    let jump = Insn::jump(JMP | code | source, k, 0, 1);
    match random.percent(50) {
        true => vec![jump, ret(ALLOW), ret(refuse)],
        false => vec![jump, ret(refuse), ret(ALLOW)],
    }
}

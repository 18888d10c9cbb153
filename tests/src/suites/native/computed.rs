// SPDX-License-Identifier: GPL-2.0
//! Programs about objects that ask one thing of the path and then compute, which the language's never do. What such a program comes to, where the path alone
//! decides, is computed when it is loaded, with words of which some are known.

use filters::event::Event;
use filters::insn::*;
use filters::limits::SCRATCH_WORDS;
use filters::object::{action, offset};

use crate::program::{ALLOW, ODD, Part, errno, image, load, ret, unless_equal_skip};
use crate::random::Random;

/// Of the scratch memory, the words that a program has written before it reads them.
const WRITTEN: u32 = SCRATCH_WORDS as u32 - 1;

/// Words of the record: some by which programs are told apart when they are loaded, and one that is known later.
const WORDS: [u32; 5] = [
    offset::ACTION,
    offset::ACCESS,
    offset::FLAGS,
    offset::REACHABLE,
    offset::ACCESS + 4,
];

/// An image with one such program for `vfs.pick`. It always lets the root be changed.
pub(super) fn policy(random: &mut Random, places: &[String]) -> Vec<u8> {
    let place = random.below(places.len());
    let question = random.pick(&[SUNDER, SPREFIX, SCONTAINS, SSUFFIX, SEQ]);
    let text = match question {
        SCONTAINS => "lib",
        SSUFFIX => ".env",
        _ => &places[place],
    };
    let mut insns = vec![
        load(offset::ACTION),
        unless_equal_skip(action::CHROOT, 1),
        ret(ALLOW),
    ];
    insns.extend(answered(random, question));
    insns.extend([
        Insn::stmt(ST, WRITTEN),
        Insn::stmt(LDX | IMM, random.number() as u32 & 7),
    ]);
    for _ in 0..1 + random.below(8) {
        insns.extend(computed(random));
    }
    insns.extend(decided(random));
    image(&[Part {
        event: Event::VfsPick.number(),
        insns,
        strings: vec![text.as_bytes().to_vec()],
    }])
}

/// Two numbers for the two answers; some programs never come to the question.
fn answered(random: &mut Random, question: u16) -> Vec<Insn> {
    let number = |random: &mut Random| match random.percent(70) {
        true => random.number() as u32 & 0xf,
        false => random.number() as u32,
    };
    vec![
        Insn::jump(question, Insn::string_operand(0, 0), 0, 2),
        Insn::stmt(LD | IMM, number(random)),
        Insn::stmt(JMP | JA, 1),
        Insn::stmt(LD | IMM, number(random)),
    ]
}

/// A step of the computation. The number that the answer gave stays in scratch memory.
fn computed(random: &mut Random) -> Vec<Insn> {
    let small = random.number() as u32 & 0x1f;
    let operand = match random.percent(50) {
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
    if random.percent(45) {
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
        true => (K, random.number() as u32 & 0xf),
        false => (X, 0),
    };
    let jump = Insn::jump(JMP | code | source, k, 0, 1);
    match random.percent(50) {
        true => vec![jump, ret(ALLOW), ret(refuse)],
        false => vec![jump, ret(refuse), ret(ALLOW)],
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The verifier accepts exactly the classic programs that seccomp accepts.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::insn::{Insn, EXTENSION};
use oracle::image::{self, Draft};
use oracle::{checker, generate, host_kernel};
use proptest::prelude::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Programs tried in a normal run; PROPTEST_CASES changes it.
fn cases() -> u32 {
    let default = if cfg!(miri) { 100 } else { 100_000 };
    std::env::var("PROPTEST_CASES").map_or(default, |text| {
        text.parse().expect("PROPTEST_CASES is a number")
    })
}

/// Whether the engine accepts the program, and without an instruction of our own.
fn engine_accepts(program: &[Insn]) -> bool {
    if program.iter().any(|insn| insn.code & EXTENSION != 0) {
        return false;
    }
    let draft = Draft::new(Event::SyscallEnter.number(), program.to_vec());
    image::verify(image::encode(&[draft])).is_ok()
}

/// Programs that stand on one side of a limit each.
fn edges() -> Vec<Vec<Insn>> {
    let ret = Insn::stmt(0x06, 0x7fff_0000);
    let mut all = vec![vec![], vec![ret]];
    for code in 0..=0x1ff {
        for k in [0, 1, 15, 16, 31, 32, 60, 61, 64, 0xffff_f000, 0xffff_ffff] {
            for (jt, jf) in [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (255, 255)] {
                let insn = Insn { code, jt, jf, k };
                all.push(vec![insn]);
                all.push(vec![insn, ret]);
                all.push(vec![insn, ret, ret]);
            }
        }
    }
    for word in 0..=16 {
        let (store, load) = (Insn::stmt(0x02, word), Insn::stmt(0x60, word));
        all.push(vec![store, load, ret]);
        all.push(vec![load, store, ret]);
        // Stored on one side of a branch only; stored on both.
        all.push(vec![Insn::jump(0x15, 0, 0, 1), store, load, ret]);
        all.push(vec![
            Insn::jump(0x15, 0, 1, 0),
            Insn::stmt(0x05, 1),
            store,
            load,
            ret,
        ]);
        all.push(vec![
            Insn::jump(0x15, 0, 0, 2),
            store,
            Insn::stmt(0x05, 1),
            store,
            load,
            ret,
        ]);
        // After a return nothing is reached, but the kernel's pass goes on as if.
        all.push(vec![ret, load, ret]);
        all.push(vec![store, ret, load, ret]);
        // Behind an unconditional jump everything counts as written.
        all.push(vec![Insn::stmt(0x05, 1), load, ret]);
    }
    for len in [4095, 4096, 4097] {
        all.push(vec![ret; len]);
        let mut long = vec![Insn::stmt(0x00, 1); len];
        long[len - 1] = ret;
        all.push(long.clone());
        long[0] = Insn::stmt(0x05, len as u32 - 2);
        all.push(long.clone());
        long[0] = Insn::stmt(0x05, len as u32 - 1);
        all.push(long);
    }
    all
}

/// Random programs, and of each a row of others that differ from it in one field: those are cheaper to come by.
fn random(count: u32) -> Vec<Vec<Insn>> {
    const ROW: u32 = 20;
    const CODES: [u16; 12] = [
        0x00, 0x02, 0x05, 0x06, 0x15, 0x16, 0x20, 0x34, 0x60, 0x61, 0x74, 0x94,
    ];
    let mut runner = TestRunner::default();
    let strategy = generate::classic_attempt();
    let mut programs = Vec::new();
    for _ in 0..count.div_ceil(ROW) {
        let program = strategy.new_tree(&mut runner).expect("a program").current();
        for _ in 1..ROW {
            let dice = runner.rng().next_u64();
            let mut other = program.clone();
            let len = other.len().max(1);
            if let Some(insn) = other.get_mut((dice >> 32) as usize % len) {
                match dice % 5 {
                    0 => insn.code = CODES[(dice >> 8) as usize % CODES.len()],
                    1 => insn.jt = (dice >> 8) as u8 % 24,
                    2 => insn.jf = (dice >> 8) as u8 % 24,
                    3 => insn.k = (dice >> 8) as u32 % 80,
                    _ => insn.code = (dice >> 8) as u16 % 0x100,
                }
            }
            programs.push(other);
        }
        programs.push(program);
    }
    programs
}

/// Holds engine, second checker and, where it may be asked, the host's kernel against each other.
fn compare(programs: &[Vec<Insn>]) {
    for program in programs {
        assert_eq!(
            engine_accepts(program),
            checker::accepts(program),
            "{program:x?}"
        );
    }
    if let Err(reason) = host_kernel::available() {
        println!("the host's kernel is left out: {reason}");
        return;
    }
    let answers = host_kernel::accepted(programs).expect("the host's answers");
    for (program, answer) in programs.iter().zip(answers) {
        assert_eq!(
            checker::accepts(program),
            answer,
            "the host's kernel: {program:x?}"
        );
    }
}

#[test]
fn every_edge_is_judged_as_by_the_kernel() {
    let programs = edges();
    compare(&programs);
    let accepted = programs
        .iter()
        .filter(|program| checker::accepts(program))
        .count();
    assert!(
        accepted > 500,
        "only {accepted} of the edges are acceptable: the test has lost its point"
    );
}

#[test]
fn random_programs_are_judged_as_by_the_kernel() {
    let programs = random(cases());
    compare(&programs);
    let accepted = programs
        .iter()
        .filter(|program| checker::accepts(program))
        .count();
    let tenth = programs.len() / 10;
    assert!(
        (tenth..9 * tenth).contains(&accepted),
        "{accepted} of {} are acceptable",
        programs.len()
    );
}

// SPDX-License-Identifier: GPL-2.0
//! The verifier accepts exactly the classic programs that seccomp accepts.

use filters::event::Event;
use filters::insn::Insn;
use oracle::image::{self, Draft};
use oracle::{checker, generate, host_kernel};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Programs tried in a normal run; PROPTEST_CASES changes it.
fn cases() -> u32 {
    let default = if cfg!(miri) { 100 } else { 100_000 };
    std::env::var("PROPTEST_CASES").map_or(default, |text| text.parse().expect("PROPTEST_CASES is a number"))
}

fn engine_accepts(program: &[Insn]) -> bool {
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
        all.push(vec![Insn::jump(0x15, 0, 1, 0), Insn::stmt(0x05, 1), store, load, ret]);
        all.push(vec![Insn::jump(0x15, 0, 0, 2), store, Insn::stmt(0x05, 1), store, load, ret]);
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

fn random(count: u32) -> Vec<Vec<Insn>> {
    let mut runner = TestRunner::default();
    let strategy = generate::classic_attempt();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("a program").current())
        .collect()
}

/// Holds engine, second checker and, where it may be asked, the host's kernel against each other.
fn compare(programs: &[Vec<Insn>]) {
    for program in programs {
        assert_eq!(engine_accepts(program), checker::accepts(program), "{program:x?}");
    }
    if let Err(reason) = host_kernel::available() {
        println!("the host's kernel is left out: {reason}");
        return;
    }
    let answers = host_kernel::accepted(programs).expect("the host's answers");
    for (program, answer) in programs.iter().zip(answers) {
        assert_eq!(checker::accepts(program), answer, "the host's kernel: {program:x?}");
    }
}

#[test]
fn every_edge_is_judged_as_by_the_kernel() {
    let programs = edges();
    compare(&programs);
    let accepted = programs.iter().filter(|program| checker::accepts(program)).count();
    assert!(accepted > 500, "only {accepted} of the edges are acceptable: the test has lost its point");
}

#[test]
fn random_programs_are_judged_as_by_the_kernel() {
    let programs = random(cases());
    compare(&programs);
    let accepted = programs.iter().filter(|program| checker::accepts(program)).count();
    let tenth = programs.len() / 10;
    assert!((tenth..9 * tenth).contains(&accepted), "{accepted} of {} are acceptable", programs.len());
}

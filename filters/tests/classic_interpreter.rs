// SPDX-License-Identifier: GPL-2.0
//! Classic programs return what a second interpreter returns, and what the host's own seccomp does.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::insn::Insn;
use filters::record::Record;
use filters::stack::{Layer, Stack};
use filters::verdict::{Action, Verdict};
use filters::vm;
use oracle::generate::{self, OwnedRecord};
use oracle::host_kernel::{self, Call, Seen, CALLS};
use oracle::image::{self, Draft};
use oracle::interpreter;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn engine(program: &[Insn]) -> impl Layer {
    let draft = Draft::new(Event::SyscallEnter.number(), program.to_vec());
    image::verify(image::encode(&[draft])).expect("a sound program")
}

/// What a process sees of `verdict`, by `__seccomp_filter` of `kernel/seccomp.c`, with neither tracer nor supervisor.
fn visible(verdict: Verdict) -> Seen {
    match verdict.action() {
        Action::KillProcess | Action::KillThread => Seen::Killed,
        Action::Trap => Seen::Trapped(u32::from(verdict.data())),
        Action::Errno => Seen::Refused(-i64::from(verdict.errno_value())),
        Action::Notify | Action::Trace => Seen::Refused(-38),
        Action::Log | Action::Allow => Seen::Ran,
    }
}

fn check_against_host(layers: &[Vec<Insn>], calls: &[Call]) {
    let mut stack: Stack<_> = Stack::new();
    for layer in layers {
        stack.push(engine(layer)).expect("room");
    }
    let report = host_kernel::observe(layers, calls).expect("the host's answers");
    for (call, seen) in calls.iter().zip(&report.seen) {
        let words = call.record(report.instruction_pointer);
        let record = Record::new(Event::SyscallEnter, &words, &[]).expect("16 words");
        let decision = stack.evaluate(&record);
        assert_eq!(
            visible(decision.verdict),
            *seen,
            "{decision:?} {call:x?} {layers:x?}"
        );
    }
    let killed = report.seen.last() == Some(&Seen::Killed);
    assert!(killed || report.seen.len() == calls.len());
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let long = (generate::number(), generate::number())
        .prop_map(|(low, high)| u64::from(high) << 32 | u64::from(low));
    let call = (
        select(&CALLS[..]),
        [
            long.clone(),
            long.clone(),
            long.clone(),
            long.clone(),
            long.clone(),
            long,
        ],
    )
        .prop_map(|(nr, args)| Call { nr, args });
    vec(call, 8)
}

/// A program that ends in an errno made of all bits of A, or in a verdict of the generator's.
fn telling_program() -> impl Strategy<Value = Vec<Insn>> {
    (generate::classic_program(40), any::<bool>()).prop_map(|(mut program, tell)| {
        if !tell {
            return program;
        }
        // Returns of the body become jumps' landing places: `ret A`s go to the end, where A is folded into 12 bits.
        let fold = [
            Insn::stmt(0x07, 0),
            Insn::stmt(0x74, 12),
            Insn::stmt(0xac, 0),
            Insn::stmt(0x07, 0),
            Insn::stmt(0x74, 6),
            Insn::stmt(0xac, 0),
            Insn::stmt(0x54, 0xfff),
            Insn::stmt(0x44, 0x0005_0000),
            Insn::stmt(0x16, 0),
        ];
        let len = program.len();
        for (at, insn) in program.iter_mut().enumerate() {
            if insn.code == 0x16 {
                *insn = Insn::stmt(0x05, (len - at - 1) as u32);
            }
        }
        program.extend(fold);
        program
    })
}

const HOST_PROGRAMS: u32 = 1000;

#[test]
fn the_host_kernel_comes_to_the_same_verdicts() {
    if let Err(reason) = host_kernel::available() {
        println!("skipped: {reason}");
        return;
    }
    let config = ProptestConfig {
        max_shrink_iters: 2000,
        ..ProptestConfig::with_cases(HOST_PROGRAMS)
    };
    proptest!(config, |(program in telling_program(), calls in calls())| {
        check_against_host(&[program], &calls);
    });
}

#[test]
fn law_1_the_host_kernel_combines_layers_the_same_way() {
    if let Err(reason) = host_kernel::available() {
        println!("skipped: {reason}");
        return;
    }
    // Unknown actions are left out: for them the engine is stricter than seccomp, see `Verdict`.
    let known = |layers: &Vec<Vec<Insn>>| {
        layers
            .iter()
            .flatten()
            .all(|insn| insn.code != 0x06 || Action::from_raw(insn.k).is_some())
    };
    let verdict = generate::raw_verdict().prop_map(|raw| Insn::stmt(0x06, raw));
    let layer = (0u32..8, generate::number(), verdict.clone(), verdict).prop_map(
        |(word, k, then, otherwise)| {
            vec![
                Insn::stmt(0x20, 16 + 4 * word),
                Insn::jump(0x25, k, 0, 1),
                then,
                otherwise,
            ]
        },
    );
    let layers = vec(layer, 1..8).prop_filter("known actions", known);
    proptest!(ProptestConfig::with_cases(HOST_PROGRAMS / 2), |(layers in layers, calls in calls())| {
        check_against_host(&layers, &calls);
    });
}

#[test]
fn shifts_and_divisions_by_x_at_their_limits() {
    let compute = |code, a: u32, x: u32| {
        let program = [
            Insn::stmt(0x00, a),
            Insn::stmt(0x01, x),
            Insn::stmt(code, 7),
            Insn::stmt(0x16, 0),
        ];
        interpreter::run(&program, &[0; 16]).map(|raw| (raw, run(&program, &[0; 16])))
    };
    for (code, a, x, expected) in [
        (0x6c, 0x0005_0003, 32, 0x0005_0003u32),
        (0x6c, 0x8002_8002, 33, 0x0005_0004),
        (0x7c, 0x000a_0006, 0xffff_ffe1, 0x0005_0003),
        (0x3c, 0x000a_0006, 2, 0x0005_0003),
        (0x3c, 0x7fff_0000, 0, 0),
        (0x84, 0xfffa_ffff, 0, 0x0005_0001),
        (0x1c, 0x0005_0000, 0xffff_ffff, 0x0005_0001),
    ] {
        let (other, engine) = compute(code, a, x).expect("a sound program");
        assert_eq!(other, expected, "{code:#x} {a:#x} {x:#x}");
        assert_eq!(engine.raw(), expected, "{code:#x} {a:#x} {x:#x}");
    }
}

fn run(program: &[Insn], words: &[u32]) -> Verdict {
    let record = OwnedRecord {
        event: Event::SyscallEnter,
        words: words.to_vec(),
        strings: vec![],
    };
    let draft = Draft::new(0, program.to_vec());
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    let program = policy.program(Event::SyscallEnter).expect("it has one");
    record.view(|record| vm::run(&program, record).verdict)
}

proptest! {
    #![proptest_config(generate::cases(4000, 3))]

    #[test]
    fn a_second_interpreter_comes_to_the_same_verdicts(
        program in generate::classic_program(60),
        records in vec(generate::record_of(Event::SyscallEnter), 4),
    ) {
        for record in records {
            let expected = interpreter::run(&program, &record.words).expect("a sound program");
            prop_assert_eq!(run(&program, &record.words), Verdict::from_raw(expected), "raw {:#x}", expected);
        }
    }
}

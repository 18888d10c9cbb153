// SPDX-License-Identifier: GPL-2.0
//! What is decided by number is what the programs decide, for one layer and for many.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::by_number::{self, Places, PLACES};
use filters::event::Event;
use filters::insn::{Insn, SELF};
use filters::limits::NUMBERED_CALLS;
use filters::policy::Policy;
use filters::program::Program;
use filters::record::{Caller, Record};
use filters::stack::{Layer, Stack};
use filters::strict;
use filters::verdict::{Action, Verdict};
use oracle::generate;
use oracle::image::{self, Draft};
use oracle::task_tree::Filter;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NATIVE: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

struct Table(Box<Places>);

impl Table {
    fn of(program: Option<&Program<'_>>) -> Table {
        let mut places = Box::new([7; PLACES]);
        by_number::decide(program, &mut places);
        Table(places)
    }

    fn narrow(&mut self, newer: &Table) {
        by_number::narrow(&mut self.0, &newer.0);
    }

    fn verdict(&self, nr: u32, arch: u32) -> Option<Verdict> {
        by_number::verdict(&self.0, nr, arch)
    }
}

/// The calls by which uprobes return to the kernel.
fn is_exempt(nr: u32, arch: u32) -> bool {
    arch == NATIVE && (nr == 335 || nr == 336)
}

fn table(policy: &Policy<Vec<u8>>) -> Table {
    Table::of(policy.program(Event::SyscallEnter).as_ref())
}

fn merged(layers: &[Filter]) -> Table {
    let mut all = Table::of(None);
    for layer in layers {
        all.narrow(&table(layer.policy()));
    }
    all
}

fn policy(insns: Vec<Insn>) -> Policy<Vec<u8>> {
    let draft = Draft::new(Event::SyscallEnter.number(), insns);
    image::verify(image::encode(&[draft])).expect("a sound program")
}

fn layer() -> impl Strategy<Value = Filter> {
    generate::drafts().prop_map(|drafts| {
        let policy = image::verify(image::encode(&drafts)).expect("generated programs are sound");
        Filter::new(policy)
    })
}

/// Words of a `struct seccomp_data` whose number has a place in the table more often than not.
fn call() -> impl Strategy<Value = Vec<u32>> {
    let nr = prop_oneof![4 => 0u32..600, 1 => any::<u32>()];
    let arch = prop_oneof![4 => select(vec![NATIVE, I386]), 1 => any::<u32>()];
    (nr, arch, vec(any::<u32>(), 14)).prop_map(|(nr, arch, rest)| [vec![nr, arch], rest].concat())
}

/// As the table keeps it: an errno beyond the largest is the largest.
fn kept(verdict: Verdict) -> Verdict {
    match verdict.action() {
        Action::Errno => Verdict::errno(verdict.errno_value()),
        Action::Allow => Verdict::ALLOW,
        _ => verdict,
    }
}

proptest! {
    #![proptest_config(generate::cases(256, 3))]

    #[test]
    fn law_1_narrow_only_the_table_says_what_all_layers_say(
        layers in vec(layer(), 0..5),
        calls in vec(call(), 1..40),
    ) {
        let mut stack: Stack<Filter> = Stack::new();
        for layer in &layers {
            stack.push(layer.clone()).expect("there is room");
        }
        let table = merged(&layers);
        for words in &calls {
            let record = Record::new(Event::SyscallEnter, words, &[]).expect("a record");
            let decision = stack.evaluate(&record.called_by(generate::CALLER));
            if let Some(verdict) = table.verdict(words[0], words[1]) {
                let exempt = is_exempt(words[0], words[1]);
                prop_assert_eq!(verdict, if exempt { Verdict::ALLOW } else { kept(decision.verdict) });
            }
        }
    }

    /// A program that looks at number and architecture only leaves nothing open that the table can hold.
    #[test]
    fn a_program_that_looks_at_the_number_only_is_decided_whole(
        limits in vec((0u32..NUMBERED_CALLS as u32, 0u16..5000), 1..20),
    ) {
        let mut insns = vec![Insn::stmt(0x20, 0)];
        for (limit, errno) in &limits {
            insns.push(Insn::jump(0x25, *limit, 0, 1));
            insns.push(Insn::stmt(0x06, 0x0005_0000 | u32::from(*errno)));
        }
        insns.push(Insn::stmt(0x06, 0x7fff_0000));
        let policy = policy(insns);
        let table = table(&policy);
        for nr in 0..NUMBERED_CALLS as u32 {
            let first = limits.iter().find(|(limit, _)| nr > *limit);
            let expected = first.map_or(Verdict::ALLOW, |(_, errno)| Verdict::errno((*errno).min(4095)));
            let native = if is_exempt(nr, NATIVE) { Verdict::ALLOW } else { expected };
            prop_assert_eq!(table.verdict(nr, NATIVE), Some(native));
            prop_assert_eq!(table.verdict(nr, I386), Some(expected));
        }
    }
}

#[test]
fn numbers_and_architectures_without_a_place_are_left_open() {
    let table = table(&policy(vec![Insn::stmt(0x06, 0x7fff_0000)]));
    assert_eq!(table.verdict(511, NATIVE), Some(Verdict::ALLOW));
    assert_eq!(table.verdict(512, NATIVE), None);
    assert_eq!(table.verdict(512, I386), None);
    assert_eq!(table.verdict(u32::MAX, I386), None);
    assert_eq!(table.verdict(0x4000_0000, NATIVE), None);
    assert_eq!(table.verdict(0, 0), None);
}

#[test]
fn what_depends_on_more_than_the_number_is_left_open() {
    for ask in [
        Insn::stmt(0x20, 8),  // the instruction pointer
        Insn::stmt(0x20, 16), // an argument
        Insn::stmt(SELF, 0),
    ] {
        let allow = Insn::stmt(0x06, 0x7fff_0000);
        let nr = Insn::stmt(0x20, 0);
        let policy = policy(vec![nr, Insn::jump(0x15, 5, 0, 1), ask, allow]);
        let table = table(&policy);
        assert_eq!(table.verdict(5, NATIVE), None, "{ask:?}");
        assert_eq!(table.verdict(6, NATIVE), Some(Verdict::ALLOW), "{ask:?}");
    }
}

#[test]
fn verdicts_that_take_their_time_are_left_open() {
    for raw in [
        0x8000_0000,
        0,
        0x0003_0000,
        0x7fc0_0000,
        0x7ff0_0000,
        0x7ffc_0000,
        0x1234_0000,
    ] {
        let table = table(&policy(vec![Insn::stmt(0x06, raw)]));
        assert_eq!(table.verdict(1, NATIVE), None, "{raw:#x}");
    }
}

#[test]
fn one_layer_that_leaves_a_call_open_leaves_it_open_for_all() {
    let allow = policy(vec![Insn::stmt(0x06, 0x7fff_0000)]);
    let refuse = policy(vec![Insn::stmt(0x06, 0x0005_0001)]);
    let kill = policy(vec![Insn::stmt(0x06, 0x8000_0000)]);
    for (layers, expected) in [
        (vec![&allow, &refuse], Some(Verdict::errno(1))),
        (vec![&refuse, &allow], Some(Verdict::errno(1))),
        (vec![&refuse, &kill], None),
        (vec![&kill, &refuse], None),
    ] {
        let mut all = Table::of(None);
        for layer in layers {
            all.narrow(&table(layer));
        }
        assert_eq!(all.verdict(0, NATIVE), expected);
    }
}

#[test]
fn calls_of_uprobes_pass_every_filter() {
    let mut all = table(&policy(vec![Insn::stmt(0x06, 0x8000_0000)]));
    all.narrow(&table(&policy(vec![Insn::stmt(0x06, 0x0005_0001)])));
    for nr in [335, 336] {
        assert_eq!(all.verdict(nr, NATIVE), Some(Verdict::ALLOW));
        assert_eq!(all.verdict(nr, I386), None);
    }
    assert_eq!(all.verdict(334, NATIVE), None);
    assert_eq!(all.verdict(337, NATIVE), None);
}

#[test]
fn a_program_of_another_event_decides_no_call() {
    let draft = Draft::new(
        Event::VfsGetname.number(),
        vec![Insn::stmt(0x06, 0x7fff_0000)],
    );
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    let table = Table::of(policy.program(Event::VfsGetname).as_ref());
    assert_eq!(table.verdict(0, NATIVE), None);
}

#[test]
fn the_strict_filter_is_sound_and_allows_five_calls() {
    let policy = image::verify(strict::image().to_vec()).expect("a sound policy");
    assert!(policy.program(Event::VfsGetname).is_none());
    let table = table(&policy);
    let allowed = |arch| -> Vec<u32> {
        (0..NUMBERED_CALLS as u32)
            .filter(|nr| table.verdict(*nr, arch) == Some(Verdict::ALLOW))
            .collect()
    };
    assert_eq!(allowed(NATIVE), [0, 1, 15, 60, 231, 335, 336]);
    assert_eq!(allowed(I386), [1, 3, 4, 119, 173, 252]);
    for (nr, arch) in [
        (2, NATIVE),
        (0x4000_0000, NATIVE),
        (0, I386),
        (1, 0xc000_00b7),
        (u32::MAX, NATIVE),
    ] {
        let words: Vec<u32> = [nr, arch].into_iter().chain([0; 14]).collect();
        let record = Record::new(Event::SyscallEnter, &words, &[]).expect("a record");
        assert_eq!(
            policy.judge(&record),
            Some(Verdict::KILL_PROCESS),
            "{nr:#x} {arch:#x}"
        );
    }
}

#[test]
fn self_is_the_callers_id_and_kills_where_nobody_calls() {
    for (id, expected) in [(0, 40), (1, 41)] {
        let policy = policy(vec![
            Insn::stmt(SELF, id),
            Insn::stmt(0x87, 0),
            Insn::stmt(0x16, 0),
        ]);
        let words = [0; 16];
        let record = Record::new(Event::SyscallEnter, &words, &[]).expect("a record");
        let caller = Caller {
            process: 0x7fff_0028,
            thread: 0x0005_0029,
        };
        let verdict = policy
            .judge(&record.called_by(caller))
            .expect("it has a program");
        assert_eq!(u32::from(verdict.data()), expected);
        assert_eq!(policy.judge(&record), Some(Verdict::KILL_PROCESS));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Law 1: pushing a layer never weakens a verdict; verdicts combine by meet over all layers; the newest wins ties.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::limits::{MAX_LAYERS, MAX_STACK_COST};
use filters::record::Record;
use filters::stack::{Layer, PushError, Stack};
use filters::verdict::{Action, Verdict};
use filters::vm;
use oracle::generate;
use oracle::task_tree::Filter;
use oracle::{image, naive};
use proptest::collection::vec;
use proptest::prelude::*;

/// A loaded filter; the same one may be pushed more than once.
fn filter() -> impl Strategy<Value = Filter> {
    generate::drafts().prop_map(|drafts| {
        let policy = image::verify(image::encode(&drafts)).expect("generated programs are sound");
        Filter::new(policy)
    })
}

/// A layer whose verdict on every event is given.
#[derive(Clone, Copy, Debug)]
struct Fixed(Option<u32>);

impl Layer for Fixed {
    fn judge(&self, _: &Record<'_>) -> Option<Verdict> {
        self.0.map(Verdict::from_raw)
    }

    fn cost(&self, _: Event) -> u32 {
        1
    }
}

/// A layer that costs something for one event, and is told from others by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Priced(Event, u32);

impl Layer for Priced {
    fn judge(&self, _: &Record<'_>) -> Option<Verdict> {
        None
    }

    fn cost(&self, event: Event) -> u32 {
        if event == self.0 {
            self.1
        } else {
            0
        }
    }
}

proptest! {
    #![proptest_config(generate::cases(300, 3))]

    #[test]
    fn law_1_narrow_only_pushing_never_weakens_a_verdict(
        filters in vec(filter(), 1..8),
        records in vec(generate::record(), 8),
    ) {
        let mut stack: Stack<Filter> = Stack::new();
        for filter in filters {
            let before: Vec<_> = records.iter().map(|r| r.view(|r| stack.evaluate(r))).collect();
            stack.push(filter.clone()).expect("room");
            for (owned, before) in records.iter().zip(before) {
                let (after, own) = owned.view(|r| (stack.evaluate(r), filter.judge(r)));
                prop_assert!(after.verdict.at_least_as_strict_as(before.verdict), "{:?} after {:?}", after, before);
                // And it never turns a verdict into one that nobody gave.
                match own {
                    Some(own) => prop_assert!(after.verdict == own || after == before),
                    None => prop_assert_eq!(after, before),
                }
            }
        }
    }

    #[test]
    fn law_1_narrow_only_evaluation_is_the_meet_of_all_layers(
        filters in vec(filter(), 0..8),
        records in vec(generate::record(), 8),
    ) {
        let mut stack: Stack<Filter> = Stack::new();
        for filter in &filters {
            stack.push(filter.clone()).expect("room");
        }
        for owned in &records {
            let decision = owned.view(|r| stack.evaluate(r));
            // Each program by itself, outside any stack.
            let each: Vec<Option<u32>> = filters
                .iter()
                .map(|filter| filter.policy().program(owned.event).map(|program| owned.view(|r| vm::run(&program, r).verdict.raw())))
                .collect();
            match naive::meet(&each) {
                Some((layer, raw)) => {
                    prop_assert_eq!(decision.layer, Some(layer));
                    prop_assert_eq!(decision.verdict.raw(), raw);
                }
                None => {
                    prop_assert_eq!(decision.layer, None);
                    prop_assert_eq!(decision.verdict, Verdict::ALLOW);
                }
            }
        }
    }

    #[test]
    fn law_1_narrow_only_whoever_covers_is_at_least_as_strict(
        filters in vec(filter(), 1..5),
        outer in vec(0usize..5, 0..6),
        inner in vec(0usize..5, 0..6),
        records in vec(generate::record(), 8),
    ) {
        let build = |picks: &[usize]| {
            let mut stack: Stack<Filter> = Stack::new();
            for pick in picks {
                stack.push(filters[pick % filters.len()].clone()).expect("room");
            }
            stack
        };
        let (a, b) = (build(&outer), build(&inner));
        let has = |picks: &[usize], one: usize| picks.iter().any(|pick| pick % filters.len() == one);
        let expected = (0..filters.len()).all(|one| !has(&inner, one) || has(&outer, one));
        prop_assert_eq!(a.covers(&b, Filter::same), expected);
        if expected {
            for owned in &records {
                let (ours, theirs) = owned.view(|r| (a.evaluate(r), b.evaluate(r)));
                prop_assert!(ours.verdict.at_least_as_strict_as(theirs.verdict));
            }
        }
    }
}

proptest! {
    #![proptest_config(generate::cases(3000, 3))]

    #[test]
    fn law_1_newest_wins_ties_over_64_layers(
        raws in vec(proptest::option::weighted(0.7, generate::raw_verdict()), 0..=MAX_LAYERS),
        record in generate::record(),
    ) {
        let mut stack: Stack<Fixed> = Stack::new();
        for raw in &raws {
            stack.push(Fixed(*raw)).expect("room");
        }
        let decision = record.view(|r| stack.evaluate(r));
        prop_assert_eq!(
            decision.layer.map(|layer| (layer, decision.verdict.raw())),
            naive::meet(&raws)
        );
    }
}

fn judge(stack: &Stack<Fixed>) -> (Option<usize>, Verdict) {
    let words = [0; 16];
    let record = Record::new(Event::SyscallEnter, &words, &[]).expect("16 words");
    let decision = stack.evaluate(&record);
    (decision.layer, decision.verdict)
}

#[test]
fn a_full_stack_refuses_and_stays_as_it_is() {
    let mut stack: Stack<Fixed> = Stack::new();
    assert!(stack.is_empty());
    for count in 0..MAX_LAYERS {
        assert_eq!(stack.len(), count);
        stack
            .push(Fixed(Some(Verdict::errno(count as u16 + 1).raw())))
            .expect("room");
    }
    assert_eq!(
        stack.push(Fixed(Some(Verdict::KILL_PROCESS.raw()))),
        Err(PushError::Full)
    );
    assert_eq!(stack.len(), 64);
    assert_eq!(judge(&stack), (Some(63), Verdict::errno(64)));
    let kept: Vec<_> = stack.layers().iter().map(|layer| layer.0).collect();
    let pushed: Vec<_> = (1..=64)
        .map(|errno| Some(Verdict::errno(errno).raw()))
        .collect();
    assert_eq!(kept, pushed, "oldest first, none lost");
}

#[test]
fn layers_that_cost_too_much_together_are_refused_and_change_nothing() {
    let (syscall, getname) = (Event::SyscallEnter, Event::VfsGetname);
    let half = MAX_STACK_COST / 2;
    let mut stack: Stack<Priced> = Stack::new();
    assert_eq!(
        stack.push(Priced(getname, MAX_STACK_COST + 1)),
        Err(PushError::TooCostly(getname))
    );
    assert!(stack.is_empty());
    for layer in [
        Priced(getname, half),
        Priced(getname, half),
        Priced(syscall, MAX_STACK_COST),
    ] {
        stack.push(layer).expect("room");
    }
    let before = stack.layers().to_vec();
    for layer in [
        Priced(getname, 1),
        Priced(syscall, 1),
        Priced(syscall, u32::MAX),
    ] {
        let refusal = stack.push(layer).expect_err("should be refused");
        assert_eq!(refusal, PushError::TooCostly(layer.0));
        let message = format!(
            "{}: all layers together would cost more than 65536 units",
            layer.0.schema().name
        );
        assert_eq!(refusal.to_string(), message);
        assert_eq!(stack.layers(), before);
    }
    stack
        .push(Priced(getname, 0))
        .expect("a layer without a program costs nothing");
    while stack.len() < MAX_LAYERS {
        stack.push(Priced(getname, 0)).expect("room");
    }
    // That it is full is said first: no cheaper layer would help.
    assert_eq!(stack.push(Priced(getname, 1)), Err(PushError::Full));
    assert_eq!(
        PushError::Full.to_string(),
        "there is no room for another layer"
    );
}

#[test]
fn an_empty_stack_allows_and_names_no_layer() {
    assert_eq!(judge(&Stack::new()), (None, Verdict::ALLOW));
    let mut silent: Stack<Fixed> = Stack::default();
    silent.push(Fixed(None)).expect("room");
    assert_eq!(judge(&silent), (None, Verdict::ALLOW));
}

#[test]
fn an_unknown_action_kills_from_any_place_in_the_stack() {
    for place in 0..5 {
        let mut stack: Stack<Fixed> = Stack::new();
        for layer in 0..5 {
            let raw = if layer == place {
                0x0001_0005
            } else {
                Action::KillThread.raw()
            };
            stack.push(Fixed(Some(raw))).expect("room");
        }
        assert_eq!(judge(&stack), (Some(place), Verdict::KILL_PROCESS));
    }
}

#[test]
fn covers_needs_every_layer_but_not_their_order() {
    let build = |ids: &[u32]| {
        let mut stack: Stack<Priced> = Stack::new();
        for id in ids {
            stack.push(Priced(Event::VfsGetname, *id)).expect("room");
        }
        stack
    };
    let covers = |a: &[u32], b: &[u32]| build(a).covers(&build(b), |a, b| a == b);
    assert!(covers(&[], &[]));
    assert!(covers(&[1], &[]));
    assert!(!covers(&[], &[1]));
    assert!(covers(&[2, 1], &[1, 2]));
    assert!(covers(&[1, 2, 3], &[3]));
    assert!(!covers(&[1, 3], &[1, 2]));
    assert!(
        covers(&[1], &[1, 1]),
        "the same filter twice restricts no more than once"
    );
}

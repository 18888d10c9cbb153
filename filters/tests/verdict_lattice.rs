// SPDX-License-Identifier: GPL-2.0
//! The order of verdicts is seccomp's, and the meet never loses a restriction.

#![expect(
    clippy::expect_used,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::verdict::{Action, ActionSet, Verdict};
use oracle::{generate, naive};
use proptest::prelude::*;

/// Every known action with a few data values, and raw values that no action has.
fn verdicts() -> Vec<Verdict> {
    let mut all = Vec::new();
    for action in Action::ALL {
        for data in [0, 1, 2, 4095, 4096, 0xffff] {
            all.push(Verdict::new(action, data));
        }
    }
    for raw in [
        0x0001_0000,
        0x7ffe_0001,
        0x7fbf_ffff,
        0xffff_ffff,
        0x8001_0000,
    ] {
        all.push(Verdict::from_raw(raw));
    }
    all
}

#[test]
fn actions_are_ordered_as_seccomp_orders_them() {
    for (place, (raw, name)) in naive::ORDER.into_iter().enumerate() {
        let action = Action::from_raw(raw).expect("an action of seccomp");
        assert_eq!(action.raw(), raw, "{name}");
        assert_eq!(action.name(), name);
        assert_eq!(Action::ALL.iter().position(|a| *a == action), Some(place));
        for (other_place, other) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action < other, place < other_place, "{action:?} {other:?}");
        }
    }
}

#[test]
fn every_other_upper_half_is_no_action() {
    let known = |raw| naive::ORDER.iter().any(|(action, _)| *action == raw);
    for upper in 0..=0xffffu32 {
        let raw = upper << 16;
        assert_eq!(
            Action::from_raw(raw | 0xabcd).is_some(),
            known(raw),
            "{raw:#x}"
        );
    }
}

#[test]
fn unknown_action_is_kill_process_even_under_meet() {
    for raw in [0x0001_0000, 0x7ffe_0001, 0xffff_0000, 0x8001_1234] {
        let unknown = Verdict::from_raw(raw);
        assert_eq!(unknown, Verdict::KILL_PROCESS, "{raw:#x}");
        for other in verdicts() {
            assert_eq!(Verdict::meet(other, unknown).action(), Action::KillProcess);
            assert_eq!(Verdict::meet(unknown, other).action(), Action::KillProcess);
        }
    }
}

#[test]
fn law_1_meet_is_never_weaker_than_either_side() {
    for a in verdicts() {
        for b in verdicts() {
            let meet = Verdict::meet(a, b);
            assert!(
                meet == a || meet == b,
                "{a:?} {b:?} gave a third verdict, {meet:?}"
            );
            assert_eq!(meet.action(), a.action().min(b.action()), "{a:?} {b:?}");
            assert!(meet.at_least_as_strict_as(a) && meet.at_least_as_strict_as(b));
        }
    }
}

#[test]
fn law_1_newest_wins_ties() {
    for a in verdicts() {
        for b in verdicts() {
            if a.action() == b.action() {
                assert_eq!(Verdict::meet(a, b), a);
                assert_eq!(Verdict::meet(b, a), b);
            }
        }
    }
}

#[test]
fn meet_is_a_semilattice() {
    let all = verdicts();
    for a in &all {
        assert_eq!(Verdict::meet(*a, *a), *a, "idempotent");
        assert_eq!(
            Verdict::meet(*a, Verdict::ALLOW).action(),
            a.action(),
            "allow is the top"
        );
        for b in &all {
            let (ab, ba) = (Verdict::meet(*a, *b), Verdict::meet(*b, *a));
            assert_eq!(
                ab.action(),
                ba.action(),
                "commutative on actions: {a:?} {b:?}"
            );
            for c in &all {
                assert_eq!(
                    Verdict::meet(Verdict::meet(*a, *b), *c),
                    Verdict::meet(*a, Verdict::meet(*b, *c)),
                    "associative, data included: {a:?} {b:?} {c:?}"
                );
            }
        }
    }
}

#[test]
fn errno_is_cut_as_seccomp_cuts_it() {
    for (data, errno) in [
        (0, 0),
        (1, 1),
        (4094, 4094),
        (4095, 4095),
        (4096, 4095),
        (0xffff, 4095),
    ] {
        assert_eq!(Verdict::errno(data).errno_value(), errno);
    }
}

#[test]
fn action_set_holds_what_it_was_made_of() {
    for bits in 0u32..256 {
        let chosen: Vec<Action> = Action::ALL
            .into_iter()
            .enumerate()
            .filter(|(place, _)| bits >> place & 1 == 1)
            .map(|(_, action)| action)
            .collect();
        let set = ActionSet::of(&chosen);
        for action in Action::ALL {
            assert_eq!(set.contains(action), chosen.contains(&action));
        }
        assert_eq!(set == ActionSet::ALL, bits == 255);
    }
}

proptest! {
    #![proptest_config(generate::cases(256, 8))]

    #[test]
    fn raw_values_keep_their_meaning(raw in generate::raw_verdict()) {
        let verdict = Verdict::from_raw(raw);
        match Action::from_raw(raw) {
            Some(action) => {
                prop_assert_eq!(verdict.raw(), raw);
                prop_assert_eq!(verdict.action(), action);
                prop_assert_eq!(verdict.data(), raw as u16);
            }
            None => prop_assert_eq!(verdict, Verdict::KILL_PROCESS),
        }
    }

    #[test]
    fn law_1_meet_agrees_with_the_order_written_down(
        a in prop_oneof![generate::raw_verdict(), any::<u32>()],
        b in prop_oneof![generate::raw_verdict(), any::<u32>()],
    ) {
        let meet = Verdict::meet(Verdict::from_raw(a), Verdict::from_raw(b));
        prop_assert_eq!(naive::meet(&[Some(b), Some(a)]).map(|(_, raw)| raw), Some(meet.raw()));
        prop_assert_eq!(naive::strictness(meet.raw()), naive::strictness(a).min(naive::strictness(b)));
    }
}

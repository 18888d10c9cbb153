// SPDX-License-Identifier: GPL-2.0
//! The meet of verdicts over its whole domain.
//!
//! A verdict is one of 2^32 raw values. `from_raw` looks at the upper half only, and keeps the lower one or replaces the whole: so all upper halves with the ends of
//! the lower one are all there is to it. After that a verdict is one of eight actions and 16 bits of data, and the meet is one of its sides, chosen by the actions. What it
//! gives for data can only depend on which of the data are equal, unless it computes with them: one test tries all data of two sides that differ, one all patterns of
//! three sides.

use filters::verdict::{Action, Verdict};
use oracle::naive;

/// Every action, with as many data as three verdicts can differ by, and one bit that is the errno's last.
fn verdicts() -> Vec<Verdict> {
    let of = |action| [0, 1, 4095].map(|data| Verdict::new(action, data));
    Action::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn every_raw_value_becomes_itself_or_a_kill() {
    for upper in 0..=u32::from(u16::MAX) {
        for lower in [0, 1, 0x7fff, 0x8000, 0xffff] {
            let raw = upper << 16 | lower;
            let known = naive::ORDER
                .iter()
                .any(|(action, _)| *action == raw >> 16 << 16);
            let expected = if known { raw } else { 0x8000_0000 };
            assert_eq!(Verdict::from_raw(raw).raw(), expected, "{raw:#x}");
        }
    }
}

#[test]
fn law_1_meet_is_a_semilattice_on_the_whole_domain() {
    let all = verdicts();
    for &a in &all {
        assert_eq!(Verdict::meet(a, a), a, "idempotent: {a:?}");
        for &b in &all {
            let (ab, ba) = (Verdict::meet(a, b), Verdict::meet(b, a));
            // Between equal actions the newer one's data is seen; the action is the same from both sides.
            assert_eq!(ab.action(), ba.action(), "commutative: {a:?} {b:?}");
            assert_eq!(ab == ba, a.action() != b.action() || a == b, "{a:?} {b:?}");
            for &c in &all {
                let (left, right) = (Verdict::meet(ab, c), Verdict::meet(a, Verdict::meet(b, c)));
                assert_eq!(left, right, "associative: {a:?} {b:?} {c:?}");
            }
        }
    }
}

#[test]
fn law_1_meet_is_one_of_its_sides_by_seccomps_order_whatever_the_data() {
    for newer in Action::ALL {
        for older in Action::ALL {
            let wins = naive::strictness(newer.raw()) <= naive::strictness(older.raw());
            for data in 0..=u16::MAX {
                let [a, b] = [(newer, data), (older, !data)]
                    .map(|(action, data)| Verdict::new(action, data));
                assert_eq!(Verdict::meet(a, b), if wins { a } else { b }, "{a:?} {b:?}");
            }
        }
    }
}

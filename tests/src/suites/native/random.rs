// SPDX-License-Identifier: GPL-2.0
//! Random programs, compiled and interpreted, asked about the same random calls in two processes: every result must be the same.

use uapi::control::LOAD_INTERPRETED;

use super::NATIVE;
use crate::harness::{Test, note};
use crate::kernel::info;
use crate::marker::Judge;
use crate::random::{Random, Wish};
use crate::suites::differential::generator::Case;
use crate::suites::differential::{REFUSED, Seen, cores_have_no_memory, difference, together};
use crate::sys::{ia32, no_new_privs};

/// Cases of a run that names no other number.
const CASES: u64 = 400;

pub(super) fn tests() -> Vec<Test> {
    let count = Wish::get().cases(CASES);
    [
        Test::new("native::random_programs_decide_as_interpreted", || {
            decide_as_interpreted("random_programs", Case::new)
        }),
        Test::new("native::random_stacks_decide_as_interpreted", || {
            decide_as_interpreted("random_stacks", Case::stacked)
        }),
    ]
    .into_iter()
    .map(|test| test.limit(120 + count / 5))
    .collect()
}

/// Every second case has layers that are interpreted and layers that are not, of which the kernel makes no single program; in the others all are
/// compiled.
fn decide_as_interpreted(test: &str, case: fn(u64, bool) -> Case) {
    let wish = Wish::get();
    let (seed, count) = (wish.seed(), wish.cases(CASES));
    note(&format!("--seed {seed} --count {count}"));
    assert_eq!(info().native, 1, "nothing is compiled in this guest");
    let ia32 = ia32::call(20, [0; 6]).is_ok();
    no_new_privs();
    cores_have_no_memory();
    let (mut refused, mut calls, mut mixed) = (0, 0, 0);
    for own in (0..count).map(|at| seed.wrapping_add(at)) {
        let case = case(own, ia32);
        let programs = case.all_programs();
        let mut random = Random::new(own);
        let mix = programs.len() > 1 && random.percent(50);
        let flags: Vec<u32> = programs
            .iter()
            .map(|_| {
                if mix && random.percent(50) {
                    LOAD_INTERPRETED
                } else {
                    NATIVE
                }
            })
            .collect();
        let compiled = flags.into_iter().zip(programs.iter().map(Vec::as_slice));
        let interpreted = programs
            .iter()
            .map(|program| (LOAD_INTERPRETED, program.as_slice()));
        let judges = [Judge::flagged(compiled), Judge::flagged(interpreted)];
        let [left, right] = together(&case, judges);
        if left != right {
            let repeat = format!("native::{test} --seed {own} --count 1");
            let answers = [("machine code", &left), ("the interpreter", &right)];
            panic!("{}", difference(&repeat, &case, answers));
        }
        mixed += u64::from(mix);
        refused += u64::from(is_refused(&left));
        calls += left.values.len();
    }
    note(&format!(
        "{count} cases, {refused} refused, {mixed} mixed; {calls} values"
    ));
    if count >= CASES {
        assert!(refused * 10 < count * 9, "hardly any program ran");
        assert!(calls as u64 > 3 * count, "hardly any call was made");
    }
}

fn is_refused(seen: &Seen) -> bool {
    seen.values.first() == Some(&REFUSED)
}

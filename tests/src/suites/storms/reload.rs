// SPDX-License-Identifier: GPL-2.0
//! The module goes and comes back between storms.

use libc::{EINVAL, ENOENT};

use super::blow::Storm;
use super::layer::{NAMES, questions};
use super::stack::{Answer, ask};
use crate::harness::{Test, tests};
use crate::kernel::try_control;
use crate::suites::lifecycle::{and_loaded_again, insmod, is_loaded, unload};
use crate::sys::try_open;

pub(super) fn tests() -> Vec<Test> {
    tests!("storms"; module_goes_and_comes_back_between_storms)
        .into_iter()
        .map(|test| test.limit(600))
        .collect()
}

const ROUNDS: u64 = 4;

/// Nothing that a storm leaves behind keeps the module, and nothing of the module stays; the next storm finds everything in place.
fn module_goes_and_comes_back_between_storms() {
    let storm = Storm::of_the_wish(80);
    and_loaded_again(|| {
        for round in 0..ROUNDS {
            let tally = storm.number(round).blow();
            tally.note(&format!("round {round}"));
            unload();
            assert!(!is_loaded(), "round {round}");
            assert_eq!(try_control().err(), Some(EINVAL), "round {round}");
            for question in questions() {
                assert_eq!(ask(question, round), Answer::Passed, "round {round}");
            }
            assert_eq!(insmod(), Ok(0), "round {round}");
        }
    });
    assert_eq!(try_open(NAMES[0]), Err(ENOENT));
}

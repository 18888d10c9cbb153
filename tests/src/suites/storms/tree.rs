// SPDX-License-Identifier: GPL-2.0
//! The storm by itself: forks, execs, ends, layers, TSYNC, tracing and attempts to unload, on all processors at once.

use super::blow::Storm;
use crate::harness::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests!("storms"; law_1_narrow_only_in_a_storm_of_trees)
        .into_iter()
        .map(|test| test.limit(300))
        .collect()
}

/// Each task of each tree is judged by its own layers and no others, the strictest verdict first, from its first deed to its last.
fn law_1_narrow_only_in_a_storm_of_trees() {
    let storm = Storm::of_the_wish(400);
    storm.blow().note("in all");
}

// SPDX-License-Identifier: GPL-2.0
//! The clock: executed instructions.
//!
//! Under `-icount shift=0` the time stamp counter advances by one with each instruction of the guest, so its difference over a loop is exact.
//! What comes on top, timer ticks and what the kernel does after them, falls into some rounds and not into others: the smallest round has none.

use std::hint::black_box;

use crate::sys;

/// Rounds, of which the smallest counts. A round is shorter than the time between two ticks (4 million instructions).
const ROUNDS: usize = 15;
/// Instructions that a round should not exceed.
const ROUND: u64 = 1_500_000;

/// Instructions that all deeds of [`shortest`] together should not exceed, and how many deeds are made whatever they take. A dozen ticks: what the kernel left
/// for later has come back by then, stacks of tasks above all, which come from a small store or dearly. Without waiting for it, luck decides.
const ALL: u64 = 50_000_000;
const FEWEST: u64 = 3;

/// Instructions of one `deed`, measured over rounds of at most `most` deeds and without the loop around them.
pub(crate) fn measure(most: u64, mut deed: impl FnMut()) -> f64 {
    // The first ones fill caches of the kernel (names, slabs), the next tells how many fit into a round.
    for _ in 0..4 {
        deed();
    }
    let one = once(&mut deed);
    let count = most.min(ROUND / one.max(1)).max(1);
    let with = smallest(count, &mut deed);
    let mut nothing = 0_u64;
    let without = smallest(count, &mut || {
        nothing = black_box(nothing);
    });
    with.saturating_sub(without) as f64 / count as f64
}

/// The fewest instructions that one of `times` deeds took, or of fewer if they are very long. For deeds that leave work to the kernel for later: that
/// work falls into other deeds.
pub(crate) fn shortest(times: u64, mut deed: impl FnMut()) -> f64 {
    let one = once(&mut deed).max(1);
    let times = times.min((ALL / one).max(FEWEST));
    let deeds = (0..times).map(|_| once(&mut deed)).min();
    deeds.unwrap_or(0).saturating_sub(once(|| {})) as f64
}

/// Instructions of one `deed`, the reading of the clock included.
pub(crate) fn once(deed: impl FnOnce()) -> u64 {
    let began = sys::clock();
    deed();
    sys::clock() - began
}

fn smallest(count: u64, deed: &mut impl FnMut()) -> u64 {
    let round = |_| {
        let began = sys::clock();
        for _ in 0..count {
            deed();
        }
        sys::clock() - began
    };
    (0..ROUNDS).map(round).min().unwrap_or(0)
}

// SPDX-License-Identifier: GPL-2.0
//! The processor's time stamp counter, for what is too short for other clocks.

use std::arch::asm;

/// The counter, read when everything before has been done and before anything after is begun.
fn ticks() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter that user space may read; changes registers only.
    unsafe {
        asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// What the cheapest of `times` runs of `deed` took. Whatever else the machine does makes runs dearer, never cheaper.
pub fn cheapest(times: usize, deed: impl Fn()) -> u64 {
    let run = |_| {
        let begun = ticks();
        deed();
        ticks().saturating_sub(begun)
    };
    (0..times).map(run).min().unwrap_or(0)
}

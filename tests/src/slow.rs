// SPDX-License-Identifier: GPL-2.0
//! Kernels that watch themselves: everything takes longer there, and what is measured says nothing.

use std::sync::OnceLock;
use std::time::Duration;

use crate::harness::skip;

/// Set once by `main`, before any test.
pub static FACTOR: OnceLock<u32> = OnceLock::new();

/// How many times as long as on the stock kernel everything may take.
pub fn factor() -> u32 {
    FACTOR.get().copied().unwrap_or(1)
}

/// A limit that fits the stock kernel, for this one.
pub fn limit(stock: Duration) -> Duration {
    stock * factor()
}

/// Ends the running test if it measures what only the stock kernel's code says something about.
pub fn skip_measurement() {
    if factor() > 1 {
        skip("costs are measured on the stock kernel only");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Lowered code decides as the interpreter does.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod native {
    mod agreement;
    #[cfg(feature = "lang")]
    mod policies;
    mod programs;
    mod size;
}

// SPDX-License-Identifier: GPL-2.0
//! The `paths` block of the policy language against its laws.

#![cfg(feature = "lang")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod lang_paths {
    mod agreement;
    mod generate;
    mod judge;
    mod laws;
    mod names;
    mod size;
    mod tree;
}

// SPDX-License-Identifier: GPL-2.0
//! Small domains, tried whole: every verdict, every short stack, every short program, every small table.
//!
//! A property test says that nobody has found a counterexample; these say that in their domain there is none. Each file says why a domain so small is enough: what
//! the code under test looks at is local (one verdict and the next, one instruction and where it leads, one entry of a table and where it leads), so whatever can go
//! wrong in a large input goes wrong in a small one, too.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by a panic when something is not as expected"
)]

mod exhaustive {
    mod alphabet;
    mod meet;
    mod programs;
    mod stacks;
    mod tables;
}

// SPDX-License-Identifier: GPL-2.0
//! Law 2: no matter who rewrites the memory that a name is taken from, and when, the bytes that are judged are the bytes that are used.

mod faults;
mod flips;
mod tracers;

use crate::harness::Test;

pub(super) use faults::stretch;
pub(super) use flips::is_inode;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = flips::tests();
    tests.extend(faults::tests());
    tests.extend(tracers::tests());
    tests
}

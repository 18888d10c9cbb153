// SPDX-License-Identifier: GPL-2.0
//! Law 3: whatever a confined task makes is confined: processes, threads, programs, and the kernel's threads that work for it.

mod tasks;
mod workers;

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = tasks::tests();
    tests.extend(workers::tests());
    tests
}

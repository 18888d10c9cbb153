// SPDX-License-Identifier: GPL-2.0
//! `syscall.enter`: verdicts, entries and odd numbers, each beside real seccomp with the same program.

mod entries;
mod trace;
mod verdicts;
mod with_seccomp;

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = verdicts::tests();
    tests.extend(entries::tests());
    tests.extend(trace::tests());
    tests.extend(with_seccomp::tests());
    tests
}

// SPDX-License-Identifier: GPL-2.0
//! `syscall.enter`: verdicts, entries and odd numbers, each beside real seccomp with the same program.

mod entries;
mod programs32;
mod restarts;
mod trace;
mod typed;
mod verdicts;
mod vsyscall;
mod with_seccomp;

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = verdicts::tests();
    tests.extend(entries::tests());
    tests.extend(programs32::tests());
    tests.extend(restarts::tests());
    tests.extend(typed::tests());
    tests.extend(vsyscall::tests());
    tests.extend(trace::tests());
    tests.extend(with_seccomp::tests());
    tests
}

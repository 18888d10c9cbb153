// SPDX-License-Identifier: GPL-2.0
//! The suites, one topic a file.

mod abi;
mod at_exec;
mod by_number;
mod capability;
mod cli;
mod coverage;
mod differential;
mod escapes;
mod faults;
mod fuzz;
mod getname;
mod inherit;
mod leaks;
mod libseccomp;
mod lifecycle;
mod narrowing;
mod native;
mod nesting;
mod object;
mod oci;
mod programs;
mod ptrace;
mod races;
mod scope;
mod selfid;
mod storms;
mod strict;
mod syscall;
mod tsync;

use crate::harness::Test;

/// All tests, in the order in which they run.
pub(crate) fn all() -> Vec<Test> {
    let mut all = Vec::new();
    for suite in [
        abi::tests,
        syscall::tests,
        tsync::tests,
        at_exec::tests,
        strict::tests,
        scope::tests,
        selfid::tests,
        capability::tests,
        differential::tests,
        native::tests,
        libseccomp::tests,
        oci::tests,
        by_number::tests,
        getname::tests,
        coverage::tests,
        inherit::tests,
        narrowing::tests,
        nesting::tests,
        object::tests,
        ptrace::tests,
        races::tests,
        escapes::tests,
        programs::tests,
        cli::tests,
        faults::tests,
        fuzz::tests,
        lifecycle::tests,
        storms::tests,
        // The last one looks for what all others have left behind.
        leaks::tests,
    ] {
        all.extend(suite());
    }
    let mut names: Vec<&str> = all.iter().map(|test| test.name.as_str()).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "two tests of one name");
    }
    all
}

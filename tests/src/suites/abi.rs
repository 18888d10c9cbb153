// SPDX-License-Identifier: GPL-2.0
//! The interface: every good way in, every bad argument with its own errno, and nothing changed by a failure.

mod arguments;
mod descriptors;
mod flags;
mod privilege;
mod refusals;
mod sequence;

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = arguments::tests();
    tests.extend(refusals::tests());
    tests.extend(descriptors::tests());
    tests.extend(privilege::tests());
    tests.extend(flags::tests());
    tests.extend(sequence::tests());
    tests
}

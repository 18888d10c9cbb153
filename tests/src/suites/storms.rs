// SPDX-License-Identifier: GPL-2.0
//! Storms: trees of tasks do on all processors at once whatever tasks can do about layers, in an order that a seed gives
//! (`--filter storms:: -- --seed N --count N`), while the module, the processors and the memory of names change under them.
//!
//! A storm has an oracle, [`stack::Stack`]: each task knows its layers, and so the answer to each call that it makes. All of them are compared.

mod asleep;
mod blow;
mod crew;
mod hotplug;
mod layer;
mod nest;
mod oom;
mod opens;
mod reload;
mod stack;
mod task;
mod tracing;
mod tree;

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = tree::tests();
    tests.extend(nest::tests());
    tests.extend(opens::tests());
    tests.extend(asleep::tests());
    tests.extend(oom::tests());
    tests.extend(hotplug::tests());
    tests.extend(reload::tests());
    tests
}

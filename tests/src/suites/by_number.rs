// SPDX-License-Identifier: GPL-2.0
//! A call that its number alone decides costs the same under every policy: one rule or thousands, one layer or as many as there may be.
//!
//! The costs are ticks of the processor's counter, of which emulation has its own idea; what is compared are ratios of the cheapest of many runs.

use filters::insn::Insn;
use libc::{SYS_geteuid, SYS_getgid, SYS_getuid};

use crate::harness::{Test, note, tests};
use crate::kernel::attach;
use crate::program::{ALLOW, KILL, Part, errno, image, load, ret, unless_equal_skip};
use crate::seccomp;
use crate::slow;
use crate::sys::child::run;
use crate::sys::clock::cheapest;
use crate::sys::raw;

pub(super) fn tests() -> Vec<Test> {
    tests!("by_number"; call_decided_by_number_costs_the_same_under_many_rules, call_decided_by_number_costs_the_same_under_many_layers)
}

/// Samples for each figure.
const TIMES: usize = 3000;
/// Rules of the large program, which is as long as may be.
const RULES: u32 = 2038;
/// Layers of the deep stack, which is as deep as may be.
const LAYERS: usize = 64;

/// A program that lets getuid through, refuses getgid, and looks at an argument of geteuid. All three come behind `rules` rules for numbers of no call.
fn program(rules: u32) -> Vec<Insn> {
    let mut insns = vec![load(0)];
    for rule in 0..rules {
        insns.extend([unless_equal_skip(1000 + rule, 1), ret(KILL)]);
    }
    insns.extend([
        unless_equal_skip(SYS_getgid as u32, 1),
        ret(errno(70)),
        unless_equal_skip(SYS_geteuid as u32, 3),
        load(16),
        unless_equal_skip(7, 1),
        ret(KILL),
        ret(ALLOW),
    ]);
    insns
}

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    Nobody,
    Evfilter,
    Seccomp,
}

/// What one call costs.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// getuid, which is allowed by its number.
    allowed: u64,
    /// getgid, which is refused by its number.
    refused: u64,
    /// geteuid, which is allowed for its argument.
    compared: u64,
}

/// The costs under `layers` times the program.
#[track_caller]
fn cost(judge: Judge, rules: u32, layers: usize) -> Cost {
    let insns = program(rules);
    let seen = run(|board| {
        for _ in 0..layers {
            match judge {
                Judge::Nobody => {}
                Judge::Evfilter => attach(&image(&[Part::syscall(insns.clone())])),
                Judge::Seccomp => seccomp::install(&insns),
            }
        }
        for nr in [SYS_getuid, SYS_getgid, SYS_geteuid] {
            let call = || {
                raw(nr as u64, [0; 6]);
            };
            board.put(raw(nr as u64, [0; 6]) as i64);
            board.put(cheapest(TIMES, call) as i64);
        }
    });
    let values = seen.well();
    let refusal = if judge == Judge::Nobody { 0 } else { -70 };
    assert_eq!([values[0], values[2], values[4]], [0, refusal, 0]);
    Cost {
        allowed: values[1] as u64,
        refused: values[3] as u64,
        compared: values[5] as u64,
    }
}

/// The same costs for a small and a large policy; and, so that this can be told from a clock that shows nothing, not the same where seccomp compares.
#[track_caller]
fn compare(small: (u32, usize), large: (u32, usize)) {
    slow::skip_measurement();
    let free = cost(Judge::Nobody, 0, 0);
    let [few, many] = [small, large].map(|(rules, layers)| cost(Judge::Evfilter, rules, layers));
    let theirs = [small, large].map(|(rules, layers)| cost(Judge::Seccomp, rules, layers));
    note(&format!("without any: {free:?}"));
    note(&format!("evfilter, {small:?} {few:?}; {large:?} {many:?}"));
    note(&format!(
        "seccomp, {small:?} {:?}; {large:?} {:?}",
        theirs[0], theirs[1]
    ));
    assert!(many.allowed < 2 * few.allowed, "allowed: {few:?}, {many:?}");
    assert!(many.refused < 2 * few.refused, "refused: {few:?}, {many:?}");
    let [few, many] = theirs;
    assert!(
        many.compared > 2 * few.compared,
        "seccomp, compared: {few:?}, {many:?}"
    );
}

fn call_decided_by_number_costs_the_same_under_many_rules() {
    compare((1, 1), (RULES, 1));
}

fn call_decided_by_number_costs_the_same_under_many_layers() {
    // About as much as seccomp takes: 32768 instructions in all layers together, counted after its own translation.
    compare((150, 1), (150, LAYERS));
}

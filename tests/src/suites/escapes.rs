// SPDX-License-Identifier: GPL-2.0
//! The corpus of escapes, one test for each case and policy: `escapes::CLASS::NAME::POLICY`.
//!
//! Each runs `evf-escapes` in a process of its own, as anybody can by hand, and believes its status.

use std::process::Command;

use guest_tests::corpus;
use guest_tests::corpus::case::Under;

use crate::harness::{Test, skip};
use crate::slow;

/// The program, where `cargo xtask` puts it.
const PROGRAM: &str = "/usr/bin/evf-escapes";

/// Its status for a case that this guest cannot run.
const SKIPPED: i32 = 77;

pub(super) fn tests() -> Vec<Test> {
    let mut all = Vec::new();
    for case in corpus::all() {
        for under in Under::ALL {
            let name = case.full_name();
            let policy = under.word().replace('-', "_");
            let test = format!("escapes::{name}::{policy}");
            all.push(Test::new(test, move || run(&name, under)));
        }
    }
    all
}

fn run(name: &str, under: Under) {
    let output = Command::new(PROGRAM)
        .args(["--case", name, "--policy", under.word()])
        .args(["--slow", &slow::factor().to_string()])
        .output()
        .expect(PROGRAM);
    let out = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(SKIPPED) {
        skip(out.trim().trim_start_matches("skipped "));
    }
    assert!(
        output.status.success(),
        "{}\n{out}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

// SPDX-License-Identifier: GPL-2.0
//! The suites that run inside the guest, as root, with `evfilter.ko` loaded.
//!
//! Each test runs in a process of its own, so that layers, kills and leaks stay there. Results go to standard output, one line each, in
//! the protocol that `cargo xtask qemu-test` reads from the serial console. The exit status is 0 if nothing failed, 1 if something did, 2 for
//! wrong arguments.

mod suites;

use std::process::ExitCode;

// The suites name these as parts of their own crate.
use guest_tests::{
    bpf, executable, group, harness, judged, kernel, kmsg, marker, program, random, ring, seccomp,
    slow, sys,
};
use random::Wish;

const HELP: &str = "\
Runs the in-guest tests of evfilter. They load, unload and attach: run them in a guest only.

Usage: evf-tests [--list] [--filter TEXT]... [--exact] [--seed N] [--count N] [--slow N]

  --list         print the names of the tests and stop
  --filter TEXT  run the tests whose name contains TEXT; may be given more than once
  --exact        a filter must be a whole name
  --seed N       where random tests begin; without it they begin anywhere, and say where
  --count N      how many cases random tests try, instead of their own number
  --slow N       this kernel takes N times the stock one's time: limits are so much longer, costs are not measured
  --help         print this

Examples: evf-tests --filter getname:: --filter law_2
          evf-tests --filter differential:: --count 100000
";

#[derive(Default)]
struct Arguments {
    list: bool,
    exact: bool,
    filters: Vec<String>,
    wish: Wish,
    slow: Option<u32>,
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
        let mut arguments = Arguments::default();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--list" => arguments.list = true,
                "--exact" => arguments.exact = true,
                "--filter" => {
                    let text = words.next().ok_or("--filter needs a text")?;
                    arguments.filters.push(text);
                }
                "--seed" | "--count" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let number = number.ok_or(format!("{word} needs a number"))?;
                    match word.as_str() {
                        "--seed" => arguments.wish.seed = Some(number),
                        _ => arguments.wish.count = Some(number),
                    }
                }
                "--slow" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let number = number.filter(|&number| number > 0);
                    arguments.slow = Some(number.ok_or("--slow needs a number above 0")?);
                }
                _ => match word.strip_prefix("--filter=") {
                    Some(text) => arguments.filters.push(text.into()),
                    None => return Err(format!("unknown argument {word:?}; see --help")),
                },
            }
        }
        Ok(Some(arguments))
    }

    fn wants(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("evf-tests: {message}");
            return ExitCode::from(2);
        }
    };
    random::WISH.get_or_init(|| arguments.wish);
    slow::FACTOR.get_or_init(|| arguments.slow.unwrap_or(1));
    let mut tests = suites::all();
    tests.retain(|test| arguments.wants(&test.name));
    if arguments.list {
        for test in &tests {
            println!("{}", test.name);
        }
        return ExitCode::SUCCESS;
    }
    if tests.is_empty() {
        eprintln!("evf-tests: no test has such a name; see --list");
        return ExitCode::from(2);
    }
    if harness::run(tests) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The measuring program of `cargo xtask bench`: runs in the guest, under an emulator whose clock counts instructions.
//!
//! Every setting (what is attached) is measured in a process of its own, started anew, because a filter cannot be taken off and because the
//! address space must be the same in all of them. Results leave as lines `@@evf bench JSON` on the console.

#![deny(unsafe_code)]

mod attach;
mod clock;
mod deed;
mod landlock;
mod memory;
mod order;
mod plan;
mod policy;
mod programs;
mod report;
mod seccomp;
mod setting;
mod setup;
mod stage;
#[expect(
    unsafe_code,
    reason = "system calls and the time stamp counter, without a C library in between that would be counted too"
)]
mod sys;
mod under;

use std::process::ExitCode;

const USAGE: &str =
    "usage: evf-bench [--filter WORDS]...   measure all figures whose names contain all of the WORDS of one --filter
       evf-bench --list                  name all figures

Run it by `cargo xtask bench`: without an emulator that counts instructions the figures mean nothing.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--list"] => {
            plan::all().for_each(|figure| println!("{figure}"));
            Ok(())
        }
        // What the program starts itself by.
        ["compile", setting] => policy::compile(setting),
        ["measure", setting, deeds @ ..] => under::measure(setting, deeds),
        ["deeds", setting, deeds @ ..] => under::deeds(setting, deeds),
        ["stay", setting] => under::stay(setting),
        rest => match filters(rest) {
            Some(filters) => order::run(&filters),
            None => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evf-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The words of the `--filter` options; `None` for anything else.
fn filters(words: &[&str]) -> Option<Vec<String>> {
    let (pairs, rest) = words.as_chunks::<2>();
    let named = pairs.iter().all(|[option, _]| *option == "--filter");
    (named && rest.is_empty()).then(|| pairs.iter().map(|[_, words]| (*words).to_owned()).collect())
}

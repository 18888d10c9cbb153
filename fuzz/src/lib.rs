// SPDX-License-Identifier: GPL-2.0
//! Fuzz targets: whatever takes input that nobody vouches for, each as a function of bytes that panics when something is not as promised.
//!
//! `cargo xtask fuzz` looks for such bytes. Those that are worth keeping lie in `corpus/NAME`, and are replayed by `cargo test` with the stable compiler.
//!
//! Most targets do not only wait for a panic: what the engine says is held against a second opinion (`oracle`).

use std::path::PathBuf;
use std::process::ExitCode;

pub mod arguments;
pub mod classic;
pub mod image;
mod input;
pub mod language;
mod outcome;
pub mod patterns;
pub mod profile;
pub mod program;
pub mod table;

/// Makes a binary of the target with this name: a fuzzer if it is built as one, else a program that replays the files it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name::run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($crate::$name::run)
        }
    };
}

/// Runs a target on each file that the command line names; a panic names the place.
pub fn replay(run: fn(&[u8])) -> ExitCode {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        eprintln!("usage: give the files to replay");
        return ExitCode::from(2);
    }
    for file in &files {
        match std::fs::read(file) {
            Ok(input) => {
                println!("{} ({} bytes)", file.display(), input.len());
                run(&input);
            }
            Err(error) => {
                eprintln!("error: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{} passed, 0 failed", files.len());
    ExitCode::SUCCESS
}

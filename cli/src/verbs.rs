// SPDX-License-Identifier: GPL-2.0
//! The verbs of `evf`, one file each.

pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod disasm;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
mod json;
pub(crate) mod man;
pub(crate) mod run;
pub(crate) mod test;

use std::process::ExitCode;

use crate::args::{Args, Verb};
use crate::failure::Failure;

/// Does what the command line asks for.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.verb {
        Verb::Run(args) => run::run(args),
        Verb::Check(args) => check::run(&args),
        Verb::Compile(args) => compile::run(&args),
        Verb::Disasm(args) => disasm::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Info(args) => info::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
    }
}

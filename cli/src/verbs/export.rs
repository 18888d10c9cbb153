// SPDX-License-Identifier: GPL-2.0
//! `evf export`: policies for what knows only seccomp.

mod bpf;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;

/// Make something for seccomp from a policy
///
/// Possible for policies that need no more than seccomp has: that judge `syscall.enter` and nothing else, and do not ask who is calling.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  evf export bpf calls.evf -o calls.bpf
  evf export bpf --help    what exactly is possible, and what is refused")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Bpf(bpf::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Bpf(args) => bpf::run(args),
    }
}

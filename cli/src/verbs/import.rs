// SPDX-License-Identifier: GPL-2.0
//! `evf import`: policies from what was made for seccomp.

mod bpf;
mod oci;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;

/// Make a policy from what was made for seccomp
///
/// Programs that judge system calls for seccomp are policies for `syscall.enter` as they are; profiles of container engines become policy texts that can be
/// read, and changed.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  evf import bpf sandbox.bpf -o sandbox.img
  evf import oci docker-default.json --cap docker-default -o docker.evf
  evf import bpf --help    what exactly is taken, and what is refused")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Bpf(bpf::Args),
    Oci(oci::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Bpf(args) => bpf::run(args),
        What::Oci(args) => oci::run(args),
    }
}

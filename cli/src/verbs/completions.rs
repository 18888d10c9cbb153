// SPDX-License-Identifier: GPL-2.0
//! `evf completions`: completion scripts for shells.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;

/// Print a completion script for a shell
///
/// The script goes to standard output; where it belongs depends on the shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evf completions bash > ~/.local/share/bash-completion/completions/evf
  evf completions fish > ~/.config/fish/completions/evf.fish
  evf completions zsh  > \"${fpath[1]}/_evf\"")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::args::Args::command(),
        "evf",
        &mut script,
    );
    io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

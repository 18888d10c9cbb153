// SPDX-License-Identifier: GPL-2.0
//! The command line: the list of verbs. What a verb takes is defined in its own file.

use clap::{Parser, Subcommand};

use crate::verbs::{check, compile, completions, disasm, export, import, info, man, run, test};

const ABOUT: &str = "Check, compile and try evfilter policies, and run programs under them";

const LONG_ABOUT: &str = "\
Check, compile and try evfilter policies, and run programs under them.

A policy is a text that says, for each kind of kernel event, what is allowed. `evf` compiles it to a small verified \
program and hands it to the evfilter kernel module; from then on the program that was started, its threads and all its \
descendants are judged by it. No privileges are needed. A layer can be added to, but never taken off.";

const AFTER_HELP: &str = "\
First steps:
  evf check sandbox.evf                                     is it well formed?
  evf test sandbox.evf -e 'vfs.getname path=/etc/shadow'    what does it decide, and why?
  evf run -p sandbox.evf -- /bin/ls /lib                    run a program under it

Exit status: 0 for success, 1 for failure or \"no\", 2 for a wrong command line; `evf run` and `evf test` have their own, see \
their help.
Where a POLICY is asked for, a policy text, a compiled image, or `-` for standard input will do.
Colours are used on terminals only; NO_COLOR=1 turns them off.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "evf",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(run::Args),
    Check(check::Args),
    Compile(compile::Args),
    Disasm(disasm::Args),
    Test(test::Args),
    Import(import::Args),
    Export(export::Args),
    Info(info::Args),
    Completions(completions::Args),
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_teaches_by_example() {
        let mut commands: Vec<Command> = Args::command().get_subcommands().cloned().collect();
        while let Some(mut command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{} --help", command.get_name());
        }
    }
}

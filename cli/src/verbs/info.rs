// SPDX-License-Identifier: GPL-2.0
//! `evf info`: is the module there, and what can it do.

mod coverage;

use std::process::ExitCode;

use evfilter::{Control, Info};
use serde::Serialize;

use crate::failure::{Failure, NO};
use crate::verbs::json;

/// Tell whether the kernel module is loaded and what it can do
///
/// If it is: which events it can judge, what its limits are, and how many layers the caller already carries.
///
/// With --coverage it tells instead, without asking the module, which events see which system call and which operation of io_uring.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if the module is loaded and can be reached, 1 if not; 3 if it is older than --require-sequence asks for. \
With --coverage always 0.

Examples:
  evf info
  evf info --require-sequence 2 > /dev/null || exit 1
  evf info --json | jq .events
  evf info --coverage | less
  evf info --coverage --json | jq '.calls[] | select(.name == \"openat\")'
  evf run -p sandbox.evf -- evf info    how many layers are there inside?")]
pub(crate) struct Args {
    /// Print one JSON object; {"loaded": false, ...} if there is no module
    #[arg(long)]
    json: bool,

    /// Print which events see each system call and each operation of io_uring, and what none of them sees
    ///
    /// The table was made from the kernel version that it names; it does not depend on the module.
    #[arg(long, conflicts_with = "require_sequence")]
    coverage: bool,

    /// Fail if the module has not at least this security sequence, a number that each security fix raises
    ///
    /// The numbers and what they stand for are listed in SECURITY.md. The output is the same.
    #[arg(long, value_name = "N")]
    require_sequence: Option<u32>,
}

/// Exit status for a module that lacks a security fix.
const OLDER: u8 = 3;

/// The answer, as JSON shows it.
#[derive(Serialize)]
struct Answer {
    loaded: bool,
    abi: u32,
    security_sequence: u32,
    events: Vec<String>,
    layers: u32,
    max_layers: u32,
    max_insns: u32,
    max_image: u32,
    max_stack_cost: u32,
    native_layers: u32,
    native: bool,
}

/// The answer when there is none.
#[derive(Serialize)]
struct NoAnswer<'a> {
    loaded: bool,
    error: &'a str,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.coverage {
        let table = filters::lang::coverage::coverage();
        match args.json {
            true => coverage::print_json(table)?,
            false => anstream::print!("{}", coverage::text(table)),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let info = match Control::open().and_then(|control| control.info()) {
        Ok(info) => info,
        Err(error) => {
            let failure = Failure::library_alone(&error);
            if !args.json {
                return Err(failure);
            }
            json::print(&NoAnswer {
                loaded: false,
                error: failure.message(),
            })?;
            return Ok(ExitCode::from(NO));
        }
    };
    match args.json {
        true => json::print(&answer(&info))?,
        false => anstream::print!("{}", text(&info)),
    }
    match lacking(&info, args.require_sequence) {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The failure if the module is older than the caller wants it.
fn lacking(info: &Info, required: Option<u32>) -> Option<Failure> {
    let required = required.filter(|&required| info.security_sequence < required)?;
    let failure = Failure::new(format!(
        "the module's security sequence is {}, older than {required}",
        info.security_sequence
    ));
    Some(
        failure
            .help("update the module; SECURITY.md lists what was fixed")
            .status(OLDER),
    )
}

fn answer(info: &Info) -> Answer {
    Answer {
        loaded: true,
        abi: info.abi,
        security_sequence: info.security_sequence,
        events: info.events.names().collect(),
        layers: info.layers,
        max_layers: info.max_layers,
        max_insns: info.max_insns,
        max_image: info.max_image,
        max_stack_cost: info.max_stack_cost,
        native_layers: info.native_layers,
        native: info.native,
    }
}

fn text(info: &Info) -> String {
    format!(
        "evfilter is loaded\n\
         \x20 interface          version {}\n\
         \x20 security sequence  {}\n\
         \x20 events             {}\n\
         \x20 layers here        {} of {}, {} of them machine code\n\
         \x20 filters loaded now {}\n\
         \x20 limits             {} instructions a program, {} bytes an image, cost {} an event\n",
        info.abi,
        info.security_sequence,
        info.events,
        info.layers,
        info.max_layers,
        info.native_layers,
        match info.native {
            true => "become machine code",
            false =>
                "run in the interpreter (the kernel's BPF compiler is off: net.core.bpf_jit_enable)",
        },
        info.max_insns,
        info.max_image,
        info.max_stack_cost,
    )
}

#[cfg(test)]
mod tests {
    use evfilter::EventSet;

    use super::*;

    fn info() -> Info {
        Info {
            abi: 1,
            security_sequence: 2,
            layers: 3,
            events: EventSet::from_bits(3),
            max_layers: 64,
            max_insns: 4096,
            max_image: 16 << 20,
            max_stack_cost: 32768,
            native_layers: 2,
            native: true,
        }
    }

    #[test]
    fn an_older_module_is_told_apart() {
        assert!(lacking(&info(), None).is_none());
        assert!(lacking(&info(), Some(2)).is_none());
        let failure = lacking(&info(), Some(3));
        assert_eq!(
            failure.as_ref().map(Failure::message),
            Some("the module's security sequence is 2, older than 3")
        );
    }

    #[test]
    fn the_text_has_every_number() {
        let expected = "\
evfilter is loaded
  interface          version 1
  security sequence  2
  events             syscall.enter, vfs.getname
  layers here        3 of 64, 2 of them machine code
  filters loaded now become machine code
  limits             4096 instructions a program, 16777216 bytes an image, cost 32768 an event
";
        assert_eq!(text(&info()), expected);
    }
}

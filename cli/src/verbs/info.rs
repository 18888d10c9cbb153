// SPDX-License-Identifier: GPL-2.0
//! `evf info`: is the module there, and what can it do.

use std::process::ExitCode;

use evfilter::{Control, Info};
use serde::Serialize;

use crate::failure::{Failure, NO};
use crate::verbs::json;

/// Tell whether the kernel module is loaded and what it can do
///
/// If it is: which events it can judge, what its limits are, and how many layers the caller already carries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if the module is loaded and can be reached, 1 if not.

Examples:
  evf info
  evf info --json | jq .events
  evf run -p sandbox.evf -- evf info    how many layers are there inside?")]
pub(crate) struct Args {
    /// Print one JSON object; {"loaded": false, ...} if there is no module
    #[arg(long)]
    json: bool,
}

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
}

/// The answer when there is none.
#[derive(Serialize)]
struct NoAnswer<'a> {
    loaded: bool,
    error: &'a str,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match Control::open().and_then(|control| control.info()) {
        Ok(info) if args.json => json::print(&answer(&info))?,
        Ok(info) => print!("{}", text(&info)),
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
    }
    Ok(ExitCode::SUCCESS)
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
    }
}

fn text(info: &Info) -> String {
    format!(
        "evfilter is loaded\n\
         \x20 interface          version {}\n\
         \x20 security sequence  {}\n\
         \x20 events             {}\n\
         \x20 layers here        {} of {}\n\
         \x20 limits             {} instructions a program, {} bytes an image, cost {} an event\n",
        info.abi,
        info.security_sequence,
        info.events,
        info.layers,
        info.max_layers,
        info.max_insns,
        info.max_image,
        info.max_stack_cost,
    )
}

#[cfg(test)]
mod tests {
    use evfilter::EventSet;

    use super::*;

    #[test]
    fn the_text_has_every_number() {
        let info = Info {
            abi: 1,
            security_sequence: 2,
            layers: 3,
            events: EventSet::from_bits(3),
            max_layers: 64,
            max_insns: 4096,
            max_image: 16 << 20,
            max_stack_cost: 32768,
        };
        let expected = "\
evfilter is loaded
  interface          version 1
  security sequence  2
  events             syscall.enter, vfs.getname
  layers here        3 of 64
  limits             4096 instructions a program, 16777216 bytes an image, cost 32768 an event
";
        assert_eq!(text(&info), expected);
    }
}

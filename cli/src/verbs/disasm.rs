// SPDX-License-Identifier: GPL-2.0
//! `evf disasm`: the programs of an image as text.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use filters::event::Event;
use filters::program::Program;
use serde::Serialize;

use crate::failure::Failure;
use crate::layers::{self, Layer};
use crate::verbs::json;

/// Show the programs of a compiled policy
///
/// Each program is shown instruction by instruction, as the kernel runs it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0, or 1 if the image is refused or cannot be read.

Examples:
  evf disasm sandbox.img
  evf compile sandbox.evf | evf disasm -
  evf disasm --json sandbox.img | jq '.programs[].event'")]
pub(crate) struct Args {
    /// The image (or a policy text, which is compiled first), `-` for standard input
    image: PathBuf,

    /// Print one JSON object with the raw fields of each instruction
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Image {
    image_bytes: usize,
    programs: Vec<Listing>,
}

#[derive(Serialize)]
struct Listing {
    event: &'static str,
    cost: u32,
    instructions: Vec<Instruction>,
    /// String constants; bytes that are not UTF-8 are shown as U+FFFD.
    strings: Vec<String>,
    tables: usize,
}

#[derive(Serialize)]
struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let layer = layers::open(&args.image).map_err(|error| layers::refused(&args.image, &error))?;
    if args.json {
        json::print(&image(&layer))?;
    } else {
        io::stdout()
            .write_all(text(&layer)?.as_bytes())
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The programs of `layer` as text.
pub(super) fn text(layer: &Layer) -> Result<String, Failure> {
    filters::lang::disassemble(layer.policy.image())
        .map_err(|refusal| Failure::new(format!("{}: {refusal}", layer.name)))
}

fn image(layer: &Layer) -> Image {
    let verified = layer.policy.verified();
    let listing = |event: Event| {
        let program = verified.program(event)?;
        Some(Listing {
            event: event.schema().name,
            cost: verified.cost(event),
            instructions: instructions(&program),
            strings: (0..program.strings())
                .filter_map(|index| program.string(index))
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .collect(),
            tables: program.tables(),
        })
    };
    Image {
        image_bytes: layer.policy.image().len(),
        programs: layer.policy.events().iter().filter_map(listing).collect(),
    }
}

fn instructions(program: &Program<'_>) -> Vec<Instruction> {
    (0..program.len())
        .filter_map(|index| program.insn(index))
        .map(|insn| Instruction {
            code: insn.code,
            jt: insn.jt,
            jf: insn.jf,
            k: insn.k,
        })
        .collect()
}

// SPDX-License-Identifier: GPL-2.0
//! `evf compile`: from policy text to the image that the kernel takes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::failure::Failure;
use crate::layers;
use crate::output::{self, Form};

/// Compile a policy into the image that the kernel takes
///
/// The image can be used wherever a policy is asked for, and be loaded by programs that bring no policy texts (evfilter_load_image in C). It is
/// no longer known then which rule decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0, or 1 if the policy is refused or a file cannot be read or written.

Examples:
  evf compile sandbox.evf -o sandbox.img
  evf compile --emit asm sandbox.evf | less
  evf compile --emit hex sandbox.evf > sandbox-policy.h")]
pub(crate) struct Args {
    /// The policy, `-` for standard input
    policy: PathBuf,

    /// What to write
    #[arg(long, value_enum, default_value_t = Emit::Image)]
    emit: Emit,

    /// Write to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Forms of a compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// The binary image
    Image,
    /// The image as hexadecimal bytes, to be included in a C or Rust array
    Hex,
    /// The programs as text
    Asm,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let layer =
        layers::open(&args.policy).map_err(|error| layers::refused(&args.policy, &error))?;
    layers::warn(&layer);
    let image = layer.policy.image();
    let output = match args.emit {
        Emit::Image => image.to_vec(),
        Emit::Hex => hex(image).into_bytes(),
        Emit::Asm => super::disasm::text(&layer)?.into_bytes(),
    };
    let form = match args.emit {
        Emit::Image => Form::Binary,
        Emit::Hex | Emit::Asm => Form::Text,
    };
    let instead = "name a file with -o, or choose --emit hex or --emit asm";
    output::write(&output, form, args.output.as_deref(), instead)?;
    Ok(ExitCode::SUCCESS)
}

/// `0x45, 0x56, ...`, twelve a line.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 6 + 16);
    for line in bytes.chunks(12) {
        for (index, byte) in line.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            // Writing to a String does not fail.
            let _infallible = write!(text, "{space}0x{byte:02x},");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_twelve_bytes_a_line() {
        let bytes: Vec<u8> = (0..13).collect();
        assert_eq!(
            hex(&bytes),
            "0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,\n0x0c,\n"
        );
    }
}

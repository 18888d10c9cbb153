// SPDX-License-Identifier: GPL-2.0
//! `evf import bpf`: a program for seccomp, taken byte for byte.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use evfilter::{Error, Policy};
use filters::insn::INSN_BYTES;
use filters::limits::MAX_INSNS;

use crate::failure::Failure;
use crate::layers::{self, STDIN};
use crate::output::{self, Form};

/// Make a policy image from a classic BPF program for seccomp
///
/// The file holds an array of `struct sock_filter`, 8 bytes each, as `seccomp_export_bpf` of libseccomp writes it. The image holds that program, unchanged,
/// for the event `syscall.enter`, and decides as seccomp does. It can be used wherever a policy is asked for.
///
/// What seccomp refuses is refused here, with the number of the instruction: packet loads, jumps that leave the program, reads of scratch memory that nothing
/// wrote, and everything that classic BPF does not know.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0, or 1 if the program is refused or a file cannot be read or written.

Examples:
  evf import bpf filter.bpf -o filter.img
  evf import bpf filter.bpf | evf disasm -
  evf run -p filter.img -- /bin/true")]
pub(crate) struct Args {
    /// The program, `-` for standard input
    program: PathBuf,

    /// Write the image to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let bytes = read(&args.program).map_err(|source| {
        Failure::library_alone(&Error::Read {
            path: args.program.clone(),
            source,
        })
    })?;
    let name = layers::shown(&args.program);
    let policy = Policy::from_bpf(&bytes).map_err(|error| {
        let failure = match &error {
            Error::Image { source } => Failure::new(format!("{name}: {source}")),
            _ => Failure::library(&name, &error),
        };
        match looks_like_another(&bytes) {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    let instead = "name a file with -o, or pipe it into `evf disasm -`";
    output::write(
        policy.image(),
        Form::Binary,
        args.output.as_deref(),
        instead,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Reads no more than tells that a program is too long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = ((MAX_INSNS + 1) * INSN_BYTES) as u64;
    let mut bytes = Vec::new();
    if path == Path::new(STDIN) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// What a file that is no program may be instead.
fn looks_like_another(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"EVF1") {
        return Some("this is a policy image: it can be used as it is");
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => Some("this may be a profile of a container engine: `evf import oci`"),
        Some(b'#') | Some(b'p') | Some(b'o') if bytes.is_ascii() => {
            Some("this is a text; a policy text can be used as it is")
        }
        _ => None,
    }
}

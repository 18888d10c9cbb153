// SPDX-License-Identifier: GPL-2.0
//! `evf export bpf`: the program of a policy that seccomp could run.

use std::path::PathBuf;
use std::process::ExitCode;

use evfilter::Event;
use filters::insn::EXTENSION;
use filters::lang::map::Rule;
use filters::program::Program;

use crate::failure::Failure;
use crate::layers::{self, Layer};
use crate::output::{self, Form};

/// Write the program of a policy as classic BPF for seccomp
///
/// The result is an array of `struct sock_filter`, 8 bytes each, in the form that seccomp(2) takes behind a `struct sock_fprog` and that
/// `evf import bpf` reads. Seccomp decides by it as evfilter does by the policy.
///
/// A policy that also judges other events, or that asks who is calling (`pid == self`), cannot be exported: without that part it would allow more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0, or 1 if the policy is refused, needs more than seccomp has, or a file cannot be read or written.

Examples:
  evf export bpf calls.evf -o calls.bpf
  bwrap --seccomp 3 ... 3< calls.bpf
  evf export bpf calls.evf | evf import bpf - | evf disasm -")]
pub(crate) struct Args {
    /// The policy: text or compiled image, `-` for standard input
    policy: PathBuf,

    /// Write the program to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let layer =
        layers::open(&args.policy).map_err(|error| layers::refused(&args.policy, &error))?;
    layers::warn(&layer);
    let bytes = program(&layer)?;
    let instead = "name a file with -o, or look at it with `evf disasm`";
    output::write(&bytes, Form::Binary, args.output.as_deref(), instead)?;
    Ok(ExitCode::SUCCESS)
}

/// The instructions of the policy's only program, if seccomp can run it.
fn program(layer: &Layer) -> Result<Vec<u8>, Failure> {
    let verified = layer.policy.verified();
    for event in layer.policy.events().iter() {
        if event == Event::SyscallEnter {
            continue;
        }
        let first = verified
            .program(event)
            .and_then(|program| rule_from(layer, &program, 0));
        return Err(refused(
            layer,
            format!("it judges {}, too", event.schema().name),
            first,
        )
        .help("seccomp sees system calls only; without that part the policy would allow more"));
    }
    let program = verified
        .program(Event::SyscallEnter)
        .ok_or_else(|| Failure::new(format!("{}: it does not judge syscall.enter", layer.name)))?;
    let mut bytes = Vec::new();
    for index in 0..program.len() {
        let insn = program.insn(index).ok_or_else(|| {
            Failure::new(format!("{}: instruction {index} is missing", layer.name))
        })?;
        if insn.code & EXTENSION != 0 {
            let what = format!("instruction {index} asks who is calling");
            return Err(refused(layer, what, rule_from(layer, &program, index))
                .help("classic BPF has no such instruction; a program for seccomp must name the process by number"));
        }
        bytes.extend(insn.to_bytes());
    }
    Ok(bytes)
}

/// The rule that the code at `from` belongs to: the one that the next return gives.
fn rule_from<'l>(layer: &'l Layer, program: &Program<'_>, from: usize) -> Option<&'l Rule> {
    let map = layer.policy.map()?;
    (from..program.len()).find_map(|insn| map.rule(program.event(), insn))
}

fn refused(layer: &Layer, what: String, rule: Option<&Rule>) -> Failure {
    let place = rule.map_or(String::new(), |rule| {
        format!(" ({})", layers::rule_text(rule))
    });
    Failure::new(format!(
        "{}: seccomp cannot run this policy: {what}{place}",
        layer.name
    ))
}

// SPDX-License-Identifier: GPL-2.0
//! `evf check`: are policies well formed?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use evfilter::Error;
use filters::lang::diagnostics::{Diagnostic, Diagnostics, Severity};
use filters::scope::Scopes;
use serde::Serialize;

use crate::failure::{Failure, NO};
use crate::layers::{self, Layer};
use crate::verbs::json;

/// Check that policies are well formed
///
/// What is wrong is shown with file, line and advice. Nothing is loaded; no module is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if all policies are accepted, 1 if one is refused or cannot be read.

Examples:
  evf check policies/*.evf
  evf check --deny-warnings sandbox.evf
  generate-policy | evf check -")]
pub(crate) struct Args {
    /// Policies: texts or compiled images, `-` for standard input
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<PathBuf>,

    /// Refuse policies that the compiler warns about
    #[arg(long)]
    deny_warnings: bool,

    /// Say nothing about policies that are accepted
    #[arg(short, long)]
    quiet: bool,

    /// Print a JSON array with one object for each policy; messages go there as well
    #[arg(long)]
    json: bool,
}

/// What came of one policy, as JSON shows it.
#[derive(Serialize)]
struct Checked {
    policy: String,
    ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<Program>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_bytes: Option<usize>,
    messages: Vec<Message>,
}

/// The program that a policy has for one event.
#[derive(Serialize)]
struct Program {
    event: &'static str,
    instructions: usize,
    cost: u32,
}

#[derive(Serialize)]
struct Message {
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut all = Vec::new();
    for name in &args.policies {
        let opened = layers::open(name);
        let warned = matches!(&opened, Ok(layer) if layer.policy.warnings().warnings() > 0);
        let ok = opened.is_ok() && !(args.deny_warnings && warned);
        if !args.json {
            say(args, name, &opened, ok);
        }
        all.push(checked(name, &opened, ok));
    }
    if args.json {
        json::print(&all)?;
    }
    Ok(match all.iter().all(|checked| checked.ok) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NO),
    })
}

/// Tells a person.
fn say(args: &Args, name: &Path, opened: &Result<Layer, Error>, ok: bool) {
    match opened {
        Err(error) => {
            layers::refused(name, error).report();
        }
        Ok(layer) => {
            layers::warn(layer);
            if !ok {
                Failure::new(format!("{}: refused because of warnings", name.display())).report();
            } else if !args.quiet {
                anstream::println!("{}: ok: {}", layer.name, summary(layer));
            }
        }
    }
}

fn summary(layer: &Layer) -> String {
    let mut parts: Vec<String> = programs(layer)
        .iter()
        .map(|program| {
            format!(
                "{} ({} instructions, cost {})",
                program.event, program.instructions, program.cost
            )
        })
        .collect();
    let scopes = layer.policy.verified().scopes();
    let named = Scopes::NAMES.iter();
    parts.extend(
        named
            .filter(|(_, scope)| scopes.intersects(*scope))
            .map(|(name, _)| format!("scope {name}")),
    );
    format!("{}; {} bytes", parts.join(", "), layer.policy.image().len())
}

fn programs(layer: &Layer) -> Vec<Program> {
    let verified = layer.policy.verified();
    layer
        .policy
        .events()
        .iter()
        .filter_map(|event| {
            let program = verified.program(event)?;
            Some(Program {
                event: event.schema().name,
                instructions: program.len(),
                cost: verified.cost(event),
            })
        })
        .collect()
}

fn checked(name: &Path, opened: &Result<Layer, Error>, ok: bool) -> Checked {
    let mut checked = Checked {
        policy: name.display().to_string(),
        ok,
        programs: Vec::new(),
        image_bytes: None,
        messages: Vec::new(),
    };
    match opened {
        Ok(layer) => {
            checked.programs = programs(layer);
            checked.image_bytes = Some(layer.policy.image().len());
            checked.messages = messages(layer.policy.warnings());
        }
        Err(Error::Language { diagnostics }) => checked.messages = messages(diagnostics),
        Err(error) => checked.messages.push(Message {
            severity: "error",
            message: layers::refused(name, error).message().to_owned(),
            file: None,
            line: None,
            help: error.help().map(str::to_owned),
        }),
    }
    checked
}

fn messages(diagnostics: &Diagnostics) -> Vec<Message> {
    diagnostics.iter().map(message).collect()
}

fn message(diagnostic: &Diagnostic) -> Message {
    Message {
        severity: match diagnostic.severity() {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        },
        message: diagnostic.message().to_owned(),
        file: diagnostic.file().map(str::to_owned),
        line: diagnostic.line(),
        help: diagnostic.help_text().map(str::to_owned),
    }
}

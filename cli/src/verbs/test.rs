// SPDX-License-Identifier: GPL-2.0
//! `evf test`: what policies would decide, asked without a kernel that does.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgGroup;
use filters::lang::event_line;
use filters::lang::map::Rule;
use filters::verdict::Action;
use serde::Serialize;

use crate::failure::{Failure, NO};
use crate::layers::{self, Decision, Layer};
use crate::verbs::json;
use crate::verdict_text::{self, Expectation};

/// Exit status when there is no answer: a policy refused, an event that makes no sense.
const TROUBLE: u8 = 2;

/// Tell what policies would decide about an event
///
/// The rule that decides, and the layer it is in, are shown as well. The code that runs in the kernel runs here in the command: nothing is loaded,
/// no module is needed.
///
/// An event is written as its name and its fields, in any order: `vfs.getname path=/etc/shadow`, `syscall.enter socket domain=AF_INET`. Names
/// are those of the policy language. Fields that are left out are zero, the architecture is x86_64.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("events to judge").required(true).multiple(true).args(["event", "events"])))]
#[command(after_help = "\
Exit status: 0 if all events were judged and, with --expect, all verdicts are as expected; 1 if a verdict is not as expected; \
2 if there is no answer (policy refused, malformed event).

Examples:
  evf test sandbox.evf --event 'vfs.getname path=/etc/shadow'
  evf test sandbox.evf -p narrow.evf -e 'vfs.getname path=/lib/x' -e 'syscall.enter symlink'
  evf test sandbox.evf -e 'vfs.getname path=/etc/shadow' --expect 'deny EACCES'
  evf test sandbox.evf --events events.txt --json | jq -r '.[].verdict'")]
pub(crate) struct Args {
    /// The policy: text or compiled image, `-` for standard input
    policy: PathBuf,

    /// A further layer on top. May be repeated, oldest first
    #[arg(short = 'p', long = "policy", value_name = "POLICY")]
    more: Vec<PathBuf>,

    /// An event. May be repeated
    #[arg(short, long = "event", value_name = "EVENT")]
    event: Vec<String>,

    /// A file of events, one a line; `-` for standard input. Empty lines and lines that begin with # are skipped
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,

    /// The verdict that each event must get: allow, log, deny, 'deny EACCES', trap, kill, ...
    #[arg(long, value_name = "VERDICT")]
    expect: Option<Expectation>,

    /// Print nothing, only set the exit status
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Print a JSON array with one object for each event
    #[arg(long)]
    json: bool,
}

/// The answer about one event, as JSON shows it.
#[derive(Serialize)]
struct Answer<'a> {
    event: &'a str,
    verdict: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<u16>,
    /// Place of the layer that decided, counted from 0, the oldest.
    layer: Option<usize>,
    policy: Option<&'a str>,
    rule: Option<&'a Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<bool>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let surprises = judge(args).map_err(|failure| failure.status(TROUBLE))?;
    match surprises {
        0 => Ok(ExitCode::SUCCESS),
        _ if args.quiet || args.json => Ok(ExitCode::from(NO)),
        1 => Err(Failure::new("1 verdict is not as expected")),
        _ => Err(Failure::new(format!(
            "{surprises} verdicts are not as expected"
        ))),
    }
}

/// Judges and shows all events; returns how many verdicts are not as expected.
fn judge(args: &Args) -> Result<usize, Failure> {
    let policies = [args.policy.as_path()]
        .into_iter()
        .chain(args.more.iter().map(PathBuf::as_path));
    let layers = layers::open_all(policies)?;
    let stack = layers::stack(&layers)?;
    let mut texts = args.event.clone();
    if let Some(file) = &args.events {
        texts.extend(read(file)?);
    }

    let mut answers = Vec::new();
    let mut surprises = 0;
    for text in &texts {
        let record = event_line::parse(text).map_err(|diagnostics| {
            Failure::new("the event is not understood")
                .report_first(diagnostics.render(layers::colours()))
                .help(EVENT_HELP)
        })?;
        let Some(decision) = record.lend(|record| layers::decide(&stack, record)) else {
            return Err(Failure::new(format!(
                "`{text}` does not fit the event's record"
            )));
        };
        let expected = args.expect.map(|it| it.met_by(decision.verdict));
        if expected == Some(false) {
            surprises += 1;
        }
        if !args.json && !args.quiet {
            anstream::print!("{}", shown(text, &decision, &layers, args.expect));
        }
        answers.push(answer(text, decision, expected));
    }
    if args.json {
        json::print(&answers)?;
    }
    Ok(surprises)
}

const EVENT_HELP: &str = "an event is its name and its fields: 'vfs.getname path=/etc/shadow', 'syscall.enter socket domain=AF_INET'";

/// The events in `file`, without empty lines and comments.
fn read(file: &Path) -> Result<Vec<String>, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(failed)?;
        text
    } else {
        fs::read_to_string(file).map_err(failed)?
    };
    let events: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if events.is_empty() {
        return Err(Failure::new(format!("{}: no event in it", file.display())));
    }
    Ok(events)
}

/// The answer for a person.
fn shown(
    event: &str,
    decision: &Decision<'_>,
    layers: &[Layer],
    expected: Option<Expectation>,
) -> String {
    let mut text = format!(
        "{event}\n  verdict  {}",
        verdict_text::words(decision.verdict)
    );
    if let Some(expected) = expected
        && !expected.met_by(decision.verdict)
    {
        text.push_str(&format!(", expected {expected}"));
    }
    text.push('\n');
    match decision.layer {
        None => text.push_str("  because  no layer judges this event\n"),
        Some((index, layer)) => {
            match &decision.rule {
                Some(rule) => text.push_str(&format!("  because  {}\n", layers::rule_text(rule))),
                None => text.push_str(&format!(
                    "  because  {}: instruction {} (a compiled image does not carry its rules)\n",
                    layer.name,
                    decision.insn.unwrap_or_default()
                )),
            }
            if layers.len() > 1 {
                text.push_str(&format!(
                    "  layer    {} of {}: {}\n",
                    index + 1,
                    layers.len(),
                    layer.name
                ));
            }
        }
    }
    text
}

fn answer<'a>(event: &'a str, decision: Decision<'a>, expected: Option<bool>) -> Answer<'a> {
    let verdict = decision.verdict;
    Answer {
        event,
        verdict: verdict_text::words(verdict),
        action: verdict.action().name(),
        errno: (verdict.action() == Action::Errno).then(|| verdict.errno_value()),
        layer: decision.layer.map(|(index, _)| index),
        policy: decision.layer.map(|(_, layer)| layer.name.as_str()),
        rule: decision.rule,
        expected,
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The policies named on the command line, compiled, in the order in which they would be attached; and what they decide together.

use std::io::Read;
use std::path::Path;

use evfilter::{Error, Event, Policy};
use filters::lang::map::Rule;
use filters::record::Record;
use filters::stack::{self, Stack};
use filters::verdict::{Action, Verdict};

use crate::failure::Failure;
use crate::verdict_text;

/// Standard input, as the name of a policy.
pub(crate) const STDIN: &str = "-";

/// One policy and the name that the user gave it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

impl stack::Layer for &Layer {
    fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        self.policy.judge(record)
    }

    fn cost(&self, event: Event) -> u32 {
        self.policy.cost(event)
    }
}

/// Reads and compiles the policy `name`: a text, an image, or `-` for standard input.
pub(crate) fn open(name: &Path) -> Result<Layer, Error> {
    let shown = shown(name);
    let policy = Policy::from_bytes(&shown, read(name)?)?;
    Ok(Layer {
        name: shown,
        policy,
    })
}

/// The contents of the file `name`, or of standard input for `-`.
pub(crate) fn read(name: &Path) -> Result<Vec<u8>, Error> {
    let (path, bytes) = match name == Path::new(STDIN) {
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            (Path::new("standard input"), read.map(|_| bytes))
        }
        false => (name, std::fs::read(name)),
    };
    bytes.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// The name of a policy in messages.
pub(crate) fn shown(name: &Path) -> String {
    match name == Path::new(STDIN) {
        true => "<stdin>".to_owned(),
        false => name.display().to_string(),
    }
}

/// Opens all of `names`, oldest layer first, and shows the compiler's warnings.
pub(crate) fn open_all<'n>(
    names: impl IntoIterator<Item = &'n Path>,
) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    let mut from_stdin = 0;
    for name in names {
        from_stdin += u32::from(name == Path::new(STDIN));
        if from_stdin > 1 {
            return Err(Failure::new(
                "standard input can be only one of the policies",
            ));
        }
        let layer = open(name).map_err(|error| refused(name, &error))?;
        warn(&layer);
        layers.push(layer);
    }
    Ok(layers)
}

/// The layers as a task would carry them.
///
/// # Errors
///
/// If no task could: there are too many, or together they cost too much.
pub(crate) fn stack(layers: &[Layer]) -> Result<Stack<&Layer>, Failure> {
    let mut stack = Stack::new();
    for layer in layers {
        stack
            .push(layer)
            .map_err(|full| Failure::new(format!("{}: {full}", layer.name)))?;
    }
    Ok(stack)
}

/// The failure for a policy that could not be read or compiled.
pub(crate) fn refused(name: &Path, error: &Error) -> Failure {
    match error {
        Error::Language { diagnostics } => {
            let count = match diagnostics.errors() {
                1 => "1 error".to_owned(),
                errors => format!("{errors} errors"),
            };
            Failure::new(format!(
                "{}: the policy is refused: {count}",
                name.display()
            ))
            .report_first(diagnostics.render(colours()))
        }
        // It names the file itself.
        Error::Read { .. } => Failure::library_alone(error),
        _ => Failure::library(shown(name), error),
    }
}

/// Prints the compiler's warnings about `layer`.
pub(crate) fn warn(layer: &Layer) {
    let warnings = layer.policy.warnings();
    if !warnings.is_empty() {
        anstream::eprint!("{}", warnings.render(colours()));
    }
}

/// Whether diagnostics on standard error are to be coloured.
pub(crate) fn colours() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// What the layers decide together about one record, and why.
#[derive(Debug)]
pub(crate) struct Decision<'l> {
    pub(crate) verdict: Verdict,
    /// The layer that decided and its place, counted from 0; `None` if none judges the event.
    pub(crate) layer: Option<(usize, &'l Layer)>,
    /// The instruction of that layer's program that returned the verdict.
    pub(crate) insn: Option<u32>,
    /// The rule that decided, if the policy was compiled from text here.
    pub(crate) rule: Option<&'l Rule>,
}

impl Decision<'_> {
    /// Why the event is refused, in words; `None` if it is not.
    pub(crate) fn refusal(&self, event: &str) -> Option<String> {
        if matches!(self.verdict.action(), Action::Allow | Action::Log) {
            return None;
        }
        let verdict = verdict_text::words(self.verdict);
        let (_, layer) = self.layer?;
        Some(match &self.rule {
            Some(rule) => format!("{event} gets `{verdict}` from {}", rule_text(rule)),
            None => format!("{event} gets `{verdict}` from {}", layer.name),
        })
    }
}

/// Lets the layers judge `record` as the kernel would, and finds the rule.
pub(crate) fn decide<'l>(stack: &Stack<&'l Layer>, record: &Record<'_>) -> Decision<'l> {
    let decision = stack.evaluate(record);
    let layer = decision
        .layer
        .and_then(|index| Some((index, *stack.layers().get(index)?)));
    let explanation = layer.and_then(|(_, layer)| layer.policy.explain(record));
    Decision {
        verdict: decision.verdict,
        layer,
        insn: explanation.map(|it| it.insn),
        rule: explanation.and_then(|it| it.rule),
    }
}

/// A rule as it is shown: where it stands, and its text.
pub(crate) fn rule_text(rule: &Rule) -> String {
    format!("{}:{}: {}", rule.file, rule.line, rule.text)
}

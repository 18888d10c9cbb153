// SPDX-License-Identifier: GPL-2.0
//! Messages about a policy: what is wrong, where, and what would be right.

use std::fmt;
use std::format;
use std::prelude::rust_2021::*;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, ThemeCharacters, ThemeStyles,
};

use super::source::{Sources, Span};

/// How many errors are kept; the rest is counted.
const MAX_REPORTS: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Part of another message.
    Note,
    /// The policy means what it says, but hardly what was meant.
    Warning,
    /// The policy has no meaning.
    Error,
}

/// A message under construction: places are still spans.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    severity: Severity,
    message: String,
    labels: Vec<(Span, String)>,
    help: Option<String>,
}

impl Report {
    pub(crate) fn error(message: impl Into<String>) -> Report {
        Report {
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Report {
        Report {
            severity: Severity::Warning,
            ..Report::error(message)
        }
    }

    /// A place in another file that belongs to a message.
    fn note(message: String) -> Report {
        Report {
            severity: Severity::Note,
            ..Report::error(message)
        }
    }

    /// Adds a place; the first one is where the fault lies.
    #[must_use]
    pub(crate) fn label(mut self, span: Span, text: impl Into<String>) -> Report {
        self.labels.push((span, text.into()));
        self
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Report {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn has_help(&self) -> bool {
        self.help.is_some()
    }

    /// Adds "did you mean" if a candidate is close to `word` and there is no other help.
    #[must_use]
    pub(crate) fn suggest<'c>(
        self,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Report {
        match nearest(word, candidates) {
            Some(near) if self.help.is_none() => self.help(format!("did you mean `{near}`?")),
            _ => self,
        }
    }
}

/// The candidate that differs least from `word`, if it differs by no more than a slip of the keyboard.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=7 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= allowed && distance < candidate.len())
        .min_by_key(|&(distance, candidate)| (distance, candidate))
        .map(|(_, candidate)| candidate)
}

/// Collects reports during a compilation.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    list: Vec<Report>,
    errors: usize,
    warnings: usize,
}

impl Reports {
    pub(crate) fn add(&mut self, report: Report) {
        let kept = match report.severity {
            Severity::Error => {
                self.errors += 1;
                self.errors <= MAX_REPORTS
            }
            Severity::Warning | Severity::Note => {
                self.warnings += 1;
                self.warnings <= MAX_REPORTS
            }
        };
        if kept {
            self.list.push(report);
        }
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Fixes the places and puts the reports in the order of the text.
    pub(crate) fn finish(mut self, sources: &Sources) -> Diagnostics {
        self.list.sort_by_key(|report| {
            let first = report.labels.first().map(|(span, _)| *span);
            (first.is_none(), first)
        });
        let list = self
            .list
            .into_iter()
            .map(|report| Diagnostic::new(report, sources))
            .collect();
        Diagnostics {
            list,
            errors: self.errors,
            warnings: self.warnings,
        }
    }
}

/// One message: an error or a warning, with the place it is about.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    elsewhere: Vec<Diagnostic>,
    line: Option<u32>,
}

impl Diagnostic {
    fn new(report: Report, sources: &Sources) -> Diagnostic {
        let first = report.labels.first().map(|(span, _)| *span);
        let mut diagnostic = Diagnostic {
            severity: report.severity,
            message: report.message,
            source: None,
            labels: Vec::new(),
            help: report.help,
            elsewhere: Vec::new(),
            line: None,
        };
        let Some(first) = first else {
            return diagnostic;
        };
        diagnostic.line = Some(sources.line(first));
        diagnostic.source = source_of(sources, first);
        let mut elsewhere = Vec::new();
        for (index, (span, text)) in report.labels.into_iter().enumerate() {
            let range = span.start as usize..(span.end.max(span.start)) as usize;
            if span.file != first.file {
                elsewhere.push(Report::note(text).label(span, "here"));
            } else if index == 0 {
                diagnostic
                    .labels
                    .push(LabeledSpan::new_primary_with_span(Some(text), range));
            } else {
                diagnostic
                    .labels
                    .push(LabeledSpan::new_with_span(Some(text), range));
            }
        }
        diagnostic.elsewhere = elsewhere
            .into_iter()
            .map(|report| Diagnostic::new(report, sources))
            .collect();
        diagnostic
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The message, without place and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be right, if the compiler knows.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The file that the message is about.
    pub fn file(&self) -> Option<&str> {
        self.source.as_ref().map(NamedSource::name)
    }

    /// The line that the message is about, counted from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }
}

fn source_of(sources: &Sources, span: Span) -> Option<NamedSource<Arc<str>>> {
    let file = sources.get(span.file)?;
    Some(NamedSource::new(&file.name, file.text.clone()))
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Note => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source
            .as_ref()
            .map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.elsewhere.is_empty() {
            return None;
        }
        Some(Box::new(
            self.elsewhere
                .iter()
                .map(|diagnostic| diagnostic as &dyn miette::Diagnostic),
        ))
    }
}

/// A message without what belongs to it in other files, for [`Diagnostics::render`], which shows that itself.
#[derive(Debug)]
struct Alone<'d>(&'d Diagnostic);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Alone<'_> {}

impl miette::Diagnostic for Alone<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        miette::Diagnostic::severity(self.0)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help()
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }
}

/// All messages of one compilation, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// A single message that is about no place in a file.
    pub fn message(message: impl Into<String>) -> Diagnostics {
        let mut reports = Reports::default();
        reports.add(Report::error(message));
        reports.finish(&Sources::default())
    }

    /// The messages; of very many only the first hundred of each kind are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Number of warnings.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// The messages as text in the style of rustc: ASCII only, at most 110 columns, with colours if asked for.
    pub fn render(&self, colours: bool) -> String {
        let theme = GraphicalTheme {
            characters: ThemeCharacters {
                error: "error:".to_string(),
                warning: "warning:".to_string(),
                advice: "note:".to_string(),
                ..ThemeCharacters::ascii()
            },
            styles: if colours {
                ThemeStyles::ansi()
            } else {
                ThemeStyles::none()
            },
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(110)
            .with_links(false)
            .with_context_lines(1);
        let mut text = String::new();
        for diagnostic in &self.list {
            if !text.is_empty() {
                text.push('\n');
            }
            for part in std::iter::once(diagnostic).chain(&diagnostic.elsewhere) {
                if handler.render_report(&mut text, &Alone(part)).is_err() {
                    // Only a writer can fail, and a String does not; should it ever, the message itself must not be lost.
                    text.push_str(&part.message);
                    text.push('\n');
                }
            }
        }
        let kept = self.list.len();
        let all = self.errors + self.warnings;
        if all > kept {
            text.push_str(&format!("\n{} more messages are not shown\n", all - kept));
        }
        text.lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.as_slice() {
            [] => f.write_str("no message"),
            [only] => write!(f, "{only}"),
            [first, ..] => write!(f, "{first} (and {} more)", self.errors + self.warnings - 1),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl miette::Diagnostic for Diagnostics {
    fn severity(&self) -> Option<miette::Severity> {
        self.list
            .iter()
            .filter_map(miette::Diagnostic::severity)
            .max()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(
            self.list
                .iter()
                .map(|diagnostic| diagnostic as &dyn miette::Diagnostic),
        ))
    }
}

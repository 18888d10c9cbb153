// SPDX-License-Identifier: GPL-2.0
//! How `evf` says that something failed: one line that names the thing, one that says what to do, and an exit status.

use std::error::Error as _;
use std::fmt::Display;
use std::process::ExitCode;

use crate::process;

/// Exit status for "no": a policy refused, an expectation not met, a module not loaded.
pub(crate) const NO: u8 = 1;
/// Exit status of `evf run` when `evf` itself failed, as of env(1) and timeout(1).
pub(crate) const OWN_FAILURE: u8 = 125;
/// Exit status of `evf run` for a command that was found but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// Exit status of `evf run` for a command that was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// Why `evf` gives up.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: String,
    help: Option<String>,
    /// Diagnostics, already rendered, that stand before the message.
    report: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure {
            status: NO,
            message: message.into(),
            help: None,
            report: None,
        }
    }

    /// An error of the library, with its causes on the same line: `context: error: cause`.
    pub(crate) fn library(context: impl Display, error: &evfilter::Error) -> Failure {
        let failure = Failure::library_alone(error);
        Failure {
            message: format!("{context}: {}", failure.message),
            ..failure
        }
    }

    /// An error of the library that names its thing itself.
    pub(crate) fn library_alone(error: &evfilter::Error) -> Failure {
        let message = with_causes(error);
        Failure {
            help: error.help().map(str::to_owned),
            ..Failure::new(message)
        }
    }

    /// The same failure with another exit status.
    #[must_use]
    pub(crate) fn status(self, status: u8) -> Failure {
        Failure { status, ..self }
    }

    /// The same failure with advice.
    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Failure {
        Failure {
            help: Some(help.into()),
            ..self
        }
    }

    /// The same failure with rendered diagnostics before it.
    #[must_use]
    pub(crate) fn report_first(self, report: String) -> Failure {
        Failure {
            report: Some(report),
            ..self
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Writes the failure to standard error and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        ExitCode::from(self.show())
    }

    /// Writes the failure to standard error and ends the process by nothing but `exit_group`: a policy in force judges all that a usual end does.
    pub(crate) fn report_and_exit(self) -> ! {
        process::exit_at_once(self.show())
    }

    /// One text, and so one system call and no line of another process in between.
    fn show(&self) -> u8 {
        let mut text = self.report.clone().unwrap_or_default();
        text.push_str(&format!("evf: {}\n", self.message));
        if let Some(help) = &self.help {
            text.push_str(&format!("  help: {help}\n"));
        }
        anstream::eprint!("{text}");
        self.status
    }
}

/// The error and what caused it, on one line.
fn with_causes(error: &evfilter::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

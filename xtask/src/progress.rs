// SPDX-License-Identifier: GPL-2.0

//! What the user sees while a long step runs: a live line on a terminal, plain lines anywhere else.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::exec;

/// How often a step without a terminal says how far it is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);

/// One step of a known number of steps. Drop it to end it; [`Step::done`] says that it succeeded.
pub(crate) struct Step {
    title: String,
    bar: Option<ProgressBar>,
    began: Instant,
    said: Instant,
}

impl Step {
    /// Begins step `n` of `m`.
    pub(crate) fn new(n: usize, m: usize, title: &str) -> Self {
        let title = format!("[{n}/{m}] {title}");
        // Commands and their output would tear the live line apart.
        let live = std::io::stderr().is_terminal() && !exec::verbose();
        let bar = if live {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style("{spinner} {prefix} {elapsed} {wide_msg}"));
            bar.set_prefix(title.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            Some(bar)
        } else {
            eprintln!("{title} ...");
            None
        };
        let now = Instant::now();
        Self {
            title,
            bar,
            began: now,
            said: now,
        }
    }

    /// Shows a line of what the step is doing now. Without a terminal only some of them appear.
    pub(crate) fn say(&mut self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None if self.said.elapsed() >= PLAIN_INTERVAL => {
                self.said = Instant::now();
                eprintln!("{} {message}", self.title);
            }
            None => {}
        }
    }

    /// Shows how many of how many bytes are done; a `total` of 0 means that nobody knows it.
    pub(crate) fn bytes(&mut self, done: u64, total: u64) {
        let seconds = self.began.elapsed().as_secs_f64().max(0.1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate for humans"
        )]
        let rate = (done as f64 / seconds) as u64;
        let of = if total == 0 {
            String::new()
        } else {
            format!(" of {}", HumanBytes(total))
        };
        self.say(&format!("{}{of}, {}/s", HumanBytes(done), HumanBytes(rate)));
    }

    /// Ends the step as a success and leaves one line behind.
    pub(crate) fn done(mut self, note: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        eprintln!(
            "{}{note} ({})",
            self.title,
            HumanDuration(self.began.elapsed())
        );
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar style; the templates are constants of this crate, so a bad one falls back to indicatif's own.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

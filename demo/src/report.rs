// SPDX-License-Identifier: GPL-2.0
//! What the demonstration prints, and the count of what held.
//!
//! The output is read on a serial console: plain ASCII, at most [`WIDTH`] columns, one line for each attempt.

use std::io::{self, Write};
use std::time::Duration;

use rustix::io::Errno;

use crate::race::Tally;

/// Columns of a line.
pub(crate) const WIDTH: usize = 110;

const WHAT: usize = 17;
const PATH: usize = 35;
const BARE: usize = 6;
const VERDICT: usize = 7;

/// Where the rule begins.
const RULE: usize = 4 + 1 + WHAT + 1 + PATH + 1 + BARE + 1 + VERDICT + 1;

/// One attempt, as a line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    /// Whether it came as it had to.
    pub(crate) held: bool,
    /// What was tried.
    pub(crate) what: &'a str,
    /// On which name.
    pub(crate) path: &'a str,
    /// What the kernel answers where no filter is.
    pub(crate) bare: &'a str,
    /// What the kernel answers under the filter.
    pub(crate) judged: &'a str,
    /// The rule that decides, as file, line and text.
    pub(crate) rule: &'a str,
}

/// The report: prints as it goes and keeps the books.
pub(crate) struct Report<W> {
    out: W,
    held: u32,
    failed: Vec<String>,
    section: String,
    cut: Vec<String>,
}

impl<W: Write> Report<W> {
    /// A report without an entry.
    pub(crate) fn new(out: W) -> Report<W> {
        Report {
            out,
            held: 0,
            failed: Vec::new(),
            section: String::new(),
            cut: Vec::new(),
        }
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, number: u32, title: &str) -> io::Result<()> {
        self.section = format!("{number}");
        let line = fit(&format!("== {number}. {title} "), WIDTH);
        writeln!(self.out, "\n{line:=<width$}", width = WIDTH.min(100))
    }

    /// Prints lines of explanation.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "{}", fit(line, WIDTH))?;
        }
        self.out.flush()
    }

    /// Prints the head of a table of attempts.
    pub(crate) fn head(&mut self) -> io::Result<()> {
        let line = columns("", "attempt", "path", "bare", "verdict", "deciding rule");
        writeln!(self.out, "{line}")
    }

    /// Prints an attempt and books it.
    pub(crate) fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let mark = mark(row.held);
        let line = columns(mark, row.what, row.path, row.bare, row.judged, row.rule);
        if RULE + row.rule.len() > WIDTH && !self.cut.iter().any(|rule| rule == row.rule) {
            self.cut.push(row.rule.to_owned());
        }
        self.book(row.held, &format!("{} {}", row.what, row.path));
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Prints the rules that the table above had no room for, as far as a line goes.
    pub(crate) fn legend(&mut self) -> io::Result<()> {
        for rule in std::mem::take(&mut self.cut) {
            writeln!(self.out, "{}", fit(&format!("     {rule}"), WIDTH))?;
        }
        self.out.flush()
    }

    /// Prints something that holds or does not, with what was seen, and books it.
    pub(crate) fn check(&mut self, held: bool, what: &str) -> io::Result<()> {
        self.book(held, what);
        writeln!(
            self.out,
            "{}",
            fit(&format!("{:<5}{what}", mark(held)), WIDTH)
        )?;
        self.out.flush()
    }

    /// Prints the last lines; the exit status of the demonstration.
    pub(crate) fn finish(mut self) -> io::Result<u8> {
        let failed = self.failed.len();
        writeln!(self.out)?;
        for entry in &self.failed {
            writeln!(self.out, "{}", fit(&format!("FAIL section {entry}"), WIDTH))?;
        }
        writeln!(
            self.out,
            "demo: {} checks, {} held, {failed} failed",
            self.held as usize + failed,
            self.held
        )?;
        self.out.flush()?;
        // Nothing checked is nothing shown.
        Ok(u8::from(failed != 0 || self.held == 0))
    }

    fn book(&mut self, held: bool, what: &str) {
        if held {
            self.held += 1;
        } else {
            self.failed.push(format!("{}: {what}", self.section));
        }
    }
}

const fn mark(held: bool) -> &'static str {
    if held { "ok" } else { "FAIL" }
}

fn columns(mark: &str, what: &str, path: &str, bare: &str, judged: &str, rule: &str) -> String {
    let line = format!(
        "{mark:<4} {what:<WHAT$} {path:<PATH$} {bare:<BARE$} {judged:<VERDICT$} {rule}",
        what = fit(what, WHAT),
        path = fit(path, PATH),
    );
    fit(line.trim_end(), WIDTH)
}

/// `text` in printable ASCII and in at most `width` columns; what is cut off is marked by dots.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '?'
        }
    };
    let mut line: String = text.chars().map(printable).collect();
    if line.len() > width {
        line.truncate(width.saturating_sub(3));
        line.push_str("...");
    }
    line
}

/// The head of the table of races.
pub(crate) fn race_head() -> String {
    format!(
        "     {:<30} {:>8} {:>13} {:>10} {:>12} {:>7} {:>8}",
        "who judges the name",
        "opens",
        "allowed file",
        "refused",
        "DENIED FILE",
        "other",
        "seconds"
    )
}

/// One race as a line of that table, without its mark.
pub(crate) fn race_line(who: &str, tally: &Tally, time: Duration) -> String {
    format!(
        "{who:<30} {:>8} {:>13} {:>10} {:>12} {:>7} {:>8.1}",
        tally.attempts,
        tally.allowed,
        tally.refused,
        tally.denied,
        tally.other,
        time.as_secs_f64()
    )
}

/// What a call came to, in a word: `ok` or the name of its errno.
pub(crate) fn result_name(result: Result<(), Errno>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(errno) => errno_name(errno.raw_os_error()),
    }
}

/// The name of an errno that occurs here; another one as its number.
pub(crate) fn errno_name(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EINTR => "EINTR",
        libc::EIO => "EIO",
        libc::EBADF => "EBADF",
        libc::ECHILD => "ECHILD",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EXDEV => "EXDEV",
        libc::EISDIR => "EISDIR",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::ENOTTY => "ENOTTY",
        libc::ENOSPC => "ENOSPC",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        libc::ELOOP => "ELOOP",
        _ => return format!("E{errno}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(held: bool) -> Row<'static> {
        Row {
            held,
            what: "openat",
            path: "/etc/shadow",
            bare: "EACCES",
            judged: "EACCES",
            rule: "sandbox.evf:9 default deny EACCES",
        }
    }

    #[test]
    fn a_row_stands_under_its_head() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report.head().unwrap();
        report.row(&row(true)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (head, line) = text.split_once('\n').unwrap();
        for (title, value) in [
            ("attempt", "openat"),
            ("path", "/etc/shadow"),
            ("deciding", "sandbox"),
        ] {
            assert_eq!(head.find(title), line.find(value), "{title}\n{text}");
        }
        assert!(line.starts_with("ok   "));
    }

    #[test]
    fn no_line_is_wider_than_the_console_and_none_leaves_ascii() {
        let long = "\u{1b}[31m/home/\u{e9}".to_owned() + &"x".repeat(300);
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report.section(2, &long).unwrap();
        report.say(&long).unwrap();
        report.check(true, &long).unwrap();
        let wide = Row {
            what: &long,
            path: &long,
            rule: &long,
            ..row(false)
        };
        report.row(&wide).unwrap();
        report.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().count() >= 6);
        for line in text.lines() {
            assert!(line.len() <= WIDTH, "{} columns: {line}", line.len());
            assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
        }
    }

    #[test]
    fn one_failure_fails_the_whole_and_is_named_at_the_end() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report.section(2, "names").unwrap();
        report.row(&row(true)).unwrap();
        report.row(&row(false)).unwrap();
        assert_eq!(report.finish().unwrap(), 1);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("FAIL section 2: openat /etc/shadow"));
        assert!(text.ends_with("demo: 2 checks, 1 held, 1 failed\n"));
    }

    #[test]
    fn a_rule_that_was_cut_is_told_once_below() {
        let long = format!(
            "sandbox.evf:31 allow path under \"/home\", {}",
            "x".repeat(20)
        );
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        for rule in [&long, &long, "sandbox.evf:9 short"] {
            report.row(&Row { rule, ..row(true) }).unwrap();
        }
        report.legend().unwrap();
        report.legend().unwrap();
        let text = String::from_utf8(out).unwrap();
        let below: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(below, [format!("     {long}")]);
        assert!(text.lines().next().unwrap().ends_with("..."));
    }

    #[test]
    fn all_held_is_success_and_nothing_checked_is_not() {
        let mut report = Report::new(Vec::new());
        report.check(true, "it holds").unwrap();
        assert_eq!(report.finish().unwrap(), 0);
        assert_eq!(Report::new(Vec::new()).finish().unwrap(), 1);
    }

    #[test]
    fn the_race_table_stands_under_its_head() {
        let tally = Tally {
            attempts: 200_000,
            allowed: 99_000,
            denied: 7,
            refused: 100_993,
            other: 0,
        };
        let line = format!(
            "ok   {}",
            race_line("evfilter", &tally, Duration::from_millis(12_340))
        );
        assert_eq!(line.len(), race_head().len());
        assert!(line.ends_with("    12.3"), "{line}");
    }

    #[test]
    fn an_errno_fits_its_column() {
        for errno in 0..140 {
            assert!(errno_name(errno).len() <= BARE, "{errno}");
        }
    }
}

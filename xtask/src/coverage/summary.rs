// SPDX-License-Identifier: GPL-2.0

//! Coverage for people, and for tools that read lcov's format.

use std::fmt::Write as _;
use std::path::Path;

use super::ROOMS;
use super::lines::{File, Lines};
use super::reasons::{Gap, Place};
use crate::report;

/// Per mille of the lines of a room that must be reached, and the rooms it is asked of.
const GOAL: usize = 950;
const JUDGED: [&str; 2] = ["module", "filters"];

/// Lines with code, and those of them that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    lines: usize,
    ran: usize,
}

impl Count {
    fn add(&mut self, file: &File) {
        self.lines += file.len();
        self.ran += file.values().filter(|line| line.ran).count();
    }

    fn of(lines: &Lines, room: &str) -> Self {
        let mut count = Self::default();
        lines
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(room))
            .for_each(|(_, file)| count.add(file));
        count
    }

    /// Rounded down, so that all is only said of all.
    fn per_mille(self) -> usize {
        self.ran * 1000 / self.lines.max(1)
    }

    fn row(self, name: String) -> Vec<String> {
        let share = self.per_mille();
        vec![
            name,
            self.lines.to_string(),
            self.ran.to_string(),
            format!("{}.{} %", share / 10, share % 10),
        ]
    }
}

/// A row a file, and the sums.
pub(crate) fn figures(lines: &Lines) -> String {
    let mut rows = Vec::new();
    for (path, file) in &lines.files {
        let mut count = Count::default();
        count.add(file);
        rows.push(count.row(path.display().to_string()));
    }
    for room in ROOMS {
        rows.push(Count::of(lines, room).row(format!("all of {room}")));
    }
    let mut text = report::table(&["file", "lines", "reached", ""], &rows, true);
    if !lines.untold.is_empty() {
        let _ = writeln!(
            text,
            "{} more lines share their code with others in such a way that nobody can tell; they count nowhere",
            lines.untold.len()
        );
    }
    text
}

/// What was not reached and why, what has no reason, and reasons without anything to explain.
pub(crate) fn unreached(gaps: &[Gap], stale: &[Place]) -> String {
    let mut text = String::new();
    let (known, unknown): (Vec<_>, Vec<_>) = gaps.iter().partition(|gap| gap.reason.is_some());
    for (title, gaps) in [
        ("not reached", known),
        ("not reached, without a reason", unknown),
    ] {
        if gaps.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title}:");
        for gap in gaps {
            let (path, function) = &gap.place;
            let _ = writeln!(
                text,
                "  {} {function}: {} (lines {})",
                path.display(),
                gap.reason.as_deref().unwrap_or("?"),
                ranges(&gap.lines)
            );
        }
    }
    if !stale.is_empty() {
        let _ = writeln!(text, "\nreasons for what is reached, or gone:");
        for (path, function) in stale {
            let _ = writeln!(text, "  {} {function}", path.display());
        }
    }
    text.push('\n');
    text
}

/// Why the whole suite's coverage is not good enough.
pub(crate) fn complaints(lines: &Lines, gaps: &[Gap], stale: &[Place]) -> Vec<String> {
    let mut complaints = Vec::new();
    for room in JUDGED {
        let share = Count::of(lines, room).per_mille();
        if share < GOAL {
            complaints.push(format!(
                "FAILED {}.{} % of the lines of {room} are reached; the goal is {} %",
                share / 10,
                share % 10,
                GOAL / 10
            ));
        }
    }
    let unexplained = gaps.iter().filter(|gap| gap.reason.is_none()).count();
    if unexplained > 0 {
        complaints.push(format!(
            "FAILED {unexplained} functions have unreached lines without a reason in {}",
            super::REASONS
        ));
    }
    if !stale.is_empty() {
        complaints.push(format!(
            "FAILED {} reasons in {} explain nothing",
            stale.len(),
            super::REASONS
        ));
    }
    complaints
}

/// `1-3, 7`.
fn ranges(lines: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    let shown: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    shown.join(", ")
}

/// lcov's trace format: a line counts as run once or not at all.
pub(crate) fn lcov(lines: &Lines, repo: &Path) -> String {
    let mut text = String::new();
    for (path, file) in &lines.files {
        let _ = writeln!(text, "SF:{}", repo.join(path).display());
        for (number, line) in file {
            let _ = writeln!(text, "DA:{number},{}", u8::from(line.ran));
        }
        let mut count = Count::default();
        count.add(file);
        let _ = writeln!(text, "LF:{}\nLH:{}\nend_of_record", count.lines, count.ran);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::lines::Line;
    use super::*;

    /// A file of `lines` lines, all but `gaps` of which ran.
    fn file(lines: u32, gaps: u32) -> File {
        let line = |number| Line {
            function: "f".to_owned(),
            ran: number > gaps,
        };
        (1..=lines).map(|number| (number, line(number))).collect()
    }

    fn lines(of: &[(&str, u32, u32)]) -> Lines {
        let files = of
            .iter()
            .map(|&(path, all, gaps)| (path.into(), file(all, gaps)));
        Lines {
            files: files.collect(),
            ..Lines::default()
        }
    }

    fn gap(reason: Option<&str>) -> Gap {
        Gap {
            place: ("module/a.rs".into(), "f".to_owned()),
            lines: vec![1, 2, 3, 7, 9, 10],
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn each_room_is_summed_up_and_judged_by_itself() {
        let lines = lines(&[
            ("module/a.rs", 100, 0),
            ("filters/src/a.rs", 60, 5),
            ("filters/src/b.rs", 40, 1),
            ("uapi/src/a.rs", 10, 10),
        ]);
        let table = figures(&lines);
        for row in [
            "all of module 100 100 100.0 %",
            "all of filters 100 94 94.0 %",
            "all of uapi 10 0 0.0 %",
        ] {
            let found = table
                .lines()
                .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == row);
            assert!(found, "{row} in {table}");
        }
        let said = complaints(&lines, &[gap(Some("x"))], &[]);
        assert!(
            said.len() == 1 && said[0].contains("94.0 % of the lines of filters"),
            "{said:?}"
        );
    }

    #[test]
    fn unexplained_and_stale_are_failures_at_any_share() {
        let lines = lines(&[("module/a.rs", 1000, 1), ("filters/src/a.rs", 1, 0)]);
        assert_eq!(complaints(&lines, &[gap(Some("x"))], &[]), [""; 0]);
        assert_eq!(complaints(&lines, &[gap(None)], &[]).len(), 1);
        assert_eq!(complaints(&lines, &[], &[gap(None).place]).len(), 1);
    }

    #[test]
    fn gaps_are_listed_by_function_with_their_lines() {
        let text = unreached(&[gap(Some("never here"))], &[]);
        assert!(
            text.contains("  module/a.rs f: never here (lines 1-3, 7, 9-10)"),
            "{text}"
        );
        let text = unreached(&[gap(None)], &[gap(None).place]);
        assert!(
            text.contains("without a reason") && text.contains("or gone:"),
            "{text}"
        );
    }

    #[test]
    fn lcov_has_every_line() {
        let text = lcov(&lines(&[("module/a.rs", 2, 1)]), Path::new("/r"));
        assert_eq!(
            text,
            "SF:/r/module/a.rs\nDA:1,0\nDA:2,1\nLF:2\nLH:1\nend_of_record\n"
        );
    }
}

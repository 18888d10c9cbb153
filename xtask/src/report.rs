// SPDX-License-Identifier: GPL-2.0

//! Plain tables for the terminal.

use std::fmt::Write as _;
use std::time::Duration;

use crate::results::{Case, Results, Verdict};

/// A table: columns as wide as their widest cell, numbers (all but the first column) aligned right if asked.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], numbers: bool) -> String {
    let columns = header.len();
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([header.get(column).map_or(0, |cell| cell.len())])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        let mut out = String::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = cells.get(column).map_or("", String::as_str);
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if numbers && column > 0 {
                (padding.as_str(), "")
            } else {
                ("", padding.as_str())
            };
            let _ = write!(out, "{before}{cell}{after}  ");
        }
        text.push_str(out.trim_end());
        text.push('\n');
    };
    line(
        &header
            .iter()
            .map(|&cell| cell.to_owned())
            .collect::<Vec<_>>(),
    );
    line(
        &widths
            .iter()
            .map(|&width| "-".repeat(width))
            .collect::<Vec<_>>(),
    );
    rows.iter().for_each(|row| line(row));
    text
}

/// Seconds, for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// One row a suite, then every test that failed or was skipped, with what it said.
pub(crate) fn results(results: &Results) -> String {
    let mut rows: Vec<(String, u32, u32, u32, Duration)> = Vec::new();
    for case in results.cases() {
        let at = rows
            .iter()
            .position(|row| row.0 == case.suite())
            .unwrap_or_else(|| {
                rows.push((case.suite().to_owned(), 0, 0, 0, Duration::ZERO));
                rows.len() - 1
            });
        let row = &mut rows[at];
        match case.verdict {
            Verdict::Passed => row.1 += 1,
            Verdict::Failed | Verdict::Unfinished => row.2 += 1,
            Verdict::Skipped(_) => row.3 += 1,
        }
        row.4 += case.took;
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            vec![
                row.0,
                row.1.to_string(),
                row.2.to_string(),
                row.3.to_string(),
                seconds(row.4),
            ]
        })
        .collect();
    let mut text = table(
        &["suite", "passed", "failed", "skipped", "time"],
        &rows,
        true,
    );
    for case in results.cases() {
        if let Some(detail) = detail(case) {
            text.push_str(&detail);
        }
    }
    text
}

/// What there is to say of a test that did not pass.
pub(crate) fn detail(case: &Case) -> Option<String> {
    let mut text = match &case.verdict {
        Verdict::Passed => return None,
        Verdict::Skipped(reason) => format!("skipped {}: {reason}\n", case.name),
        Verdict::Failed => format!("FAILED {} ({})\n", case.name, seconds(case.took)),
        Verdict::Unfinished => format!("FAILED {}: the guest went down while it ran\n", case.name),
    };
    for line in &case.out {
        let _ = writeln!(text, "    {line}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![
            vec!["getname".to_owned(), "12".to_owned()],
            vec!["a".to_owned(), "3".to_owned()],
        ];
        assert_eq!(
            table(&["suite", "n"], &rows, true),
            "suite     n\n-------  --\ngetname  12\na         3\n"
        );
        assert_eq!(
            table(&["suite", "n"], &rows, false),
            "suite    n\n-------  --\ngetname  12\na        3\n"
        );
    }

    #[test]
    fn failures_are_shown_with_what_they_said() {
        let mut all = Results::default();
        for line in [
            "@@evf start a::x",
            "@@evf out left 1",
            "@@evf fail a::x 1",
            "@@evf skip a::y no ia32",
            "@@evf start b::z",
            "@@evf ok b::z 2000",
        ] {
            all.take(&console::read(line));
        }
        let text = results(&all);
        assert!(text.contains("FAILED a::x (0.0 s)\n    left 1\n"), "{text}");
        assert!(
            text.contains("skipped a::y: no ia32") && !text.contains("FAILED b::z"),
            "{text}"
        );
        assert!(
            text.contains("b           1       0        0  2.0 s"),
            "{text}"
        );
    }
}

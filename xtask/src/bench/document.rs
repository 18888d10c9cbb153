// SPDX-License-Identifier: GPL-2.0

//! `docs/benchmarks.md`: the whole of a run as text, tables in Markdown between paragraphs that stay.

use std::fmt::Write as _;

use super::figures::{Figures, NOTHING};
use super::goals::Goal;
use crate::report;

const BEFORE: &str = include_str!("before.md");
const AFTER: &str = include_str!("after.md");

/// A table: heading, what stands under it, and which deeds it has, by their names in figures and in the table.
struct Table {
    heading: &'static str,
    text: &'static str,
    deeds: &'static [(&'static str, &'static str)],
}

/// Deeds that are whole programs.
const PROGRAMS: [&str; 6] = ["git-status", "tar", "python", "gcc", "find", "shell"];

const TABLES: [Table; 5] = [
    Table {
        heading: "System calls, processes, threads",
        text: "Instructions of one call, or of one process or thread from its making to its end. `open` is open and close of `/tmp/d0/sub/file`.",
        deeds: &[
            ("getppid", "getppid"),
            ("open", "open, close"),
            ("stat", "stat"),
            ("rename", "rename"),
            ("read", "read"),
            ("write", "write"),
            ("fork", "fork, exit"),
            ("vfork", "vfork, exit"),
            ("exec", "vfork, exec"),
            ("thread", "thread"),
        ],
    },
    Table {
        heading: "Length of the name",
        text: "open and close of files whose names have so many bytes, in components of a hundred.",
        deeds: &[
            ("open-20b", "20 bytes"),
            ("open-40b", "40"),
            ("open-80b", "80"),
            ("open-160b", "160"),
            ("open-320b", "320"),
            ("open-640b", "640"),
            ("open-1280b", "1280"),
        ],
    },
    Table {
        heading: "Whole programs",
        text: "From start to end, in thousands of instructions: `git status` and `tar` of a tree of 2,000 files, the start of Python, `gcc -c` of a small file, `find` in the same tree, and a shell that starts \
               50 programs. `tools` grants the system's directories to be read and run and /tmp and /dev to be written, `tools-name` judges names instead.",
        deeds: &[
            ("git-status", "git status"),
            ("tar", "tar"),
            ("python", "python3"),
            ("gcc", "gcc -c"),
            ("find", "find"),
            ("shell", "shell loop"),
        ],
    },
    Table {
        heading: "Loading and attaching",
        text: "Everything between the profile at hand and the process that is under it. `numbers` is a profile of some 350 calls: `seccomp` is given a finished program (the system call alone), `libseccomp` the numbers \
               (`seccomp_init`, `seccomp_rule_add`, `seccomp_load`), `evfilter` a compiled image, `evfilter-text` the policy's text. Landlock opens each directory and adds a rule.",
        deeds: &[("setup", "instructions")],
    },
    Table {
        heading: "Memory",
        text: "Bytes of the kernel that are charged to a process for its filters. A seccomp program's machine code is charged to nobody and not counted.",
        deeds: &[("memory", "bytes")],
    },
];

/// The peer that a setting of ours is compared with.
fn peer(setting: &str) -> Option<String> {
    let (system, rest) = setting.split_once('/')?;
    let (kind, layers) = match rest.split_once('/') {
        Some((kind, layers)) => (kind, Some(layers)),
        None => (rest, None),
    };
    let layers = layers
        .filter(|layers| *layers != "hooked")
        .map_or(String::new(), |layers| {
            format!("/{}", layers.trim_end_matches("-same"))
        });
    match (system, kind.split_once('-')) {
        ("evfilter-text", None) => Some(format!("libseccomp/{kind}")),
        ("evfilter", None) if kind == "tools" => Some("landlock/tools".to_owned()),
        ("evfilter", Some(("tools", "name"))) => Some("landlock/tools".to_owned()),
        ("evfilter", None) | ("evfilter", Some(("args", _))) => {
            Some(format!("seccomp/{kind}{layers}"))
        }
        // Landlock was not measured with three rules.
        ("evfilter" | "evfilter-text", Some((_, "3"))) => Some(format!("landlock/1{layers}")),
        ("evfilter" | "evfilter-text", Some((_, rules))) => {
            Some(format!("landlock/{rules}{layers}"))
        }
        _ => None,
    }
}

/// The whole text.
pub(crate) fn text(figures: &Figures, goals: &[Goal], instructions: Option<&str>) -> String {
    let mut text = BEFORE.replace("{KERNEL}", &figures.kernel);
    text.push_str(&goals_table(figures, goals));
    for table in &TABLES {
        text.push_str(&markdown(table, figures));
    }
    text.push_str(&memory_table(figures));
    text.push('\n');
    text.push_str(AFTER);
    if let Some(instructions) = instructions {
        let _ = write!(text, "\n```\n{}\n```\n", instructions.trim_end());
    }
    text
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn goals_table(figures: &Figures, goals: &[Goal]) -> String {
    let mut text = String::from(
        "\n## Goals\n\n| case | figure | goal | measured | |\n|---|---|---:|---:|---|\n",
    );
    let mut reasons = String::new();
    for goal in goals {
        let Some(outcome) = goal.outcome(figures) else {
            continue;
        };
        text.push_str(&row(&[
            goal.case.clone(),
            format!("`{}`", goal.figure),
            outcome.wanted,
            outcome.measured,
            if outcome.met { "met" } else { "**missed**" }.to_owned(),
        ]));
        if let (false, Some(reason)) = (outcome.met, &goal.reason) {
            let _ = writeln!(
                reasons,
                "- *{}* (`{}`): {}",
                goal.case,
                goal.figure,
                reason.trim()
            );
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nWhat is missed, why, and what it would take:\n\n");
        text.push_str(&reasons);
    }
    text
}

fn markdown(table: &Table, figures: &Figures) -> String {
    let (header, rows) = cells(table, figures);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {}\n\n{}\n\n", table.heading, table.text);
    text.push_str(&row(&header));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(table.deeds.len()));
    for mut cells in rows {
        cells[0] = format!("`{}`", cells[0]);
        text.push_str(&row(&cells));
    }
    text
}

/// The same tables for the terminal. Columns without a figure are left out.
pub(crate) fn plain(figures: &Figures) -> String {
    let mut text = String::new();
    for table in &TABLES {
        let (header, rows) = cells(table, figures);
        if rows.is_empty() {
            continue;
        }
        let used: Vec<usize> = (0..header.len())
            .filter(|&column| rows.iter().any(|cells| !cells[column].is_empty()))
            .collect();
        let pick = |cells: &[String]| -> Vec<String> {
            used.iter().map(|&column| cells[column].clone()).collect()
        };
        let header = pick(&header);
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(|cells| pick(cells)).collect();
        let _ = writeln!(
            text,
            "{}\n{}",
            table.heading,
            report::table(&header, &rows, true)
        );
    }
    text
}

/// Header and rows of a table: a row for each setting of which anything was measured.
fn cells(table: &Table, figures: &Figures) -> (Vec<String>, Vec<Vec<String>>) {
    let mut settings: Vec<&str> = Vec::new();
    for (deed, setting) in figures.names().filter_map(|name| name.split_once(' ')) {
        if table.deeds.iter().any(|(known, _)| *known == deed) && !settings.contains(&setting) {
            settings.push(setting);
        }
    }
    let titles = table.deeds.iter().map(|(_, title)| *title);
    let header = ["under"].into_iter().chain(titles);
    let of = |setting: &str| {
        let row = table
            .deeds
            .iter()
            .map(|(deed, _)| cell(figures, deed, setting));
        [setting.to_owned()].into_iter().chain(row).collect()
    };
    (
        header.map(str::to_owned).collect(),
        settings.into_iter().map(of).collect(),
    )
}

/// The cost; of ours, with the quotient to the peer's where that costs something. Of whole programs, in thousands and with the share of the program.
fn cell(figures: &Figures, deed: &str, setting: &str) -> String {
    let name = format!("{deed} {setting}");
    let whole = figures.get(&format!("{deed} {NOTHING}"));
    let is_program = PROGRAMS.contains(&deed);
    let unit = if is_program { 1000.0 } else { 1.0 };
    if setting == NOTHING {
        return whole.map_or(String::new(), |value| format!("{:.0}", value / unit));
    }
    let Some(cost) = figures.cost(&name) else {
        return String::new();
    };
    let (shown, least) = match whole {
        None => (format!("{cost:.0}"), 1.0),
        // What is below a hundredth may be chance where processes are made.
        Some(whole) => (
            format!("{:+.0}", cost / unit),
            (whole / 100.0).clamp(20.0, 1000.0),
        ),
    };
    if let (true, Some(whole)) = (is_program, whole) {
        return format!("{shown} ({:+.1}%)", cost / whole * 100.0);
    }
    let quotient = peer(setting)
        .and_then(|peer| figures.cost(&format!("{deed} {peer}")))
        .filter(|&peers| peers >= least)
        .map(|peers| format!(" ({:.2}x)", cost / peers));
    shown + &quotient.unwrap_or_default()
}

/// What one more of something takes: differences of figures of memory.
fn memory_table(figures: &Figures) -> String {
    const MORE: [(&str, &str, &str, f64); 5] = [
        (
            "a further layer of ten compares, seccomp",
            "seccomp/args-10/x64",
            "seccomp/args-10",
            63.0,
        ),
        (
            "the same, evfilter, each loaded by itself",
            "evfilter/args-10/x64",
            "evfilter/args-10",
            63.0,
        ),
        (
            "the same, evfilter, one filter pushed again",
            "evfilter/args-10/x64-same",
            "evfilter/args-10",
            63.0,
        ),
        (
            "a further layer of ten rules, Landlock",
            "landlock/10/x16",
            "landlock/10",
            15.0,
        ),
        (
            "the same, evfilter",
            "evfilter/grants-10/x16",
            "evfilter/grants-10",
            15.0,
        ),
    ];
    let mut text = String::new();
    for (what, with, without, count) in MORE {
        let of = |setting: &str| figures.get(&format!("memory {setting}"));
        if let (Some(with), Some(without)) = (of(with), of(without)) {
            let _ = writeln!(text, "| {what} | {:.0} |", (with - without) / count);
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("\n| what one more takes | bytes |\n|---|---:|\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::figures;

    #[test]
    fn settings_are_compared_with_what_does_the_same() {
        for (ours, theirs) in [
            ("evfilter/numbers/x16", Some("seccomp/numbers/x16")),
            ("evfilter/numbers/hooked", Some("seccomp/numbers")),
            ("evfilter/args-10/x16-same", Some("seccomp/args-10/x16")),
            ("evfilter/name-1000", Some("landlock/1000")),
            ("evfilter/tools-name", Some("landlock/tools")),
            ("evfilter-text/numbers", Some("libseccomp/numbers")),
            ("evfilter-text/grants-10", Some("landlock/10")),
            ("bystander/name-10", None),
            ("seccomp/all", None),
        ] {
            assert_eq!(peer(ours).as_deref(), theirs, "{ours}");
        }
    }

    #[test]
    fn cells_have_the_cost_and_the_quotient_to_the_peer() {
        let figures = figures(&[
            ("open none", 5000.0),
            ("open landlock/10", 6400.0),
            ("open evfilter/name-10", 5350.0),
            ("stat none", 3000.0),
            ("stat landlock/10", 3000.0),
            ("stat evfilter/name-10", 3100.0),
            ("gcc none", 9_000_000.0),
            ("gcc evfilter/tools", 9_450_000.0),
            ("vfork none", 80_000.0),
            ("vfork landlock/10", 80_700.0),
            ("vfork evfilter/name-10", 80_900.0),
        ]);
        assert_eq!(cell(&figures, "open", "none"), "5000");
        assert_eq!(cell(&figures, "open", "landlock/10"), "+1400");
        assert_eq!(cell(&figures, "open", "evfilter/name-10"), "+350 (0.25x)");
        // No quotient to what costs nothing.
        assert_eq!(cell(&figures, "stat", "evfilter/name-10"), "+100");
        assert_eq!(cell(&figures, "gcc", "none"), "9000");
        assert_eq!(cell(&figures, "gcc", "evfilter/tools"), "+450 (+5.0%)");
        assert_eq!(cell(&figures, "gcc", "evfilter/all"), "");
        // Nor to what may be chance.
        assert_eq!(cell(&figures, "vfork", "evfilter/name-10"), "+900");
        let shown = plain(&figures);
        assert!(
            shown.contains("open, close") && !shown.contains("getppid"),
            "{shown}"
        );
        let text = text(&figures, &[], None);
        assert!(
            text.contains("| `evfilter/name-10` | | +350 (0.25x) |")
                || text.contains("| `evfilter/name-10` |  | +350 (0.25x) |"),
            "{text}"
        );
    }
}

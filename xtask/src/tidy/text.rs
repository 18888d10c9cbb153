// SPDX-License-Identifier: GPL-2.0

//! Rules about the text of a file: its first line, its docs, its length, its names, words that have no place in it.

use super::scan;
use super::{Finding, Source};

const LICENCE: &str = "SPDX-License-Identifier: GPL-2.0";
/// Longer files hold more than one noun.
const MOST_LINES: usize = 700;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "manager", "handler", "util", "utils", "common", "helper", "helpers", "misc",
];
/// Marks of unfinished work. Put together here, so that this file does not contain them.
const UNFINISHED: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
/// Macros and attributes that stand for unfinished or switched-off work.
const FORBIDDEN_CODE: [(&str, &str); 5] = [
    (concat!("to", "do!("), "is unfinished work"),
    (concat!("un", "implemented!("), "is unfinished work"),
    (
        concat!("#[ig", "nore"),
        "switches a test off; remove the test or make it pass",
    ),
    (
        concat!("#[al", "low("),
        "hides whether it is still needed; use #[expect(.., reason = \"..\")]",
    ),
    (
        concat!("#![al", "low("),
        "hides whether it is still needed; use #![expect(.., reason = \"..\")]",
    ),
];
/// Parts of addresses of mirrors and registries: where packages come from is the host's affair.
const SERVERS: [&str; 6] = [
    concat!("debian", ".org"),
    concat!("ubuntu", ".com"),
    concat!("crates", ".io"),
    concat!("rust-lang", ".org"),
    concat!("pypi", ".org"),
    concat!("proxy.golang", ".org"),
];

/// All rules of this file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.is_source() {
        licence(source, &mut findings);
        length(source, &mut findings);
        names(source, &mut findings);
        white_space(source, &mut findings);
    }
    if source.is_rust() {
        docs(source, &mut findings);
        rust_words(source, &mut findings);
    }
    words(source, &mut findings);
    findings
}

fn licence(source: &Source, findings: &mut Vec<Finding>) {
    let mut lines = source.text.lines();
    let mut first = lines.next().unwrap_or("");
    if first.starts_with("#!") && !first.starts_with("#![") {
        first = lines.next().unwrap_or("");
    }
    if !first.contains(LICENCE) {
        findings.push(Finding::new(
            source,
            1,
            format!("the first line does not say {LICENCE}"),
        ));
    }
}

/// A Rust file begins with `//!`, after the licence, blank lines and attributes of the crate.
fn docs(source: &Source, findings: &mut Vec<Finding>) {
    let mut depth = 0_i32;
    for line in source.text.lines() {
        let line = line.trim();
        if line.starts_with("//!") {
            return;
        }
        let in_attribute = depth > 0 || line.starts_with("#![");
        if in_attribute {
            depth += brackets(line);
        } else if !line.is_empty() && !line.starts_with("//") {
            break;
        }
    }
    findings.push(Finding::new(
        source,
        1,
        "no module documentation (//!) before the first item",
    ));
}

fn brackets(line: &str) -> i32 {
    line.chars()
        .map(|c| match c {
            '[' => 1,
            ']' => -1,
            _ => 0,
        })
        .sum()
}

fn length(source: &Source, findings: &mut Vec<Finding>) {
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        findings.push(Finding::new(
            source,
            0,
            format!("{lines} lines; past {MOST_LINES}, split by noun"),
        ));
    }
}

fn names(source: &Source, findings: &mut Vec<Finding>) {
    let empty = |word: &str| EMPTY_NAMES.contains(&word);
    for part in source.path.iter().filter_map(|part| part.to_str()) {
        let stem = part.split('.').next().unwrap_or(part);
        if stem.split(['_', '-']).any(empty) {
            findings.push(Finding::new(
                source,
                0,
                format!("the name {part:?} says nothing about what is inside"),
            ));
        }
    }
    if source.name() == "mod.rs" {
        findings.push(Finding::new(
            source,
            0,
            "use foo.rs + foo/ instead of foo/mod.rs",
        ));
    }
    if !source.is_rust() {
        return;
    }
    for (number, line) in scan::scan(&source.text).iter().enumerate() {
        let mut words = line
            .code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if !matches!(word, "struct" | "enum" | "trait" | "mod" | "union") {
                continue;
            }
            if let Some(name) = words
                .next()
                .filter(|name| words_of(name).iter().any(|word| empty(word)))
            {
                findings.push(Finding::new(
                    source,
                    number + 1,
                    format!("the name {name} says nothing about what is inside"),
                ));
            }
        }
    }
}

/// The words of a name in either case style, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

fn white_space(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in source.text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(
                source,
                number + 1,
                "blanks at the end of the line",
            ));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        findings.push(Finding::new(
            source,
            0,
            "no line end at the end of the file",
        ));
    }
}

fn rust_words(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in scan::scan(&source.text).iter().enumerate() {
        for (text, why) in FORBIDDEN_CODE {
            // `deny(unsafe_code)` needs a counterpart; where it may stand is what `unsafety` checks.
            let counterpart = text.starts_with('#') && line.code.contains("(unsafe_code)");
            if line.code.contains(text) && !counterpart {
                findings.push(Finding::new(source, number + 1, format!("{text} {why}")));
            }
        }
    }
}

fn words(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in source.text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| scan::has_word(line, word)) {
            findings.push(Finding::new(
                source,
                number + 1,
                format!("{word} marks unfinished work"),
            ));
        }
        if let Some(server) = SERVERS.iter().find(|server| line.contains(**server)) {
            findings.push(Finding::new(
                source,
                number + 1,
                format!("names a mirror or registry ({server})"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    const GOOD: &str =
        "// SPDX-License-Identifier: GPL-2.0\n\n//! Good.\n\n/// A.\npub struct A;\n";

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&source(path, text))
            .into_iter()
            .map(|finding| finding.text)
            .collect()
    }

    fn finds(path: &str, text: &str, expected: &str) {
        let found = findings(path, text);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected:?}: {found:?}"
        );
    }

    #[test]
    fn good_files_pass() {
        assert_eq!(findings("a/good.rs", GOOD), [""; 0]);
        assert_eq!(
            findings(
                "a/run.sh",
                "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n"
            ),
            [""; 0]
        );
        assert_eq!(findings("README.md", "no licence line here \n"), [""; 0]);
        let attributes = GOOD.replace(
            "//! Good.",
            "#![no_std]\n#![cfg_attr(\n    x,\n    y\n)]\n//! Good.",
        );
        assert_eq!(findings("a/good.rs", &attributes), [""; 0]);
    }

    #[test]
    fn licence_and_docs_are_required() {
        finds("a.rs", &GOOD[GOOD.find("//!").expect("docs")..], "SPDX");
        finds("a.toml", "[package]\n", "SPDX");
        finds("policies/a.evf", "policy a {}\n", "SPDX");
        assert_eq!(findings("filters/tests/a.evf", "policy a {} \n"), [""; 0]);
        finds("module/Kbuild", "obj-m := x.o\n", "SPDX");
        finds(
            "a.rs",
            &GOOD.replace("//!", "//"),
            "no module documentation",
        );
        finds(
            "a.rs",
            &GOOD.replace("//! Good.\n\n", "use x;\n//! Good.\n"),
            "no module documentation",
        );
    }

    #[test]
    fn long_files_are_found() {
        finds(
            "a.rs",
            &(GOOD.to_owned() + &"// x\n".repeat(MOST_LINES - 5)),
            "701 lines",
        );
        assert_eq!(
            findings(
                "a.rs",
                &(GOOD.to_owned() + &"// x\n".repeat(MOST_LINES - 6))
            ),
            [""; 0]
        );
    }

    #[test]
    fn empty_names_are_found() {
        finds("a/utils.rs", GOOD, "utils.rs");
        finds("common/a.rs", GOOD, "common");
        finds("a/path_helper.rs", GOOD, "path_helper");
        finds("a/mod.rs", GOOD, "mod.rs");
        finds(
            "a.rs",
            &GOOD.replace("struct A", "struct EventManager"),
            "EventManager",
        );
        finds(
            "a.rs",
            &GOOD.replace("struct A;", "mod signal_handler;"),
            "signal_handler",
        );
        assert_eq!(
            findings("a/commonly.rs", &GOOD.replace("struct A", "struct Utility")),
            [""; 0]
        );
    }

    #[test]
    fn unfinished_and_switched_off_work_is_found() {
        for word in UNFINISHED {
            finds("a.rs", &format!("{GOOD}// {word}: later\n"), "unfinished");
        }
        for (text, _) in FORBIDDEN_CODE {
            finds("a.rs", &format!("{GOOD}{text}\n"), text);
            assert_eq!(findings("a.rs", &format!("{GOOD}// {text}\n")), [""; 0]);
            let edge = format!("{GOOD}{text}unsafe_code)]\n");
            assert_eq!(
                findings("a.rs", &edge).is_empty(),
                text.ends_with("low("),
                "{text}"
            );
        }
    }

    #[test]
    fn servers_and_stray_blanks_are_found() {
        finds(
            "README.md",
            &format!("fetch http://{}/debian\n", SERVERS[0]),
            "mirror",
        );
        finds("a.rs", &GOOD.replace("A;", "A; "), "blanks");
        finds("a.rs", GOOD.trim_end(), "no line end");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Golden tests of the policy language: what is accepted and what it then means, what is refused and with which message.
//!
//! `tests/lang/accepted/NAME.evf` is compiled; `NAME.out` holds its warnings, the verdict and deciding rule for each event in a comment that begins with `#?`,
//! and the instructions. `tests/lang/refused/NAME.evf` must not compile; `NAME.out` holds the message. `UPDATE_GOLDEN=1` writes the `.out` files.

#![cfg(feature = "lang")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use filters::lang::{compile, disasm, event_line, Compiled, Diagnostics, Files};

fn cases(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new("tests/lang").join(kind);
    let mut cases: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("the directory of the cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "evf"))
        .collect();
    cases.sort();
    cases
}

fn compiled(path: &Path) -> (String, Result<Compiled, Diagnostics>) {
    let text = fs::read_to_string(path).expect("a case in UTF-8");
    let name = path.to_str().expect("a name in UTF-8");
    let result = compile(name, &text, &Files);
    (text, result)
}

/// Compares with the golden file; returns a message if they differ.
fn compare(path: &Path, found: &str) -> Option<String> {
    let golden = path.with_extension("out");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, found).expect("golden file can be written");
        return None;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (expected != found).then(|| {
        format!(
            "{} differs from {}\n--- expected\n{expected}\n--- found\n{found}",
            path.display(),
            golden.display()
        )
    })
}

fn verdicts(text: &str, policy: &Compiled) -> String {
    let mut out = String::new();
    for line in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#?"))
    {
        let line = line.trim();
        let record = match event_line::parse(line) {
            Ok(record) => record,
            Err(error) => panic!("{line}\n{}", error.render(false)),
        };
        let explanation = record.lend(|record| {
            policy.explain(record).map(|explanation| {
                let rule = explanation.rule.expect("every return has a rule");
                format!(
                    "{} (line {}: {})",
                    disasm::verdict(explanation.verdict),
                    rule.line,
                    rule.text
                )
            })
        });
        let explanation = explanation.flatten().unwrap_or("no program".to_string());
        writeln!(out, "{line}\n    {explanation}").expect("a String takes everything");
    }
    out
}

#[test]
fn accepted_policies_mean_what_they_say() {
    let cases = cases("accepted");
    assert!(cases.len() >= 40, "only {} accepted cases", cases.len());
    let mut failures = Vec::new();
    for path in cases {
        let (text, result) = compiled(&path);
        let policy = match result {
            Ok(policy) => policy,
            Err(error) => {
                failures.push(format!(
                    "{} is refused:\n{}",
                    path.display(),
                    error.render(false)
                ));
                continue;
            }
        };
        let mut found = policy.warnings.render(false);
        if !found.is_empty() {
            found.push('\n');
        }
        found.push_str(&verdicts(&text, &policy));
        found.push('\n');
        found.push_str(&filters::lang::disassemble(&policy.image).expect("what was verified"));
        failures.extend(compare(&path, &found));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn refused_policies_say_what_is_wrong_and_where() {
    let cases = cases("refused");
    assert!(cases.len() >= 40, "only {} refused cases", cases.len());
    let mut failures = Vec::new();
    for path in cases {
        match compiled(&path).1 {
            Ok(_) => failures.push(format!("{} is accepted", path.display())),
            Err(error) => {
                let found = error.render(false);
                // Whatever is wrong with a text has a place in it.
                let placed = error.iter().all(|diagnostic| diagnostic.line().is_some());
                let whole = path.file_stem().is_some_and(|stem| stem == "no_block");
                if !placed && !whole {
                    failures.push(format!("{}: a message without a place", path.display()));
                }
                failures.extend(compare(&path, &found));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

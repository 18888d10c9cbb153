// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask check`: everything that can be checked without a boot. Every step runs, whatever the others said.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::chosen::Chosen;
use crate::exec;
use crate::module::{self, Purpose, Target};
use crate::progress::Step;
use crate::report;
use crate::results;
use crate::run::BuildArgs;
use crate::tables;
use crate::tidy;
use crate::workspace::Workspace;

/// What a step came to.
struct Done {
    name: &'static str,
    outcome: Result<String>,
    took: Duration,
}

type Work<'a> = Box<dyn Fn(&mut Step) -> Result<String> + 'a>;

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BuildArgs) -> Result<ExitCode> {
    let chosen = Chosen::new(workspace, cache, args)?;
    let target = chosen.target();
    let source = match args.kdir.as_deref() {
        Some(tree) => source_of(tree),
        None => chosen.kit.source(),
    };
    let steps = steps(workspace, &target, &source);
    let count = steps.len();
    let mut all = Vec::new();
    for (n, (name, work)) in steps.into_iter().enumerate() {
        let began = Instant::now();
        let mut step = Step::new(n + 1, count, name);
        let outcome = work(&mut step);
        match &outcome {
            Ok(note) => step.done(note),
            Err(error) => {
                drop(step);
                eprintln!("[{}/{count}] {name}: FAILED\n{error:#}", n + 1);
            }
        }
        all.push(Done {
            name,
            outcome,
            took: began.elapsed(),
        });
    }
    Ok(summary(&all))
}

/// Prints the table and the closing line.
fn summary(all: &[Done]) -> ExitCode {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|done| {
            let (verdict, note) = match &done.outcome {
                Ok(note) => ("ok", note.clone()),
                Err(error) => (
                    "FAILED",
                    error
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                ),
            };
            vec![
                done.name.to_owned(),
                verdict.to_owned(),
                report::seconds(done.took),
                note,
            ]
        })
        .collect();
    println!(
        "{}",
        report::table(&["step", "result", "time", "note"], &rows, false)
    );
    let count = |good: bool| {
        u32::try_from(
            all.iter()
                .filter(|done| done.outcome.is_ok() == good)
                .count(),
        )
        .unwrap_or(u32::MAX)
    };
    println!("{}", results::closing(count(true), count(false), 0));
    if count(false) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn steps<'a>(
    workspace: &'a Workspace,
    target: &'a Target<'a>,
    source: &'a Path,
) -> Vec<(&'static str, Work<'a>)> {
    let cargo = |log: &'static str, words: &'static [&'static str]| -> Work<'a> {
        Box::new(move |step| cargo(workspace, log, words, step))
    };
    let mut steps: Vec<(&'static str, Work<'a>)> = vec![
        (
            "format",
            cargo(
                "check-format",
                &["fmt", "--all", "--check", "--", "--color=never"],
            ),
        ),
        (
            "format of the module",
            Box::new(move |_| format_module(workspace)),
        ),
        ("tidy", Box::new(move |_| tidy_step(workspace))),
        (
            "no call forgotten",
            Box::new(move |_| tables::check_coverage(workspace.repo(), source)),
        ),
        (
            "clippy",
            cargo(
                "check-clippy",
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--all-features",
                    "--locked",
                    "--",
                    "-D",
                    "warnings",
                ],
            ),
        ),
        (
            "clippy, filters as in the kernel",
            cargo(
                "check-clippy-core",
                &[
                    "clippy",
                    "--package",
                    "filters",
                    "--no-default-features",
                    "--locked",
                    "--",
                    "-D",
                    "warnings",
                ],
            ),
        ),
        ("docs", Box::new(move |step| docs(workspace, step))),
        (
            "host tests",
            Box::new(move |step| host_tests(workspace, step)),
        ),
        (
            "module, W=1",
            Box::new(move |step| strict_module(workspace, target, Purpose::Warnings, step)),
        ),
    ];
    // The user's own tree is built by the host's compiler, whose clippy need not be there.
    let clippy = match target.root() {
        Some(root) => root.dir().join("usr/bin/clippy-driver").exists(),
        None => exec::find_program("clippy-driver").is_some(),
    };
    if clippy {
        steps.push((
            "module, clippy",
            Box::new(move |step| strict_module(workspace, target, Purpose::Clippy, step)),
        ));
    } else {
        eprintln!("no clippy-driver of the kernel's compiler: the module is not checked by clippy");
    }
    steps
}

/// The source of a kernel tree: itself, or what kbuild calls so in a tree that is built elsewhere (`O=`).
fn source_of(tree: &Path) -> PathBuf {
    let source = tree.join("source");
    if source.join("Kbuild").exists() {
        source
    } else {
        tree.to_owned()
    }
}

fn cargo(workspace: &Workspace, log: &str, words: &[&str], step: &mut Step) -> Result<String> {
    let mut command = workspace.cargo();
    command.args(words);
    exec::run_with(&mut command, &workspace.log(log), |line| {
        step.say(line.trim())
    })?;
    Ok(String::new())
}

fn docs(workspace: &Workspace, step: &mut Step) -> Result<String> {
    let mut command = workspace.cargo();
    command
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--all-features",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .env_remove("CARGO_ENCODED_RUSTDOCFLAGS");
    exec::run_with(&mut command, &workspace.log("check-docs"), |line| {
        step.say(line.trim())
    })?;
    Ok(String::new())
}

/// Runs the tests and adds up what every test binary counted.
fn host_tests(workspace: &Workspace, step: &mut Step) -> Result<String> {
    let mut command = workspace.cargo();
    command.args([
        "test",
        "--workspace",
        "--locked",
        "--all-features",
        "--no-fail-fast",
    ]);
    let mut passed = 0_u64;
    exec::run_with(&mut command, &workspace.log("check-tests"), |line| {
        passed += passed_in(line).unwrap_or(0);
        step.say(line.trim());
    })?;
    Ok(format!("{passed} tests"))
}

/// The number of passed tests in a closing line of libtest.
fn passed_in(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    rest.split_once(" passed")?.0.parse().ok()
}

/// The module is no package; rustfmt follows its modules from the root.
fn format_module(workspace: &Workspace) -> Result<String> {
    let root = workspace.repo().join("module/evfilter_main.rs");
    let mut command = Command::new("rustfmt");
    command
        .args(["--check", "--edition", "2021"])
        .arg(root)
        .current_dir(workspace.repo());
    exec::run(&mut command, &workspace.log("check-format-module"))?;
    Ok(String::new())
}

fn tidy_step(workspace: &Workspace) -> Result<String> {
    let findings = tidy::check(workspace)?;
    if findings.is_empty() {
        return Ok(String::new());
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    bail!("{} findings\n{}", findings.len(), lines.join("\n"))
}

fn strict_module(
    workspace: &Workspace,
    target: &Target<'_>,
    purpose: Purpose,
    step: &mut Step,
) -> Result<String> {
    let _lock = workspace.lock()?;
    let (_, warnings) = module::build(target, workspace, purpose, |line| step.say(line.trim()))?;
    if warnings.is_empty() {
        return Ok(String::new());
    }
    let log: PathBuf = workspace.log(purpose.log());
    bail!(
        "{} warnings\n{}\nwhole log: {}",
        warnings.len(),
        warnings.join("\n"),
        Path::display(&log)
    )
}

/// `cargo xtask tidy` by itself.
pub(crate) fn tidy_verb(workspace: &Workspace) -> Result<ExitCode> {
    let findings = tidy::check(workspace)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("{} findings", findings.len());
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_test_binaries_are_read() {
        assert_eq!(
            passed_in(
                "test result: ok. 27 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
            ),
            Some(27)
        );
        assert_eq!(
            passed_in("test result: FAILED. 3 passed; 1 failed; 0 ignored"),
            Some(3)
        );
        assert_eq!(passed_in("test a ... ok"), None);
    }

    #[test]
    fn one_failed_step_fails_the_check() {
        let done = |outcome| Done {
            name: "x",
            outcome,
            took: Duration::ZERO,
        };
        let status = |all: &[Done]| format!("{:?}", summary(all));
        assert_eq!(
            status(&[done(Ok(String::new()))]),
            format!("{:?}", ExitCode::SUCCESS)
        );
        let mixed = [
            done(Ok(String::new())),
            done(Err(anyhow::anyhow!("no"))),
            done(Ok(String::new())),
        ];
        assert_eq!(status(&mixed), format!("{:?}", ExitCode::FAILURE));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask fuzz`: builds the fuzz targets with libFuzzer and runs them; keeps what they find, and says how to see it again.

mod coverage;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::exec;
use crate::progress::Step;
use crate::report;
use crate::results;
use crate::workspace::Workspace;

/// What instruments a program for libFuzzer, all of it known to the stable compiler: counters on edges, their places, and comparisons.
const INSTRUMENTED: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
];

/// Flags are for the target alone where one is named: build scripts and macros are not instrumented.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Seconds that one input may take; by the clock on the wall, and the machine may be busy.
const SLOW: u32 = 60;

/// Exit status for a wrong command line.
const USAGE: u8 = 2;

/// Options of `cargo xtask fuzz`.
#[derive(Args, Clone, Debug)]
pub(crate) struct FuzzArgs {
    /// Which targets to run; all of them, one after the other, unless given
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// List the targets and what each one promises; builds nothing
    #[arg(long)]
    list: bool,
    /// Say which lines the committed corpora reach, instead of looking for more
    ///
    /// Needs the llvm-tools of the compiler: rustup component add llvm-tools.
    #[arg(long, conflicts_with_all = ["seconds", "minimise"])]
    coverage: bool,
    /// Afterwards make each committed corpus anew: the fewest inputs that reach all that has been reached
    #[arg(long)]
    minimise: bool,
    /// More options for libFuzzer, as -seed=1
    #[arg(last = true, value_name = "OPTION")]
    rest: Vec<String>,
}

/// A fuzz target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    /// The first sentence of its documentation.
    promise: String,
}

impl Target {
    fn program(&self) -> String {
        format!("fuzz-{}", self.name)
    }

    /// What is committed.
    fn corpus(&self, workspace: &Workspace) -> PathBuf {
        workspace.repo().join("fuzz/corpus").join(&self.name)
    }

    /// A directory of this target's own below `target/`, made if it is not there.
    fn dir(&self, workspace: &Workspace, kind: &str) -> Result<PathBuf> {
        let dir = workspace.out().join("fuzz").join(&self.name).join(kind);
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(dir)
    }
}

/// What a target came to.
struct Done {
    target: Target,
    status: Status,
    /// Failure, as it is told to the user.
    failure: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, args: &FuzzArgs) -> Result<ExitCode> {
    let targets = match chosen(targets(workspace.repo())?, &args.targets) {
        Ok(targets) => targets,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    if args.list {
        let rows: Vec<Vec<String>> = targets
            .into_iter()
            .map(|target| vec![target.name, target.promise])
            .collect();
        print!(
            "{}",
            report::table(&["target", "what it promises"], &rows, false)
        );
        return Ok(ExitCode::SUCCESS);
    }
    if args.coverage {
        return coverage::run(workspace, &targets);
    }
    let steps = targets.len() * if args.minimise { 2 } else { 1 } + 1;
    let programs = build(workspace, Step::new(1, steps, "build the fuzzers"))?;
    let mut all = Vec::new();
    for target in targets {
        let mut step = Step::new(all.len() + 2, steps, &target.name);
        let done = fuzz(workspace, &programs, target, args, &mut step)?;
        match &done.failure {
            None => step.done(&done.status.short()),
            Some(failure) => {
                drop(step);
                eprintln!("{}: FAILED\n{failure}", done.target.name);
            }
        }
        all.push(done);
    }
    if args.minimise {
        for (index, done) in all.iter().enumerate() {
            let step = Step::new(
                all.len() + 2 + index,
                steps,
                &format!("minimise {}", done.target.name),
            );
            minimise(workspace, &programs, &done.target, step)?;
        }
    }
    Ok(summary(&all))
}

/// The targets that there are: a file each.
fn targets(repo: &Path) -> Result<Vec<Target>> {
    let dir = repo.join("fuzz/fuzz_targets");
    let mut all = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry
            .with_context(|| format!("read {}", dir.display()))?
            .path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let source = repo.join("fuzz/src").join(format!("{name}.rs"));
        let text =
            fs::read_to_string(&source).with_context(|| format!("read {}", source.display()))?;
        all.push(Target {
            name: name.to_owned(),
            promise: promise(&text),
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The first paragraph of a file's documentation.
fn promise(text: &str) -> String {
    let docs = text.lines().filter_map(|line| line.strip_prefix("//!"));
    let paragraph: Vec<&str> = docs
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    paragraph.join(" ")
}

fn chosen(all: Vec<Target>, names: &[String]) -> Result<Vec<Target>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !all.iter().any(|target| target.name == **name))
    {
        let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        bail!(
            "there is no fuzz target {unknown}; there are {}",
            known.join(", ")
        );
    }
    let is_wanted = |target: &Target| names.is_empty() || names.contains(&target.name);
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Builds all fuzzers; returns the directory that they are in.
fn build(workspace: &Workspace, mut step: Step) -> Result<PathBuf> {
    if exec::find_program("c++").is_none() {
        bail!("libFuzzer is C++, and there is no c++ here: install g++ (or clang)");
    }
    let dir = workspace.target().join("fuzz");
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", "fuzz", "--bins", "--locked"])
        .args(["--profile", "fuzz", "--target", HOST])
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", INSTRUMENTED.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    exec::run_with(&mut cargo, &workspace.log("fuzz-build"), |line| {
        step.say(line.trim())
    })?;
    step.done("");
    Ok(dir.join(HOST).join("fuzz"))
}

/// Runs one target for its time.
fn fuzz(
    workspace: &Workspace,
    programs: &Path,
    target: Target,
    args: &FuzzArgs,
    step: &mut Step,
) -> Result<Done> {
    let artifacts = target.dir(workspace, "artifacts")?;
    let mut command = Command::new(programs.join(target.program()));
    command
        .arg(format!("-max_total_time={}", args.seconds))
        .arg(format!("-timeout={SLOW}"))
        .arg("-print_final_stats=1")
        // The directory's name and a slash: what is put in front of a file's name.
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .current_dir(workspace.repo());
    let dictionary = workspace
        .repo()
        .join("fuzz/dictionaries")
        .join(format!("{}.dict", target.name));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
        .args(&args.rest)
        // What is new goes to the first directory.
        .arg(target.dir(workspace, "corpus")?)
        .arg(target.corpus(workspace));
    let mut status = Status::default();
    let log = workspace.log(&format!("fuzz-{}", target.name));
    let (exit, tail) = exec::stream(&mut command, &log, |line| {
        if status.take(line) {
            step.say(&status.short());
        }
    })?;
    let failure = (!exit.success()).then(|| status.failure(&target, &tail, &log));
    Ok(Done {
        target,
        status,
        failure,
    })
}

/// Replaces the committed corpus by the smallest set of inputs, out of it and of what was found, that reaches the same.
fn minimise(workspace: &Workspace, programs: &Path, target: &Target, mut step: Step) -> Result<()> {
    let merged = target.dir(workspace, "merged")?;
    fs::remove_dir_all(&merged).with_context(|| format!("remove {}", merged.display()))?;
    fs::create_dir(&merged).with_context(|| format!("create {}", merged.display()))?;
    let corpus = target.corpus(workspace);
    let mut command = Command::new(programs.join(target.program()));
    command
        // How often an edge is taken does not count, or a corpus would be ten times as large.
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(format!("-timeout={SLOW}"))
        .args([&merged, &corpus, &target.dir(workspace, "corpus")?])
        .current_dir(workspace.repo());
    let log = workspace.log(&format!("fuzz-minimise-{}", target.name));
    exec::run_with(&mut command, &log, |line| step.say(line.trim()))?;
    let files = files(&merged)?;
    if files.is_empty() {
        bail!(
            "nothing is left of {}: see {}",
            corpus.display(),
            log.display()
        );
    }
    fs::remove_dir_all(&corpus).with_context(|| format!("remove {}", corpus.display()))?;
    fs::create_dir(&corpus).with_context(|| format!("create {}", corpus.display()))?;
    let mut bytes = 0;
    for file in &files {
        let name = file.file_name().context("a file without a name")?;
        bytes += fs::copy(file, corpus.join(name))
            .with_context(|| format!("copy {}", file.display()))?;
    }
    step.done(&format!(
        "{} inputs, {bytes} bytes in {}",
        files.len(),
        corpus.display()
    ));
    Ok(())
}

/// The files in a directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("read {}", dir.display()))?;
    paths.sort();
    Ok(paths)
}

/// What libFuzzer has said so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    runs: u64,
    edges: u64,
    inputs: u64,
    /// Inputs that were found in this run.
    new: u64,
    /// The input that fails.
    artifact: Option<PathBuf>,
    /// The message of the panic, or what else is wrong.
    reason: Option<String>,
}

impl Status {
    /// Takes a line; returns whether it says how far the search is.
    fn take(&mut self, line: &str) -> bool {
        if let Some(reason) = &mut self.reason
            && reason.ends_with(':')
        {
            // Where it panicked; this is why.
            reason.push(' ');
            reason.push_str(line.trim());
        } else if let Some(rest) = line
            .split_once("Test unit written to ")
            .map(|parts| parts.1)
        {
            self.artifact = Some(PathBuf::from(rest.trim()));
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.runs = count.trim().parse().unwrap_or(self.runs);
        } else if let Some(count) = line.strip_prefix("stat::new_units_added:") {
            self.new = count.trim().parse().unwrap_or(self.new);
        } else if self.reason.is_none()
            && (line.starts_with("thread '") || line.contains("ERROR: libFuzzer: "))
        {
            self.reason = Some(line.trim().to_owned());
        } else if let Some(rest) = line.strip_prefix('#') {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let after = |label: &str| {
                let at = words.iter().position(|word| *word == label)?;
                words.get(at + 1)?.split('/').next()?.parse().ok()
            };
            self.runs = words
                .first()
                .and_then(|runs| runs.parse().ok())
                .unwrap_or(self.runs);
            self.edges = after("cov:").unwrap_or(self.edges);
            self.inputs = after("corp:").unwrap_or(self.inputs);
            return true;
        }
        false
    }

    fn short(&self) -> String {
        format!(
            "{} runs, {} edges, {} inputs",
            self.runs, self.edges, self.inputs
        )
    }

    /// What the user is told of a failure.
    fn failure(&self, target: &Target, tail: &VecDeque<String>, log: &Path) -> String {
        let mut lines = vec![match &self.reason {
            Some(reason) => reason.clone(),
            None => tail.back().cloned().unwrap_or_default(),
        }];
        if let Some(artifact) = &self.artifact {
            let artifact = artifact.display();
            lines.push(format!("the input:      {artifact}"));
            lines.push(format!(
                "see it again:   cargo run --package fuzz --bin {} -- {artifact}",
                target.program()
            ));
            lines.push(format!(
                "keep it fixed:  copy it to fuzz/corpus/{}/, which cargo xtask check replays",
                target.name
            ));
        }
        lines.push(format!("whole log:      {}", log.display()));
        lines.join("\n")
    }
}

/// Prints the table and the closing line.
fn summary(all: &[Done]) -> ExitCode {
    let row = |done: &Done| {
        let Status {
            runs,
            edges,
            inputs,
            new,
            ..
        } = done.status;
        let result = if done.failure.is_none() {
            "ok"
        } else {
            "FAILED"
        };
        vec![
            done.target.name.clone(),
            runs.to_string(),
            edges.to_string(),
            inputs.to_string(),
            new.to_string(),
            result.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    println!(
        "{}",
        report::table(
            &["target", "runs", "edges", "inputs", "new", "result"],
            &rows,
            true
        )
    );
    let failed = all.iter().filter(|done| done.failure.is_some()).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    println!(
        "{}",
        results::closing(count(all.len() - failed), count(failed), 0)
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target {
            name: name.to_owned(),
            promise: String::new(),
        }
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let mut status = Status::default();
        assert!(!status.take("INFO: Seed: 1234"));
        assert!(status.take(
            "#2097152\tpulse  cov: 911 ft: 3301 corp: 412/31Kb lim: 397 exec/s: 419430 rss: 512Mb"
        ));
        assert_eq!(
            (status.runs, status.edges, status.inputs),
            (2_097_152, 911, 412)
        );
        assert!(!status.take("stat::number_of_executed_units: 2500000"));
        assert!(!status.take("stat::new_units_added:          17"));
        assert_eq!((status.runs, status.new), (2_500_000, 17));
        assert_eq!(status.short(), "2500000 runs, 911 edges, 412 inputs");
    }

    #[test]
    fn a_failure_says_which_input_and_how_to_see_it_again() {
        let mut status = Status::default();
        for line in [
            "thread '<unnamed>' (1) panicked at fuzz/src/image.rs:30:9:",
            "ended at 3",
            "==1== ERROR: libFuzzer: deadly signal",
            "artifact_prefix='/t/'; Test unit written to /t/crash-abc",
        ] {
            assert!(!status.take(line));
        }
        let told = status.failure(&target("image"), &VecDeque::new(), Path::new("/t/log"));
        for part in [
            "panicked at fuzz/src/image.rs:30:9: ended at 3\n",
            "cargo run --package fuzz --bin fuzz-image -- /t/crash-abc",
            "fuzz/corpus/image/",
            "/t/log",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn a_target_that_does_not_exist_is_named_with_those_that_do() {
        let all = vec![target("image"), target("table")];
        assert_eq!(chosen(all.clone(), &[]).expect("all"), all);
        assert_eq!(
            chosen(all.clone(), &["table".to_owned()]).expect("one"),
            all[1..]
        );
        let error = chosen(all, &["tabel".to_owned()])
            .expect_err("unknown")
            .to_string();
        assert!(
            error.contains("tabel") && error.contains("image, table"),
            "{error}"
        );
    }

    #[test]
    fn the_promise_is_the_first_paragraph() {
        let text = "// SPDX\n//! Any bytes:\n//! refused.\n//!\n//! More.\nuse x;\n";
        assert_eq!(promise(text), "Any bytes: refused.");
    }

    #[test]
    fn every_target_of_the_tree_promises_something() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let all = targets(&repo).expect("targets");
        assert!(all.len() > 1 && all.iter().all(|target| target.promise.len() > 20));
    }
}

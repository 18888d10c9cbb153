// SPDX-License-Identifier: GPL-2.0

//! Which lines the committed corpora reach: they are replayed by programs that count, and the compiler's own tools read the counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{HOST, Target, files};
use crate::exec;
use crate::progress::Step;
use crate::report;
use crate::workspace::Workspace;

/// What takes input that nobody vouches for.
const SOURCES: [&str; 3] = ["filters/src/", "uapi/src/", "cli/src/oci"];

/// Replays the corpora of `targets` and prints a table of files.
pub(super) fn run(workspace: &Workspace, targets: &[Target]) -> Result<ExitCode> {
    let tools = Tools::find()?;
    let dir = workspace.target().join("fuzz-coverage");
    let counts = dir.join("counts");
    if counts.exists() {
        fs::remove_dir_all(&counts).with_context(|| format!("remove {}", counts.display()))?;
    }
    let mut step = Step::new(1, 2, "build the targets, counting");
    let mut cargo = workspace.cargo();
    cargo
        .args([
            "build",
            "--package",
            "fuzz",
            "--bins",
            "--locked",
            "--target",
            HOST,
        ])
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", "-Cinstrument-coverage")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    exec::run_with(&mut cargo, &workspace.log("fuzz-coverage-build"), |line| {
        step.say(line.trim())
    })?;
    step.done("");

    let mut step = Step::new(2, 2, "replay the corpora");
    let mut programs = Vec::new();
    for target in targets {
        step.say(&target.name);
        let program = dir.join(HOST).join("debug").join(target.program());
        let mut command = Command::new(&program);
        command.args(files(&target.corpus(workspace))?).env(
            "LLVM_PROFILE_FILE",
            counts.join(format!("{}.profraw", target.name)),
        );
        exec::run(
            &mut command,
            &workspace.log(&format!("fuzz-replay-{}", target.name)),
        )?;
        programs.push(program);
    }
    let merged = counts.join("all.profdata");
    exec::output(
        Command::new(&tools.profdata)
            .args(["merge", "--sparse", "--output"])
            .arg(&merged)
            .args(files(&counts)?),
    )?;
    let mut command = Command::new(&tools.cov);
    command
        .args(["export", "--summary-only", "--instr-profile"])
        .arg(&merged);
    for program in &programs {
        command.arg("--object").arg(program);
    }
    let found = exec::output(&mut command)?;
    step.done("");
    print!("{}", table(&found, workspace.repo())?);
    Ok(ExitCode::SUCCESS)
}

/// The compiler's own readers of counts.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    /// Those of the compiler in use, or of a sibling of the same installation.
    fn find() -> Result<Tools> {
        let sysroot = exec::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim());
        let siblings = match sysroot.parent() {
            Some(parent) if parent.ends_with("toolchains") => files(parent)?,
            _ => Vec::new(),
        };
        let bin = |root: &PathBuf| root.join("lib/rustlib").join(HOST).join("bin");
        let found = [sysroot]
            .iter()
            .chain(&siblings)
            .map(bin)
            .find(|bin| bin.join("llvm-cov").exists());
        match found {
            Some(bin) => Ok(Tools {
                profdata: bin.join("llvm-profdata"),
                cov: bin.join("llvm-cov"),
            }),
            None => bail!("the compiler's llvm-tools are missing: rustup component add llvm-tools"),
        }
    }
}

/// What `llvm-cov export --summary-only` writes.
#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: PathBuf,
    summary: Summary,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Summary {
    lines: Count,
    regions: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Count {
    count: u64,
    covered: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.count += other.count;
        self.covered += other.covered;
    }

    fn cells(self) -> [String; 2] {
        let percent = match self.count {
            0 => "-".to_owned(),
            count => format!(
                "{}.{} %",
                self.covered * 100 / count,
                self.covered * 1000 / count % 10
            ),
        };
        [format!("{}/{}", self.covered, self.count), percent]
    }
}

/// A row for each file that takes untrusted input, and their sum.
fn table(json: &str, repo: &Path) -> Result<String> {
    let export: Export = serde_json::from_str(json).context("the output of llvm-cov")?;
    let mut rows = Vec::new();
    let mut sum = Summary::default();
    for file in export.data.into_iter().flat_map(|data| data.files) {
        let Ok(path) = file.filename.strip_prefix(repo) else {
            continue;
        };
        let path = path.display().to_string();
        if !SOURCES.iter().any(|source| path.starts_with(source)) {
            continue;
        }
        sum.lines.add(file.summary.lines);
        sum.regions.add(file.summary.regions);
        rows.push(row(path, file.summary));
    }
    if rows.is_empty() {
        bail!("no file of the tree has counts");
    }
    rows.sort();
    rows.push(row("all of them".to_owned(), sum));
    Ok(report::table(
        &["file", "lines", "", "regions", ""],
        &rows,
        true,
    ))
}

fn row(name: String, summary: Summary) -> Vec<String> {
    let [lines, lines_percent] = summary.lines.cells();
    let [regions, regions_percent] = summary.regions.cells();
    vec![name, lines, lines_percent, regions, regions_percent]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_tree_are_shown_and_summed_up() {
        let file = |name: &str, covered: u64| {
            format!(
                r#"{{"filename":"{name}","summary":{{"lines":{{"count":10,"covered":{covered},"percent":1}},"regions":{{"count":4,"covered":1,"percent":25}},"functions":{{}}}}}}"#
            )
        };
        let files = [
            file("/r/filters/src/vm.rs", 9),
            file("/r/filters/tests/x.rs", 1),
            file("/r/cli/src/oci/text.rs", 10),
            file("/elsewhere/filters/src/vm.rs", 1),
        ];
        let json = format!(r#"{{"data":[{{"files":[{}]}}]}}"#, files.join(","));
        let text = table(&json, Path::new("/r")).expect("a table");
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines[2..],
            [
                "cli/src/oci/text.rs 10/10 100.0 % 1/4 25.0 %",
                "filters/src/vm.rs 9/10 90.0 % 1/4 25.0 %",
                "all of them 19/20 95.0 % 2/8 25.0 %",
            ]
        );
        assert!(table(r#"{"data":[]}"#, Path::new("/r")).is_err());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask coverage`: which lines of the module the in-guest tests reach.

mod code;
mod flow;
mod lines;
mod names;
mod reasons;
mod seen;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::boot::Limits;
use crate::cache::Cache;
use crate::console::Line;
use crate::flavour::Flavour;
use crate::qemu_test::Suite;
use crate::run::{BootArgs, Prepared};
use crate::workspace::Workspace;
use code::Code;
use lines::Lines;
use reasons::Reasons;
use seen::Report;

/// The directories with what the module is made of, bought crates aside.
const ROOMS: [&str; 3] = ["module", "filters", "uapi"];
/// Why code is not reached.
const REASONS: &str = "module/unreached.txt";
/// How many times the usual time everything may take when each block reports.
const SLOWNESS: u32 = 4;
/// Runs the tests and then lets the collector speak, on lines of the console's protocol.
const REPORTING: &str = "\"$@\"; status=$?; busybox sed 's/^/@@evf coverage /' /sys/kernel/debug/evf_coverage; exit $status";

/// Options of `cargo xtask coverage`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    boot: BootArgs,
    /// Run only the tests whose name (suite::test) contains NAME; the figures are shown and not judged
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Boot nothing: show the last run once more, as after a change of the reasons
    #[arg(long, conflicts_with = "filter")]
    last: bool,
    /// Write the lines in lcov's format as well
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,
}

/// A run that can be shown again: the module and what ran of it.
struct Kept {
    module: PathBuf,
    report: PathBuf,
}

impl Kept {
    fn of(workspace: &Workspace) -> Self {
        let dir = workspace.out().join("coverage");
        Self {
            module: dir.join("evfilter.ko"),
            report: dir.join("seen.txt"),
        }
    }

    fn keep(&self, module: &Path, report: &Report) -> Result<()> {
        if let Some(dir) = self.report.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::copy(module, &self.module).with_context(|| format!("copy {}", module.display()))?;
        fs::write(&self.report, report.text())
            .with_context(|| format!("write {}", self.report.display()))
    }

    fn report(&self) -> Result<Report> {
        let text = fs::read_to_string(&self.report)
            .with_context(|| format!("read {}: no run to show", self.report.display()))?;
        let mut report = Report::default();
        text.lines().for_each(|line| report.take(line));
        Ok(report)
    }
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &CoverageArgs) -> Result<ExitCode> {
    if args.boot.build.kernel == Flavour::Debug {
        bail!(
            "coverage is taken on the stock kernel: the debug kernel has kcov, whose symbol is the collector's; leave --kernel out"
        );
    }
    let kept = Kept::of(workspace);
    let reasons = Reasons::read(&workspace.repo().join(REASONS))?;
    let (report, closing, passed) = if args.last {
        (kept.report()?, None, true)
    } else {
        run_tests(workspace, cache, args, &kept)?
    };
    let code = Code::read(&kept.module)?;
    let seen = report
        .places()?
        .into_iter()
        .map(|(region, offset)| code::address(region, offset))
        .collect();
    let lines = Lines::of(&code, &seen, workspace.repo())?;
    if let Some(file) = &args.lcov {
        fs::write(file, summary::lcov(&lines, workspace.repo()))
            .with_context(|| format!("write {}", file.display()))?;
    }
    let (gaps, stale) = reasons.gaps(&lines);
    print!("{}", summary::figures(&lines));
    if args.filter.is_some() {
        println!("a part of the suite says nothing about the rest: not judged");
    } else {
        print!("{}", summary::unreached(&gaps, &stale));
    }
    let complaints = if args.filter.is_some() {
        Vec::new()
    } else {
        summary::complaints(&lines, &gaps, &stale)
    };
    for complaint in &complaints {
        println!("{complaint}");
    }
    if let Some(closing) = closing {
        println!("{closing}");
    }
    Ok(if passed && complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Boots the guest with an instrumented module: what ran, the closing line of the tests, and whether none failed.
fn run_tests(
    workspace: &Workspace,
    cache: &Cache,
    args: &CoverageArgs,
    kept: &Kept,
) -> Result<(Report, Option<String>, bool)> {
    let prepared = Prepared::new(workspace, cache, &args.boot)?;
    let suite = Suite {
        filter: args.filter.as_deref(),
        last: None,
        slowness: SLOWNESS,
        rest: &[],
        limits: Limits::new(Duration::from_secs(120), Duration::from_secs(2700)).times(SLOWNESS),
    };
    let mut overlay = prepared.build_counted()?;
    overlay.command = ["/bin/busybox", "sh", "-c", REPORTING, "sh"]
        .map(str::to_owned)
        .to_vec();
    overlay.command.extend(suite.command());
    let mut report = Report::default();
    let results = suite.boot(workspace, &prepared, &overlay, |line| {
        if let Line::Coverage(text) = line {
            report.take(text);
        }
    })?;
    let module = overlay.module.context("a module was built")?;
    kept.keep(&module, &report)?;
    Ok((report, Some(results.closing()), results.counts().1 == 0))
}

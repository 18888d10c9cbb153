// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask bench`: boots the guest under the counting clock, runs the measuring program, reports.

mod budget;
mod cachegrind;
mod compare;
mod document;
mod figures;
mod goals;
mod plots;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::boot::Limits;
use crate::build::Scope;
use crate::cache::{self, Cache};
use crate::console::Line;
use crate::exec;
use crate::flavour::Flavour;
use crate::progress::Step;
use crate::qemu::Accel;
use crate::report;
use crate::results;
use crate::run::{BootArgs, BuildArgs, Prepared};
use crate::workspace::Workspace;

use budget::Budget;
use figures::Figures;

const PROGRAM: &str = "/usr/bin/evf-bench";
/// Kernel options under which figures repeat: no random addresses. Mitigations are off, as on processors that need none: their cost is that of
/// entering the kernel, not that of a filter.
const APPEND: &str = "mitigations=off nokaslr norandmaps";

/// Where the goals, the budget and the text lie in the checkout.
const GOALS: &str = "bench/goals.toml";
const BUDGET: &str = "bench/budget.json";
const DOCUMENT: &str = "docs/benchmarks.md";

/// Options of `cargo xtask bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    build: BuildArgs,
    /// Measure only figures whose names contain all of these words, as in --filter 'getppid args'; may be repeated
    #[arg(long, value_name = "WORDS")]
    filter: Vec<String>,
    /// Also print what has changed since this run (a figures.json that an earlier run has left)
    #[arg(long, value_name = "BASE.json")]
    compare: Option<PathBuf>,
    /// Write bench/budget.json anew: what was measured is the budget from now on
    #[arg(long, conflicts_with = "filter")]
    budget: bool,
    /// Write docs/benchmarks.md anew
    #[arg(long, conflicts_with = "filter")]
    docs: bool,
    /// Also count cache misses of the engine's tables on the host, which takes minutes; needs valgrind
    #[arg(long)]
    misses: bool,
    /// Boot nothing: report on the figures of an earlier run
    #[arg(long, value_name = "FIGURES.json", conflicts_with = "filter")]
    from: Option<PathBuf>,
    /// Give the guest up after so many seconds
    #[arg(long, value_name = "S", default_value_t = 1500)]
    timeout: u64,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BenchArgs) -> Result<ExitCode> {
    let base = args.compare.as_deref().map(Figures::read).transpose()?;
    let goals = goals::read(&workspace.repo().join(GOALS))?;
    let figures = match &args.from {
        Some(path) => Figures::read(path)?,
        None => measure(workspace, cache, args)?,
    };
    print!("{}", document::plain(&figures));
    // First of all: what comes after may fail, and measuring takes minutes.
    let out = workspace.target().join("bench");
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    figures.write(&out.join("figures.json"))?;
    plots::draw(&figures, &out)?;
    let misses = match args.misses {
        true => cachegrind::report(workspace)?,
        false => None,
    };
    let text = document::text(&figures, &goals, misses.as_deref());
    cache::write_atomically(&out.join("benchmarks.md"), &text)?;
    if let Some(base) = base {
        println!("{}", compare::changes(&base, &figures));
    }
    if args.docs {
        cache::write_atomically(&workspace.repo().join(DOCUMENT), &text)?;
    }
    let path = workspace.repo().join(BUDGET);
    if args.budget {
        Budget::of(&figures).write(&path)?;
    }
    let budget = Budget::read(&path)?;
    let whole = args.filter.is_empty();
    let over = budget.faults(&figures, whole);
    over.iter().for_each(|fault| println!("{fault}"));
    let is_other = budget.kernel != figures.kernel;
    if is_other {
        println!(
            "the budget was taken with kernel {}, this is {}: it binds nobody until `cargo xtask bench --budget` has taken it anew",
            budget.kernel, figures.kernel
        );
    }
    let roomy = budget.roomy(&figures);
    if roomy > 0 {
        println!("{roomy} figures are below their budget; `cargo xtask bench --budget` lowers it");
    }
    let wrong = goals::faults(&goals, &figures, whole);
    wrong.iter().for_each(|fault| println!("{fault}"));
    println!(
        "{} figures, text and plots: {}",
        figures.len(),
        out.display()
    );
    // The budget is one check, each goal is one.
    let kept = over.is_empty() || is_other;
    let judged = goals
        .iter()
        .filter(|goal| whole || goal.outcome(&figures).is_some())
        .count();
    let failed = wrong.len() + usize::from(!kept);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    println!(
        "{}",
        results::closing(count(judged + 1 - failed), count(failed), 0)
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Boots the guest and takes in what it measures.
fn measure(workspace: &Workspace, cache: &Cache, args: &BenchArgs) -> Result<Figures> {
    if args.build.kernel != Flavour::Stock {
        bail!("--kernel: what is measured on the debug kernel says nothing of the stock one");
    }
    let boot = BootArgs {
        build: args.build.clone(),
        accel: Accel::Counting,
        append: APPEND.to_owned(),
    };
    let prepared = Prepared::new(workspace, cache, &boot)?;
    let mut overlay = prepared.build(Scope::Bench)?;
    overlay.command = vec![PROGRAM.to_owned()];
    for filter in &args.filter {
        overlay
            .command
            .extend(["--filter".to_owned(), filter.clone()]);
    }
    let limit = Duration::from_secs(args.timeout);
    let limits = Limits::new(limit, limit);
    let mut figures = Figures::new(prepared.target().release());
    let mut faults = Vec::new();
    let mut step = Step::new(1, 1, "measure");
    let outcome = prepared.boot(&overlay, limits, |line, text| {
        if exec::verbose() {
            eprintln!("{text}");
        }
        match line {
            Line::Bench(json) => match figures.take(json) {
                Ok(Some(now)) => step.say(&now),
                Ok(None) => {}
                Err(fault) => faults.push(format!("{fault:#}: {json}")),
            },
            Line::Text(text) if text.starts_with("evf-bench:") => faults.push((*text).to_owned()),
            _ => {}
        }
    })?;
    if !outcome.faults().is_empty() || !faults.is_empty() || outcome.exit != Some(0) {
        drop(step);
        faults.push(outcome.report());
        bail!(faults.join("\n"));
    }
    step.done(&format!(
        "{} figures in {}",
        figures.len(),
        report::seconds(outcome.took)
    ));
    Ok(figures)
}

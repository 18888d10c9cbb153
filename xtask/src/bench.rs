// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask bench`: boots the guest under the counting clock, runs the measuring program, reports.

mod figures;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::boot::Limits;
use crate::build::Scope;
use crate::cache::Cache;
use crate::console::Line;
use crate::exec;
use crate::progress::Step;
use crate::qemu::Accel;
use crate::report;
use crate::run::{BootArgs, BuildArgs, Prepared};
use crate::workspace::Workspace;

use figures::Figures;

const PROGRAM: &str = "/usr/bin/evf-bench";
/// Kernel options under which figures repeat: no random addresses. Mitigations are off, as on processors that need none: their cost is that of
/// entering the kernel, not that of a filter.
const APPEND: &str = "mitigations=off nokaslr norandmaps";

/// Options of `cargo xtask bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    build: BuildArgs,
    /// Measure only figures whose names contain all of these words, as in --filter 'getppid args'; may be repeated
    #[arg(long, value_name = "WORDS")]
    filter: Vec<String>,
    /// Give the guest up after so many seconds
    #[arg(long, value_name = "S", default_value_t = 1500)]
    timeout: u64,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BenchArgs) -> Result<ExitCode> {
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
    let limits = Limits {
        silence: limit,
        total: limit,
    };
    let mut figures = Figures::default();
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
    println!("{}", figures.table());
    Ok(ExitCode::SUCCESS)
}

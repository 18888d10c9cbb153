// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask qemu-test`: builds, boots, runs the in-guest tests, reports.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io::IsTerminal as _;

use crate::boot::Limits;
use crate::build::{self, Scope};
use crate::cache::Cache;
use crate::console::Line;
use crate::exec;
use crate::flavour::Flavour;
use crate::guest::Overlay;
use crate::junit;
use crate::progress;
use crate::report;
use crate::results::Results;
use crate::run::{BootArgs, Prepared};
use crate::workspace::Workspace;

const RUNNER: &str = "/usr/bin/evf-tests";
/// The test that asks the debug kernel what the others have leaked: it closes every run there.
const LEAKS: &str = "leaks::nothing_of_ours_is_left_without_a_holder";

/// Options of `cargo xtask qemu-test`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    boot: BootArgs,
    /// Run only the tests whose name (suite::test) contains NAME
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Give the guest up after so many seconds, ten times as many with the debug kernel
    #[arg(long, value_name = "S", default_value_t = 2700)]
    timeout: u64,
    /// Give the guest up after so many seconds without a byte on its console, ten times as many with the debug kernel
    #[arg(long, value_name = "S", default_value_t = 120)]
    silence: u64,
    /// List the tests instead of running them; boots nothing
    #[arg(long)]
    list: bool,
    /// More options for the runner in the guest, as --seed N and --count N for random tests
    #[arg(last = true, value_name = "OPTION")]
    rest: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &TestArgs) -> Result<ExitCode> {
    if args.list {
        return list(workspace, args.filter.as_deref());
    }
    let prepared = Prepared::new(workspace, cache, &args.boot)?;
    let suite = Suite {
        filter: args.filter.as_deref(),
        last: (prepared.flavour() == Flavour::Debug).then_some(LEAKS),
        slowness: prepared.flavour().slowness(),
        rest: &args.rest,
        limits: Limits::new(
            Duration::from_secs(args.silence),
            Duration::from_secs(args.timeout),
        ),
    };
    let mut overlay = prepared.build(Scope::All)?;
    overlay.command = suite.command();
    let results = suite.boot(workspace, &prepared, &overlay, |_| ())?;
    println!("{}", results.closing());
    Ok(if results.counts().1 == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One run of the in-guest tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite<'a> {
    /// Only the tests whose name contains it.
    pub(crate) filter: Option<&'a str>,
    /// A test that runs even if `filter` leaves it out.
    pub(crate) last: Option<&'a str>,
    /// How many times the usual time everything takes in this guest.
    pub(crate) slowness: u32,
    /// More options for the runner.
    pub(crate) rest: &'a [String],
    /// When the guest is given up, still without the kernel's own slowness.
    pub(crate) limits: Limits,
}

impl Suite<'_> {
    /// The runner and its arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let mut command = vec![RUNNER.to_owned()];
        if let Some(filter) = self.filter {
            command.extend(["--filter".to_owned(), filter.to_owned()]);
            if let Some(last) = self.last {
                command.extend(["--filter".to_owned(), last.to_owned()]);
            }
        }
        if self.slowness > 1 {
            command.extend(["--slow".to_owned(), self.slowness.to_string()]);
        }
        command.extend(self.rest.iter().cloned());
        command
    }

    /// Boots, shows the tests as they run, and reports all but the closing line. `hear` gets each line of the console.
    pub(crate) fn boot(
        &self,
        workspace: &Workspace,
        prepared: &Prepared,
        overlay: &Overlay,
        mut hear: impl FnMut(&Line<'_>),
    ) -> Result<Results> {
        eprintln!("booting kernel {}", prepared.target().release());
        let mut results = Results::default();
        let mut live = Live::new();
        let outcome = prepared.boot(overlay, self.limits, |line, text| {
            results.take(line);
            live.show(&results, line, text);
            hear(line);
        })?;
        live.end();

        let mut faults = results.faults();
        let sound = outcome.faults().is_empty();
        if sound && faults.is_empty() && outcome.exit != Some(0) && results.counts().1 == 0 {
            faults.push(format!(
                "no test failed, but {RUNNER} ended with status {}",
                outcome.exit.unwrap_or(-1)
            ));
        }
        if !sound {
            faults.push(outcome.report());
        }
        if !faults.is_empty() {
            results.add_fault(&faults.join("\n"), outcome.took);
        }
        let junit = workspace.out().join("junit.xml");
        junit::write(&results, outcome.took, &junit)?;
        println!("{}", report::results(&results));
        let boot = outcome.to_init.map_or("never".to_owned(), report::seconds);
        println!(
            "kernel   {}, user space after {boot}, {} in all",
            prepared.target().release(),
            report::seconds(outcome.took)
        );
        if outcome.foreign_races > 0 {
            println!(
                "races    {} reports of the kernel's own, none of which names the module",
                outcome.foreign_races
            );
        }
        println!("console  {}", outcome.log.display());
        println!("junit    {}", junit.display());
        if let Some(warning) = prepared.warning() {
            println!("{warning}");
        }
        Ok(results)
    }
}

/// Lists the tests: the runner does that on the host as well.
fn list(workspace: &Workspace, filter: Option<&str>) -> Result<ExitCode> {
    let program = {
        let _lock = workspace.lock()?;
        build::test_runner(workspace)?
    };
    let mut command = Command::new(program);
    command.arg("--list");
    if let Some(filter) = filter {
        command.args(["--filter", filter]);
    }
    let status = command
        .status()
        .with_context(|| format!("start {}", exec::display(&command)))?;
    if !status.success() {
        bail!("{} ended with {status}", exec::display(&command));
    }
    Ok(ExitCode::SUCCESS)
}

/// The tests as they run: a bar on a terminal, a line for each test elsewhere.
struct Live {
    bar: Option<ProgressBar>,
    shown: usize,
}

impl Live {
    fn new() -> Self {
        let bar = (std::io::stderr().is_terminal() && !exec::verbose()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(progress::style("{spinner} booting {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, shown: 0 }
    }

    fn show(&mut self, results: &Results, line: &Line<'_>, text: &str) {
        if exec::verbose() {
            eprintln!("{text}");
            return;
        }
        match (line, &self.bar) {
            (Line::Plan(count), Some(bar)) => {
                bar.set_length(u64::from(*count));
                bar.set_style(progress::style(
                    "{bar:30} test {pos} of {len} {elapsed} {wide_msg}",
                ));
            }
            (Line::Start(name), Some(bar)) => bar.set_message((*name).to_owned()),
            (Line::Splat(splat), Some(bar)) => bar.suspend(|| eprintln!("{splat}")),
            (Line::Splat(splat), None) => eprintln!("{splat}"),
            (Line::Pass(..) | Line::Fail(..) | Line::Skip(..), _) => self.ended(results),
            _ => {}
        }
    }

    fn ended(&mut self, results: &Results) {
        self.shown += 1;
        let Some(case) = results.cases().last() else {
            return;
        };
        let detail = report::detail(case);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if let Some(detail) = detail {
                    bar.suspend(|| eprint!("{detail}"));
                }
            }
            None => {
                let planned = results
                    .planned()
                    .map_or(String::new(), |plan| format!("/{plan}"));
                let said = detail.unwrap_or_else(|| {
                    format!("ok {} ({})\n", case.name, report::seconds(case.took))
                });
                eprint!("[{}{planned}] {said}", self.shown);
            }
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

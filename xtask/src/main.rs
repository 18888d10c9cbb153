// SPDX-License-Identifier: GPL-2.0

//! The project's own tool: `cargo xtask VERB` sets up, builds, boots, tests and checks evfilter.

mod bench;
mod boot;
mod build;
mod buildroot;
mod cache;
mod check;
mod chosen;
mod console;
mod coverage;
mod cpio;
mod debian;
mod debug;
mod demo;
mod doctor;
mod exec;
mod flavour;
mod fuzz;
mod guest;
mod junit;
mod kernel;
mod module;
mod progress;
mod qemu;
mod qemu_test;
mod report;
mod results;
mod run;
mod rust_analyzer;
mod setup;
mod shell;
mod tables;
mod tidy;
mod tree;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bench::BenchArgs;
use cache::Cache;
use coverage::CoverageArgs;
use fuzz::FuzzArgs;
use qemu_test::TestArgs;
use run::{BootArgs, BuildArgs, RunArgs};
use tables::TablesArgs;
use workspace::Workspace;

/// Sets up, builds, boots and tests evfilter.
///
/// Everything is set up by the first verb that needs it: the stock Debian kernel, a root with the compilers that built
/// it, QEMU and a guest. That takes some minutes and some 5 GB in the cache once; later runs take seconds and no network.
///
/// Exit status: 0 all is well, 1 a test or a step failed, 2 wrong usage; `run` passes the command's status on.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 110
)]
struct Cli {
    /// Show every command and all of its output
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Where downloads and builds are kept [default: $XDG_CACHE_HOME/evfilter]
    #[arg(long, global = true, value_name = "DIR", env = "EVFILTER_CACHE")]
    cache: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Download and make what all other verbs need
    Setup {
        /// Look for a newer kernel even if everything is there
        #[arg(long)]
        update: bool,
    },
    /// Build the module and every program of the guest
    Build {
        #[command(flatten)]
        build: BuildArgs,
        /// Build the module and the guest's init only
        #[arg(long)]
        bare: bool,
    },
    /// Boot, load the module, run COMMAND as root, exit with its status
    ///
    /// Example: cargo xtask run --bare -- dmesg
    Run(RunArgs),
    /// Boot and show the filter at work
    Demo(BootArgs),
    /// Boot a guest with the module, evf and busybox, on this terminal
    Shell(BootArgs),
    /// Boot and run every in-guest test; closes with "N passed, N failed"
    ///
    /// A run counts as good only if the guest says so in its last line; complaints of the kernel on the console, silence
    /// past a limit or an end without that line are failures. The results also lie in target/evfilter/junit.xml.
    ///
    /// `--kernel debug` runs them on a kernel of the same source with KASAN, lockdep, kmemleak, debug objects, UBSAN and fault injection. It
    /// is built when it is first asked for; that takes an hour on two processors and some 5 GB in the cache, and goes on where it was interrupted. Every run
    /// on it ends with a search for memory of the module that nobody holds.
    QemuTest(TestArgs),
    /// Count instructions: evfilter beside seccomp, Landlock and nothing
    ///
    /// Boots the stock kernel under an emulator whose clock counts executed instructions, so figures repeat and a regression of one instruction is
    /// seen. Settings are measured one after the other in the same boot, each in a process of its own. Figures, text and plots lie in target/bench.
    ///
    /// Compares with the budget (bench/budget.json) and with the goals (bench/goals.toml), and fails if a figure has left its budget, or a goal is missed
    /// without a reason. Closes with "N passed, N failed".
    ///
    /// Example: cargo xtask bench --filter getppid
    Bench(BenchArgs),
    /// Say which lines of the module the in-guest tests reach
    ///
    /// Builds the module with kcov's instrumentation and runs the whole suite on the stock kernel; a second module collects what ran, in every task and
    /// context. Prints a table of files, what was not reached by file and function, and why. Reasons stand in module/unreached.txt.
    ///
    /// Fails when a test does, when less than 95 % of the lines are reached, when unreached code has no reason, and when a reason is stale.
    ///
    /// Example: cargo xtask coverage --filter getname:: --lcov /tmp/evfilter.info
    Coverage(CoverageArgs),
    /// Look for inputs on which a part that takes untrusted ones fails
    ///
    /// Each target is a promise about any bytes (`--list`). The committed corpora (fuzz/corpus) are where the search starts; every `cargo xtask check` replays them.
    /// What is new lies in target/evfilter/fuzz/TARGET/corpus, and `--minimise` takes it over. An input that fails lies in target/evfilter/fuzz/TARGET/artifacts;
    /// how to see it again is said with it. Closes with "N passed, N failed".
    ///
    /// Needs a C++ compiler, for libFuzzer, and no nightly one for Rust.
    ///
    /// Example: cargo xtask fuzz image table --seconds 600
    Fuzz(FuzzArgs),
    /// Check formatting, lints, docs, host tests, the rules of the tree, and the module under W=1 and clippy
    ///
    /// Every step runs, even when an earlier one failed; closes with "N passed, N failed".
    Check(BuildArgs),
    /// Check the rules of the tree that no compiler knows: licences, docs, names, arrows, unsafe
    Tidy,
    /// Make the policy language's tables anew from the kernel, the C library and systemd
    ///
    /// System calls with the widths of their arguments come from the kernel's source, names of values from its headers and the C
    /// library's, the sets of calls from the systemd package. Run it after a new kernel or a change of
    /// xtask/src/tables/constants, look at the difference, and run the tests of the language.
    Tables(TablesArgs),
    /// Write module/rust-project.json, so that an editor understands the module
    RustAnalyzer(BuildArgs),
    /// Show what was set up, its versions and sizes, and what is missing
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exec::set_verbose(cli.verbose);
    match work(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(cli: &Cli) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let cache = Cache::open(cli.cache.as_deref())?;
    match &cli.verb {
        Verb::Setup { update } => {
            let wish = setup::Wish {
                update: *update,
                ..setup::Wish::default()
            };
            let (kit, _lock) = setup::ensure(workspace.repo(), &cache, wish)?;
            println!(
                "ready: kernel {} in {}",
                kit.kernel.release,
                cache.root().display()
            );
            Ok(ExitCode::SUCCESS)
        }
        Verb::Build { build, bare } => build::verb(&workspace, &cache, build, *bare),
        Verb::Run(args) => run::run(&workspace, &cache, args),
        Verb::Demo(args) => demo::run(&workspace, &cache, args),
        Verb::Shell(args) => shell::run(&workspace, &cache, args),
        Verb::QemuTest(args) => qemu_test::run(&workspace, &cache, args),
        Verb::Coverage(args) => coverage::run(&workspace, &cache, args),
        Verb::Bench(args) => bench::run(&workspace, &cache, args),
        Verb::Fuzz(args) => fuzz::run(&workspace, args),
        Verb::Check(args) => check::run(&workspace, &cache, args),
        Verb::Tidy => check::tidy_verb(&workspace),
        Verb::Tables(args) => tables::run(&workspace, &cache, args),
        Verb::RustAnalyzer(args) => rust_analyzer::run(&workspace, &cache, args),
        Verb::Doctor => doctor::run(&workspace, &cache),
    }
}

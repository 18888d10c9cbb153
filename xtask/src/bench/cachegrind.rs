// SPDX-License-Identifier: GPL-2.0

//! What the counting clock cannot see: misses of a cache, counted by valgrind's cachegrind while the engine walks its tables on the host.

use anyhow::{Context as _, Result};

use crate::exec;
use crate::progress::Step;
use crate::workspace::Workspace;

/// The engine's own program for that, which prints a table.
const EXAMPLE: &str = "walk";

/// Runs it, built as the kernel builds the engine: the level of optimisation, overflow checks. `None`, with a message, if it cannot be run here.
pub(crate) fn report(workspace: &Workspace) -> Result<Option<String>> {
    let source = workspace
        .repo()
        .join(format!("filters/examples/{EXAMPLE}.rs"));
    if exec::find_program("valgrind").is_none() || !source.exists() {
        eprintln!(
            "cache misses are left out: they need valgrind (a package of that name) and {}",
            source.display()
        );
        return Ok(None);
    }
    let step = Step::new(1, 1, "count cache misses");
    let mut cargo = workspace.cargo();
    cargo
        .args([
            "run",
            "--quiet",
            "--release",
            "--locked",
            "--package",
            "filters",
        ])
        .args(["--features", "lang", "--example", EXAMPLE])
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    let text = exec::output(&mut cargo).context("count cache misses")?;
    step.done("");
    Ok(Some(text))
}

// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask demo`: the filter at work, live.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::boot::Limits;
use crate::build::Scope;
use crate::cache::Cache;
use crate::run::{self, BootArgs, Prepared};
use crate::workspace::Workspace;

const PROGRAM: &str = "/usr/bin/evf-demo";
const LIMITS: Limits = Limits::new(Duration::from_secs(240), Duration::from_secs(1200));

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BootArgs) -> Result<ExitCode> {
    let prepared = Prepared::new(workspace, cache, args)?;
    let mut overlay = prepared.build(Scope::All)?;
    overlay.command = vec![PROGRAM.to_owned()];
    eprintln!("booting kernel {}", prepared.target().release());
    let outcome = prepared.boot(&overlay, LIMITS, run::echo())?;
    run::verdict(&outcome)
}

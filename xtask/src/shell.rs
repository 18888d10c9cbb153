// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask shell`: a guest to look around in.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::Scope;
use crate::cache::Cache;
use crate::run::{BootArgs, Prepared};
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BootArgs) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "shell needs a terminal on stdin; to run one command, use cargo xtask run -- COMMAND"
        );
    }
    let prepared = Prepared::new(workspace, cache, args)?;
    let mut overlay = prepared.build(Scope::All)?;
    let size = "stty rows $(tput lines 2>/dev/null || echo 24) 2>/dev/null; exec bash -i";
    let greeting = "echo; echo 'evfilter.ko is loaded; policies lie in /usr/share/evfilter/policies, the ordinary user is sandbox.'; \
        echo 'For a start: evf info, evf run -p FILE -- COMMAND. To leave: exit, or Ctrl-A X.'; echo; ";
    overlay.command = vec![
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        format!("{greeting}{size}"),
    ];
    eprintln!(
        "booting kernel {}; Ctrl-A X ends the guest at any time, Ctrl-A H lists the other keys",
        prepared.target().release()
    );
    prepared.boot_interactive(&overlay)?;
    Ok(ExitCode::SUCCESS)
}

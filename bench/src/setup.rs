// SPDX-License-Identifier: GPL-2.0
//! What it takes to put a setting into force, in instructions: everything from the profile at hand to the process that is under it.

use std::process::Command;

use crate::attach::Prepared;
use crate::clock;
use crate::policy;
use crate::setting::{Setting, System};
use crate::sys;

/// How often, each in a process of its own. The smallest counts.
const TIMES: usize = 5;
/// Less often, if it takes so many instructions altogether: compiling ten thousand rules.
const ENOUGH: u64 = 500_000_000;
/// The program that does it by libseccomp; it prints what [`measure`] returns.
const LIBSECCOMP: &str = "/usr/bin/evf-bench-libseccomp";

/// Measures it.
pub(crate) fn measure(setting: &Setting, prepared: &Prepared) -> Result<f64, String> {
    let mut all = Vec::new();
    while all.len() < TIMES && all.iter().sum::<u64>() < ENOUGH {
        let taken = match setting.system {
            System::Libseccomp => by_libseccomp(setting)?,
            _ => sys::in_child(|| {
                let mut attached = Ok(());
                let taken = clock::once(|| attached = prepared.attach());
                attached.map(|()| taken)
            })?,
        };
        all.push(taken);
    }
    Ok(all.into_iter().min().unwrap_or(0) as f64)
}

fn by_libseccomp(setting: &Setting) -> Result<u64, String> {
    let output = Command::new(LIBSECCOMP)
        .args(policy::files(setting))
        .output()
        .map_err(|error| format!("{LIBSECCOMP}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{LIBSECCOMP}: {} ({})", said.trim(), output.status));
    }
    text.trim()
        .parse()
        .map_err(|error| format!("{LIBSECCOMP}: {text:?}: {error}"))
}

// SPDX-License-Identifier: GPL-2.0
//! Who runs the demonstration, and on what.

use std::fs;

use anyhow::{Context as _, Result};
use evfilter::{Control, Event};

use super::Show;

/// Shows that nothing that follows needs privilege, and what the module says of itself.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let ids = |key: &str| field(&status, key).unwrap_or("?").to_owned();
    let ordinary = uid != 0
        && ids("Uid:")
            .split_whitespace()
            .all(|id| id == uid.to_string());
    let line = format!(
        "uid {uid}, gid {gid}; real, effective, saved and file system ids: {}",
        words(&ids("Uid:"))
    );
    show.report.check(ordinary, &line)?;

    let capabilities = ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].map(&ids);
    let none = capabilities
        .iter()
        .all(|set| set.trim_matches('0').is_empty() && !set.is_empty());
    let line = format!(
        "no capabilities: permitted {}, effective {}",
        capabilities[1], capabilities[2]
    );
    show.report.check(none, &line)?;

    let nnp = ids("NoNewPrivs:");
    let free = nnp == "0" && ids("Seccomp:") == "0";
    let line = format!(
        "not confined yet: no_new_privs {nnp}, seccomp {}",
        ids("Seccomp:")
    );
    show.report.check(free, &line)?;

    let kernel = rustix::system::uname();
    show.report.say(&format!(
        "     kernel {} {}",
        kernel.release().to_string_lossy(),
        kernel.version().to_string_lossy()
    ))?;

    let info = Control::open()
        .and_then(|control| control.info())
        .context("evfilter")?;
    let all = [Event::SyscallEnter, Event::VfsGetname]
        .iter()
        .all(|&event| info.events.contains(event));
    let line = format!(
        "evfilter abi {}, security sequence {}, events {}",
        info.abi, info.security_sequence, info.events
    );
    show.report
        .check(all && info.abi == uapi::control::ABI_VERSION, &line)?;
    let line = format!(
        "this task has {} layers; at most {} layers, {} instructions a program, {} KiB an image",
        info.layers,
        info.max_layers,
        info.max_insns,
        info.max_image / 1024
    );
    show.report.check(info.layers == 0, &line)?;
    Ok(())
}

/// The value of a line of `/proc/PID/status`.
fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    Some(line.get(key.len()..)?.trim())
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_field_is_found_by_its_whole_key() {
        let status =
            "Name:\tevf-demo\nUid:\t1000\t1000\t1000\t1000\nSeccomp_filters:\t3\nSeccomp:\t0\n";
        assert_eq!(
            field(status, "Uid:").map(words).as_deref(),
            Some("1000 1000 1000 1000")
        );
        assert_eq!(field(status, "Seccomp:"), Some("0"));
        assert_eq!(field(status, "Groups:"), None);
    }
}

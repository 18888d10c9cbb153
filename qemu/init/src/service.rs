// SPDX-License-Identifier: GPL-2.0

//! The one command the guest is for, and the processes it leaves behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, WaitOptions};

const BUSYBOX: &str = "/bin/busybox";

/// Switches the loopback interface on, which many programs take for granted.
pub(crate) fn loopback_up() -> Result<(), String> {
    let status = Command::new(BUSYBOX)
        .args(["ip", "link", "set", "lo", "up"])
        .status()
        .map_err(|error| format!("{BUSYBOX} ip: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{BUSYBOX} ip link set lo up: {status}"))
    }
}

/// Runs `command` in a session of its own that has the console as its terminal, and reaps whatever else ends
/// meanwhile. The exit status as a shell gives it: 128 + n for a command that signal n killed.
pub(crate) fn run(command: &[String]) -> Result<i32, String> {
    // setsid -c makes the console the controlling terminal, so that Ctrl-C and job control work.
    let child = Command::new(BUSYBOX)
        .args(["setsid", "-c"])
        .args(command)
        .current_dir("/root")
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("USER", "root")
        .env("SHELL", "/bin/bash")
        .env("TERM", "linux")
        .env("LANG", "C.UTF-8")
        .spawn()
        .map_err(|error| format!("{BUSYBOX} setsid: {error}"))?;
    // `Child::wait` would miss the orphans; PID 1 waits for everyone.
    let main = Pid::from_child(&child);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == main => return Ok(shell_status(status.as_raw())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("wait for {}: {error}", command.join(" "))),
        }
    }
}

fn shell_status(raw: i32) -> i32 {
    let status = ExitStatus::from_raw(raw);
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    }
}

/// Kills every process but this one. What cannot be killed (kernel threads) is left to the power switch.
pub(crate) fn kill_all() {
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok());
        if let Some(pid) = pid.filter(|&pid| pid != 1).and_then(Pid::from_raw) {
            // It may have ended since it was listed.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

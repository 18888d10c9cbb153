// SPDX-License-Identifier: GPL-2.0

//! PID 1 of the guest: mounts, loads the module, runs one command, says how it ended, powers off.
//!
//! What to do is read from the initramfs: `/etc/evf/run` holds the command, one argument a line, and
//! `/etc/evf/modules`, when it is there, names the modules of `/lib/modules` to be loaded first, in order. The last line this
//! program prints is the sentinel `@@evf exit <status>`. A run without it did not end by itself.

mod mounts;
mod service;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::system::RebootCommand;

const MODULES: &str = "/etc/evf/modules";
const COMMAND: &str = "/etc/evf/run";

/// Kernel settings. Warnings and worse reach the console; the module's own notices would be printed into the middle of
/// test lines.
const SETTINGS: [(&str, &str); 2] = [
    ("/proc/sys/kernel/printk", "5\n"),
    ("/proc/sys/kernel/hostname", "evfilter\n"),
];

fn main() {
    // Nobody reads a panic message of PID 1 after the machine is gone: say it, then end like any other failure.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("init: {panic}");
        finish(1);
    }));
    let status = match guest() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("init: {error}");
            1
        }
    };
    finish(status);
}

/// Brings the guest up and runs the command; the command's exit status.
fn guest() -> Result<i32, String> {
    mounts::mount_all()?;
    for (place, value) in SETTINGS {
        if let Err(error) = fs::write(place, value) {
            eprintln!("init: {place}: {error}");
        }
    }
    service::loopback_up()?;
    let command = command()?;
    if Path::new(MODULES).exists() {
        let names = fs::read_to_string(MODULES).map_err(|error| format!("{MODULES}: {error}"))?;
        for name in names.lines() {
            load_module(&format!("/lib/modules/{name}.ko"))?;
        }
    }
    let status = service::run(&command)?;
    service::kill_all();
    Ok(status)
}

/// The command to run: one argument a line.
fn command() -> Result<Vec<String>, String> {
    let text = fs::read_to_string(COMMAND).map_err(|error| format!("{COMMAND}: {error}"))?;
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    if words.first().is_none_or(String::is_empty) {
        return Err(format!("{COMMAND}: no command in it"));
    }
    Ok(words)
}

/// Loads a module, the way insmod does.
fn load_module(path: &str) -> Result<(), String> {
    let file = fs::File::open(path).map_err(|error| format!("{path}: {error}"))?;
    rustix::system::finit_module(&file, c"", 0).map_err(|error| {
        format!("{path}: the kernel refused to load it: {error}; its reason is in the lines above")
    })
}

/// Prints the sentinel and switches the machine off.
fn finish(status: i32) -> ! {
    let mut out = io::stdout();
    // The console is all there is to report to; if it fails, the missing sentinel is the report.
    let _ = writeln!(out, "\n@@evf exit {status}");
    let _ = out.flush();
    let _ = rustix::termios::tcdrain(&out);
    rustix::fs::sync();
    let error = rustix::system::reboot(RebootCommand::PowerOff);
    eprintln!("init: power off: {error:?}");
    // PID 1 that exits panics the kernel, and the guest is started with panic=-1: the run ends either way.
    std::process::exit(status)
}

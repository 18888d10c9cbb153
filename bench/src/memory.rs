// SPDX-License-Identifier: GPL-2.0
//! Memory of the kernel that a setting takes, as it is charged to the processes that have put it into force.
//!
//! The figures are those of the memory controller (`kernel` in memory.stat). What the kernel charges to nobody is not among them: the machine code that
//! its compiler for BPF makes of a seccomp program.

use std::fs;
use std::time::Duration;

use crate::attach::Prepared;
use crate::sys;

/// A control group of our own, below the root of the hierarchy.
const ROOT: &str = "/sys/fs/cgroup";
const GROUP: &str = "/sys/fs/cgroup/evf-bench";
/// How many processes.
const COUNT: usize = 16;

/// Bytes that one process takes under a setting beyond what a process takes.
pub(crate) fn measure(prepared: &Prepared) -> Result<f64, String> {
    enter()?;
    let idle = || Ok(());
    // The first ones charge what all that come later share.
    taken(&idle)?;
    let without = taken(&idle)?;
    let with = taken(&|| prepared.attach())?;
    Ok((with - without) as f64 / COUNT as f64)
}

/// Moves this process into the group.
fn enter() -> Result<(), String> {
    let write = |path: String, text: String| {
        fs::write(&path, text).map_err(|error| format!("{path}: {error}"))
    };
    write(
        format!("{ROOT}/cgroup.subtree_control"),
        "+memory".to_owned(),
    )?;
    match fs::create_dir(GROUP) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("{GROUP}: {error}"));
        }
        _ => {}
    }
    write(
        format!("{GROUP}/cgroup.procs"),
        std::process::id().to_string(),
    )
}

/// Bytes that the children take, each after `deed`.
fn taken(deed: &dyn Fn() -> Result<(), String>) -> Result<i64, String> {
    let before = charged()?;
    let crowd = sys::Crowd::gather(COUNT, deed)?;
    let after = charged()?;
    crowd.disperse()?;
    Ok(after - before)
}

/// Bytes of the kernel's memory that are charged to the group, once the kernel has done what it had put off.
fn charged() -> Result<i64, String> {
    std::thread::sleep(Duration::from_secs(2));
    let path = format!("{GROUP}/memory.stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("kernel ")?.parse().ok())
        .ok_or_else(|| format!("{path} has no line `kernel`"))
}

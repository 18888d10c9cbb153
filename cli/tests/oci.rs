// SPDX-License-Identifier: GPL-2.0
//! Imported profiles decide as the programs do that libseccomp makes of them: `cli/tests/oci/README.md` says how those were made.

use std::error::Error;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use evfilter::{Event, Policy};
use filters::lang::event_line::OwnedRecord;
use filters::stack::Layer;
use filters::verdict::Verdict;
use uapi::record::SeccompData;

/// Every entry there is: the number of the architecture, and what is added to the numbers of calls.
const ENTRIES: [(u32, u32); 4] = [
    (0xc000_003e, 0),
    (0xc000_003e, 0x4000_0000),
    (0x4000_0003, 0),
    // AArch64: an architecture that no profile here gives a block.
    (0xc000_00b7, 0),
];

/// Values that the profiles' conditions tell apart, and neighbours of them.
const VALUES: [u64; 22] = [
    0,
    1,
    2,
    3,
    5,
    6,
    7,
    8,
    9,
    10,
    16,
    31,
    32,
    40,
    0x2_0000,
    0x2_0008,
    0x1000_0000,
    0x7e02_0000,
    0xffff_ffff,
    0x1_0000_0010,
    0x1_0000_0028,
    u64::MAX,
];

fn profile(name: &str) -> PathBuf {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    match name {
        "several" => cli.join("tests/oci/several.json"),
        _ => cli.join(format!("../policies/oci/{name}.json")),
    }
}

fn imported(name: &str) -> Result<Policy, Box<dyn Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_evf"))
        .args(["import", "oci", "--cap", "docker-default"])
        .args(["--kernel", "6.12"])
        .arg(profile(name))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(Policy::parse(&String::from_utf8(output.stdout)?)?)
}

fn by_libseccomp(name: &str) -> Result<Policy, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/oci/{name}.bpf"));
    Ok(Policy::from_bpf(&fs::read(path)?)?)
}

fn record(arch: u32, nr: u32, args: [u64; 6]) -> OwnedRecord {
    let mut record = OwnedRecord::new(Event::SyscallEnter);
    record.set_word(offset_of!(SeccompData, nr), nr);
    record.set_word(offset_of!(SeccompData, arch), arch);
    for (index, arg) in args.into_iter().enumerate() {
        record.set_long(offset_of!(SeccompData, args) + 8 * index, arg);
    }
    record
}

fn verdict(policy: &Policy, record: &OwnedRecord) -> Result<Verdict, Box<dyn Error>> {
    let verdict = record.lend(|record| policy.judge(record)).flatten();
    verdict.ok_or_else(|| "no verdict".into())
}

/// Compares the two over every number, with arguments in all pairs of values; returns how many verdicts of the kind that is not the default were seen.
fn compare(name: &str) -> Result<usize, Box<dyn Error>> {
    let (ours, theirs) = (imported(name)?, by_libseccomp(name)?);
    let numbers = (0..=560).chain([0x3fff_ffff, u32::MAX]);
    let unlisted = record(0xc000_003e, 0x3fff_ffff, [0; 6]);
    let default = verdict(&theirs, &unlisted)?;
    let mut others = 0;
    for nr in numbers {
        for (arch, base) in ENTRIES {
            for (at, first) in VALUES.into_iter().enumerate() {
                for second in VALUES.into_iter().skip(at % 3).step_by(3) {
                    let record = record(arch, nr | base, [first, second, first, second, 0, 0]);
                    let expected = verdict(&theirs, &record)?;
                    let got = verdict(&ours, &record)?;
                    if got != expected {
                        return Err(format!(
                            "{name}: arch {arch:#x}, call {:#x}, arguments {first:#x} {second:#x}: libseccomp {:#x}, the policy {:#x}",
                            nr | base,
                            expected.raw(),
                            got.raw()
                        )
                        .into());
                    }
                    others += usize::from(expected != default);
                }
            }
        }
    }
    Ok(others)
}

#[test]
fn docker_s_default_profile_decides_as_in_seccomp() -> Result<(), Box<dyn Error>> {
    assert!(compare("docker-default")? > 100_000);
    Ok(())
}

#[test]
fn podman_s_default_profile_decides_as_in_seccomp() -> Result<(), Box<dyn Error>> {
    assert!(compare("podman-default")? > 100_000);
    Ok(())
}

#[test]
fn every_action_and_operator_decides_as_in_seccomp() -> Result<(), Box<dyn Error>> {
    assert!(compare("several")? > 1_000);
    Ok(())
}

#[test]
fn a_difference_is_noticed() -> Result<(), Box<dyn Error>> {
    let (docker, podman) = (
        imported("docker-default")?,
        by_libseccomp("podman-default")?,
    );
    // What neither names gets EPERM in Docker's, ENOSYS in Podman's.
    let record = record(0xc000_003e, 0x3fff_ffff, [0; 6]);
    assert_ne!(verdict(&docker, &record)?, verdict(&podman, &record)?);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0
//! The command `evf`, the user library and the C example, against the kernel.

mod command;
mod launch;
mod library;

use std::process::{Command, Output};

use crate::harness::Test;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = command::tests();
    tests.extend(library::tests());
    tests.extend(launch::tests());
    tests
}

/// The command.
pub(super) const EVF: &str = "/usr/bin/evf";

/// Where the example policies lie in the guest.
pub(super) const POLICIES: &str = "/usr/share/evfilter/policies";

/// A user of the guest without privileges.
const USER: u32 = 1000;

/// The home of that user.
const HOME: &str = "/home/sandbox";

/// A program as that user, in its home, with the environment of a fresh login.
pub(super) fn as_user(program: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).current_dir(HOME).env_clear();
    command.envs([
        ("HOME", HOME),
        ("PATH", "/usr/bin:/bin"),
        ("USER", "sandbox"),
        ("LC_ALL", "C"),
    ]);
    command
}

/// `evf run` as that user, up to the command.
pub(super) fn evf_run(policies: &[&str]) -> Command {
    let mut command = as_user(EVF);
    command.arg("run");
    for policy in policies {
        command.args(["-p", policy]);
    }
    command.arg("--");
    command
}

/// Writes a policy for one test, which the user can read; returns its path.
#[track_caller]
pub(super) fn policy(name: &str, text: &str) -> String {
    let path = format!("/tmp/evf-{name}.evf");
    std::fs::write(&path, text).expect("write");
    path
}

/// A policy on names only: system calls are all allowed, on every entry.
pub(super) fn names(name: &str, rules: &str) -> String {
    let text = format!(
        "policy {name}\n\
         on syscall.enter {{ default allow }}\n\
         on syscall.enter arch other {{ default allow }}\n\
         on vfs.getname {{\n{rules}\n}}\n"
    );
    policy(name, &text)
}

/// What a program wrote and how it ended, for messages.
pub(super) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\nout: {}\nerr: {}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Runs to the end; the standard output of a program that must succeed.
#[track_caller]
pub(super) fn succeeds(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs to the end; the standard error of a program that must end with this status.
#[track_caller]
pub(super) fn ends_with(status: i32, command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert_eq!(
        output.status.code(),
        Some(status),
        "{command:?}: {}",
        told(&output)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// SPDX-License-Identifier: GPL-2.0
//! What each verb prints, to the byte, and its exit status. None of these needs the kernel module.
//!
//! `UPDATE_GOLDEN=1 cargo test -p cli --test golden` writes the files anew; look at the difference before keeping it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command line and what it reads.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    stdin: &'static str,
}

const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    Case {
        name,
        args,
        stdin: "",
    }
}

const fn fed(name: &'static str, args: &'static [&'static str], stdin: &'static str) -> Case {
    Case { name, args, stdin }
}

const SHADOW: &str = "vfs.getname path=/etc/shadow";
const KEY: &str = "vfs.getname path=/home/sandbox/.ssh/id";

const CASES: &[Case] = &[
    case("help", &["--help"]),
    case("help_run", &["run", "--help"]),
    case("help_check", &["check", "--help"]),
    case("help_compile", &["compile", "--help"]),
    case("help_disasm", &["disasm", "--help"]),
    case("help_test", &["test", "--help"]),
    case("help_info", &["info", "--help"]),
    case("help_completions", &["completions", "--help"]),
    case("help_man", &["man", "--help"]),
    case("usage_no_verb", &[]),
    case("usage_unknown_verb", &["chekc"]),
    case("usage_run_without_policy", &["run", "--", "true"]),
    case("usage_run_without_command", &["run", "-p", "good.evf"]),
    case("usage_test_without_event", &["test", "good.evf"]),
    case(
        "usage_bad_expectation",
        &["test", "good.evf", "-e", SHADOW, "--expect", "permit"],
    ),
    case("check_good", &["check", "good.evf"]),
    case(
        "check_several",
        &["check", "good.evf", "bad.evf", "narrow.evf"],
    ),
    case("check_missing", &["check", "no-such-file.evf"]),
    case("check_quiet", &["check", "--quiet", "good.evf"]),
    case("check_json", &["check", "--json", "good.evf", "bad.evf"]),
    fed(
        "check_stdin",
        &["check", "-"],
        "on vfs.getname { default allow }",
    ),
    case("check_directory", &["check", "../policies"]),
    case("compile_asm", &["compile", "--emit", "asm", "good.evf"]),
    case("compile_hex", &["compile", "--emit", "hex", "narrow.evf"]),
    case("compile_bad", &["compile", "bad.evf"]),
    case(
        "compile_unwritable",
        &["compile", "good.evf", "-o", "no-such-directory/x.img"],
    ),
    case("disasm_json", &["disasm", "--json", "narrow.evf"]),
    fed("disasm_garbage", &["disasm", "-"], "EVF1 but then nonsense"),
    case("test_denied", &["test", "good.evf", "-e", SHADOW]),
    case(
        "test_layers",
        &[
            "test",
            "good.evf",
            "-p",
            "narrow.evf",
            "-e",
            KEY,
            "-e",
            SHADOW,
        ],
    ),
    case(
        "test_not_judged",
        &["test", "narrow.evf", "-e", "syscall.enter symlink"],
    ),
    case(
        "test_syscall",
        &["test", "good.evf", "-e", "syscall.enter symlink"],
    ),
    case(
        "test_expect_met",
        &["test", "good.evf", "-e", SHADOW, "--expect", "deny EACCES"],
    ),
    case(
        "test_expect_not_met",
        &["test", "good.evf", "-e", SHADOW, "--expect", "allow"],
    ),
    case(
        "test_expect_quiet",
        &[
            "test",
            "good.evf",
            "-q",
            "-e",
            SHADOW,
            "--expect",
            "deny EPERM",
        ],
    ),
    case("test_file", &["test", "good.evf", "--events", "events.txt"]),
    fed(
        "test_stdin",
        &["test", "good.evf", "--events", "-"],
        "vfs.getname path=/lib/../etc\n",
    ),
    case(
        "test_json",
        &["test", "good.evf", "-p", "narrow.evf", "-e", KEY, "--json"],
    ),
    case(
        "test_bad_event",
        &["test", "good.evf", "-e", "vfs.getname pth=/etc"],
    ),
    case(
        "test_bad_call",
        &["test", "good.evf", "-e", "syscall.enter simlink"],
    ),
    case("test_bad_policy", &["test", "bad.evf", "-e", SHADOW]),
    case("run_bad_policy", &["run", "-p", "bad.evf", "--", "true"]),
    case(
        "run_not_found",
        &["run", "-p", "narrow.evf", "--", "no-such-command-anywhere"],
    ),
    case(
        "run_no_such_path",
        &["run", "-p", "narrow.evf", "--", "/no/such/command"],
    ),
    case(
        "run_not_executable",
        &["run", "-p", "narrow.evf", "--", "./good.evf"],
    ),
    case("run_directory", &["run", "-p", "narrow.evf", "--", "/"]),
    case(
        "run_kill_at_exec",
        &["run", "-p", "no-exec.evf", "--", "/bin/true"],
    ),
    case(
        "run_kill_at_attach",
        &[
            "run",
            "-p",
            "no-ioctl.evf",
            "-p",
            "narrow.evf",
            "--",
            "/bin/true",
        ],
    ),
    case("man_unknown", &["man", "frobnicate"]),
];

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// Runs the case; returns command line, output and status as one text.
fn run(case: &Case) -> Result<String, Box<dyn Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evf"))
        .args(case.args)
        .current_dir(directory("policies"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(case.stdin.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let status = output.status.code().ok_or("ended by a signal")?;
    let mut text = String::from("$ evf");
    for arg in case.args {
        match arg.contains(' ') {
            true => write!(text, " '{arg}'")?,
            false => write!(text, " {arg}")?,
        }
    }
    write!(
        text,
        "\n--- standard output\n{}--- standard error\n{}--- status {status}\n",
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?
    )?;
    Ok(text)
}

#[test]
fn every_command_line_prints_what_it_should() -> Result<(), Box<dyn Error>> {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in CASES {
        let text = run(case).map_err(|error| format!("{}: {error}", case.name))?;
        let golden = directory("golden").join(format!("{}.txt", case.name));
        if update {
            fs::write(&golden, &text)?;
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&text) {
            wrong.push(format!("{} differs; it is now:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_golden_file_belongs_to_a_case() -> Result<(), Box<dyn Error>> {
    let cases: BTreeSet<String> = CASES
        .iter()
        .map(|case| format!("{}.txt", case.name))
        .collect();
    assert_eq!(cases.len(), CASES.len(), "two cases of one name");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory("golden"))? {
        files.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(files, cases);
    Ok(())
}

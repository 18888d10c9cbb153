// SPDX-License-Identifier: GPL-2.0
//! The command line of the demonstration, as far as it can be tried without the guest.

use std::process::{Command, Output};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evf-demo"))
        .args(args)
        .output()
        .expect("the demonstration starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("plain text")
}

#[test]
fn the_sections_are_listed_with_their_numbers() {
    let output = demo(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = text(&output.stdout);
    let numbers: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_section_that_is_not_there_is_a_usage_error() {
    let output = demo(&["--section", "7"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("7 is not in 1..=6"));
}

#[test]
fn the_help_teaches_by_examples() {
    let help = text(&demo(&["--help"]).stdout);
    for word in ["Examples:", "evf-demo --section 5", "ordinary user 1000"] {
        assert!(help.contains(word), "{word}\n{help}");
    }
    assert!(!help.contains("probe"));
}

#[test]
fn a_probe_exits_with_the_errno_of_its_open() {
    assert_eq!(
        demo(&["--probe", "/proc/self/status"]).status.code(),
        Some(0)
    );
    assert_eq!(demo(&["--probe", "/no/such"]).status.code(), Some(2));
    assert_eq!(
        demo(&["--probe", "/proc/self/status/x"]).status.code(),
        Some(20)
    );
}

#[test]
fn nothing_is_laid_out_outside_the_guest() {
    if std::path::Path::new("/etc/evf").exists() || std::path::Path::new("/home/sandpit").exists() {
        // This is the guest, or somebody has staged the demonstration here.
        return;
    }
    let output = demo(&["--section", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("evf-demo: "), "{complaint}");
    assert!(!std::path::Path::new("/home/sandpit").exists());
}

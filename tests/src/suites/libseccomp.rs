// SPDX-License-Identifier: GPL-2.0
//! Programs that the real libseccomp has exported: they load byte for byte, and decide as they do in seccomp.

use std::process::Command;

use filters::insn::{INSN_BYTES, Insn};

use super::cli::{EVF, succeeds};
use crate::harness::{Test, tests};
use crate::marker::{
    Call, Entry, Judge, MARK, RT_SIGRETURN, Verdicts, around, ask_about, every_number, marker,
    must_agree, with_argument,
};
use crate::program::{Part, image};
use crate::seccomp;
use crate::sys::child::End;
use crate::sys::no_new_privs;

/// Makes the programs; runs in the guest, which has libseccomp and Python's module for it.
const BUILD: &str = include_str!("libseccomp/build.py");
const PLACE: &str = "/tmp/evf-libseccomp";

/// Programs whose verdicts leave the process alive.
const LASTING: [&str; 9] = [
    "allow-list",
    "allow-list-tree",
    "three-arches",
    "trace",
    "log",
    "trap",
    "actions",
    "comparisons",
    "many",
];
/// Programs that kill.
const KILLING: [&str; 2] = ["kill", "kill-process"];

pub(super) fn tests() -> Vec<Test> {
    let rows = tests!("libseccomp";
        exported_programs_load_byte_for_byte, exported_programs_decide_as_in_seccomp_for_every_number, exported_comparisons_decide_as_in_seccomp,
        exported_programs_kill_as_in_seccomp,
    );
    rows.into_iter().map(|test| test.limit(180)).collect()
}

/// Runs a Python script with these arguments.
#[track_caller]
pub(super) fn python(script: &str, arguments: &[&str]) {
    succeeds(
        Command::new("python3")
            .args(["-I", "-c", script])
            .args(arguments),
    );
}

#[track_caller]
fn build() {
    std::fs::create_dir_all(PLACE).expect(PLACE);
    python(BUILD, &[PLACE]);
}

fn file(name: &str) -> String {
    format!("{PLACE}/{name}.bpf")
}

#[track_caller]
fn exported(name: &str) -> Vec<u8> {
    let code = std::fs::read(file(name)).expect(name);
    assert!(!code.is_empty() && code.len().is_multiple_of(INSN_BYTES));
    code
}

/// The image of a program that is there in bytes: nothing but frames around them.
#[track_caller]
pub(super) fn image_of(code: &[u8]) -> Vec<u8> {
    let (insns, rest) = code.as_chunks();
    assert!(rest.is_empty());
    let insns = insns.iter().map(|bytes| Insn::from_bytes(*bytes)).collect();
    let image = image(&[Part::syscall(insns)]);
    assert!(image.ends_with(code), "the program is not in its image");
    image
}

/// The program on a marker, in evfilter and in seccomp.
#[track_caller]
pub(super) fn judges(code: &[u8]) -> [Judge; 2] {
    let below = marker(RT_SIGRETURN);
    [
        Judge::Evfilter(vec![image(&[Part::syscall(below.clone())]), image_of(code)]),
        Judge::Seccomp(vec![seccomp::code(&below), code.to_vec()]),
    ]
}

/// What both say of the calls, which must be the same.
#[track_caller]
fn both(name: &str, calls: &[Call]) -> Verdicts {
    no_new_privs();
    let [ours, theirs] = judges(&exported(name)).map(|judge| ask_about(&judge, calls));
    must_agree(name, calls, &ours, &theirs);
    ours
}

fn exported_programs_load_byte_for_byte() {
    build();
    for name in LASTING.into_iter().chain(KILLING) {
        let (bpf, made, back) = (
            file(name),
            format!("{PLACE}/{name}.img"),
            format!("{PLACE}/{name}.back"),
        );
        succeeds(Command::new(EVF).args(["import", "bpf", &bpf, "-o", &made]));
        let made = std::fs::read(&made).expect("image");
        assert_eq!(made, image_of(&exported(name)), "{name}");
        drop(crate::kernel::load(&made));
        succeeds(Command::new(EVF).args([
            "export",
            "bpf",
            &format!("{PLACE}/{name}.img"),
            "-o",
            &back,
        ]));
        assert_eq!(
            std::fs::read(&back).expect("program"),
            exported(name),
            "{name}"
        );
    }
}

fn exported_programs_decide_as_in_seccomp_for_every_number() {
    build();
    for name in LASTING {
        // Entries that the program does not know are killed by libseccomp's choice.
        let knows_all = name == "three-arches";
        let mut calls = every_number();
        if !knows_all {
            calls.retain(|call| call.entry == Entry::Native && call.nr < 0x4000_0000);
        }
        let seen = both(name, &calls);
        assert_eq!(
            seen.answers.len(),
            calls.len(),
            "{name}: not all calls were answered"
        );
        let marked = |(value, _): &&(i64, _)| *value == -i64::from(MARK);
        let marked = seen.answers.iter().filter(marked).count();
        // That one decides by arguments, and has a test of its own.
        assert!(marked >= 10 || name == "comparisons", "{name}: {marked}");
        // Both are weaker than the marker's errno.
        if !["log", "trace"].contains(&name) {
            assert!(marked < calls.len(), "{name} never decided");
        }
    }
}

fn exported_comparisons_decide_as_in_seccomp() {
    build();
    let values = around(&[0x1_0000_0002, 0x8000_0000, 0xf, 9, 3, 0xffff_0000_0000_0003]);
    let mut calls = Vec::new();
    for nr in [102, 104, 107, 108, 110, 111, 41, 157] {
        for at in 0..3 {
            calls.extend(with_argument(nr, nr, at, &values));
        }
    }
    calls.retain(|call| call.entry == Entry::Native && call.nr < 0x4000_0000);
    // Conditions on several arguments at once.
    for (domain, kind, protocol) in [
        (1, 1, 0),
        (1, 0x80001, 8),
        (1, 2, 0),
        (1, 1, 9),
        (2, 1, 0),
        (3, 1, 9),
    ] {
        calls.push(Call {
            entry: Entry::Native,
            nr: 41,
            args: [domain, kind, protocol, 0, 0, 0],
        });
    }
    let seen = both("comparisons", &calls);
    assert_eq!(seen.answers.len(), calls.len());
    for errno in [i64::from(MARK), 1, 5, 97] {
        let times = seen.answers.iter().filter(|(value, _)| *value == -errno);
        assert!(times.count() >= 5, "errno {errno} hardly came");
    }
}

fn exported_programs_kill_as_in_seccomp() {
    build();
    let call = |entry, nr| Call {
        entry,
        nr,
        args: [0; 6],
    };
    for name in KILLING {
        for (call, dies) in [
            (call(Entry::Native, 102), false),
            (call(Entry::Native, 104), true),
            (call(Entry::Native, 600), true),
            (call(Entry::Native, u64::from(u32::MAX)), true),
            (call(Entry::Native, 0x4000_0000 | 102), true),
            (call(Entry::Int80, 199), true),
            (call(Entry::Int80, 20), name == "kill"),
        ] {
            let seen = both(name, &[call]);
            let expected = match dies {
                true => (End::Signal(libc::SIGSYS, false), 0),
                false => (End::Exit(0), 1),
            };
            assert_eq!(
                (seen.end, seen.answers.len()),
                expected,
                "{name}: {call:x?}"
            );
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Real programs, whole: from their start to their end.

use std::fs;
use std::process::{Command, Stdio};

use crate::clock;

/// Their names, and how they are started.
const PROGRAMS: [(&str, &[&str]); 6] = [
    (
        "git-status",
        &["/usr/bin/git", "-C", TREE, "status", "--porcelain"],
    ),
    (
        "tar",
        &[
            "/usr/bin/tar",
            "-cf",
            "/tmp/out/tree.tar",
            "-C",
            "/tmp",
            "tree",
        ],
    ),
    ("python", &["/usr/bin/python3", "-c", "pass"]),
    (
        "gcc",
        &[
            "/usr/bin/gcc",
            "-O1",
            "-c",
            "-o",
            "/tmp/out/a.o",
            "/tmp/out/a.c",
        ],
    ),
    (
        "find",
        &["/usr/bin/find", TREE, "-type", "f", "-size", "+1"],
    ),
    (
        "shell",
        &[
            "/bin/sh",
            "-c",
            "i=0; while [ $i -lt 50 ]; do /usr/bin/true; i=$((i+1)); done",
        ],
    ),
];
/// The tree that some of them work on.
const TREE: &str = "/tmp/tree";
const DIRECTORIES: usize = 40;
const FILES: usize = 50;
/// How often each is run, after a first time that fills caches; the shortest run counts.
const TIMES: usize = 2;

/// Their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, _)| *name)
}

/// Makes what they work on.
pub(crate) fn set() -> Result<(), String> {
    let failed = |error: std::io::Error| format!("make the tree of {TREE}: {error}");
    for directory in 0..DIRECTORIES {
        let directory = format!("{TREE}/part{directory}");
        fs::create_dir_all(&directory).map_err(failed)?;
        for file in 0..FILES {
            let text = format!("int value{file}(void) {{ return {file}; }}\n").repeat(8);
            fs::write(format!("{directory}/file{file}.c"), text).map_err(failed)?;
        }
    }
    fs::create_dir_all("/tmp/out/home").map_err(failed)?;
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(int n, char **v) { return printf(\"%d %s\\n\", n, v[0]) < 0; }\n";
    fs::write("/tmp/out/a.c", source).map_err(failed)?;
    let git = ["/usr/bin/git", "-C", TREE];
    for words in [
        &["init", "--quiet"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "--quiet",
            "-m",
            "all",
        ],
    ] {
        run(&[&git[..], words].concat())?;
    }
    Ok(())
}

/// Measures the program called `name`, in instructions.
pub(crate) fn measure(name: &str) -> Result<f64, String> {
    let known = PROGRAMS.iter().find(|(known, _)| *known == name);
    let (_, words) = known.ok_or("no such program")?;
    let mut costs = Vec::new();
    for _ in 0..=TIMES {
        // What an earlier run has left is not there, as for the first.
        for left in ["/tmp/out/tree.tar", "/tmp/out/a.o"] {
            // There is nothing left by programs that write nothing.
            let _ = fs::remove_file(left);
        }
        let mut ended = Ok(());
        costs.push(clock::once(|| ended = run(words)));
        ended?;
    }
    costs.remove(0);
    Ok(costs.into_iter().min().unwrap_or(0) as f64)
}

fn run(words: &[&str]) -> Result<(), String> {
    let (program, rest) = words.split_first().ok_or("no program")?;
    let output = Command::new(program)
        .args(rest)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/tmp/out/home")
        .env("TMPDIR", "/tmp/out")
        .env("LANG", "C.UTF-8")
        .env("PYTHONHASHSEED", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir("/tmp/out")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{}: {} ({})",
            words.join(" "),
            said.trim(),
            output.status
        ))
    }
}

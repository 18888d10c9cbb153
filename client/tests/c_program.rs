// SPDX-License-Identifier: GPL-2.0
//! The C example, compiled and linked against the static library as `README.md` says, and run on this machine.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

const POLICY: &str = "on vfs.getname { deny ENOENT path == \"/etc/hostname\"; default allow }";

/// The library of this build: cargo puts it beside the test program, under a name with a hash; of several the one built last.
fn library() -> Result<PathBuf, Box<dyn Error>> {
    let test = std::env::current_exe()?;
    let directory = test.parent().ok_or("no directory")?;
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("libevfilter") || !name.ends_with(".a") {
            continue;
        }
        let built = entry.metadata()?.modified()?;
        if newest.as_ref().is_none_or(|(time, _)| built > *time) {
            newest = Some((built, entry.path()));
        }
    }
    Ok(newest.ok_or("no libevfilter.a beside the test")?.1)
}

/// Compiles `source` to `program`, with warnings as errors.
fn compile(source: &Path, program: &Path) -> Result<(), Box<dyn Error>> {
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror"])
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(source)
        .arg(library()?)
        .args(["-lpthread", "-lm", "-ldl", "-o"])
        .arg(program)
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn module_is_loaded() -> bool {
    evfilter::Control::open().is_ok()
}

#[test]
fn the_example_confines_itself_or_says_why_not() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let program = root.path().join("sandbox");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sandbox.c");
    compile(&source, &program)?;
    let policy = root.path().join("policy.evf");
    fs::write(&policy, POLICY)?;
    let run = |arguments: &[&Path]| -> Result<Output, std::io::Error> {
        Command::new(&program).args(arguments).output()
    };

    let usage = run(&[])?;
    assert_eq!(usage.status.code(), Some(2));

    let missing = run(&[Path::new("/no/such/policy")])?;
    assert_eq!(missing.status.code(), Some(1));
    let message = text(&missing.stderr);
    assert!(
        message.contains("cannot read /no/such/policy: No such file or directory"),
        "{message}"
    );

    let confined = run(&[&policy, Path::new("/etc/hostname"), Path::new("/dev/null")])?;
    if module_is_loaded() {
        assert_eq!(
            text(&confined.stdout),
            "/etc/hostname: No such file or directory\n/dev/null: opened\n"
        );
        assert_eq!(confined.status.code(), Some(0));
    } else {
        let message = text(&confined.stderr);
        assert!(
            message.contains("the evfilter module is not loaded (load it"),
            "{message}"
        );
        assert_eq!(confined.status.code(), Some(1));
    }
    Ok(())
}

#[test]
fn every_function_keeps_to_the_c_convention() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    fs::write(root.path().join("good.evf"), POLICY)?;
    fs::write(root.path().join("bad.evf"), "on vfs.getname { permit }")?;
    let program = root.path().join("conventions");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conventions.c");
    compile(&source, &program)?;
    let output = Command::new(&program).current_dir(root.path()).output()?;
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0
//! The C examples, compiled and linked against the static library as `README.md` says, and run on this machine.

use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
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

/// Compiles `source` to `program` and links it to the library.
fn compile(source: &Path, program: &Path) -> Result<(), Box<dyn Error>> {
    cc(Command::new("cc")
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(source)
        .arg(library()?)
        .args(["-lpthread", "-lm", "-ldl", "-o"])
        .arg(program))
}

/// Compiles `source` to `program`, which is on its own.
fn compile_freestanding(source: &Path, program: &Path) -> Result<(), Box<dyn Error>> {
    cc(Command::new("cc")
        .args(["-O2", "-static", "-nostdlib", "-ffreestanding"])
        .args(["-fno-stack-protector", "-o"])
        .arg(program)
        .arg(source))
}

/// Runs the compiler, with warnings as errors.
fn cc(compiler: &mut Command) -> Result<(), Box<dyn Error>> {
    let output = compiler
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])
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
    compile(&example("sandbox.c"), &program)?;
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

/// What the worker is asked, and what it has to answer.
const JOB: &str = "84\n97\n\n0\n1\n18446744073709551615\n18446744073709551616\n-1\n4294967296";
const ANSWER: &str = "\
84: 2 2 3 7
97: 97
0: 0
1: 1
18446744073709551615: 3 5 17 257 641 65537 6700417
not a number below 2^64
not a number below 2^64
4294967296: 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2
";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// Runs the program with the job on its standard input.
fn ask(command: &mut Command) -> Result<Output, Box<dyn Error>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that gives up before it reads closes the pipe.
        match stdin.write_all(JOB.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn the_worker_makes_no_calls_but_those_of_strict_mode() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let worker = root.path().join("worker");
    compile_freestanding(&example("worker.c"), &worker)?;
    let strictly = root.path().join("strictly");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strictly.c");
    compile(&source, &strictly)?;

    let answer = ask(Command::new(&strictly).arg(&worker))?;
    assert_eq!(text(&answer.stdout), ANSWER);
    assert_eq!(text(&answer.stderr), "");
    assert_eq!(answer.status.code(), Some(0));

    // The same filter kills a program that does more.
    let more = ask(Command::new(&strictly).arg("/bin/true"))?;
    assert_eq!(more.status.signal(), Some(libc::SIGSYS));
    Ok(())
}

#[test]
fn the_hosted_worker_makes_itself_strict_or_says_why_not() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let worker = root.path().join("worker");
    compile(&example("worker.c"), &worker)?;
    let answer = ask(&mut Command::new(&worker))?;
    if module_is_loaded() {
        assert_eq!(text(&answer.stdout), ANSWER);
        assert_eq!(answer.status.code(), Some(0));
    } else {
        let message = text(&answer.stderr);
        assert!(
            message.contains("the evfilter module is not loaded (load it"),
            "{message}"
        );
        assert_eq!(answer.status.code(), Some(1));
    }
    Ok(())
}

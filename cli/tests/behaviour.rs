// SPDX-License-Identifier: GPL-2.0
//! How `evf` behaves beside what it prints: pipes, colours, images, pages, and `evf run` without a module.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies")
}

fn evf(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evf"));
    command
        .args(args)
        .current_dir(policies())
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE");
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_closed_pipe_ends_it_silently_by_sigpipe() -> Result<(), Box<dyn Error>> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let mut child = evf(&["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut messages = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut messages)?;
    }
    let status = child.wait()?;
    assert_eq!(status.signal(), Some(libc::SIGPIPE), "{status} {messages}");
    assert_eq!(messages, "");
    Ok(())
}

#[test]
fn colours_are_for_terminals_only() -> Result<(), Box<dyn Error>> {
    let plain = evf(&["check", "bad.evf"]).output()?;
    assert!(!stderr(&plain).contains('\x1b'));
    let forced = evf(&["check", "bad.evf"])
        .env("CLICOLOR_FORCE", "1")
        .output()?;
    assert!(stderr(&forced).contains('\x1b'));
    let refused = evf(&["check", "bad.evf"])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .output()?;
    assert!(!stderr(&refused).contains('\x1b'));
    Ok(())
}

#[test]
fn an_image_is_as_good_as_its_text() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let image = root.path().join("good.img");
    let image = image.to_str().ok_or("path")?;
    let compiled = evf(&["compile", "good.evf", "-o", image]).output()?;
    assert!(compiled.status.success(), "{}", stderr(&compiled));
    assert_eq!(fs::read(image)?.get(..4), Some(&b"EVF1"[..]));

    let of_text = evf(&["disasm", "good.evf"]).output()?;
    let of_image = evf(&["disasm", image]).output()?;
    assert!(of_image.status.success());
    assert_eq!(of_text.stdout, of_image.stdout);

    let judged = evf(&[
        "test",
        image,
        "-e",
        "vfs.getname path=/etc/shadow",
        "--expect",
        "deny EACCES",
    ])
    .output()?;
    assert!(judged.status.success(), "{}", stderr(&judged));
    let text = String::from_utf8(judged.stdout)?;
    assert!(
        text.contains("a compiled image does not carry its rules"),
        "{text}"
    );
    Ok(())
}

#[test]
fn the_image_on_standard_output_is_the_one_in_the_file() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let image = root.path().join("narrow.img");
    let path = image.to_str().ok_or("path")?;
    assert!(
        evf(&["compile", "narrow.evf", "-o", path])
            .status()?
            .success()
    );
    let piped = evf(&["compile", "narrow.evf"]).output()?;
    assert_eq!(piped.stdout, fs::read(&image)?);
    Ok(())
}

#[test]
fn a_changed_image_is_refused() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let image = root.path().join("broken.img");
    let mut bytes = evf(&["compile", "narrow.evf"]).output()?.stdout;
    bytes.truncate(bytes.len() - 4);
    fs::write(&image, bytes)?;
    let refused = evf(&["check", image.to_str().ok_or("path")?]).output()?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("a length does not fit the image"));
    Ok(())
}

/// Runs `evf` with `input` on its standard input.
fn fed(args: &[&str], input: &[u8]) -> Result<Output, Box<dyn Error>> {
    let mut child = evf(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn a_program_for_seccomp_goes_in_and_out_unchanged() -> Result<(), Box<dyn Error>> {
    for name in ["docker-default", "podman-default", "several"] {
        let program = fs::read(policies().join(format!("../oci/{name}.bpf")))?;
        let image = fed(&["import", "bpf", "-"], &program)?;
        assert!(image.status.success(), "{}", stderr(&image));
        assert_eq!(image.stdout.get(..4), Some(&b"EVF1"[..]));
        let back = fed(&["export", "bpf", "-"], &image.stdout)?;
        assert!(back.status.success(), "{}", stderr(&back));
        assert_eq!(back.stdout, program, "{name}");
    }
    Ok(())
}

#[test]
fn an_imported_program_is_as_good_as_any_image() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let image = root.path().join("docker.img");
    let image = image.to_str().ok_or("path")?;
    let made = evf(&["import", "bpf", "../oci/docker-default.bpf", "-o", image]).output()?;
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(evf(&["check", image]).output()?.status.success());
    let listing = evf(&["disasm", image]).output()?;
    assert!(String::from_utf8(listing.stdout)?.starts_with("syscall.enter: 1238 instructions"));
    let judged = evf(&[
        "test",
        image,
        "-e",
        "syscall.enter mount",
        "--expect",
        "deny EPERM",
    ])
    .output()?;
    assert!(judged.status.success(), "{}", stderr(&judged));
    Ok(())
}

#[test]
fn a_program_that_is_too_long_is_not_read_to_its_end() -> Result<(), Box<dyn Error>> {
    let refused = evf(&["import", "bpf", "/dev/zero"]).output()?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("a program has 1 to 4096 instructions"));
    Ok(())
}

#[test]
fn an_exported_policy_decides_as_its_text() -> Result<(), Box<dyn Error>> {
    let policy = b"on syscall.enter {\n allow read, write\n deny EPERM socket when domain != AF_UNIX\n default allow\n}\n";
    let program = fed(&["export", "bpf", "-"], policy)?;
    assert!(program.status.success(), "{}", stderr(&program));
    assert_eq!(program.stdout.len() % 8, 0);
    let image = fed(&["import", "bpf", "-"], &program.stdout)?.stdout;
    let events = [
        "-e",
        "syscall.enter socket domain=AF_INET",
        "--expect",
        "deny EPERM",
    ];
    for source in [&policy[..], &image[..]] {
        let judged = fed(&[&["test", "-"], &events[..]].concat(), source)?;
        assert!(judged.status.success(), "{}", stderr(&judged));
    }
    Ok(())
}

#[test]
fn an_imported_policy_is_named_after_its_file() -> Result<(), Box<dyn Error>> {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    let root = tempfile::tempdir()?;
    for (file, name) in [("my profile.json", "my-profile"), ("7.json", "imported")] {
        let path = root.path().join(file);
        fs::write(&path, profile)?;
        let text = evf(&["import", "oci", path.to_str().ok_or("path")?]).output()?;
        let text = String::from_utf8(text.stdout)?;
        assert!(text.contains(&format!("\npolicy {name}\n")), "{text}");
    }
    Ok(())
}

#[test]
fn every_verb_has_a_page() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let directory = root.path().join("man1");
    let made = evf(&["man", "--output", directory.to_str().ok_or("path")?]).output()?;
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!(stderr(&made), "");
    for verb in [
        "",
        "-run",
        "-check",
        "-compile",
        "-disasm",
        "-test",
        "-import",
        "-import-bpf",
        "-import-oci",
        "-export",
        "-export-bpf",
        "-info",
        "-completions",
        "-man",
    ] {
        let page = fs::read_to_string(directory.join(format!("evf{verb}.1")))?;
        assert!(page.contains(".TH"), "evf{verb}.1");
        assert!(page.contains("Example") || verb.is_empty(), "evf{verb}.1");
    }
    assert_eq!(fs::read_dir(&directory)?.count(), 14);
    let one = evf(&["man", "run"]).output()?;
    assert_eq!(one.stdout, fs::read(directory.join("evf-run.1"))?);
    Ok(())
}

#[test]
fn completions_know_the_verbs() -> Result<(), Box<dyn Error>> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = evf(&["completions", shell]).output()?;
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout)?;
        assert!(script.contains("disasm"), "{shell}");
    }
    Ok(())
}

/// Whether this kernel has the module: then what follows is the in-guest suites' matter.
fn module_is_loaded() -> Result<bool, Box<dyn Error>> {
    Ok(evf(&["info"]).output()?.status.success())
}

#[test]
fn without_the_module_run_says_how_to_load_it() -> Result<(), Box<dyn Error>> {
    let output = evf(&["run", "-p", "narrow.evf", "--", "/bin/true"]).output()?;
    if module_is_loaded()? {
        assert!(output.status.success(), "{}", stderr(&output));
        return Ok(());
    }
    assert_eq!(output.status.code(), Some(125));
    let messages = stderr(&output);
    assert!(
        messages
            .starts_with("evf: cannot confine the program: the evfilter module is not loaded\n"),
        "{messages}"
    );
    assert!(messages.contains("insmod evfilter.ko"), "{messages}");
    Ok(())
}

#[test]
fn what_takes_hold_at_exec_does_not_judge_it() -> Result<(), Box<dyn Error>> {
    // These policies kill at execve, and at the ioctl that attaches the next.
    let policies = ["-p", "no-ioctl.evf", "-p", "no-exec.evf"];
    let command = [&["run", "--at-exec"], &policies[..], &["--", "/bin/true"]].concat();
    let output = evf(&command).output()?;
    if module_is_loaded()? {
        assert!(output.status.success(), "{}", stderr(&output));
        return Ok(());
    }
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the evfilter module is not loaded"));
    Ok(())
}

#[test]
fn a_sequence_from_the_future_is_not_there() -> Result<(), Box<dyn Error>> {
    let required = u32::MAX.to_string();
    let output = evf(&["info", "--json", "--require-sequence", &required]).output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let expected = match module_is_loaded()? {
        true => 3,
        false => 1,
    };
    assert_eq!(answer["loaded"], expected == 3);
    assert_eq!(output.status.code(), Some(expected));
    Ok(())
}

#[test]
fn info_is_scriptable() -> Result<(), Box<dyn Error>> {
    let output = evf(&["info", "--json"]).output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let loaded = module_is_loaded()?;
    assert_eq!(answer["loaded"], loaded);
    assert_eq!(output.status.code(), Some(if loaded { 0 } else { 1 }));
    assert_eq!(answer["events"].is_array(), loaded);
    assert_eq!(answer["error"].is_string(), !loaded);
    Ok(())
}

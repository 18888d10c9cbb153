// SPDX-License-Identifier: GPL-2.0
//! How `evf` behaves beside what it prints: pipes, colours, images, pages, and `evf run` without a module.

use std::error::Error;
use std::fs;
use std::io::Read;
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
        "-info",
        "-completions",
        "-man",
    ] {
        let page = fs::read_to_string(directory.join(format!("evf{verb}.1")))?;
        assert!(page.contains(".TH"), "evf{verb}.1");
        assert!(page.contains("Example") || verb.is_empty(), "evf{verb}.1");
    }
    assert_eq!(fs::read_dir(&directory)?.count(), 9);
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

// SPDX-License-Identifier: GPL-2.0

//! Running other programs: everything they print goes to a log, a failure shows the command and the end of that log.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};

/// How many lines of a log a failure quotes.
const TAIL: usize = 40;

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Makes every command and all of its output appear on stderr (`-v`).
pub(crate) fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Whether `-v` was given.
pub(crate) fn verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// The command as one could type it, environment included.
pub(crate) fn display(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(dir) = command.get_current_dir() {
        words.push(format!("cd {} &&", quote(dir.as_os_str())));
    }
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", key.to_string_lossy(), quote(value)));
        }
    }
    words.push(quote(command.get_program()));
    words.extend(command.get_args().map(quote));
    words.join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs `command` to its end with stdin closed, stdout and stderr in `log`, calling `line` for each line it prints.
/// Anything but exit status 0 is an error that quotes the last lines.
pub(crate) fn run_with(command: &mut Command, log: &Path, line: impl FnMut(&str)) -> Result<()> {
    let (status, tail) = stream(command, log, line)?;
    if !status.success() {
        bail!(failure(command, status, &tail, log));
    }
    Ok(())
}

/// [`run_with`] for callers who do not look at the lines.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<()> {
    run_with(command, log, |_| ())
}

/// Runs `command` and gives its status and last lines, whatever the status is.
pub(crate) fn stream(
    command: &mut Command,
    log: &Path,
    mut line: impl FnMut(&str),
) -> Result<(ExitStatus, VecDeque<String>)> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    let mut file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let shown = display(command);
    writeln!(file, "$ {shown}").with_context(|| format!("write {}", log.display()))?;
    if verbose() {
        eprintln!("$ {shown}");
    }
    let (reader, writer) = std::io::pipe().context("pipe")?;
    let errors = writer.try_clone().context("pipe")?;
    let child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(errors)
        .spawn();
    // The command keeps its copies of the pipe's ends until they are replaced; with them open there is no end of file.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        child.with_context(|| format!("start {}", command.get_program().to_string_lossy()))?;
    let mut tail = VecDeque::with_capacity(TAIL);
    for read in BufReader::new(reader).split(b'\n') {
        let read = read.with_context(|| format!("read the output of {shown}"))?;
        let text = String::from_utf8_lossy(&read);
        writeln!(file, "{text}").with_context(|| format!("write {}", log.display()))?;
        if verbose() {
            eprintln!("{text}");
        }
        line(&text);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(text.into_owned());
    }
    let status = child.wait().with_context(|| format!("wait for {shown}"))?;
    Ok((status, tail))
}

fn failure(command: &Command, status: ExitStatus, tail: &VecDeque<String>, log: &Path) -> String {
    let mut text = format!("command failed ({status}):\n  {}\n", display(command));
    if tail.is_empty() {
        text.push_str("it printed nothing\n");
    } else {
        text.push_str("its last lines:\n");
        for line in tail {
            text.push_str("  | ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(&format!("whole log: {}", log.display()));
    text
}

/// Runs `command` quietly and gives what it printed on stdout; its stderr becomes part of the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = display(command);
    if verbose() {
        eprintln!("$ {shown}");
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        bail!(
            "command failed ({}):\n  {shown}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown}: output is not UTF-8"))
}

/// Where a program of that name lies on PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // An ordinary user's PATH often lacks the sbin directories.
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_command_last_lines_and_log() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = dir.path().join("x.log");
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo 'the end' >&2; exit 3"]);
        let error = run(&mut command, &log)
            .expect_err("exit status 3")
            .to_string();
        assert!(error.contains("sh -c 'seq 100; echo"), "{error}");
        assert!(
            error.contains("| the end") && error.contains("| 100\n"),
            "{error}"
        );
        assert!(!error.contains("| 42\n"), "{error}");
        assert!(error.contains(&*log.to_string_lossy()), "{error}");
        assert!(fs::read_to_string(&log).expect("log").contains("\n42\n"));
    }

    #[test]
    fn missing_program_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let error = run(
            &mut Command::new("no-such-program-x"),
            &dir.path().join("x.log"),
        )
        .expect_err("no program");
        assert!(format!("{error:#}").contains("no-such-program-x"));
    }

    #[test]
    fn display_quotes_what_a_shell_would_split() {
        let mut command = Command::new("make");
        command
            .arg("A=b c")
            .arg("it's")
            .env("LC_ALL", "C")
            .current_dir("/tmp");
        assert_eq!(
            display(&command),
            r"cd /tmp && LC_ALL=C make 'A=b c' 'it'\''s'"
        );
    }
}

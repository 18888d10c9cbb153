// SPDX-License-Identifier: GPL-2.0
//! Programs that know nothing of filters: what they do inside the policy is what they always do, and outside they are refused.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Show;
use crate::judge::{Question, decide};
use crate::report::{Row, fit};
use crate::stage::{GREETING, HOME, PIT, SECRET};

/// Where the programs work; made anew for each run.
const WORK: &str = "/home/sandbox/work";

/// A program at work: a command and what it has to print.
struct Job {
    title: &'static str,
    policy: &'static str,
    /// Commands run one after the other in [`WORK`]; the last one's output counts.
    commands: &'static [&'static [&'static str]],
    prints: &'static str,
}

const JOBS: [Job; 3] = [
    Job {
        title: "busybox: sh, mkdir, grep, sort, head, ls",
        policy: "tools.evf",
        commands: &[&[
            "busybox",
            "sh",
            "-c",
            "mkdir d && for i in 1 2 3; do echo line $i; done > d/lines && busybox grep -c line d/lines \
             && busybox sort -r d/lines | busybox head -n 1 && busybox ls d",
        ]],
        prints: "3\nline 3\nlines\n",
    },
    Job {
        title: "git: init, add, commit, log",
        policy: "tools.evf",
        commands: &[
            &["git", "init", "-q", "-b", "main"],
            &["git", "add", "notes.txt"],
            &["git", "commit", "-q", "-m", "first words"],
            &["git", "log", "--stat", "--format=%H %an %s"],
        ],
        prints: " A Sandboxed User first words\n\n notes.txt | 1 +\n 1 file changed, 1 insertion(+)\n",
    },
    Job {
        title: "python3: read, json, write, read again",
        policy: "tools.evf",
        commands: &[&[
            "python3",
            "-c",
            "import json, pathlib; p = pathlib.Path('notes.txt'); \
             pathlib.Path('out.json').write_text(json.dumps({'words': p.read_text().split()})); \
             print(json.loads(pathlib.Path('out.json').read_text())['words'][-1], sum(range(10)))",
        ]],
        prints: "sandbox 45\n",
    },
];

/// A program that reads the file outside: `PATH` stands for it in the command.
struct Step {
    title: &'static str,
    policy: &'static str,
    command: &'static [&'static str],
    /// What it prints when it may.
    prints: &'static str,
    /// What it says when it may not.
    complains: &'static str,
}

const PLACE: &str = "PATH";

const STEPS: [Step; 3] = [
    Step {
        title: "busybox cat",
        policy: "tools.evf",
        command: &["busybox", "cat", PLACE],
        prints: SECRET,
        complains: "Permission denied",
    },
    Step {
        title: "git hash-object",
        policy: "tools.evf",
        command: &["git", "hash-object", PLACE],
        // Of the blob that holds SECRET.
        prints: SECRET_BLOB,
        complains: "Permission denied",
    },
    Step {
        title: "python3 open",
        policy: "tools.evf",
        command: &[
            "python3",
            "-c",
            "import sys; print(open(sys.argv[1]).read(), end='')",
            PLACE,
        ],
        prints: SECRET,
        complains: "PermissionError: [Errno 13]",
    },
];

/// `printf 'the denied file\n' | git hash-object --stdin`
const SECRET_BLOB: &str = "b8066727857f5703b7ba00f287f9381a9e45400f\n";

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    status: Option<i32>,
    printed: String,
    complaint: String,
}

/// Runs each program bare and in its policy, then has each step outside.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    show.report.say("Each runs twice, without a filter and by \"evf run -p POLICY\": both must do the same work.")?;
    for job in &JOBS {
        let bare = work(show, job, None).with_context(|| job.title)?;
        let judged = work(show, job, Some(job.policy)).with_context(|| job.title)?;
        let good = bare.status == Some(0) && bare.printed.ends_with(job.prints);
        let same = judged == bare;
        let line = format!(
            "{:<44} {}: status {}, output {}",
            job.title,
            job.policy,
            status(&judged),
            if same {
                "the same as without"
            } else {
                "DIFFERS"
            }
        );
        show.report.check(good && same, &line)?;
        if !(good && same) {
            tell(show, "bare", &bare)?;
            tell(show, "filtered", &judged)?;
        }
    }
    show.report.say(&format!(
        "The same programs are refused {PIT}, which they may read without a filter:"
    ))?;
    show.report.head()?;
    for step in &STEPS {
        outside(show, step)?;
    }
    show.report.legend()?;
    Ok(())
}

fn outside(show: &mut Show, step: &Step) -> Result<()> {
    let policy = show.policy(step.policy)?;
    let args = [libc::AT_FDCWD as u64, 0, 0, 0, 0, 0];
    let question = Question::name(libc::SYS_openat as i32, args, PIT.as_bytes());
    let ruling = decide(&[&policy], &[question]);
    let words: Vec<&str> = step
        .command
        .iter()
        .map(|&word| if word == PLACE { PIT } else { word })
        .collect();
    let bare = command(show, &words, None, Path::new(HOME))?;
    let judged = command(show, &words, Some(step.policy), Path::new(HOME))?;
    let had = bare.status == Some(0) && bare.printed == step.prints;
    let refused = judged.status != Some(0)
        && judged.printed.is_empty()
        && judged.complaint.contains(step.complains);
    let held = had && refused && ruling.refusal().is_some();
    show.report.row(&Row {
        held,
        what: step.title,
        path: PIT,
        bare: if had { "read" } else { "FAILED" },
        judged: if refused { "refused" } else { "NOT" },
        rule: &ruling.rule,
    })?;
    if !held {
        tell(show, "bare", &bare)?;
        tell(show, "filtered", &judged)?;
    }
    Ok(())
}

/// Runs all commands of a job in a fresh directory; the output of the last one, or of the first that failed.
fn work(show: &Show, job: &Job, policy: Option<&str>) -> Result<Output> {
    match fs::remove_dir_all(WORK) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context(WORK),
    }
    fs::create_dir(WORK).context(WORK)?;
    let notes = Path::new(WORK).join("notes.txt");
    fs::write(&notes, GREETING).context("notes.txt")?;
    let mut last = None;
    for words in job.commands {
        let output = command(show, words, policy, Path::new(WORK))?;
        let failed = output.status != Some(0);
        last = Some(output);
        if failed {
            break;
        }
    }
    last.context("a job without commands")
}

/// Runs one command, bare or by `evf run`.
fn command(show: &Show, words: &[&str], policy: Option<&str>, dir: &Path) -> Result<Output> {
    let mut command = match policy {
        Some(policy) => {
            let mut command = Command::new(&show.evf);
            command
                .arg("run")
                .arg("-p")
                .arg(show.policies.join(policy))
                .arg("--")
                .args(words);
            command
        }
        None => {
            let (program, args) = words.split_first().context("an empty command")?;
            let mut command = Command::new(program);
            command.args(args);
            command
        }
    };
    let output = command
        .current_dir(dir)
        .stdin(Stdio::null())
        // Fixed, so that the commit is the same whenever it is made.
        .env("GIT_AUTHOR_NAME", "A Sandboxed User")
        .env("GIT_AUTHOR_EMAIL", "user@sandbox.invalid")
        .env("GIT_COMMITTER_NAME", "A Sandboxed User")
        .env("GIT_COMMITTER_EMAIL", "user@sandbox.invalid")
        .env("GIT_AUTHOR_DATE", "2011-05-13T12:10:00Z")
        .env("GIT_COMMITTER_DATE", "2011-05-13T12:10:00Z")
        .output()
        .with_context(|| format!("running {}", words.join(" ")))?;
    Ok(Output {
        status: output.status.code(),
        printed: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn status(output: &Output) -> String {
    output
        .status
        .map_or_else(|| "killed".to_owned(), |code| code.to_string())
}

/// Prints what a command said, for a line that failed.
fn tell(show: &mut Show, who: &str, output: &Output) -> Result<()> {
    let text = format!("{}{}", output.printed, output.complaint);
    show.report
        .say(&format!("       {who}: status {}", status(output)))?;
    for line in text.lines().take(12) {
        show.report
            .say(&fit(&format!("       {who}: {line}"), 110))?;
    }
    Ok(())
}

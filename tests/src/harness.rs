// SPDX-License-Identifier: GPL-2.0
//! Runs each test in a process of its own and reports in the guest protocol.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::slow;
use crate::sys::child::{End, exit, fork, run_and_exit};
use crate::sys::{own, sys};

/// A test that has run and found nothing wrong returns; one that has panics.
pub struct Test {
    /// `suite::what_is_claimed`.
    pub name: String,
    run: Box<dyn Fn()>,
    limit: Duration,
    restore: fn(),
}

impl Test {
    /// A test with the ordinary time limit of a minute.
    pub fn new(name: impl Into<String>, run: impl Fn() + 'static) -> Test {
        Test {
            name: name.into(),
            run: Box::new(run),
            limit: Duration::from_secs(60),
            restore: || (),
        }
    }

    /// The same with another limit, on the stock kernel.
    pub fn limit(mut self, seconds: u64) -> Test {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// The same, and `restore` runs when its process has ended, however that was: by itself, by a panic, or because its time was up.
    pub fn afterwards(mut self, restore: fn()) -> Test {
        self.restore = restore;
        self
    }
}

/// Lists tests by their functions: `tests!("suite"; one, two)`.
#[macro_export]
macro_rules! tests {
    ($suite:literal; $($name:ident),* $(,)?) => {
        vec![$($crate::harness::Test::new(concat!($suite, "::", stringify!($name)), $name)),*]
    };
}
pub use tests;

/// Exit status of a test that cannot run in this guest.
const SKIPPED: i32 = 77;

/// Marks the line of output that says why.
const SKIP_MARK: &str = "skipped: ";

/// Ends the running test as one that this guest cannot run.
pub fn skip(reason: &str) -> ! {
    println!("{SKIP_MARK}{reason}");
    exit(SKIPPED)
}

/// Who watches the console takes a long silence for the end: a test that takes its time says so.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Marks a line of output that is shown even if the test passes.
const NOTE_MARK: &str = "note: ";

/// Says something that whoever reads a good run should know too.
pub fn note(text: &str) {
    println!("{NOTE_MARK}{text}");
}

enum Outcome {
    Ok(Vec<String>),
    Fail(Vec<String>),
    Skip(String),
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to be told if the console is gone; the missing last line fails the run.
    let _ = writeln!(out, "@@evf {line}");
    let _ = out.flush();
}

/// Runs the tests in order; whether none failed.
pub fn run(tests: Vec<Test>) -> bool {
    // What a test leaves behind comes to us when its parent ends, and is ended before the next test starts.
    let adopted = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_eq!(adopted, Ok(0), "PR_SET_CHILD_SUBREAPER");
    say(&format!("plan {}", tests.len()));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for test in &tests {
        say(&format!("start {}", test.name));
        let begun = Instant::now();
        let outcome = run_one(test);
        let millis = begun.elapsed().as_millis();
        match outcome {
            Outcome::Ok(notes) => {
                passed += 1;
                for line in notes {
                    say(&format!("out {line}"));
                }
                say(&format!("ok {} {millis}", test.name));
            }
            Outcome::Skip(reason) => {
                skipped += 1;
                say(&format!("skip {} {reason}", test.name));
            }
            Outcome::Fail(lines) => {
                failed += 1;
                for line in lines {
                    say(&format!("out {line}"));
                }
                say(&format!("fail {} {millis}", test.name));
            }
        }
    }
    say(&format!(
        "done passed={passed} failed={failed} skipped={skipped}"
    ));
    failed == 0
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0i32; 2];
    let made = sys!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC);
    assert_eq!(made, Ok(0), "pipe2");
    let end = |at: usize| own(Ok(ends[at] as u64)).expect("pipe");
    (end(0), end(1))
}

fn run_one(test: &Test) -> Outcome {
    let (reader, writer) = pipe();
    let pid = match fork() {
        Ok(0) => run_and_exit(|| {
            prepare(&writer);
            (test.run)();
            0
        }),
        Ok(pid) => pid,
        Err(errno) => return Outcome::Fail(vec![format!("fork failed with errno {errno}")]),
    };
    drop(writer);
    let mut output = Vec::new();
    let limit = slow::limit(test.limit);
    let end = watch(pid, &reader, limit, &mut output);
    let left = end_descendants();
    (test.restore)();
    // Writers are gone: what is still in the pipe is the rest.
    let mut rest = Vec::new();
    if std::fs::File::from(reader).read_to_end(&mut rest).is_ok() {
        output.extend(rest);
    }
    let text = String::from_utf8_lossy(&output);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Err(message) = left {
        lines.push(message);
        return Outcome::Fail(lines);
    }
    match end {
        Some(End::Exit(0)) => {
            lines.retain(|line| line.starts_with(NOTE_MARK));
            Outcome::Ok(lines)
        }
        Some(End::Exit(SKIPPED)) => {
            let reason = lines.iter().find_map(|line| line.strip_prefix(SKIP_MARK));
            Outcome::Skip(reason.unwrap_or("no reason given").to_owned())
        }
        Some(end) => {
            lines.push(format!("the test ended with {end:?}"));
            Outcome::Fail(lines)
        }
        None => {
            lines.push(format!("not done after {} s", limit.as_secs()));
            Outcome::Fail(lines)
        }
    }
}

/// The first steps of a test's process.
fn prepare(writer: &OwnedFd) {
    for fd in [1, 2] {
        assert_eq!(sys!(libc::SYS_dup2, writer, fd), Ok(fd as u64));
    }
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: libc::RLIM_INFINITY,
    };
    let set = sys!(
        libc::SYS_prlimit64,
        0,
        libc::RLIMIT_CORE,
        &raw const none,
        0
    );
    assert_eq!(set, Ok(0), "RLIMIT_CORE");
    assert!(sys!(libc::SYS_setsid).is_ok());
}

/// Collects the output until the process ends; `None` if it does not within its limit (it is then killed).
fn watch(pid: i32, reader: &OwnedFd, limit: Duration, output: &mut Vec<u8>) -> Option<End> {
    let begun = Instant::now();
    let deadline = begun + limit;
    let process = own(sys!(libc::SYS_pidfd_open, pid, 0)).expect("pidfd_open");
    let mut open = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            output.extend(whereabouts(pid).into_bytes());
            let _ = sys!(libc::SYS_kill, pid, libc::SIGKILL);
            return None;
        }
        let fd = |fd: &OwnedFd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled = [fd(&process), fd(reader)];
        let count = if open { 2 } else { 1 };
        let millis = left.min(HEARTBEAT).as_millis() as u64;
        if sys!(libc::SYS_poll, polled.as_mut_ptr(), count, millis) == Ok(0) {
            say(&format!(
                "out still running after {} s",
                begun.elapsed().as_secs()
            ));
        }
        if open && polled[1].revents != 0 {
            let mut part = [0u8; 4096];
            match sys!(libc::SYS_read, reader, part.as_mut_ptr(), part.len()) {
                Ok(0) | Err(_) => open = false,
                Ok(bytes) => output.extend(&part[..bytes as usize]),
            }
        } else if polled[0].revents != 0 {
            return Some(crate::sys::child::wait(pid));
        }
    }
}

/// Where the test's processes hang: for the report of one that ran out of time.
fn whereabouts(pid: i32) -> String {
    let mut text = String::new();
    let mut queue = vec![pid];
    while let Some(pid) = queue.pop() {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let read =
                |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let (comm, stack, children) = (read("comm"), read("stack"), read("children"));
            text += &format!(
                "task {:?} of {pid} ({}):\n{stack}",
                task.file_name(),
                comm.trim()
            );
            queue.extend(
                children
                    .split_whitespace()
                    .filter_map(|word| word.parse::<i32>().ok()),
            );
        }
    }
    text
}

/// Kills and reaps everything that descends from us, so that no domain of one test is there in the next.
pub fn end_descendants() -> Result<(), String> {
    let deadline = Instant::now() + slow::limit(Duration::from_secs(20));
    loop {
        let path = format!("/proc/self/task/{}/children", crate::sys::getpid());
        let children = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        for pid in children
            .split_whitespace()
            .filter_map(|word| word.parse::<i32>().ok())
        {
            let _ = sys!(libc::SYS_kill, pid, libc::SIGKILL);
        }
        match sys!(libc::SYS_wait4, -1, 0, libc::__WALL | libc::WNOHANG, 0) {
            Err(libc::ECHILD) => return Ok(()),
            Ok(0) => std::thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
        if Instant::now() > deadline {
            return Err(format!("processes that SIGKILL does not end: {children}"));
        }
    }
}

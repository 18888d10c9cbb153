// SPDX-License-Identifier: GPL-2.0
//! Child processes that run a closure, and what their parent can see of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use crate::sys::memory::Shared;
use crate::sys::sys;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It called `exit_group` with this status.
    Exit(i32),
    /// A signal killed it; whether a core was dumped.
    Signal(i32, bool),
}

impl End {
    /// From the status of `wait4`.
    pub fn from_status(status: i32) -> End {
        if libc::WIFEXITED(status) {
            End::Exit(libc::WEXITSTATUS(status))
        } else {
            End::Signal(libc::WTERMSIG(status), libc::WCOREDUMP(status))
        }
    }
}

/// Exit status of a child whose closure panicked.
pub const PANICKED: i32 = 101;

const SLOTS: usize = 512;

/// Memory that a child and its parent share: it is written without a system call, so a child can report under any policy.
#[repr(C)]
pub struct Board {
    used: AtomicUsize,
    slots: [AtomicI64; SLOTS],
}

impl Board {
    /// Adds a value to the report.
    pub fn put(&self, value: i64) {
        let at = self.used.fetch_add(1, Ordering::SeqCst);
        self.slots[at].store(value, Ordering::SeqCst);
    }

    /// Adds the result of a call: its value, or the negative errno.
    pub fn ret(&self, ret: crate::sys::Ret) {
        self.put(match ret {
            Ok(value) => value as i64,
            Err(errno) => -i64::from(errno),
        });
    }

    /// What was put so far.
    pub fn values(&self) -> Vec<i64> {
        let used = self.used.load(Ordering::SeqCst).min(SLOTS);
        let slots = &self.slots[..used];
        slots
            .iter()
            .map(|slot| slot.load(Ordering::SeqCst))
            .collect()
    }
}

/// What the parent saw of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// What it put on its board.
    pub values: Vec<i64>,
}

impl Seen {
    /// The values of a child that must have ended well.
    #[track_caller]
    pub fn well(self) -> Vec<i64> {
        assert_eq!(
            self.end,
            End::Exit(0),
            "the child did not end well; it had put {:?}",
            self.values
        );
        self.values
    }
}

/// A running child.
pub struct Child {
    /// Its process number.
    pub pid: i32,
    board: Shared<Board>,
}

impl Child {
    /// What it has put so far.
    pub fn values(&self) -> Vec<i64> {
        self.board.values()
    }

    /// Waits until it has put `count` values, or fails after ten seconds of the stock kernel's.
    #[track_caller]
    pub fn until(&self, count: usize) -> Vec<i64> {
        for _ in 0..10_000 * crate::slow::factor() {
            let values = self.values();
            if values.len() >= count {
                return values;
            }
            nap(1);
        }
        panic!(
            "the child put {:?}, {count} values were expected",
            self.values()
        );
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Seen {
        let end = wait(self.pid);
        Seen {
            end,
            values: self.board.values(),
        }
    }

    /// Kills it and waits for its end.
    #[track_caller]
    pub fn kill(self) -> Seen {
        assert_eq!(sys!(libc::SYS_kill, self.pid, libc::SIGKILL), Ok(0));
        self.wait()
    }
}

/// Sleeps.
pub fn nap(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}

/// Waits for a child's end.
#[track_caller]
pub fn wait(pid: i32) -> End {
    let mut status = 0i32;
    loop {
        // `__WALL`: also children that were made by clone without an exit signal.
        match sys!(libc::SYS_wait4, pid, &raw mut status, libc::__WALL, 0) {
            Err(libc::EINTR) => {}
            Ok(found) if found == pid as u64 => return End::from_status(status),
            other => panic!("wait4({pid}) = {other:?}"),
        }
    }
}

/// Ends the calling process at once.
pub fn exit(status: i32) -> ! {
    loop {
        let _ = sys!(libc::SYS_exit_group, status);
    }
}

/// Runs `body` as a process that was just forked, and ends it: with the status that the body returns.
pub fn run_and_exit(body: impl FnOnce() -> i32) -> ! {
    let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED);
    exit(status)
}

/// `fork(2)` through the C library, which keeps its own state right: `Ok(0)` in the child.
pub fn fork() -> Result<i32, i32> {
    // SAFETY: both sides go on in a copy of this process; tests that have other threads only use memory in the child.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        pid => Ok(pid),
    }
}

/// Makes the library start `command` by fork and exec. By itself it uses posix_spawn, which is vfork inside.
pub fn use_fork(command: &mut std::process::Command) {
    // SAFETY: the step between fork and exec does nothing.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, || Ok(())) };
}

/// Starts a child that runs `body` and then ends with status 0.
#[track_caller]
pub fn start(body: impl FnOnce(&Board)) -> Child {
    let board = Shared::<Board>::new();
    match fork().expect("fork") {
        0 => run_and_exit(|| {
            body(&board);
            0
        }),
        pid => Child { pid, board },
    }
}

/// Runs `body` in a child to its end.
#[track_caller]
pub fn run(body: impl FnOnce(&Board)) -> Seen {
    start(body).wait()
}

/// Runs `body` in a child and returns the one value it gives.
#[track_caller]
pub fn ask(body: impl FnOnce() -> crate::sys::Ret) -> crate::sys::Ret {
    let values = run(|board| board.ret(body())).well();
    match values.as_slice() {
        [value] => crate::sys::decode(*value as u64),
        other => panic!("one value was expected: {other:?}"),
    }
}

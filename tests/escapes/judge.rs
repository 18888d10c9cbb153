// SPDX-License-Identifier: GPL-2.0
//! Runs one case under one policy and finds out whether the attacker got out.

use std::time::{Duration, Instant};

use super::case::{Case, Deed, Expect, Loot, Proof, Stop, Under};
use super::stage::{Stage, pipe, receive, send};
use super::world::{World, snapshot};
use super::{global, policy};
use crate::harness::end_descendants;
use crate::slow;
use crate::sys::child::{End, exit, fork};
use crate::sys::{own, sys};

/// How long a case may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The attacker got out.
    Out,
    /// It did not, and this is what it met.
    In(String),
    /// The case does not run in this guest.
    Skipped(String),
    /// The case itself failed.
    Broken(String),
}

impl Finding {
    /// Whether this is what was expected; nothing can be said of what did not run.
    pub fn is(&self, expect: Expect) -> bool {
        match self {
            Finding::Out => expect != Expect::Stopped,
            Finding::In(_) => expect == Expect::Stopped,
            Finding::Skipped(_) | Finding::Broken(_) => false,
        }
    }
}

/// Runs a case. The calling process gives up its mounts for it, so it runs one only.
pub fn judge(case: &Case, under: Under) -> Finding {
    let image = match policy::image(case, under) {
        Ok(image) => image,
        Err(text) => return Finding::Broken(text),
    };
    let adopted = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_eq!(adopted, Ok(0), "PR_SET_CHILD_SUBREAPER");
    let kept = global::Kept::note();
    let stage = Stage {
        world: World::build(),
        image,
    };
    let before = snapshot();
    let deed = play(case, &stage);
    kept.restore();
    if let Err(text) = end_descendants() {
        return Finding::Broken(text);
    }
    let changed = snapshot() != before;
    match deed {
        Err(text) => Finding::Broken(text),
        Ok(Err(Stop::Skip(text))) => Finding::Skipped(text),
        // A change is one, whatever the attacker says of it.
        Ok(_) if case.proof == Proof::Changed && changed => Finding::Out,
        Ok(Ok(loot)) if proves(case.proof, &loot, &stage.world) => Finding::Out,
        Ok(Ok(loot)) => Finding::In(match loot {
            Loot::Bytes(bytes) => {
                let shown: String = String::from_utf8_lossy(&bytes).chars().take(60).collect();
                format!("it brought home {shown:?}")
            }
            loot => format!("it brought home {loot:?}"),
        }),
        Ok(Err(Stop::Errno(errno))) => {
            let error = std::io::Error::from_raw_os_error(errno);
            Finding::In(error.to_string())
        }
        Ok(Err(Stop::Said(text))) => Finding::In(text),
    }
}

fn proves(proof: Proof, loot: &Loot, world: &World) -> bool {
    let holds = |text: &str| match loot {
        Loot::Bytes(bytes) => bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes()),
        _ => false,
    };
    match proof {
        Proof::Content => holds(&world.flag),
        Proof::Ran => holds(&world.ran),
        Proof::Changed => false,
        Proof::Size => *loot == Loot::Number(world.size),
        Proof::Bits => *loot == Loot::Number(world.bits),
        Proof::Told => true,
    }
}

/// Runs the free process of the case to its end; an error says that the case is broken.
fn play(case: &Case, stage: &Stage) -> Result<Deed, String> {
    let (reader, writer) = pipe();
    let pid = match fork() {
        Ok(0) => {
            drop(reader);
            let _ = sys!(libc::SYS_setsid);
            send(writer, &(case.run)(stage));
            exit(0)
        }
        Ok(pid) => pid,
        Err(errno) => return Err(format!("fork failed with errno {errno}")),
    };
    drop(writer);
    let limit = slow::limit(LIMIT);
    let end = end_within(pid, limit);
    // Others may hold the writing end, and must not be waited for.
    let _ = end_descendants();
    match (end, receive(reader)) {
        (Some(End::Exit(0)), Some(deed)) => Ok(deed),
        (Some(end), deed) => Err(format!("the case ended with {end:?}, having said {deed:?}")),
        (None, _) => Err(format!("not done after {} s", limit.as_secs())),
    }
}

/// Waits for the end of a process; kills it if that takes too long.
fn end_within(pid: i32, limit: Duration) -> Option<End> {
    let deadline = Instant::now() + limit;
    let process = own(sys!(libc::SYS_pidfd_open, pid, 0)).expect("pidfd_open");
    let mut polled = libc::pollfd {
        fd: std::os::fd::AsRawFd::as_raw_fd(&process),
        events: libc::POLLIN,
        revents: 0,
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let _ = sys!(libc::SYS_kill, pid, libc::SIGKILL);
            return None;
        }
        match sys!(
            libc::SYS_poll,
            &raw mut polled,
            1,
            left.as_millis() as u64 + 1
        ) {
            Ok(1) => return Some(crate::sys::child::wait(pid)),
            _ => continue,
        }
    }
}

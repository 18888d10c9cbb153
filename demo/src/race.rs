// SPDX-License-Identifier: GPL-2.0
//! The race: one thread opens a name over and over while another one swaps it between an allowed and a denied name.
//!
//! Whoever judges the name at one moment and lets it be used at another loses this race. The same code runs under each
//! defender: under none at all, under a supervisor in user space, and under the kernel's filter.

mod names;
mod supervisor;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;

pub(crate) use names::Names;
pub(crate) use supervisor::{Supervision, supervise};

use crate::sys::child::{Note, Outbox};
use crate::sys::raw::open_at;

/// What makes a file that file, whatever name led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The device it lies on.
    pub(crate) device: u64,
    /// Its inode there.
    pub(crate) inode: u64,
}

impl Identity {
    /// The identity of an open file.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn of(file: impl AsFd) -> Result<Identity, Errno> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// What came of the opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Opens tried.
    pub(crate) attempts: u64,
    /// Opens that gave the allowed file.
    pub(crate) allowed: u64,
    /// Opens that gave the denied file: each one is a defeat.
    pub(crate) denied: u64,
    /// Opens refused with `EACCES`.
    pub(crate) refused: u64,
    /// Anything else: another file, another errno. None is expected.
    pub(crate) other: u64,
}

impl Tally {
    /// Counts one open that came to `outcome`.
    pub(crate) fn count(&mut self, outcome: Result<Identity, Errno>, files: &Files) {
        self.attempts += 1;
        let place = match outcome {
            Ok(file) if file == files.denied => &mut self.denied,
            Ok(file) if file == files.allowed => &mut self.allowed,
            Err(Errno::ACCESS) => &mut self.refused,
            Ok(_) | Err(_) => &mut self.other,
        };
        *place += 1;
    }

    /// The tally as a note of a child.
    pub(crate) fn note(&self) -> Note {
        [
            self.attempts as i64,
            self.allowed as i64,
            self.denied as i64,
            self.refused as i64,
            self.other as i64,
            0,
        ]
    }

    /// The tally in a child's note.
    pub(crate) fn from_note(note: Note) -> Tally {
        let [attempts, allowed, denied, refused, other, _] = note.map(|number| number as u64);
        Tally {
            attempts,
            allowed,
            denied,
            refused,
            other,
        }
    }

    /// Whether each open has exactly one outcome in the books.
    pub(crate) fn adds_up(&self) -> bool {
        self.allowed + self.denied + self.refused + self.other == self.attempts
    }
}

/// The two files that the names lead to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    /// The one that the policy allows.
    pub(crate) allowed: Identity,
    /// The one that it denies, though its mode lets the user read it.
    pub(crate) denied: Identity,
}

/// How long a race may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// Opens at most.
    pub(crate) opens: u64,
    /// Time at most; the race ends early and says so by a smaller count.
    pub(crate) time: Duration,
    /// A note is sent after so many opens.
    pub(crate) progress: u64,
}

/// Runs the race in this process, which the defender binds already, and posts tallies as it goes; the last one is the result.
///
/// # Errors
///
/// If the thread cannot be made or the parent is gone.
pub(crate) fn run(names: &Names, files: &Files, bound: &Bound, out: &mut Outbox) -> Result<()> {
    let stop = AtomicBool::new(false);
    let flips = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let flipper = std::thread::Builder::new()
            .name("flipper".into())
            .spawn_scoped(scope, || flip(names, &stop, &flips))
            .context("starting the thread that swaps the names")?;
        let result = open_all(names, files, bound, out, &flips);
        stop.store(true, Ordering::Relaxed);
        ensure!(flipper.join().is_ok(), "the swapping thread panicked");
        result
    })
}

/// Swaps the names until told to stop. Each name stands equally long.
fn flip(names: &Names, stop: &AtomicBool, flips: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..64 {
            names.show_denied();
            std::hint::spin_loop();
            names.show_allowed();
            std::hint::spin_loop();
        }
        flips.fetch_add(128, Ordering::Relaxed);
    }
}

fn open_all(
    names: &Names,
    files: &Files,
    bound: &Bound,
    out: &mut Outbox,
    flips: &AtomicU64,
) -> Result<()> {
    // A race against a thread that has not started yet proves nothing.
    while flips.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    let start = Instant::now();
    let mut tally = Tally::default();
    while tally.attempts < bound.opens {
        let outcome = open_at(names.pointer()).and_then(Identity::of);
        tally.count(outcome, files);
        if tally.attempts.is_multiple_of(bound.progress) {
            out.post(tally.note())?;
            if start.elapsed() > bound.time {
                break;
            }
        }
    }
    out.post(tally.note())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Files = Files {
        allowed: Identity {
            device: 1,
            inode: 2,
        },
        denied: Identity {
            device: 1,
            inode: 3,
        },
    };

    #[test]
    fn each_outcome_is_counted_in_its_place() {
        let mut tally = Tally::default();
        tally.count(Ok(FILES.allowed), &FILES);
        tally.count(Ok(FILES.denied), &FILES);
        tally.count(Ok(FILES.denied), &FILES);
        tally.count(Err(Errno::ACCESS), &FILES);
        tally.count(Err(Errno::NOENT), &FILES);
        tally.count(
            Ok(Identity {
                device: 2,
                inode: 3,
            }),
            &FILES,
        );
        let expected = Tally {
            attempts: 6,
            allowed: 1,
            denied: 2,
            refused: 1,
            other: 2,
        };
        assert_eq!(tally, expected);
        assert!(tally.adds_up());
        assert_eq!(Tally::from_note(tally.note()), tally);
    }

    #[test]
    fn books_that_lack_an_outcome_do_not_add_up() {
        let tally = Tally {
            attempts: 3,
            allowed: 1,
            denied: 1,
            ..Tally::default()
        };
        assert!(!tally.adds_up());
    }
}

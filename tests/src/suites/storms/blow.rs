// SPDX-License-Identifier: GPL-2.0
//! A storm from its beginning to its end, and what it has done.

use std::sync::atomic::{AtomicU64, Ordering};

use super::task::{Deed, Task};
use crate::harness::note;
use crate::random::{Random, Wish};
use crate::slow;
use crate::sys::child::{End, fork, run_and_exit, wait};
use crate::sys::memory::Shared;

/// How often each deed was done by all tasks of a storm, and how many answers were compared.
#[repr(C)]
pub(super) struct Tally {
    deeds: [AtomicU64; Deed::ALL.len()],
    tasks: AtomicU64,
    answers: AtomicU64,
}

impl Tally {
    pub(super) fn done(&self, deed: Deed) {
        self.deeds[deed as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn task(&self) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answers(&self, count: usize) {
        self.answers.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Says what was done.
    pub(super) fn note(&self, when: &str) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut text = format!(
            "{when}: {} tasks, {} answers compared;",
            count(&self.tasks),
            count(&self.answers)
        );
        for deed in Deed::ALL {
            text += &format!(" {deed:?} {}", count(&self.deeds[deed as usize]));
        }
        note(&text);
    }
}

/// A storm that does not blow yet.
pub(super) struct Storm {
    seed: u64,
    deeds: usize,
}

impl Storm {
    /// One of `deeds` deeds in all, on the stock kernel and if the command line does not want another number.
    pub(super) fn of_the_wish(deeds: usize) -> Storm {
        let wish = Wish::get();
        let count = wish
            .count
            .unwrap_or(deeds as u64 / u64::from(slow::factor()));
        Storm {
            seed: wish.seed(),
            deeds: count as usize,
        }
    }

    /// The same with another seed: the `number`-th of a row.
    pub(super) fn number(&self, number: u64) -> Storm {
        Storm {
            seed: self.seed.wrapping_add(number),
            deeds: self.deeds,
        }
    }

    /// The storm in full swing; two trees for each processor.
    #[track_caller]
    pub(super) fn begin(&self) -> Blowing {
        // A failure is told by this; a good run is repeated by nobody.
        println!("--seed {} --count {}", self.seed, self.deeds);
        super::task::install_programs();
        let tally = Shared::<Tally>::new();
        let mut random = Random::new(self.seed);
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let trees = 2 * processors;
        let roots = (0..trees).map(|_| {
            let mut root = Task::root(
                Random::new(random.number()),
                self.deeds.div_ceil(trees),
                &tally,
            );
            match fork().expect("fork") {
                0 => run_and_exit(|| {
                    root.live();
                    0
                }),
                pid => pid,
            }
        });
        let roots = roots.collect();
        Blowing { roots, tally }
    }

    /// The whole of it.
    #[track_caller]
    pub(super) fn blow(&self) -> Shared<Tally> {
        self.begin().end()
    }
}

/// A storm that blows.
pub(super) struct Blowing {
    roots: Vec<i32>,
    tally: Shared<Tally>,
}

impl Blowing {
    /// Waits for its end, which is a good one only if every answer was the oracle's.
    #[track_caller]
    pub(super) fn end(self) -> Shared<Tally> {
        let ends: Vec<End> = self.roots.into_iter().map(wait).collect();
        for end in ends {
            assert_eq!(end, End::Exit(0), "a tree of the storm");
        }
        let compared = self.tally.answers.load(Ordering::Relaxed);
        assert!(compared > 0, "nothing was compared");
        self.tally
    }
}

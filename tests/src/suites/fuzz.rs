// SPDX-License-Identifier: GPL-2.0
//! Random requests to the live module: `prctl`, `ioctl` through both entries of the kernel, images with errors in them, any call on our descriptors.
//!
//! What must come of a request is known before it is made: arguments are decoded by the module's own code, built for the host, on the bytes that
//! lie there, and images are verified likewise. A session that fails says how to repeat it: `--filter fuzz:: --seed N --count 1`. Without
//! `--count` sessions are held for a bounded time. On the debug kernel each is one more chance for what watches there.

mod arena;
mod image;
mod request;
mod scribble;
mod session;
mod trial;

use std::time::{Duration, Instant};

use crate::harness::{Test, note};
use crate::random::{Random, Wish};
use crate::slow;
use crate::sys::child::{Board, End, run};

/// How long sessions are held when the command line names no number.
const TIME: Duration = Duration::from_secs(20);

pub(super) fn tests() -> Vec<Test> {
    let limit = 3 * TIME.as_secs() + Wish::get().count.unwrap_or(0);
    let test = |name: &str, session: fn(&mut Random, &Board)| {
        Test::new(format!("fuzz::{name}"), move || sessions(session)).limit(limit)
    };
    vec![
        test(
            "law_4_not_removable_random_requests_are_answered_as_documented",
            session::hold,
        ),
        test(
            "law_4_not_removable_arguments_that_other_threads_rewrite",
            scribble::hold,
        ),
    ]
}

/// Holds sessions, each in a process of its own and from a seed of its own. A session puts tallies on its board, which are added up.
fn sessions(session: fn(&mut Random, &Board)) {
    let wish = Wish::get();
    let (first, end) = (wish.seed(), Instant::now() + slow::limit(TIME));
    let mut tally: Vec<i64> = Vec::new();
    let mut held = 0;
    while wish
        .count
        .map_or(Instant::now() < end, |count| held < count)
    {
        let seed = first.wrapping_add(held);
        let seen = run(|board| session(&mut Random::new(seed), board));
        if seen.end != End::Exit(0) {
            panic!("{:?}: --filter fuzz:: --seed {seed} --count 1", seen.end);
        }
        tally.resize(seen.values.len(), 0);
        for (sum, value) in tally.iter_mut().zip(&seen.values) {
            *sum += value;
        }
        held += 1;
    }
    note(&format!(
        "--seed {first}, {held} sessions: {}",
        shown(&tally)
    ));
    if wish.count.is_none() {
        for (name, sum) in TALLIES.iter().zip(&tally) {
            assert!(*sum > 0, "no {name} in {held} sessions: the test is blind");
        }
    }
}

/// What a session counts, in the order of its board.
const TALLIES: [&str; 4] = ["requests", "descriptors", "images refused", "layers"];

fn shown(tally: &[i64]) -> String {
    let parts = TALLIES.iter().zip(tally);
    let parts: Vec<String> = parts.map(|(name, sum)| format!("{sum} {name}")).collect();
    parts.join(", ")
}

/// What a session has come to.
#[derive(Default)]
struct Tally {
    requests: i64,
    descriptors: i64,
    refused: i64,
    layers: i64,
}

impl Tally {
    fn put(&self, board: &Board) {
        for value in [self.requests, self.descriptors, self.refused, self.layers] {
            board.put(value);
        }
    }
}

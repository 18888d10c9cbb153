// SPDX-License-Identifier: GPL-2.0
//! The committed corpora, replayed: whatever a fuzzer has found once stays found.

use std::fs;
use std::path::Path;

/// Runs a target on all files of its corpus.
fn replay(name: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let entries =
        fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut count = 0;
    for entry in entries {
        let file = entry.expect("a directory entry").path();
        let input = fs::read(&file).expect("a file of the corpus");
        // A panic of the target tells what is wrong; this tells with what.
        let name = file.display().to_string();
        let told = std::panic::catch_unwind(|| run(&input));
        assert!(told.is_ok(), "{name} fails");
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}

macro_rules! corpora {
    ($($name:ident),*) => {
        /// The targets whose corpora are replayed here.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            replay(stringify!($name), fuzz::$name::run);
        })*
    };
}

corpora!(
    arguments, classic, image, language, patterns, profile, program, table
);

#[test]
fn every_target_and_every_corpus_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["fuzz_targets", "corpus"] {
        let entries = fs::read_dir(root.join(dir)).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| {
                let path = entry.expect("a directory entry").path();
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        assert_eq!(names, NAMES, "{dir}");
    }
}

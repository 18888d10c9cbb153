// SPDX-License-Identifier: GPL-2.0
//! Directories above a file are renamed while it is opened: the path that is judged is one that the file has had, never a mixture of two.
//!
//! A process without layers renames; its child, under one, opens the file from a descriptor of its directory, so that the walk itself meets no
//! renamed name.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libc::{O_PATH, O_RDONLY};

use super::{ONE, fresh, name};
use crate::harness::{Test, note, tests};
use crate::kernel::attach;
use crate::sys::child::start;
use crate::sys::memory::Shared;
use crate::sys::{open, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("object::moved";
        law_2_stable_strings_short_and_long_names, law_2_stable_strings_names_of_one_length, law_2_stable_strings_two_directories_of_the_way,
        law_2_stable_strings_another_parent, law_2_stable_strings_long_path,
    );
    tests.into_iter().map(|test| test.limit(180)).collect()
}

/// How long each of the two policies is tried.
const STORM: Duration = Duration::from_secs(3);

/// Renames below `base` round and round: each path of `places` becomes the next one. `at_first` is where the directory of the file lies when it
/// begins, and
/// `had` are all paths that the file `f` ever has.
fn race(base: &str, at_first: &str, rename: &[(&str, &str)], had: &[&str]) {
    let file = format!("{base}/{at_first}/f");
    std::fs::create_dir_all(format!("{base}/{at_first}")).expect("mkdir");
    std::fs::write(file, "x").expect("write");
    let paths: Vec<String> = had
        .iter()
        .map(|path| format!("\"{base}/{path}/f\""))
        .collect();
    let paths = paths.join(", ");
    let directory = open(&name(format!("{base}/{at_first}")), O_PATH).expect("open");
    for (policy, refused) in [
        // Whatever is opened has a path that it never had.
        (
            format!("deny ENOTUNIQ path == {paths}; default allow"),
            true,
        ),
        // Whatever is refused has one.
        (
            format!("allow path == {paths}; default deny ENOTUNIQ"),
            false,
        ),
    ] {
        let image = super::compiled(&format!("on vfs.pick {{ {policy} }}"));
        let done = Shared::<AtomicBool>::new();
        let renames = Shared::<AtomicU64>::new();
        let judged = start(|board| {
            attach(&image);
            let (mut opens, mut wrong) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let opened = sys!(libc::SYS_openat, &directory, c"f", O_RDONLY, 0);
                if let Ok(fd) = opened {
                    let _ = sys!(libc::SYS_close, fd);
                }
                opens += 1;
                let expected = if refused { Err(ONE) } else { Ok(0) };
                wrong += i64::from(opened.map(|_| 0) != expected);
            }
            board.put(opens);
            board.put(wrong);
        });
        let begun = Instant::now();
        while begun.elapsed() < STORM {
            for (from, to) in rename {
                let (from, to) = (format!("{base}/{from}"), format!("{base}/{to}"));
                std::fs::rename(&from, &to).unwrap_or_else(|error| panic!("{from}: {error}"));
                renames.fetch_add(1, Ordering::Relaxed);
            }
        }
        done.store(true, Ordering::Relaxed);
        let values = judged.wait().well();
        let renames = renames.load(Ordering::Relaxed);
        note(&format!("{} opens, {renames} renames", values[0]));
        assert_eq!(values[1], 0, "of {} opens under {policy:.60}", values[0]);
        assert!(values[0] > 100 && renames > 100, "no race");
    }
}

/// From a name in the dentry itself to one outside of it, and back.
fn law_2_stable_strings_short_and_long_names() {
    let base = fresh("moved-length");
    let long = "l".repeat(200);
    race(&base, "s", &[("s", &long), (&long, "s")], &["s", &long]);
}

/// Names of one length, whose bytes would mix unseen if one were copied while it changes.
fn law_2_stable_strings_names_of_one_length() {
    let base = fresh("moved-bytes");
    for length in [8, 24, 39, 40, 255] {
        let [a, b] = ["a", "b"].map(|letter| letter.repeat(length));
        let base = format!("{base}/{length}");
        race(&base, &a, &[(&a, &b), (&b, &a)], &[&a, &b]);
    }
}

/// Of the two names on the way only one is changed at a time: there never is a path with both of the second ones.
fn law_2_stable_strings_two_directories_of_the_way() {
    let base = fresh("moved-two");
    race(
        &base,
        "upper/lower",
        &[
            ("upper", "upper-that-is-longer"),
            ("upper-that-is-longer", "upper"),
            ("upper/lower", "upper/lower-that-is-longer"),
            ("upper/lower-that-is-longer", "upper/lower"),
        ],
        &[
            "upper/lower",
            "upper-that-is-longer/lower",
            "upper/lower-that-is-longer",
        ],
    );
}

/// The directory moves to another parent and is called something else there.
fn law_2_stable_strings_another_parent() {
    let base = fresh("moved-parent");
    std::fs::create_dir_all(format!("{base}/east/coast")).expect("mkdir");
    race(
        &base,
        "west/first",
        &[
            ("west/first", "east/coast/second"),
            ("east/coast/second", "west/first"),
        ],
        &["west/first", "east/coast/second"],
    );
}

/// A path that has room at first and none later: the event is judged once more, by what is then there.
fn law_2_stable_strings_long_path() {
    let base = fresh("moved-room");
    let long = format!("{}/{}", "m".repeat(120), "n".repeat(120));
    std::fs::create_dir_all(format!("{base}/{long}")).expect("mkdir");
    let far = format!("{long}/far");
    race(
        &base,
        "near",
        &[("near", &far), (&far, "near")],
        &["near", &far],
    );
}

// SPDX-License-Identifier: GPL-2.0
//! A million opens of a name that is rewritten all the while, by threads on which one layer after the other is pushed.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::{AT_FDCWD, EUCLEAN};
use uapi::control::RESTRICT_TSYNC;

use super::layer::{Layer, NAMES};
use super::stack::Stack;
use crate::harness::{Test, note, tests};
use crate::kernel::{attach, layers, load, restrict_with};
use crate::program::{Names, ODD, deny_name, errno};
use crate::random::{Random, Wish};
use crate::slow;
use crate::suites::races::is_inode;
use crate::sys::memory::{PAGE, map, poke, write};
use crate::sys::{own, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("storms"; law_2_stable_strings_in_a_million_opens)
        .into_iter()
        .map(|test| test.limit(300))
        .collect()
}

/// How many opens the stock kernel makes; a slow one makes as many fewer as it is slower, and half of that.
const OPENS: u64 = 1_000_000;
/// How many layers are pushed meanwhile.
const LAYERS: u64 = 40;
/// The errno of the layer that comes in the middle.
const SEALED: i32 = EUCLEAN;

/// Three files whose names differ in the last byte: the first is always allowed, the second always refused, the third refused from the middle on.
struct Files {
    name: u64,
    last: u64,
    inodes: [u64; 3],
}

const DIRECTORY: &str = "/tmp/evf-opens";
const LETTERS: [u8; 3] = *b"abc";

fn path(letter: u8) -> String {
    format!("{DIRECTORY}/evf-{}", char::from(letter))
}

impl Files {
    fn new() -> Files {
        std::fs::create_dir_all(DIRECTORY).expect(DIRECTORY);
        let inodes = LETTERS.map(|letter| {
            let path = path(letter);
            std::fs::write(&path, "").expect("write");
            std::fs::metadata(&path).expect("metadata").ino()
        });
        let name = map(PAGE, libc::MAP_PRIVATE);
        let text = path(LETTERS[0]);
        write(name, text.as_bytes());
        let last = name + text.len() as u64 - 1;
        Files { name, last, inodes }
    }
}

/// What came of the opens.
#[derive(Default)]
struct Counts {
    opens: AtomicU64,
    first: AtomicU64,
    third: AtomicU64,
    refused: AtomicU64,
    sealed: AtomicU64,
}

/// How far the layer against the third file has come: not begun, being pushed, pushed.
struct Seal {
    begun: AtomicBool,
    done: AtomicBool,
}

/// Opens once; the answer must be one that some moment of the call allows, and the file the one that the answer was about.
fn open_once(files: &Files, seal: &Seal, counts: &Counts) {
    let done_before = seal.done.load(Ordering::SeqCst);
    let opened = own(sys!(libc::SYS_openat, AT_FDCWD, files.name, 0, 0));
    let begun_after = seal.begun.load(Ordering::SeqCst);
    let count = match opened {
        Ok(fd) if is_inode(&fd, files.inodes[0]) => &counts.first,
        Ok(fd) if is_inode(&fd, files.inodes[2]) => {
            assert!(
                !done_before,
                "the third file was reached after it was sealed"
            );
            &counts.third
        }
        Ok(_) => panic!("the refused file was reached"),
        Err(ODD) => &counts.refused,
        Err(SEALED) => {
            assert!(begun_after, "refused by a layer that is not there yet");
            &counts.sealed
        }
        Err(errno) => panic!("errno {errno}"),
    };
    count.fetch_add(1, Ordering::Relaxed);
    counts.opens.fetch_add(1, Ordering::Relaxed);
}

/// Whatever the memory says and however many layers come: what is opened is what was judged.
fn law_2_stable_strings_in_a_million_opens() {
    let slowness = match u64::from(slow::factor()) {
        1 => 1,
        factor => 2 * factor,
    };
    let wish = Wish::get();
    let opens = wish.count.unwrap_or(OPENS / slowness);
    let seed = wish.seed();
    println!("--seed {seed} --count {opens}");
    let files = Files::new();
    attach(&deny_name(path(LETTERS[1]).as_bytes()));
    let openers = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let counts = Counts::default();
    let seal = Seal {
        begun: AtomicBool::new(false),
        done: AtomicBool::new(false),
    };
    let each = opens.div_ceil(openers);
    let done = &AtomicBool::new(false);
    let stack = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..openers)
            .map(|_| {
                scope.spawn(|| {
                    (0..each).for_each(|_| open_once(&files, &seal, &counts));
                })
            })
            .collect();
        let working = || threads.iter().any(|thread| !thread.is_finished());
        let last = files.last;
        scope.spawn(move || {
            let mut random = Random::new(seed);
            while !done.load(Ordering::Relaxed) {
                poke(last, random.pick(&LETTERS));
            }
        });
        let mut stack = Stack::default();
        for number in 0..LAYERS {
            while working() && counts.opens.load(Ordering::Relaxed) < opens * number / LAYERS {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let layer = Layer::refusing(number as usize % NAMES.len(), 3 + number as i32);
            let in_the_middle = number == LAYERS / 2;
            let image = match in_the_middle {
                true => Names::new()
                    .equal(path(LETTERS[2]).as_bytes(), errno(SEALED))
                    .or_allow(),
                false => layer.image(),
            };
            let filter = load(&image);
            if in_the_middle {
                seal.begun.store(true, Ordering::SeqCst);
            } else {
                stack = stack.and(&layer);
            }
            let told = restrict_with(RESTRICT_TSYNC, filter.as_raw_fd());
            assert_eq!(told, (Ok(0), 0), "layer {number}");
            if in_the_middle {
                seal.done.store(true, Ordering::SeqCst);
            }
            stack.verify_answers(number);
        }
        let ends: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok), "an opener");
        stack
    });
    stack.verify_answers(0);
    assert_eq!(u64::from(layers()), 1 + LAYERS);
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let all = [
        &counts.first,
        &counts.third,
        &counts.refused,
        &counts.sealed,
    ]
    .map(count);
    note(&format!(
        "{} opens: {} of the first, {} of the third before it was sealed, {} refused, {} refused as sealed",
        count(&counts.opens),
        all[0],
        all[1],
        all[2],
        all[3]
    ));
    let raced = all.iter().all(|count| *count > 0);
    // A few, as the command line may want, can all fall on one side.
    assert!(raced || opens < 10_000, "no race: {all:?}");
}

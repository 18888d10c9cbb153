// SPDX-License-Identifier: GPL-2.0
//! Paths and names of every length: around the room that a path is first given, up to the longest path there is, and beyond it.
//!
//! A policy that speaks of exactly that path is met; one that speaks of a neighbour, which differs in the last byte, is not.

use std::ffi::CString;

use libc::{ENAMETOOLONG, ENOENT, O_CREAT, O_RDONLY, O_RDWR};

use filters::event::Event;

use super::{ONE, fresh, name};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{ALLOW, Names, Part, errno, image};
use crate::sys::child::run;
use crate::sys::{Ret, open, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("object::long";
        paths_of_every_length_are_told_apart, both_ends_of_a_rename_may_be_long, both_ends_of_a_link_may_be_long, one_end_may_be_too_long,
        path_from_a_root_far_down, too_long_only_for_who_asks, names_of_every_length, names_of_bytes_that_are_no_text,
        layers_are_asked_again_where_there_was_no_room,
    );
    tests.into_iter().map(|test| test.limit(180)).collect()
}

/// Bytes of the room on the stack are 256, of the longest path 4095.
const LENGTHS: [usize; 17] = [
    60, 128, 247, 248, 253, 254, 255, 256, 257, 258, 260, 264, 512, 1000, 4088, 4094, 4095,
];

/// A place whose file has a path of so many bytes: the directories below `base`, and the file's name.
#[derive(Debug)]
struct Deep {
    base: String,
    steps: Vec<String>,
    leaf: String,
}

impl Deep {
    /// The path of the file has `length` bytes; at least five more than `base`.
    fn new(base: &str, length: usize) -> Deep {
        let mut left = length - base.len();
        let mut steps = Vec::new();
        // A slash and a name of 99 bytes, as long as something is left for the file.
        while left > 100 + 56 {
            steps.push(format!("{:x>99}", steps.len()));
            left -= 100;
        }
        Deep {
            base: base.to_owned(),
            steps,
            leaf: "f".repeat(left - 1),
        }
    }

    /// Path of the file, or of its neighbour of this last letter.
    fn path(&self, last: char) -> String {
        let mut path = self.base.clone();
        for step in &self.steps {
            path = format!("{path}/{step}");
        }
        format!("{path}/{}", self.file(last))
    }

    fn file(&self, last: char) -> String {
        let mut file = self.leaf.clone();
        file.pop();
        file.push(last);
        file
    }

    /// Goes to the directory of the file, step by step, and makes it on the way.
    #[track_caller]
    fn enter(&self) {
        let chdir = |to: &str| sys!(libc::SYS_chdir, name(to).as_c_str());
        assert_eq!(chdir(&self.base), Ok(0));
        for step in &self.steps {
            let made = sys!(libc::SYS_mkdir, name(step.as_str()).as_c_str(), 0o700);
            assert!([Ok(0), Err(libc::EEXIST)].contains(&made), "{made:?}");
            assert_eq!(chdir(step), Ok(0));
        }
    }

    /// The name of the file as it is called from its directory.
    fn name(&self, last: char) -> CString {
        name(self.file(last))
    }
}

fn make(file: &CString) {
    open(file, O_CREAT | O_RDWR).expect("create");
}

fn read(file: &CString) -> Ret {
    open(file, O_RDONLY).map(|_| 0)
}

/// A program for `vfs.pick` that gives `named` to objects of these paths, and `others` to all others.
fn pick(paths: &[Vec<u8>], named: u32, others: u32) -> Vec<u8> {
    let names = paths
        .iter()
        .fold(Names::new(), |names, path| names.equal(path, named));
    let part = names.or_else(others);
    image(&[Part {
        event: Event::VfsPick.number(),
        ..part
    }])
}

const NO: i64 = -(ONE as i64);

/// What reading the file and its neighbour gives.
#[track_caller]
fn both(deep: &Deep, image: &[u8]) -> Vec<i64> {
    run(|board| {
        deep.enter();
        make(&deep.name('a'));
        make(&deep.name('b'));
        attach(image);
        board.ret(read(&deep.name('a')));
        board.ret(read(&deep.name('b')));
    })
    .well()
}

fn paths_of_every_length_are_told_apart() {
    let base = fresh("long");
    for length in LENGTHS {
        let deep = Deep::new(&base, length);
        let path = deep.path('a').into_bytes();
        assert_eq!(path.len(), length);
        let deny = pick(std::slice::from_ref(&path), errno(ONE), ALLOW);
        assert_eq!(both(&deep, &deny), [NO, 0], "refused at {length}");
        let grant = pick(&[path], ALLOW, errno(ONE));
        assert_eq!(both(&deep, &grant), [0, NO], "allowed at {length}");
    }
}

/// What renaming or linking `a` to `b` gives under a policy on both paths, for each of these pairs of names that the policy knows.
#[track_caller]
fn ends(deed: fn(&CString, &CString) -> Ret) {
    let base = fresh("long-ends");
    for length in LENGTHS {
        let deep = Deep::new(&base, length);
        let action = "action == rename or action == link";
        let (a, b) = (deep.path('a'), deep.path('b'));
        for (from, to, expected) in [
            ('a', 'b', Ok(0)),
            ('a', 'c', Err(ONE)),
            ('c', 'b', Err(ONE)),
        ] {
            let policy = format!(
                "on vfs.pick {{
                    allow ({action}) and path == \"{a}\" and other == \"{b}\"
                    allow ({action}) and path == \"{b}\" and other == \"{a}\"
                    deny ENOTUNIQ {action}
                    default allow
                }}"
            );
            let image = super::compiled(&policy);
            let seen = run(|board| {
                deep.enter();
                for last in ['a', 'b', 'c'] {
                    let _ = sys!(libc::SYS_unlink, deep.name(last).as_c_str());
                }
                make(&deep.name(from));
                attach(&image);
                board.ret(deed(&deep.name(from), &deep.name(to)));
                board.ret(read(&deep.name(to)));
            });
            let read = if expected.is_ok() {
                0
            } else {
                -i64::from(ENOENT)
            };
            let expected = expected.map_or(NO, |_| 0);
            assert_eq!(seen.well(), [expected, read], "{from} to {to} at {length}");
        }
    }
}

fn rename(from: &CString, to: &CString) -> Ret {
    sys!(libc::SYS_rename, from.as_c_str(), to.as_c_str())
}

fn link(from: &CString, to: &CString) -> Ret {
    sys!(libc::SYS_link, from.as_c_str(), to.as_c_str())
}

fn both_ends_of_a_rename_may_be_long() {
    ends(rename);
}

fn both_ends_of_a_link_may_be_long() {
    ends(link);
}

/// The other end of a rename has no path that the kernel would take.
fn one_end_may_be_too_long() {
    let base = fresh("long-end");
    let near = format!("{base}/near");
    std::fs::write(&near, "x").expect("write");
    let deep = Deep::new(&base, 4300);
    for (text, expected) in [
        (
            "deny ENOTUNIQ action == rename and other == \"/no\"; default allow",
            ENAMETOOLONG,
        ),
        (
            "deny ENOTUNIQ action == rename and path == \"/no\"; default allow",
            ENAMETOOLONG,
        ),
        (
            "deny ENOTUNIQ action == rename and new_mode == 0o7777; default allow",
            0,
        ),
    ] {
        let image = super::compiled(&format!("on vfs.pick {{ {text} }}"));
        let seen = run(|board| {
            deep.enter();
            attach(&image);
            board.ret(rename(&name(near.as_str()), &deep.name('a')));
            let _ = rename(&deep.name('a'), &name(near.as_str()));
        });
        assert_eq!(seen.well(), [-i64::from(expected)], "{text}");
    }
}

/// Layers from a root far below see short paths where layers from outside see long ones, or none.
fn path_from_a_root_far_down() {
    let base = fresh("long-root");
    for length in [300, 1000, 4095, 4500] {
        let outside = Deep::new(&base, length);
        for inside in [20, 254, 255, 256, 257, 1000] {
            let seen = run(|board| {
                outside.enter();
                let _ = sys!(libc::SYS_mkdir, c"root", 0o700);
                assert_eq!(sys!(libc::SYS_chroot, c"root"), Ok(0));
                assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
                let _ = sys!(libc::SYS_mkdir, c"/r", 0o700);
                let deep = Deep::new("/r", inside);
                deep.enter();
                make(&deep.name('a'));
                make(&deep.name('b'));
                attach(&pick(&[deep.path('a').into_bytes()], errno(ONE), ALLOW));
                board.ret(read(&deep.name('a')));
                board.ret(read(&deep.name('b')));
            });
            assert_eq!(
                seen.well(),
                [NO, 0],
                "{inside} bytes, {length} further down"
            );
        }
    }
}

/// Past 4095 bytes whoever asks for the path is refused, also if an older layer had been content with less.
fn too_long_only_for_who_asks() {
    let base = fresh("long-too");
    for length in [4096, 4097, 4100, 6000] {
        let deep = Deep::new(&base, length);
        let refused = -i64::from(ENAMETOOLONG);
        for named in [&b"/no"[..], &deep.path('a').into_bytes()[..4095]] {
            let image = pick(&[named.to_vec()], errno(ONE), ALLOW);
            assert_eq!(both(&deep, &image), [refused, refused], "at {length}");
        }
        let free = super::compiled("on vfs.pick { deny ENOTUNIQ uid == 4242; default allow }");
        assert_eq!(both(&deep, &free), [0, 0], "at {length}");
    }
}

/// Names that end at, before and after the end of a machine word, in the dentry itself (up to 39 bytes) or outside of it.
#[track_caller]
fn names(byte: impl Fn(usize) -> u8) {
    let base = fresh("long-names");
    for length in 1..=255 {
        let with = |last: u8| {
            let mut text: Vec<u8> = (0..length).map(&byte).collect();
            text[length - 1] = last;
            CString::new([base.as_bytes(), b"/", &text].concat()).expect("a name")
        };
        let [a, b] = [with(b'a'), with(b'b')];
        let below = CString::new([a.as_bytes(), b".d"].concat()).expect("a name");
        let seen = run(|board| {
            make(&a);
            make(&b);
            let refused = vec![a.as_bytes().to_vec(), [below.as_bytes(), b"/x"].concat()];
            let file = CString::new(refused[1].clone()).expect("a name");
            // Also as a directory on the way, where the name is not the last; there is no room for the suffix after 253 bytes.
            let is_directory = length <= 253;
            if is_directory {
                let made = sys!(libc::SYS_mkdir, below.as_c_str(), 0o700);
                assert!([Ok(0), Err(libc::EEXIST)].contains(&made), "{made:?}");
                make(&file);
            }
            attach(&pick(&refused, errno(ONE), ALLOW));
            board.ret(read(&a));
            board.ret(read(&b));
            board.ret(if is_directory { read(&file) } else { Err(ONE) });
        });
        assert_eq!(seen.well(), [NO, 0, NO], "a name of {length} bytes");
    }
}

fn names_of_every_length() {
    names(|at| b'c' + (at % 23) as u8);
}

/// Bytes with the highest bit set, and none of a name's two that mean something.
fn names_of_bytes_that_are_no_text() {
    names(|at| 0x80 | (at * 37 % 127) as u8);
}

/// Of several layers the first one finds no room and the event is judged again: each layer's verdict counts, whichever it is that asks for the path.
fn layers_are_asked_again_where_there_was_no_room() {
    let base = fresh("long-again");
    for length in [255, 256, 257, 2000, 4095] {
        let deep = Deep::new(&base, length);
        let asks = pick(&[deep.path('a').into_bytes()], errno(ONE), ALLOW);
        let content = super::compiled("on vfs.pick { deny EUCLEAN uid == 4242; default allow }");
        for order in [[&asks, &content], [&content, &asks]] {
            let seen = run(|board| {
                deep.enter();
                make(&deep.name('a'));
                make(&deep.name('b'));
                order.into_iter().for_each(|image| attach(image));
                for last in ['a', 'b', 'a', 'b'] {
                    board.ret(read(&deep.name(last)));
                }
            });
            assert_eq!(seen.well(), [NO, 0, NO, 0], "at {length}");
        }
    }
}

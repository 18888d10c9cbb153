// SPDX-License-Identifier: GPL-2.0
//! Many layers that look at paths of objects, walked as few times as possible: the verdict is that of each of them, asked one after the other.

use std::ffi::{CStr, CString};
use std::fs;

use evfilter::Policy;
use libc::{AT_FDCWD, O_APPEND, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_WRONLY};

use super::{NATIVE, alike_in_all_kinds};
use crate::harness::{Test, note, tests};
use crate::kernel::{info, load_with, restrict};
use crate::random::{Random, Wish};
use crate::sys::child::{Board, run};
use crate::sys::{no_new_privs, open, sys};

/// Cases of a run that names no other number.
const CASES: u64 = 80;

pub(super) const ROOT: &str = "/tmp/evf-native-paths";
/// Directories below it, each with the same files.
pub(super) const DIRS: [&str; 7] = ["", "/a", "/a/b", "/a/b/lib", "/ab", "/lib", "/lib/a"];
const FILES: [&str; 3] = [
    "f",
    ".env",
    "a-name-that-does-not-lie-in-its-dentry-any-more",
];

pub(super) fn tests() -> Vec<Test> {
    let count = Wish::get().cases(CASES);
    let random = Test::new(
        "native::random_stacks_of_paths_decide_as_interpreted",
        decide_as_interpreted,
    );
    let mut tests = tests!("native"; law_1_narrow_only_each_of_64_layers_refuses_its_path, law_1_narrow_only_deeds_of_different_layers_do_not_mix);
    tests.push(random.limit(120 + 4 * count));
    tests
}

fn image(text: &str) -> Vec<u8> {
    let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    policy.image().to_vec()
}

/// Makes the tree.
pub(super) fn tree() {
    for dir in DIRS {
        fs::create_dir_all(format!("{ROOT}{dir}")).expect("mkdir");
        for file in FILES {
            fs::write(format!("{ROOT}{dir}/{file}"), "text").expect("a file");
        }
    }
}

/// What happens to each object of the tree: nothing that would leave it another one.
fn deeds(board: &Board, path: &CStr) {
    let dir = AT_FDCWD;
    for flags in [
        O_RDONLY,
        O_WRONLY,
        O_RDWR | O_APPEND,
        O_PATH,
        O_RDONLY | O_DIRECTORY,
    ] {
        board.ret(open(path, flags).map(|_| 0));
    }
    let mut buffer = [0_u64; 32];
    board.ret(sys!(
        libc::SYS_newfstatat,
        dir,
        path,
        buffer.as_mut_ptr(),
        0
    ));
    board.ret(sys!(libc::SYS_truncate, path, 4));
    board.ret(sys!(libc::SYS_rename, path, path));
    board.ret(sys!(
        libc::SYS_readlinkat,
        dir,
        path,
        buffer.as_mut_ptr(),
        8
    ));
    board.ret(sys!(libc::SYS_access, path, libc::X_OK));
    board.ret(sys!(
        libc::SYS_getxattr,
        path,
        c"user.evf",
        buffer.as_mut_ptr(),
        8
    ));
}

/// What becomes of all deeds under these layers, of which some are pushed from a root inside of the tree.
pub(super) fn done(layers: &[(u32, &[u8])], inside: usize, dirs: &[&str]) -> Vec<i64> {
    no_new_privs();
    let seen = run(|board: &Board| {
        let (before, after) = layers.split_at(layers.len() - inside);
        for (flags, image) in before {
            restrict(&load_with(*flags, image));
        }
        let mut root = ROOT;
        if inside > 0 {
            let there = CString::new(ROOT).expect("a path");
            let changed = sys!(libc::SYS_chroot, &*there).and(sys!(libc::SYS_chdir, c"/"));
            board.ret(changed);
            if changed.is_err() {
                return;
            }
            root = "";
        }
        for (flags, image) in after {
            restrict(&load_with(*flags, image));
        }
        for dir in dirs {
            for file in FILES.iter().chain([&"."]) {
                deeds(
                    board,
                    &CString::new(format!("{root}{dir}/{file}")).expect("a path"),
                );
            }
        }
    });
    seen.well()
}

/// Layers that all allow most of the tree: each refuses one directory of its own.
fn law_1_narrow_only_each_of_64_layers_refuses_its_path() {
    tree();
    for layer in 0..64 {
        fs::create_dir_all(format!("{ROOT}/own/{layer}")).expect("mkdir");
    }
    no_new_privs();
    let seen = run(|board| {
        for layer in 0..64 {
            let refused = [60, 61, 62, 63, 76][layer % 5];
            let name = ["ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENOTUNIQ"][layer % 5];
            let text = format!(
                "on vfs.pick {{\n deny {name} path under \"{ROOT}/own/{layer}\"\n allow path under \"/tmp\"\n default deny EPERM\n}}\n"
            );
            restrict(&load_with(NATIVE, &image(&text)));
            board.put(refused);
        }
        for layer in 0..64 {
            let path = CString::new(format!("{ROOT}/own/{layer}")).expect("a path");
            board.put(-open(&path, O_RDONLY).map_or_else(|errno| -i64::from(errno), |_| 0));
        }
        board.ret(open(c"/tmp/evf-native-paths/own", O_RDONLY).map(|_| 0));
        board.ret(open(c"/etc", O_RDONLY).map(|_| 0));
    });
    let values = seen.well();
    assert_eq!(values[..64], values[64..128]);
    assert_eq!(values[128..], [0, -1]);
}

/// One layer allows reading here and writing there, the next one the other way round: nothing is left, and nothing of it is added up.
fn law_1_narrow_only_deeds_of_different_layers_do_not_mix() {
    tree();
    let one = format!("paths {{\n read \"/tmp\"\n write \"{ROOT}/a\"\n}}\n");
    let other = format!("paths {{\n read \"{ROOT}/a\"\n write \"{ROOT}/lib\"\n}}\n");
    let third = "paths {\n read \"/tmp\"\n}\n".to_owned();
    no_new_privs();
    for texts in [
        vec![&one, &other],
        vec![&one, &other, &third],
        vec![&other, &one],
    ] {
        let seen = run(|board| {
            for text in &texts {
                restrict(&load_with(NATIVE, &image(text)));
            }
            for (path, flags) in [
                (c"/tmp/evf-native-paths/a/f", O_RDONLY),
                (c"/tmp/evf-native-paths/a/f", O_WRONLY),
                (c"/tmp/evf-native-paths/lib/f", O_RDONLY),
                (c"/tmp/evf-native-paths/lib/f", O_WRONLY),
                (c"/tmp/evf-native-paths/ab/f", O_RDONLY),
            ] {
                board.ret(open(path, flags).map(|_| 0));
            }
        });
        // What is written may be read, too.
        assert_eq!(seen.well(), [0, -13, 0, -13, -13]);
    }
}

fn place(random: &mut Random, root: &str) -> String {
    match format!("{root}{}", random.pick(&DIRS)).as_str() {
        "" => "\"/\"".to_owned(),
        path => format!("\"{path}\""),
    }
}

/// A policy as sandbox authors write them, about the tree as it is seen from one root.
fn grants(random: &mut Random, root: &str) -> String {
    let mut text = String::from("paths {\n");
    for word in ["read", "write", "exec", "read"] {
        if random.percent(60) {
            let places = [place(random, root), place(random, root)].join(", ");
            text.push_str(&format!(" {word} {places}\n"));
        }
    }
    let all = if root.is_empty() { "/" } else { root };
    text.push_str(&format!(" read \"{all}\"\n"));
    if random.percent(40) {
        text.push_str(" deny \"**/.env\"\n");
    }
    if random.percent(30) {
        text.push_str(&format!(" hidden \"{root}/a/b/f\"\n"));
    }
    text + "}\n"
}

/// A policy of rules, some of which look at more than the path; it always lets the root be changed.
fn rules(random: &mut Random, root: &str) -> String {
    let mut text = String::from("on vfs.pick {\n allow when action == chroot\n");
    if random.percent(20) {
        text.push_str(" deny ETIME when type == directory && action == open\n");
    }
    if random.percent(70) {
        text.push_str(" deny EACCES when reachable == no\n");
    }
    if random.percent(50) {
        text.push_str(&format!(" deny ENOSR path under {}\n", place(random, root)));
    }
    if random.percent(30) {
        text.push_str(" deny ENODATA path suffix \".env\"\n");
    }
    if random.percent(30) {
        text.push_str(" deny ENOSTR when action == open && access has write\n");
    }
    text.push_str(match random.percent(60) {
        true => " default allow\n}\n",
        false => " allow path under \"/tmp\", \"/a\", \"/lib\"\n default deny ENOTUNIQ\n}\n",
    });
    text
}

/// A policy that the compiler accepts: it refuses some, those of which one rule can never be reached.
fn accepted(random: &mut Random, make: impl Fn(&mut Random) -> String) -> Vec<u8> {
    let mut made = (0..100).map(|_| Policy::parse(&make(random)));
    let policy = made.find_map(Result::ok);
    policy.expect("the compiler accepts some").image().to_vec()
}

/// Stacks of layers, interpreted, not interpreted and both.
fn decide_as_interpreted() {
    tree();
    let wish = Wish::get();
    let (seed, count) = (wish.seed(), wish.cases(CASES));
    note(&format!("--seed {seed} --count {count}"));
    assert_eq!(info().native, 1, "nothing is compiled in this guest");
    let (mut refused, mut allowed) = (0, 0);
    for own in (0..count).map(|at| seed.wrapping_add(at)) {
        let repeat = format!("native::random_stacks_of_paths --seed {own} --count 1");
        let mut random = Random::new(own);
        let height = match random.percent(10) {
            true => 64,
            false => 1 + random.below(9),
        };
        let inside = match random.percent(25) {
            true => 1 + random.below(height),
            false => 0,
        };
        let mut images: Vec<Vec<u8>> = Vec::new();
        for layer in 0..height {
            let is_outer = inside > 0 && layer < height - inside;
            let root = if inside > 0 && !is_outer { "" } else { ROOT };
            let image = match () {
                () if !images.is_empty() && random.percent(15) => {
                    images[random.below(images.len())].clone()
                }
                () if is_outer || random.percent(40) => {
                    accepted(&mut random, |random| rules(random, root))
                }
                () => accepted(&mut random, |random| grants(random, root)),
            };
            images.push(image);
        }
        let dirs: Vec<&str> = (0..4).map(|_| random.pick(&DIRS)).collect();
        let walked = alike_in_all_kinds(&images, &mut random, &repeat, |layers| {
            done(layers, inside, &dirs)
        });
        refused += walked.iter().filter(|value| **value < 0).count() as u64;
        allowed += walked.iter().filter(|value| **value >= 0).count() as u64;
    }
    note(&format!("{refused} deeds refused, {allowed} done"));
    if count >= CASES {
        assert!(
            refused > count * 20 && allowed > count * 20,
            "{refused} refused, {allowed} done"
        );
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Many layers that look at names, walked as few times as possible: the verdict is that of each of them, asked one after the other.

use std::ffi::CString;

use evfilter::Policy;
use filters::event::Event;
use filters::lang::image::verified;
use filters::limits::MAX_LAYERS;
use filters::record::Record;
use filters::stack::Stack;
use filters::verdict::{Action, Verdict};
use libc::{AT_EMPTY_PATH, EBADF, ENOENT};

use super::{KINDS, NATIVE, alike_in_all_kinds};
use crate::harness::{Test, note, tests};
use crate::kernel::{info, layers, load_with, restrict};
use crate::kmsg::Log;
use crate::random::{Random, Wish};
use crate::sys::child::{Board, run};
use crate::sys::memory::Low;
use crate::sys::{getpid, ia32, no_new_privs, sys, try_open};

/// Cases of a run that names no other number.
const CASES: u64 = 48;

pub(super) fn tests() -> Vec<Test> {
    let count = Wish::get().cases(CASES);
    let random = Test::new(
        "native::random_stacks_of_names_decide_as_interpreted",
        decide_as_interpreted,
    );
    let mut tests = tests!("native";
        law_1_narrow_only_each_of_64_layers_refuses_its_name, layer_that_looks_at_more_than_the_name_among_others, layers_that_multiply_each_other,
        names_are_judged_alike_from_all_roots, logged_name_has_its_layer,
    );
    tests.push(random.limit(120 + 2 * count));
    tests
}

/// What refuses, and by which errno: none that the kernel gives for a name.
const REFUSALS: [(&str, i32); 5] = [
    ("ENOSTR", 60),
    ("ENODATA", 61),
    ("ETIME", 62),
    ("ENOSR", 63),
    ("ENOTUNIQ", 76),
];

fn image(rules: &str) -> Vec<u8> {
    try_image(rules).unwrap_or_else(|error| panic!("{rules}\n{error}"))
}

fn try_image(rules: &str) -> Result<Vec<u8>, evfilter::Error> {
    let policy = Policy::parse(&format!("on vfs.getname {{\n{rules}\n}}\n"))?;
    Ok(policy.image().to_vec())
}

fn text(name: &[u8]) -> CString {
    CString::new(name).expect("a name without NUL")
}

/// What opening each name gives under these layers, by 64-bit calls and, where the kernel has them, by 32-bit ones.
fn opened(layers: &[(u32, &[u8])], names: &[CString]) -> Vec<i64> {
    no_new_privs();
    let has_ia32 = ia32::call(20, [0; 6]).is_ok();
    let seen = run(|board: &Board| {
        for (flags, image) in layers {
            restrict(&load_with(*flags, image));
        }
        for name in names {
            board.ret(try_open(name));
        }
        // Names of the empty string reach the kernel only with a flag, and then the descriptor is bad.
        board.ret(sys!(libc::SYS_fchownat, -1, c"", -1, -1, AT_EMPTY_PATH));
        if has_ia32 {
            let mut low = Low::new();
            for name in names
                .iter()
                .filter(|name| name.as_bytes().len() < 200)
                .take(8)
            {
                let at = low.text(name.as_bytes());
                // access(2) of the 32-bit entry: whether there is such a file.
                board.ret(ia32::call(33, [at, 0, 0, 0, 0, 0]));
            }
        }
    });
    seen.well()
}

/// What the engine says, layer after layer, on this machine: the errno, or `None` for "allow".
fn engine(images: &[Vec<u8>], name: &[u8]) -> Option<i32> {
    let mut stack: Box<Stack<filters::policy::Policy<Vec<u8>>>> = Box::default();
    for image in images {
        let policy = verified(image.clone()).expect("a sound image");
        stack.push(policy).expect("room");
    }
    let mut words = [0; 20];
    words[18] = name.len() as u32;
    let strings = [name];
    let record = Record::new(Event::VfsGetname, &words, &strings).expect("a record");
    let verdict = stack.evaluate(&record).verdict;
    match verdict.action() {
        Action::Errno => Some(i32::from(verdict.errno_value())),
        _ => {
            assert_eq!(verdict, Verdict::ALLOW);
            None
        }
    }
}

/// Layers that all allow most names: each refuses what lies under a place of its own.
fn refusing(layer: usize) -> Vec<u8> {
    let (name, _) = REFUSALS[layer % REFUSALS.len()];
    image(&format!(
        "deny {name} path under \"/evf-absent/{layer}\"\n allow path under \"/evf-absent\", \"/layer{layer}\"\n default deny EPERM"
    ))
}

fn law_1_narrow_only_each_of_64_layers_refuses_its_name() {
    let images: Vec<Vec<u8>> = (0..MAX_LAYERS).map(refusing).collect();
    let mut names: Vec<CString> = (0..MAX_LAYERS)
        .map(|layer| text(format!("/evf-absent/{layer}/x").as_bytes()))
        .collect();
    names.extend([c"/evf-absent/other".into(), c"/layer63".into(), c"/".into()]);
    let layers: Vec<(u32, &[u8])> = images.iter().map(|image| (NATIVE, &**image)).collect();
    let refused = |layer: usize| -i64::from(REFUSALS[layer % REFUSALS.len()].1);
    let mut expected: Vec<i64> = (0..MAX_LAYERS).map(refused).collect();
    expected.extend([-i64::from(ENOENT), -1, -1]);
    assert_eq!(opened(&layers, &names)[..names.len()], expected);
}

/// A layer that looks at the length, first, in the middle and last: nothing can be said by the name alone any more.
fn layer_that_looks_at_more_than_the_name_among_others() {
    const COUNT: usize = 9;
    let long = image("deny EDOM when path_len > 30\n default allow");
    for place in [0, COUNT / 2, COUNT] {
        let mut images: Vec<Vec<u8>> = (0..COUNT).map(refusing).collect();
        images.insert(place, long.clone());
        let layers: Vec<(u32, &[u8])> = images.iter().map(|image| (NATIVE, &**image)).collect();
        let names = [
            c"/evf-absent/8".into(),
            c"/evf-absent/other".into(),
            c"/evf-absent/a-name-of-many-more-bytes".into(),
        ];
        let expected = [-63, -i64::from(ENOENT), -i64::from(libc::EDOM)];
        assert_eq!(opened(&layers, &names)[..3], expected, "at {place}");
    }
}

/// The product of two such layers has too many states: each is walked by itself, or with those of another kind.
fn layers_that_multiply_each_other() {
    let letters = *b"bcdfgh";
    let images: Vec<Vec<u8>> = letters
        .iter()
        .enumerate()
        .flat_map(|(at, letter)| {
            let wide = format!(
                "deny ENOTUNIQ path matches \"**{}???????\"\n default allow",
                char::from(*letter)
            );
            [image(&wide), refusing(at)]
        })
        .collect();
    let layers: Vec<(u32, &[u8])> = images.iter().map(|image| (NATIVE, &**image)).collect();
    let mut names: Vec<CString> = letters
        .iter()
        .map(|letter| text(format!("/evf-absent/{}1234567", char::from(*letter)).as_bytes()))
        .collect();
    names.extend([c"/evf-absent/b123456".into(), c"/evf-absent/5".into()]);
    let mut expected = vec![-76; letters.len()];
    expected.extend([-i64::from(ENOENT), -60]);
    assert_eq!(opened(&layers, &names)[..names.len()], expected);
}

/// A name is what was written, whatever root the layer was pushed from.
fn names_are_judged_alike_from_all_roots() {
    let dir = "/tmp/evf-native-names";
    std::fs::create_dir_all(dir).expect("mkdir");
    no_new_privs();
    for flags in KINDS {
        let filters: Vec<_> = (0..3)
            .map(|layer| load_with(flags, &refusing(layer)))
            .collect();
        let open = image("deny ENOTUNIQ path under \"/evf-absent/inner\"\n default allow");
        let inner = load_with(flags, &open);
        let seen = run(|board| {
            restrict(&inner);
            assert_eq!(sys!(libc::SYS_chroot, c"/tmp/evf-native-names"), Ok(0));
            assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
            for filter in filters.iter().chain([&inner]) {
                restrict(filter);
            }
            for name in [
                c"/evf-absent/inner",
                c"/evf-absent/0",
                c"/evf-absent/1",
                c"/evf-absent/2",
                c"/evf-absent/3",
                c"/tmp",
            ] {
                board.ret(try_open(name));
            }
            board.put(i64::from(layers()));
        });
        assert_eq!(seen.well(), [-76, -60, -61, -62, -2, -1, 5]);
    }
}

/// A name that is logged is not allowed by the walk alone, and the line says by which layer.
fn logged_name_has_its_layer() {
    no_new_privs();
    let log = Log::follow();
    let seen = run(|board| {
        for layer in 0..5 {
            restrict(&load_with(NATIVE, &refusing(layer)));
            if layer == 2 {
                let logging = image("log path under \"/evf-absent/logged\"\n default allow");
                restrict(&load_with(NATIVE, &logging));
            }
        }
        board.ret(try_open(c"/evf-absent/logged/x"));
        board.ret(try_open(c"/evf-absent/other"));
        board.put(i64::from(getpid()));
    });
    let values = seen.well();
    assert_eq!(values[..2], [-i64::from(ENOENT); 2]);
    let pid = format!("pid={} ", values[2]);
    let lines = log.lines();
    let own: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("evfilter: log") && line.contains(&pid))
        .collect();
    assert_eq!(own.len(), 1, "one name, one line: {lines:?}");
    assert!(own[0].contains("layer=3 "), "{own:?}");
}

/// Parts of names and of patterns.
const PARTS: [&str; 8] = ["a", "b", "lib", "library", "..", ".", "x", "\u{fc}"];

fn path(random: &mut Random, parts: usize) -> String {
    let parts: Vec<&str> = (0..random.below(parts))
        .map(|_| random.pick(&PARTS))
        .collect();
    parts.join("/")
}

fn rule(random: &mut Random) -> String {
    let (refusal, _) = random.pick(&REFUSALS);
    let verdict = match random.percent(50) {
        true => "allow".to_owned(),
        false => format!("deny {refusal}"),
    };
    let place = format!("/evf-absent/{}", path(random, 4));
    let part = random.pick(&PARTS);
    let what = match random.below(9) {
        0 => format!("path == \"{place}\""),
        1 => format!("path contains \"/{part}\""),
        2 => format!("path suffix \"{part}\""),
        3 => format!("path matches \"**/{part}\""),
        4 => format!("path matches \"{place}/**/{part}*\""),
        5 => format!("path matches \"**/[!a-k]*/{part}\""),
        _ => format!("path under \"{place}\""),
    };
    format!("{verdict} {what}\n")
}

/// A policy with random rules. The compiler refuses some: those of which one can never be reached.
fn random_image(random: &mut Random) -> Vec<u8> {
    loop {
        if let Ok(image) = try_image(&rules(random)) {
            return image;
        }
    }
}

/// Rules about names, some that look at more than the name, sometimes before they look at it at all.
fn rules(random: &mut Random) -> String {
    let mut rules = String::new();
    if random.percent(4) {
        rules.push_str("deny EDOM when path_len > 40\n");
    }
    for _ in 0..1 + random.below(5) {
        rules.push_str(&rule(random));
    }
    if random.percent(8) {
        rules.push_str("deny EDOM when path under \"/evf-absent/a\" && origin == user\n");
    }
    rules.push_str(match random.percent(70) {
        true => "default allow",
        false => "allow path under \"/evf-absent\"\n default deny ENOLINK",
    });
    rules
}

fn name(random: &mut Random) -> Vec<u8> {
    let mut name = format!("/evf-absent/{}", path(random, 7)).into_bytes();
    if random.percent(20) {
        // Around where the kernel keeps names elsewhere, and as long as they may be.
        let length = random.pick(&[160, 167, 168, 169, 1000, 4094, 4095]);
        while name.len() < length {
            name.push(if name.len() % 100 == 99 { b'/' } else { b'n' });
        }
    }
    if random.percent(20) {
        let byte = 1 + random.below(255) as u8;
        name.insert(12.min(name.len()), byte);
        name.truncate(4095);
    }
    name
}

/// Stacks of up to 64 layers, interpreted, not interpreted and both; and the engine on this machine.
fn decide_as_interpreted() {
    let wish = Wish::get();
    let (seed, count) = (wish.seed(), wish.cases(CASES));
    note(&format!("--seed {seed} --count {count}"));
    assert_eq!(info().native, 1, "nothing is compiled in this guest");
    let (mut refused, mut allowed) = (0, 0);
    for own in (0..count).map(|at| seed.wrapping_add(at)) {
        let repeat = format!("native::random_stacks_of_names --seed {own} --count 1");
        let mut random = Random::new(own);
        let height = match random.percent(15) {
            true => MAX_LAYERS,
            false => 1 + random.below(12),
        };
        let mut images: Vec<Vec<u8>> = Vec::new();
        for _ in 0..height {
            // The same again, at times.
            let image = match images.is_empty() || random.percent(85) {
                true => random_image(&mut random),
                false => images[random.below(images.len())].clone(),
            };
            images.push(image);
        }
        let names: Vec<CString> = (0..40).map(|_| text(&name(&mut random))).collect();
        let walked = alike_in_all_kinds(&images, &mut random, &repeat, |layers| {
            opened(layers, &names)
        });
        for (name, value) in names.iter().zip(&walked) {
            match engine(&images, name.as_bytes()) {
                Some(errno) => {
                    assert_eq!(*value, -i64::from(errno), "{repeat}: {name:?}");
                    refused += 1;
                }
                None => {
                    // As without a layer: there is no such file, or a part of its name is too long.
                    let ordinary =
                        [libc::ENOENT, libc::ENAMETOOLONG].map(|errno| -i64::from(errno));
                    assert!(ordinary.contains(value), "{repeat}: {name:?} {value}");
                    allowed += 1;
                }
            }
        }
        let empty = engine(&images, b"").unwrap_or(EBADF);
        assert_eq!(
            walked[names.len()],
            -i64::from(empty),
            "{repeat}: the empty name"
        );
    }
    note(&format!("{refused} names refused, {allowed} allowed"));
    if count >= CASES {
        assert!(
            refused > count * 5 && allowed > count * 5,
            "{refused} refused, {allowed} allowed"
        );
    }
}

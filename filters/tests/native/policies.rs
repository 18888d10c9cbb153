// SPDX-License-Identifier: GPL-2.0
//! The policies that ship, and what libseccomp makes of profiles, over records that are made of what the programs themselves compare with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use filters::event::Event;
use filters::insn::{Insn, INSN_BYTES};
use filters::lang::compile_file;
use filters::policy::Policy;
use filters::program::Program;
use filters::record::Record;
use filters::vm;
use oracle::image::{self, Draft};

use super::programs::Thing;
use oracle::lowered::{assert_agreement, Code};

/// Pseudo-random numbers: `splitmix64` by Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.next() as usize % list.len()]
    }
}

fn insns(program: &Program<'_>) -> Vec<Insn> {
    let all = (0..program.len()).map(|at| program.insn(at).expect("inside"));
    all.collect()
}

/// For each word of the record what the program compares it with, and the numbers around that. Which word it is: the one loaded last before it, in the
/// order of the instructions.
fn numbers(program: &Program<'_>) -> Vec<Vec<u32>> {
    let words = program.event().schema().record_bytes as usize / 4;
    let mut numbers = vec![BTreeSet::from([0, u32::MAX]); words];
    let mut word = 0;
    for insn in insns(program) {
        match insn.code {
            0x20 => word = insn.k as usize / 4,
            0x15 | 0x25 | 0x35 | 0x45 | 0x54 => {
                numbers[word].extend([insn.k.wrapping_sub(1), insn.k, insn.k.wrapping_add(1)]);
            }
            _ => {}
        }
    }
    // Values that are compared with an id of the caller, and an architecture that is known.
    numbers.iter_mut().for_each(|word| word.extend([3, 5]));
    numbers[1].insert(0xc000_003e);
    let lists = numbers.into_iter().map(|word| word.into_iter().collect());
    lists.collect()
}

/// The texts in quotes that a policy speaks of, and what is just beside them.
fn texts(source: &str) -> Vec<Vec<u8>> {
    let mut texts = BTreeSet::from([String::new(), "/".into(), "..".into(), "a/../b".into()]);
    let lines = source.lines().filter(|line| !line.starts_with('#'));
    for text in lines.flat_map(|line| line.split('"').skip(1).step_by(2)) {
        let plain = text.replace("**", "a/b").replace('*', "c");
        for text in [text, &plain] {
            texts.insert(text.into());
            for behind in ["/", "/x", "x", "/.git/config", "/../x"] {
                texts.insert(format!("{text}{behind}"));
            }
            for before in ["/", "x", "/home/sandbox/"] {
                texts.insert(format!("{before}{text}"));
            }
            texts.insert(
                text.chars()
                    .take(text.chars().count().saturating_sub(1))
                    .collect(),
            );
        }
    }
    texts.into_iter().map(String::into_bytes).collect()
}

/// Asserts agreement over many records; returns how many ends they have reached (returns, and strings that could not be had), and how many returns there are.
fn check(program: &Program<'_>, texts: &[Vec<u8>], random: &mut Random) -> (usize, usize) {
    let event = program.event();
    let numbers = numbers(program);
    let strings = event.schema().strings as usize;
    let code = Code::of(&[*program]);
    let mut reached = BTreeSet::new();
    let mut judge = |record: &Record<'_>| {
        assert_agreement(&code, program, record);
        reached.insert(vm::run(program, record).insn);
    };
    let mut number = 0;
    // Each number of a call several times, by the native entry; then all at random.
    for turn in 0..numbers[0].len() * 40 + 40_000 {
        let mut word = |list: &Vec<u32>| {
            let (one, other) = (*random.one_of(list), *random.one_of(list));
            // Flags come together.
            if random.next() % 4 == 0 {
                one | other
            } else {
                one
            }
        };
        let mut words: Vec<u32> = numbers.iter().map(&mut word).collect();
        if turn / 40 < numbers[0].len() {
            words[0] = numbers[0][turn / 40];
            words[1] = 0xc000_003e;
        }
        if strings == 0 {
            let record = Record::new(event, &words, &[]).expect("as many words");
            judge(&record.called_by(oracle::generate::CALLER));
        } else {
            let shown = (0..strings).map(|_| {
                number += 1;
                if number % 50 == 0 {
                    Err(number as u16)
                } else {
                    Ok(random.one_of(texts).clone())
                }
            });
            let shown = shown.collect();
            let reachable = [random.next() % 8 != 0, true];
            Thing::new(event, words, shown, reachable).view(&mut judge);
        }
    }
    let returns = insns(program)
        .iter()
        .filter(|insn| insn.code & 7 == 6)
        .count();
    (reached.len(), returns)
}

fn policies(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            policies(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "evf") {
            found.push(path);
        }
    }
}

#[test]
fn shipped_policies_decide_as_in_the_interpreter() {
    let mut found = Vec::new();
    policies(Path::new("../policies"), &mut found);
    found.sort();
    assert!(found.len() >= 18, "only {} policies", found.len());
    let mut random = Random(1);
    let (mut reached, mut returns) = (0, 0);
    for path in found {
        let source = fs::read_to_string(&path).expect("a policy");
        let compiled =
            compile_file(&path).unwrap_or_else(|error| panic!("{}", error.render(false)));
        for event in Event::ALL {
            if let Some(program) = compiled.policy().program(event) {
                let (some, all) = check(&program, &texts(&source), &mut random);
                (reached, returns) = (reached + some, returns + all);
            }
        }
    }
    assert!(
        reached * 100 >= returns * 85,
        "only {reached} of {returns} returns were reached"
    );
}

/// A program as libseccomp exports it.
fn exported(name: &str) -> Policy<Vec<u8>> {
    let bytes = fs::read(Path::new("../cli/tests/oci").join(name)).expect("a program");
    let insns = bytes
        .chunks_exact(INSN_BYTES)
        .map(|bytes| Insn::from_bytes(bytes.try_into().expect("as long as an instruction")));
    let draft = Draft::syscall(&insns.collect::<Vec<_>>());
    image::verify(image::encode(&[draft])).expect("a sound program")
}

/// The most that a run takes of the calls of x86_64 (jumps, and others), and how many of them are allowed.
fn costs(program: &Program<'_>, code: &Code) -> (usize, usize, usize) {
    let (mut jumps, mut others, mut allowed) = (0, 0, 0);
    for nr in 0..512 {
        let mut words = [0; 16];
        (words[0], words[1]) = (nr, 0xc000_003e);
        let record = Record::new(Event::SyscallEnter, &words, &[]).expect("16 words");
        let ended = code.run(program, &record);
        (jumps, others) = (jumps.max(ended.jumps), others.max(ended.others));
        allowed += usize::from(ended.raw == 0x7fff_0000);
    }
    (jumps, others, allowed)
}

#[test]
fn what_libseccomp_exports_decides_as_in_the_interpreter() {
    let mut random = Random(2);
    for (name, classic, lowered, worst) in [
        ("docker-default.bpf", 1238, 1612, (15, 10, 301)),
        ("podman-default.bpf", 1434, 1903, (13, 8, 313)),
        ("several.bpf", 118, 173, (11, 8, 7)),
    ] {
        let policy = exported(name);
        let program = policy.program(Event::SyscallEnter).expect("a program");
        let (reached, returns) = check(&program, &[], &mut random);
        assert!(
            reached * 2 > returns,
            "{name}: {reached} of {returns} returns"
        );
        let code = Code::of(&[program]);
        assert_eq!(
            (program.len(), code.insns.len()),
            (classic, lowered),
            "{name}"
        );
        assert_eq!(costs(&program, &code), worst, "{name}");
    }
}

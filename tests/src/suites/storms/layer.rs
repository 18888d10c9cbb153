// SPDX-License-Identifier: GPL-2.0
//! A layer about which all is known: what it asks about, and its verdict on each question.

use libc::{ENOENT, SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getpgrp, SYS_getppid, SYS_getuid};

use crate::program::{ALLOW, Names, Part, image, load as word, ret, unless_equal_skip};
use crate::random::Random;
use filters::verdict::{Action, Verdict};

/// Names that layers refuse. None of them exists.
pub(super) const NAMES: [&std::ffi::CStr; 8] = [
    c"/evf-absent/storm/a",
    c"/evf-absent/storm/b",
    c"/evf-absent/storm/c/c",
    c"/evf-absent/storm/d/d",
    c"/evf-absent/storm/abcdefgh",
    c"/evf-absent/storm/abcdefghi",
    c"/evf-absent/storm/\xff",
    c"/evf-absent/storm/long/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

/// System calls that layers refuse. None of them takes an argument, can fail, or is made by a library meanwhile.
pub(super) const NUMBERS: [i64; 6] = [
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_getpgrp,
];

/// First arguments that they are made with.
pub(super) const ARGUMENTS: [u64; 2] = [0, 7];

/// What a task can ask: the use of a name, or a call. The numbers are places in the lists above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Name(usize),
    Call(usize, usize),
}

/// All of them.
pub(super) fn questions() -> impl Iterator<Item = Question> {
    let calls = (0..NUMBERS.len()).flat_map(|nr| (0..ARGUMENTS.len()).map(move |arg| (nr, arg)));
    let calls = calls.map(|(nr, arg)| Question::Call(nr, arg));
    (0..NAMES.len()).map(Question::Name).chain(calls)
}

/// A verdict, as the oracle knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Kill,
    Trap(u16),
    Errno(i32),
    /// Asks a tracer, of which there is none.
    Trace,
}

impl Says {
    /// How strict it is; the oracle's own order, from ARCHITECTURE.md and not from the code under test.
    pub(super) fn strictness(self) -> u32 {
        match self {
            Says::Kill => 4,
            Says::Trap(_) => 3,
            Says::Errno(_) => 2,
            Says::Trace => 1,
        }
    }

    fn raw(self) -> u32 {
        match self {
            Says::Kill => Verdict::KILL_PROCESS.raw(),
            Says::Trap(data) => Verdict::new(Action::Trap, data).raw(),
            Says::Errno(errno) => Verdict::errno(errno as u16).raw(),
            Says::Trace => Verdict::new(Action::Trace, 0).raw(),
        }
    }
}

/// One rule: the call whatever its argument is, if none is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Name(usize, Says),
    Call(usize, Option<usize>, Says),
}

impl Rule {
    fn on(self, question: Question) -> Option<Says> {
        match (self, question) {
            (Rule::Name(mine, says), Question::Name(asked)) if mine == asked => Some(says),
            (Rule::Call(mine, argument, says), Question::Call(asked, with))
                if mine == asked && argument.is_none_or(|argument| argument == with) =>
            {
                Some(says)
            }
            _ => None,
        }
    }
}

/// See the file's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Tells layers apart that are alike.
    pub(super) id: u64,
    rules: Vec<Rule>,
}

impl Layer {
    /// Any layer: one to three rules.
    pub(super) fn any(random: &mut Random) -> Layer {
        let id = random.number();
        let rules = (0..1 + random.below(3)).map(|_| rule(random)).collect();
        Layer { id, rules }
    }

    /// A layer that refuses one name with this errno.
    pub(super) fn refusing(name: usize, errno: i32) -> Layer {
        Layer {
            id: name as u64 * 4096 + errno as u64,
            rules: vec![Rule::Name(name, Says::Errno(errno))],
        }
    }

    /// What it says; of several rules that match, the first.
    pub(super) fn says(&self, question: Question) -> Option<Says> {
        self.rules.iter().find_map(|rule| rule.on(question))
    }

    /// The image to load. The names are a program of their own only if there is a rule for one; so are the calls.
    pub(super) fn image(&self) -> Vec<u8> {
        let mut names = Names::new();
        let mut calls = Vec::new();
        let mut counts = (0, 0);
        for rule in &self.rules {
            match *rule {
                Rule::Name(name, says) => {
                    names = names.equal(NAMES[name].to_bytes(), says.raw());
                    counts.0 += 1;
                }
                Rule::Call(nr, argument, says) => {
                    let nr = NUMBERS[nr] as u32;
                    counts.1 += 1;
                    calls.push(word(0));
                    match argument {
                        None => calls.push(unless_equal_skip(nr, 1)),
                        Some(argument) => calls.extend([
                            unless_equal_skip(nr, 3),
                            word(16),
                            unless_equal_skip(ARGUMENTS[argument] as u32, 1),
                        ]),
                    }
                    calls.push(ret(says.raw()));
                }
            }
        }
        calls.push(ret(ALLOW));
        let mut parts = Vec::new();
        if counts.0 > 0 {
            parts.push(names.or_else(ALLOW));
        }
        if counts.1 > 0 {
            parts.push(Part::syscall(calls));
        }
        image(&parts)
    }
}

fn rule(random: &mut Random) -> Rule {
    if random.percent(50) {
        return Rule::Name(random.below(NAMES.len()), Says::Errno(any_errno(random)));
    }
    let argument = random.percent(50).then(|| random.below(ARGUMENTS.len()));
    let says = match random.below(10) {
        // Rare, and for one argument only: a call that kills is asked about by a child that is given up for it.
        0 if argument.is_some() => Says::Kill,
        0..=2 => Says::Trap(random.number() as u16),
        3 => Says::Trace,
        _ => Says::Errno(any_errno(random)),
    };
    Rule::Call(random.below(NUMBERS.len()), argument, says)
}

/// An errno that a name may be refused with, but not the one that an absent name has by itself.
fn any_errno(random: &mut Random) -> i32 {
    match 1 + random.below(133) as i32 {
        ENOENT => 1,
        errno => errno,
    }
}

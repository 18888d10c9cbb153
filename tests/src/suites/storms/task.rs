// SPDX-License-Identifier: GPL-2.0
//! A task in a storm: what it knows of itself, and what it does.

use std::os::fd::{AsRawFd, OwnedFd};

use libc::{EAGAIN, ENOSPC, SIGKILL, SIGSYS};
use uapi::control::RESTRICT_AT_EXEC;

use super::blow::Tally;
use super::layer::{ARGUMENTS, Layer, NAMES, NUMBERS, Question, questions};
use super::stack::{Answer, Stack, of_name};
use crate::executable;
use crate::kernel::{info, load, restrict_with, try_control, try_restrict};
use crate::random::Random;
use crate::sys::child::{End, exit, fork, nap, run_and_exit, wait};
use crate::sys::signal::answer_sigsys;
use crate::sys::{clone, no_new_privs, sys};

/// What a task can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Push,
    PushAgain,
    Fork,
    Exec,
    Clone,
    Kill,
    Die,
    Crew,
    Trace,
    Unload,
}

impl Deed {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Deed; 10] = [
        Deed::Push,
        Deed::PushAgain,
        Deed::Fork,
        Deed::Exec,
        Deed::Clone,
        Deed::Kill,
        Deed::Die,
        Deed::Crew,
        Deed::Trace,
        Deed::Unload,
    ];
}

/// How many generations a tree has, and how many children a task has at a time.
const GENERATIONS: usize = 4;
const CHILDREN: usize = 3;

/// Calls that programs can make by which status tells what came of it: in the guest all of these are 0.
const EXECUTABLE: usize = 4;

const PROGRAMS: [&std::ffi::CStr; EXECUTABLE] = [
    c"/evf-storm-getuid",
    c"/evf-storm-geteuid",
    c"/evf-storm-getgid",
    c"/evf-storm-getegid",
];

/// Puts the programs there that storms execute.
pub(super) fn install_programs() {
    for (path, nr) in PROGRAMS.into_iter().zip(NUMBERS) {
        executable::install(path, &executable::calls(nr));
    }
}

/// See the file's documentation.
pub(super) struct Task<'t> {
    pub(super) random: Random,
    /// What it is under.
    pub(super) stack: Stack,
    /// How many deeds are left to it and to those that descend from it.
    left: usize,
    generation: usize,
    /// Those that live, and how they will end.
    children: Vec<(i32, End)>,
    /// Filters that it holds, with what they are.
    held: Vec<(OwnedFd, Layer)>,
    max_layers: usize,
    pub(super) tally: &'t Tally,
}

impl<'t> Task<'t> {
    /// The first of its tree, without layers yet.
    pub(super) fn root(random: Random, left: usize, tally: &'t Tally) -> Task<'t> {
        Task {
            random,
            stack: Stack::default(),
            left,
            generation: 0,
            children: Vec::new(),
            held: Vec::new(),
            max_layers: info().max_layers as usize,
            tally,
        }
    }

    /// From its first layer to its end. Who lives longer than it has none of its own: all children are waited for.
    pub(super) fn live(&mut self) {
        self.tally.task();
        if self.generation == 0 {
            no_new_privs();
            answer_sigsys();
            self.push();
        }
        self.verify();
        while self.left > 0 {
            self.left -= 1;
            let deed = self.random.pick(&Deed::ALL);
            self.act(deed);
            self.tally.done(deed);
            self.verify();
        }
        while !self.children.is_empty() {
            self.reap();
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Push => self.push(),
            Deed::PushAgain => self.push_again(),
            Deed::Fork => self.fork(),
            Deed::Exec => self.exec(),
            Deed::Clone => self.clone(),
            Deed::Kill => self.kill(),
            Deed::Die => self.die(),
            Deed::Crew => self.crew(),
            Deed::Trace => self.trace(),
            Deed::Unload => unload_is_refused(),
        }
    }

    /// Asks everything.
    #[track_caller]
    pub(super) fn verify(&mut self) {
        let way = self.random.number();
        self.tally.answers(self.stack.verify(way));
    }

    /// Whether there is room for so many layers more.
    pub(super) fn has_room(&self, layers: usize) -> bool {
        self.stack.len() + layers <= self.max_layers
    }

    fn push(&mut self) {
        let layer = Layer::any(&mut self.random);
        let filter = load(&layer.image());
        self.push_filter(&filter, &layer);
        if self.held.len() < 4 {
            self.held.push((filter, layer));
        }
    }

    #[track_caller]
    pub(super) fn push_filter(&mut self, filter: &OwnedFd, layer: &Layer) {
        let expected = match self.has_room(1) {
            true => Ok(0),
            false => Err(ENOSPC),
        };
        assert_eq!(try_restrict(filter), expected, "RESTRICT_SELF");
        if expected.is_ok() {
            self.stack = self.stack.and(layer);
        }
    }

    /// A filter that is a layer already, perhaps of another task: inherited from an ancestor that held it.
    fn push_again(&mut self) {
        if self.held.is_empty() {
            return self.push();
        }
        let at = self.random.below(self.held.len());
        let (filter, layer) = self.held.swap_remove(at);
        self.push_filter(&filter, &layer);
        self.held.push((filter, layer));
    }

    /// A child with deeds of its own, which lives beside this task.
    fn fork(&mut self) {
        if self.generation == GENERATIONS {
            return self.clone();
        }
        if self.children.len() == CHILDREN {
            self.reap();
        }
        let left = self.random.below(self.left / 2 + 1);
        self.left -= left;
        let status = self.random.below(100) as i32;
        let random = Random::new(self.random.number());
        match fork().expect("fork") {
            0 => run_and_exit(|| {
                self.random = random;
                self.left = left;
                self.generation += 1;
                self.children.clear();
                self.live();
                status
            }),
            pid => self.children.push((pid, End::Exit(status))),
        }
    }

    fn reap(&mut self) {
        let at = self.random.below(self.children.len());
        let (pid, end) = self.children.swap_remove(at);
        assert_eq!(wait(pid), end, "a child in the storm");
    }

    /// A child that does one thing and ends as it must.
    #[track_caller]
    pub(super) fn child(&mut self, end: End, deed: impl FnOnce(&mut Self)) {
        let pid = fork().expect("fork");
        if pid == 0 {
            run_and_exit(|| {
                self.tally.task();
                deed(self);
                0
            });
        }
        assert_eq!(wait(pid), end, "a child in the storm");
    }

    /// Another program has the layers, and those that were to wait for it.
    fn exec(&mut self) {
        let at = self.random.below(EXECUTABLE);
        let layer = Layer::any(&mut self.random);
        let (later, at_exec) = match self.random.below(3) {
            _ if !self.has_room(1) => (self.stack.clone(), None),
            0 => (self.stack.and(&layer), Some(RESTRICT_AT_EXEC)),
            1 => (self.stack.and(&layer), Some(0)),
            _ => (self.stack.clone(), None),
        };
        let end = match later.answer(Question::Call(at, 0)) {
            Answer::Passed => End::Exit(0),
            Answer::Refused(errno) => End::Exit(errno),
            // Nobody catches it there.
            Answer::Trapped(_) | Answer::Killed => End::Signal(SIGSYS, false),
        };
        self.child(end, |child| {
            if let Some(flags) = at_exec {
                let filter = load(&layer.image());
                let done = restrict_with(flags, filter.as_raw_fd());
                assert_eq!(done, (Ok(0), 0), "RESTRICT_SELF with {flags}");
                if flags == 0 {
                    child.stack = later;
                }
                child.verify();
            }
            let errno = executable::exec(PROGRAMS[at]);
            panic!("exec: errno {errno}");
        });
        self.tally.answers(1);
    }

    /// Children of other kinds, which open one name.
    fn clone(&mut self) {
        let at = self.random.below(NAMES.len());
        let kinds = [0, libc::CLONE_VFORK, libc::CLONE_VFORK | libc::CLONE_VM];
        let flags = self.random.pick(&kinds) | libc::SIGCHLD;
        let opened = match self.random.percent(50) {
            true => clone::open_in_clone(flags, NAMES[at]),
            false => clone::open_in_clone3(flags, NAMES[at]),
        };
        let expected = self.stack.answer(Question::Name(at));
        assert_eq!(of_name(opened), expected, "in a clone with {flags:#x}");
        self.tally.answers(1);
    }

    /// A child that verifies itself without end is killed.
    fn kill(&mut self) {
        let delay = self.random.below(5) as u64;
        let pid = fork().expect("fork");
        if pid == 0 {
            run_and_exit(|| {
                loop {
                    self.verify();
                }
            });
        }
        nap(delay);
        assert_eq!(sys!(libc::SYS_kill, pid, SIGKILL), Ok(0), "kill");
        assert_eq!(wait(pid), End::Signal(SIGKILL, false), "a killed child");
    }

    /// A child asks what nobody survives, if there is such a question.
    fn die(&mut self) {
        let deadly = |question: &Question| self.stack.answer(*question) == Answer::Killed;
        let Some(Question::Call(at, with)) = questions().find(deadly) else {
            return self.child(End::Exit(0), |child| child.verify());
        };
        self.child(End::Signal(SIGSYS, false), |_| {
            let _ = sys!(NUMBERS[at], ARGUMENTS[with]);
            // It lives: another end than the one that is waited for.
            exit(1);
        });
        self.tally.answers(1);
    }
}

/// The module cannot go while there are tasks under layers, whoever asks.
#[track_caller]
pub(super) fn unload_is_refused() {
    let refused = crate::suites::lifecycle::rmmod();
    assert_eq!(refused, Err(EAGAIN), "delete_module");
    assert!(try_control().is_ok(), "the module is still there");
}

// SPDX-License-Identifier: GPL-2.0
//! Threads of a task in a storm, and RESTRICT_TSYNC over them while they ask.

use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use libc::ESRCH;
use uapi::control::RESTRICT_TSYNC;

use super::layer::Layer;
use super::stack::Stack;
use super::task::Task;
use crate::kernel::{load, restrict, restrict_with};
use crate::sys::sys;

const MEMBERS: usize = 3;

/// What a crew shares.
struct Crew<'s> {
    /// What all are under at first, and what follows if no one is in the way.
    before: &'s Stack,
    after: &'s Stack,
    gate: Barrier,
    done: AtomicBool,
    ids: [AtomicU32; MEMBERS],
    answers: AtomicUsize,
}

impl Task<'_> {
    /// Some threads, of which some may have layers of their own; then a layer for all. They ask all the while.
    pub(super) fn crew(&mut self) {
        let own: [Option<Layer>; MEMBERS] = std::array::from_fn(|_| {
            let own = self.random.percent(12);
            own.then(|| Layer::any(&mut self.random))
        });
        if !self.has_room(2) {
            return;
        }
        let way = self.random.number();
        let before = self.stack.clone();
        // A layer of the caller's alone, between the threads' beginning and the layer for all.
        let mine = self
            .random
            .percent(30)
            .then(|| Layer::any(&mut self.random));
        let middle = mine
            .iter()
            .fold(before.clone(), |stack, layer| stack.and(layer));
        let layer = Layer::any(&mut self.random);
        let in_the_way = own.iter().any(Option::is_some);
        let after = middle.and(&layer);
        let crew = Crew {
            before: &before,
            after: &after,
            gate: Barrier::new(MEMBERS + 1),
            done: AtomicBool::new(false),
            ids: [const { AtomicU32::new(0) }; MEMBERS],
            answers: AtomicUsize::new(0),
        };
        std::thread::scope(|scope| {
            for (at, own) in own.iter().enumerate() {
                let crew = &crew;
                scope.spawn(move || crew.member(at, own.as_ref(), in_the_way, way));
            }
            crew.gate.wait();
            if let Some(mine) = &mine {
                restrict(&load(&mine.image()));
            }
            let filter = load(&layer.image());
            let told = restrict_with(RESTRICT_TSYNC, filter.as_raw_fd());
            crew.done.store(true, Ordering::SeqCst);
            if in_the_way {
                assert_eq!(told.0, Err(ESRCH), "RESTRICT_TSYNC");
                let of = |at: usize| crew.ids[at].load(Ordering::SeqCst);
                let ids: Vec<u32> = (0..MEMBERS)
                    .filter(|at| own[*at].is_some())
                    .map(of)
                    .collect();
                assert!(ids.contains(&told.1), "{} of {ids:?}", told.1);
            } else {
                assert_eq!(told, (Ok(0), 0), "RESTRICT_TSYNC");
            }
        });
        self.tally.answers(crew.answers.load(Ordering::SeqCst));
        self.stack = if in_the_way { middle } else { after };
    }
}

impl Crew<'_> {
    fn member(&self, at: usize, own: Option<&Layer>, in_the_way: bool, way: u64) {
        let id = sys!(libc::SYS_gettid).expect("gettid");
        self.ids[at].store(id as u32, Ordering::SeqCst);
        let mut before = self.before.clone();
        if let Some(own) = own {
            restrict(&load(&own.image()));
            before = before.and(own);
        }
        // Of all or nothing nothing is left if one thread is in the way.
        let after = if in_the_way { &before } else { self.after };
        let mut asked = before.verify(way);
        self.gate.wait();
        let mut turned = false;
        while !self.done.load(Ordering::SeqCst) {
            asked += before.verify_turning(after, &mut turned, way);
        }
        asked += after.verify(way);
        self.answers.fetch_add(asked, Ordering::SeqCst);
    }
}

// SPDX-License-Identifier: GPL-2.0
//! RESTRICT_TSYNC while threads come, go and exec: afterwards there is no thread without the layer. Each thread looks for itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libc::SYS_getuid;

use super::{EVFILTER, Outcome, refuse_getuid, state};
use crate::executable;
use crate::harness::{Test, tests};
use crate::program::ODD;
use crate::sys::child::{End, nap, run};
use crate::sys::{no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("tsync";
        law_3_inherited_whole_while_threads_make_threads, law_3_inherited_whole_while_threads_end, law_3_inherited_whole_while_a_thread_execs,
        law_3_inherited_whole_while_threads_fork,
    );
    tests.into_iter().map(|test| test.limit(300)).collect()
}

const ROUNDS: usize = 200;

/// What the threads of a round share.
#[derive(Default)]
struct Round {
    /// How many threads have begun.
    begun: AtomicUsize,
    /// The layer is on all of them.
    done: AtomicBool,
    /// How many looked, and how many found themselves free.
    looked: AtomicUsize,
    free: AtomicUsize,
}

impl Round {
    /// Puts the layer on everybody once `count` threads have begun.
    fn restrict(&self, count: usize) {
        while self.begun.load(Ordering::SeqCst) < count {
            std::thread::yield_now();
        }
        no_new_privs();
        assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done);
        self.done.store(true, Ordering::SeqCst);
    }

    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the layer must be there, then looks.
    fn look(&self) {
        while !self.done.load(Ordering::SeqCst) {
            nap(1);
        }
        self.looked.fetch_add(1, Ordering::SeqCst);
        if state() != [-76, 0, 1] {
            self.free.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[track_caller]
    fn nobody_is_free(&self, looked: usize) {
        assert_eq!(self.free.load(Ordering::SeqCst), 0, "threads are free");
        assert_eq!(self.looked.load(Ordering::SeqCst), looked);
    }
}

/// Four threads make four threads each; the layer comes at another point of that in each round.
fn law_3_inherited_whole_while_threads_make_threads() {
    const MAKERS: usize = 4;
    const MADE: usize = 4;
    for number in 0..ROUNDS {
        let seen = run(|_| {
            let round = &Round::default();
            std::thread::scope(|scope| {
                for _ in 0..MAKERS {
                    scope.spawn(move || {
                        for _ in 0..MADE {
                            scope.spawn(|| {
                                round.begin();
                                round.look();
                            });
                        }
                        round.look();
                    });
                }
                round.restrict(number % (MAKERS * MADE));
            });
            round.nobody_is_free(MAKERS * (MADE + 1));
        });
        assert_eq!(seen.end, End::Exit(0), "round {number}");
    }
}

/// Twelve threads end at their own time, some of them under way when the layer comes; those that stay are bound.
fn law_3_inherited_whole_while_threads_end() {
    const COUNT: usize = 12;
    for number in 0..ROUNDS {
        let seen = run(|_| {
            let round = &Round::default();
            std::thread::scope(|scope| {
                for at in 0..COUNT {
                    scope.spawn(move || {
                        round.begin();
                        if at % 4 == 0 {
                            return round.look();
                        }
                        for _ in 0..at * 40 {
                            std::hint::spin_loop();
                        }
                    });
                }
                round.restrict(number % (COUNT + 1));
            });
            round.nobody_is_free(COUNT / 4);
        });
        assert_eq!(seen.end, End::Exit(0), "round {number}");
    }
}

/// Children that are being made belong to other processes, but their makers' layers are theirs: one forked after the layer is bound.
fn law_3_inherited_whole_while_threads_fork() {
    for number in 0..ROUNDS / 4 {
        let seen = run(|board| {
            let round = &Round::default();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(move || {
                        for _ in 0..4 {
                            let after = round.done.load(Ordering::SeqCst);
                            round.begin();
                            let free = sys!(libc::SYS_fork).map(|pid| {
                                if pid == 0 {
                                    let free = sys!(SYS_getuid) == Ok(0);
                                    let _ = sys!(libc::SYS_exit_group, i32::from(free));
                                }
                                let status = crate::sys::child::wait(pid as i32);
                                status == End::Exit(1)
                            });
                            board.put(i64::from(after && free != Ok(false)));
                        }
                        round.look();
                    });
                }
                round.restrict(number % 9);
            });
            round.nobody_is_free(2);
        });
        assert_eq!(seen.well(), [0; 8], "round {number}");
    }
}

/// An exec ends the other threads, so either it comes first or the layer does: a layer that was there before the exec is there after it.
fn law_3_inherited_whole_while_a_thread_execs() {
    let path = c"/evf-tsync-exec";
    executable::install(path, &executable::calls(SYS_getuid));
    let (mut bound, mut free) = (0, 0);
    for number in 0..ROUNDS {
        let seen = run(|board| {
            let gate = &std::sync::Barrier::new(2);
            // Who waits how long: the exec in the first half of the rounds, the layer in the second half, the middle being the closest.
            let (exec_waits, layer_waits) = (
                ROUNDS / 2 - number.min(ROUNDS / 2),
                number.max(ROUNDS / 2) - ROUNDS / 2,
            );
            let wait = |much: usize| {
                if much >= ROUNDS / 2 - 2 {
                    nap(30);
                }
                for _ in 0..much * much {
                    std::hint::spin_loop();
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    gate.wait();
                    wait(exec_waits);
                    executable::exec(path);
                });
                let filter = crate::kernel::load(&crate::program::syscalls(refuse_getuid()));
                let fd = std::os::fd::AsRawFd::as_raw_fd(&filter);
                gate.wait();
                wait(layer_waits);
                let flags = uapi::control::RESTRICT_TSYNC;
                board.ret(crate::kernel::restrict_with(flags, fd).0);
                nap(10_000);
            });
        });
        match (seen.end, &seen.values[..]) {
            (End::Exit(ODD), [] | [0]) => bound += 1,
            (End::Exit(0), []) => free += 1,
            _ => panic!("round {number}: {seen:?}"),
        }
    }
    assert!(bound > 0 && free > 0, "{bound} bound, {free} free");
}

// SPDX-License-Identifier: GPL-2.0
//! Threads that are in the way of RESTRICT_TSYNC: the caller is told which, and nothing has changed for anybody.

use std::os::fd::AsRawFd;

use filters::limits::MAX_LAYERS;
use libc::{EBUSY, ENOSPC, SYS_getuid};
use uapi::control::RESTRICT_AT_EXEC;

use super::{
    EVFILTER, Law, Outcome, State, crew, refuse_getgid, refuse_getuid, report, same, state,
};
use crate::harness::{Test, tests};
use crate::kernel::{layers, load, restrict, restrict_with};
use crate::program::{allow_all, syscalls};
use crate::sys::child::{Board, exit, nap, run, start};
use crate::sys::trace::seize;
use crate::sys::{no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("tsync";
        law_5_fail_closed_thread_under_a_layer_of_its_own_is_in_the_way, law_5_fail_closed_thread_in_the_way_although_it_shares_more,
        thread_under_an_older_layer_of_the_caller_is_not_in_the_way, thread_under_the_same_filter_is_not_in_the_way,
        law_5_fail_closed_thread_with_a_layer_that_waits_is_in_the_way, law_7_a_tracing_thread_is_in_the_way, law_7_a_tracing_caller_is_refused,
        law_5_fail_closed_caller_with_too_many_layers, id_is_the_one_that_the_caller_sees, ended_threads_do_not_matter, dead_leader_does_not_matter,
        dead_leader_under_a_layer_of_its_own_does_not_matter,
    )
}

/// The thread at `place` is in the way; tells what everybody looks like afterwards, and the caller.
fn in_the_way_at(place: usize, law: Law, prepare: impl Fn(usize) + Sync) -> Vec<State> {
    let act = |ids: &[i32]| {
        no_new_privs();
        for _ in 0..3 {
            let outcome = (law.all)(&refuse_getuid());
            assert_eq!(outcome, Outcome::InTheWay(ids[place]));
        }
    };
    let mut states = crew(prepare, act, state);
    states.push(state());
    states
}

/// The first, the last, and one in between: what is prepared for those before it must not take hold.
fn law_5_fail_closed_thread_under_a_layer_of_its_own_is_in_the_way() {
    for place in 0..4 {
        let seen = same(|board, law| {
            let prepare = |at| {
                if at == place {
                    (law.alone)(&refuse_getgid());
                }
            };
            report(board, &in_the_way_at(place, law, prepare));
        });
        let mut expected = [[0, 0, 0]; 5];
        expected[place][1] = -1;
        expected[4][2] = 1;
        assert_eq!(seen.well(), expected.concat(), "thread {place}");
    }
    let counts = crew(
        |at| {
            if at == 2 {
                (EVFILTER.alone)(&refuse_getgid());
            }
        },
        |ids| assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::InTheWay(ids[2])),
        layers,
    );
    assert_eq!((counts, layers()), (vec![0, 0, 1, 0], 0));
}

fn law_5_fail_closed_thread_in_the_way_although_it_shares_more() {
    let seen = same(|board, law| {
        (law.alone)(&refuse_getgid());
        let prepare = |at| {
            if at == 1 {
                (law.alone)(&refuse_getgid());
            }
        };
        report(board, &in_the_way_at(1, law, prepare));
    });
    let mut expected = [[0, -1, 0]; 5];
    expected[4][2] = 1;
    assert_eq!(seen.well(), expected.concat());
}

fn thread_under_an_older_layer_of_the_caller_is_not_in_the_way() {
    let seen = same(|board, law| {
        (law.alone)(&refuse_getgid());
        let act = |_: &[i32]| {
            (law.alone)(&refuse_getgid());
            assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        };
        report(board, &crew(|_| (), act, state));
    });
    assert_eq!(seen.well(), [[-76, -1, 0]; 4].concat());
}

/// Two threads attached one filter, each by itself: what both are under is the same, whoever came first. (seccomp compares the objects.)
fn thread_under_the_same_filter_is_not_in_the_way() {
    let filter = load(&syscalls(refuse_getgid()));
    let prepare = |at| {
        if at % 2 == 0 {
            restrict(&filter);
        }
    };
    let act = |_: &[i32]| {
        restrict(&filter);
        assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done);
    };
    let states = crew(prepare, act, || (state(), layers()));
    assert_eq!(states, [([-76, -1, 0], 2); 4]);
}

fn law_5_fail_closed_thread_with_a_layer_that_waits_is_in_the_way() {
    let waits = load(&syscalls(refuse_getgid()));
    let prepare = |at| {
        if at == 3 {
            let done = restrict_with(RESTRICT_AT_EXEC, waits.as_raw_fd());
            assert_eq!(done, (Ok(0), 0));
        }
    };
    let states = in_the_way_at(3, EVFILTER, prepare);
    assert_eq!(states[..4], [[0, 0, 0]; 4]);
    assert_eq!(layers(), 0);
}

/// Through its tracee it would go on acting freely.
fn law_7_a_tracing_thread_is_in_the_way() {
    let tracee = start(|board| {
        board.put(1);
        nap(60_000);
    });
    tracee.until(1);
    let pid = tracee.pid;
    let prepare = |at| {
        if at == 1 {
            assert_eq!(seize(pid, 0), Ok(0));
        }
    };
    let states = in_the_way_at(1, EVFILTER, prepare);
    assert_eq!(states[..4], [[0, 0, 0]; 4]);
    assert_eq!(layers(), 0);
    // The tracing thread has ended, and its trace with it.
    assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done);
    tracee.kill();
}

fn law_7_a_tracing_caller_is_refused() {
    let tracee = start(|board| {
        board.put(1);
        nap(60_000);
    });
    tracee.until(1);
    let act = |_: &[i32]| {
        assert_eq!(seize(tracee.pid, 0), Ok(0));
        assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Error(EBUSY));
    };
    assert_eq!(crew(|_| (), act, || (state(), layers())), [([0; 3], 0); 4]);
    assert_eq!(layers(), 0);
    tracee.kill();
}

/// There is room on the threads, but they would have what the caller has.
fn law_5_fail_closed_caller_with_too_many_layers() {
    let filter = load(&allow_all());
    let act = |_: &[i32]| {
        for _ in 0..MAX_LAYERS {
            restrict(&filter);
        }
        assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Error(ENOSPC));
    };
    assert_eq!(crew(|_| (), act, || (state(), layers())), [([0; 3], 0); 4]);
    assert_eq!(sys!(SYS_getuid), Ok(0));
    assert_eq!(layers() as usize, MAX_LAYERS);
}

/// In a pid namespace of its own: small numbers, and not those that the namespace above knows.
fn id_is_the_one_that_the_caller_sees() {
    let seen = same(|board, law| {
        let unshared = sys!(libc::SYS_unshare, libc::CLONE_NEWPID);
        assert_eq!(unshared, Ok(0), "CLONE_NEWPID");
        let inside = run(|board| {
            assert_eq!(crate::sys::getpid(), 1);
            let prepare = |at| {
                if at == 2 {
                    (law.alone)(&refuse_getgid());
                }
            };
            let act = |ids: &[i32]| {
                assert_eq!((law.all)(&refuse_getuid()), Outcome::InTheWay(ids[2]));
                board.put(i64::from((2..=5).contains(&ids[2])));
            };
            report(board, &crew(prepare, act, state));
        });
        for value in inside.well() {
            board.put(value);
        }
    });
    let mut expected = [[0, 0, 0]; 4];
    expected[2][1] = -1;
    let values = seen.well();
    assert_eq!((values[0], &values[1..]), (1, &expected.concat()[..]));
}

/// Threads under layers of their own, which have ended.
fn ended_threads_do_not_matter() {
    let seen = same(|board, law| {
        for _ in 0..8 {
            let thread = std::thread::spawn(move || (law.alone)(&refuse_getgid()));
            assert!(thread.join().is_ok());
        }
        assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        report(board, &[state()]);
    });
    assert_eq!(seen.well(), [-76, 0, 0]);
}

fn dead_leader_does_not_matter() {
    assert_eq!(
        same(|board, law| dead_leader(board, law, false)).well(),
        [[-76, 0, 0]; 5].concat()
    );
}

fn dead_leader_under_a_layer_of_its_own_does_not_matter() {
    assert_eq!(
        same(|board, law| dead_leader(board, law, true)).well(),
        [[-76, 0, 0]; 5].concat()
    );
}

/// The first thread of the process has ended, and is a zombie as long as the others live.
fn dead_leader(board: &Board, law: Law, confined: bool) {
    let leader = crate::sys::getpid();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let stat = format!("/proc/self/task/{leader}/stat");
            while !std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z ")) {
                nap(1);
            }
            let act = |_: &[i32]| assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
            report(board, &crew(|_| (), act, state));
            report(board, &[state()]);
            exit(0);
        });
        nap(5);
        if confined {
            (law.alone)(&refuse_getgid());
        }
        let _ = sys!(libc::SYS_exit, 0);
    });
}

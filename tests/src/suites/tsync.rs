// SPDX-License-Identifier: GPL-2.0
//! RESTRICT_TSYNC: all threads of the process or none. Beside SECCOMP_FILTER_FLAG_TSYNC wherever both can be asked the same.

mod obstacles;
mod rings;
mod storms;

use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicI32, Ordering};

use filters::insn::Insn;
use libc::{EPERM, ESRCH, SIGSYS, SYS_getgid, SYS_getuid};
use uapi::control::{RESTRICT_AT_EXEC, RESTRICT_TSYNC};

use crate::executable;
use crate::harness::{Test, tests};
use crate::kernel::{layers, load, restrict, restrict_strict, restrict_with};
use crate::program::{ALLOW, ODD, errno, on_nr, ret, syscalls};
use crate::sys::child::{Board, End, Seen, nap, run};
use crate::sys::{no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    let mut tests = tests!("tsync";
        law_3_inherited_whole_all_threads_are_bound, law_3_inherited_whole_threads_get_the_callers_older_layers, threads_keep_what_they_share_with_the_caller,
        threads_get_no_new_privs_of_the_caller, threads_get_no_new_privs_only_if_the_caller_has_it, caller_without_privilege_is_refused,
        one_thread_alone_is_a_process, later_threads_and_children_inherit, other_processes_are_not_touched, filter_on_all_threads_can_be_pushed_again,
        two_threads_at_once, from_a_thread_that_is_not_the_first, strict_filter_on_all_threads, threads_take_over_what_waits_for_an_exec,
    );
    tests.extend(obstacles::tests());
    tests.extend(rings::tests());
    tests.extend(storms::tests());
    tests
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    InTheWay(i32),
    Error(i32),
}

/// One of the two mechanisms.
#[derive(Clone, Copy)]
struct Law {
    /// Binds the calling thread.
    alone: fn(&[Insn]),
    /// Binds all threads.
    all: fn(&[Insn]) -> Outcome,
}

const EVFILTER: Law = Law {
    alone: |program| restrict(&load(&syscalls(program.to_vec()))),
    all: |program| {
        let filter = load(&syscalls(program.to_vec()));
        match restrict_with(RESTRICT_TSYNC, filter.as_raw_fd()) {
            (Ok(0), 0) => Outcome::Done,
            (Err(ESRCH), thread) if thread != 0 => Outcome::InTheWay(thread as i32),
            (Err(errno), 0) => Outcome::Error(errno),
            other => panic!("RESTRICT_TSYNC: {other:?}"),
        }
    },
};

const SECCOMP: Law = Law {
    alone: |program| assert_eq!(crate::seccomp::try_install(program, 0), Ok(0)),
    // SECCOMP_FILTER_FLAG_TSYNC; without _TSYNC_ESRCH the id of the thread in the way is what the call returns.
    all: |program| match crate::seccomp::try_install(program, 1) {
        Ok(0) => Outcome::Done,
        Ok(thread) => Outcome::InTheWay(thread as i32),
        Err(errno) => Outcome::Error(errno),
    },
};

/// Runs `deed` under both mechanisms; both must look the same.
#[track_caller]
fn same(deed: impl Fn(&Board, Law)) -> Seen {
    let ours = run(|board| deed(board, EVFILTER));
    let theirs = run(|board| deed(board, SECCOMP));
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    ours
}

/// What a thread sees of itself: getuid, getgid, no_new_privs.
type State = [i64; 3];

fn state() -> State {
    let nnp = sys!(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    [sys!(SYS_getuid), sys!(SYS_getgid), nnp]
        .map(|ret| ret.map_or_else(|errno| -i64::from(errno), |value| value as i64))
}

/// Four threads that prepare themselves, wait while `act` is done, and then look at themselves.
fn crew<T: Send>(
    prepare: impl Fn(usize) + Sync,
    act: impl FnOnce(&[i32]),
    look: impl Fn() -> T + Sync,
) -> Vec<T> {
    const COUNT: usize = 4;
    let gate = Barrier::new(COUNT + 1);
    let ids: [AtomicI32; COUNT] = [const { AtomicI32::new(0) }; COUNT];
    let member = |at: usize| {
        prepare(at);
        let id = sys!(libc::SYS_gettid).expect("gettid");
        ids[at].store(id as i32, Ordering::SeqCst);
        gate.wait();
        gate.wait();
        look()
    };
    let member = &member;
    std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|at| scope.spawn(move || member(at)));
        gate.wait();
        act(&ids.each_ref().map(|id| id.load(Ordering::SeqCst)));
        gate.wait();
        let ends = threads.into_iter().map(|thread| thread.join());
        ends.map(|end| end.expect("a thread")).collect()
    })
}

fn report(board: &Board, states: &[State]) {
    for value in states.as_flattened() {
        board.put(*value);
    }
}

fn refuse_getuid() -> Vec<Insn> {
    on_nr(SYS_getuid, errno(ODD))
}

fn refuse_getgid() -> Vec<Insn> {
    on_nr(SYS_getgid, errno(EPERM))
}

fn law_3_inherited_whole_all_threads_are_bound() {
    let seen = same(|board, law| {
        let all = |_: &[i32]| assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        let states = crew(|_| (), all, state);
        report(board, &states);
        report(board, &[state()]);
    });
    assert_eq!(seen.well(), [[-76, 0, 0]; 5].concat());
    let counts = crew(
        |_| (),
        |_| assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done),
        layers,
    );
    assert_eq!((counts, layers()), (vec![1; 4], 1));
}

/// Those that the caller was given after the threads were made.
fn law_3_inherited_whole_threads_get_the_callers_older_layers() {
    let seen = same(|board, law| {
        let act = |_: &[i32]| {
            (law.alone)(&refuse_getgid());
            (law.alone)(&[ret(ALLOW)]);
            assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        };
        report(board, &crew(|_| (), act, state));
        report(board, &[state()]);
    });
    assert_eq!(seen.well(), [[-76, -1, 0]; 5].concat());
    let act = |_: &[i32]| {
        (EVFILTER.alone)(&refuse_getgid());
        (EVFILTER.alone)(&[ret(ALLOW)]);
        assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done);
    };
    assert_eq!(crew(|_| (), act, layers), [3; 4]);
}

fn threads_keep_what_they_share_with_the_caller() {
    let seen = same(|board, law| {
        (law.alone)(&refuse_getgid());
        let act = |_: &[i32]| assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        report(board, &crew(|_| (), act, state));
    });
    assert_eq!(seen.well(), [[-76, -1, 0]; 4].concat());
}

fn threads_get_no_new_privs_of_the_caller() {
    let seen = same(|board, law| {
        let act = |_: &[i32]| {
            no_new_privs();
            assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        };
        report(board, &crew(|_| (), act, state));
    });
    assert_eq!(seen.well(), [[-76, 0, 1]; 4].concat());
}

/// A thread that has it keeps it; the others do not get it from there.
fn threads_get_no_new_privs_only_if_the_caller_has_it() {
    let seen = same(|board, law| {
        let prepare = |at| {
            if at == 2 {
                no_new_privs();
            }
        };
        let act = |_: &[i32]| assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        report(board, &crew(prepare, act, state));
        report(board, &[state()]);
    });
    let mut expected = [[-76, 0, 0]; 5];
    expected[2][2] = 1;
    assert_eq!(seen.well(), expected.concat());
}

/// no_new_privs of another thread gives no right to the caller.
fn caller_without_privilege_is_refused() {
    let seen = same(|board, law| {
        crate::sys::become_user(1000);
        let prepare = |at| {
            if at == 2 {
                no_new_privs();
            }
        };
        let act = |_: &[i32]| {
            let outcome = (law.all)(&refuse_getuid());
            assert_eq!(outcome, Outcome::Error(libc::EACCES));
        };
        report(board, &crew(prepare, act, state));
    });
    let mut expected = [[1000, 1000, 0]; 4];
    expected[2][2] = 1;
    assert_eq!(seen.well(), expected.concat());
}

fn one_thread_alone_is_a_process() {
    let seen = same(|board, law| {
        assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        report(board, &[state()]);
    });
    assert_eq!(seen.well(), [-76, 0, 0]);
}

fn later_threads_and_children_inherit() {
    let seen = same(|board, law| {
        let after = || {
            let made = std::thread::spawn(state).join().expect("a thread");
            let forked = run(|board| report(board, &[state()])).well();
            assert_eq!(made.to_vec(), forked);
            made
        };
        let act = |_: &[i32]| assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        report(board, &crew(|_| (), act, after));
    });
    assert_eq!(seen.well(), [[-76, 0, 0]; 4].concat());
}

/// Neither the parent nor a child that was there before.
fn other_processes_are_not_touched() {
    let seen = same(|board, law| {
        let child = crate::sys::child::start(|board| {
            board.put(1);
            nap(300);
            report(board, &[state()]);
        });
        child.until(1);
        let bound = run(|_| assert_eq!((law.all)(&refuse_getgid()), Outcome::Done));
        bound.well();
        report(board, &[state()]);
        assert_eq!((law.all)(&refuse_getuid()), Outcome::Done);
        for value in child.wait().well() {
            board.put(value);
        }
    });
    assert_eq!(seen.well(), [0, 0, 0, 1, 0, 0, 0]);
}

/// The same filter is one more layer, for everybody.
fn filter_on_all_threads_can_be_pushed_again() {
    let filter = load(&syscalls(refuse_getuid()));
    let act = |_: &[i32]| {
        for _ in 0..3 {
            let done = restrict_with(RESTRICT_TSYNC, filter.as_raw_fd());
            assert_eq!(done, (Ok(0), 0));
        }
    };
    assert_eq!(crew(|_| (), act, layers), [3; 4]);
}

/// Each of two threads binds the other one too; in the end everybody is under both.
fn two_threads_at_once() {
    for round in 0..30 {
        let seen = same(|board, law| {
            let gate = Barrier::new(2);
            let both = |program: Vec<Insn>| {
                gate.wait();
                assert_eq!((law.all)(&program), Outcome::Done);
                gate.wait();
                state()
            };
            let both = &both;
            std::thread::scope(|scope| {
                let other = scope.spawn(move || both(refuse_getgid()));
                report(board, &[both(refuse_getuid())]);
                report(board, &[other.join().expect("a thread")]);
            });
        });
        assert_eq!(seen.well(), [-76, -1, 0, -76, -1, 0], "round {round}");
    }
}

fn from_a_thread_that_is_not_the_first() {
    let seen = same(|board, law| {
        let act = |_: &[i32]| {
            let done = std::thread::spawn(move || (law.all)(&refuse_getuid())).join();
            assert_eq!(done.ok(), Some(Outcome::Done));
        };
        report(board, &crew(|_| (), act, state));
        report(board, &[state()]);
    });
    assert_eq!(seen.well(), [[-76, 0, 0]; 5].concat());
}

/// The thread that makes a call is not the one that asked for the filter.
fn strict_filter_on_all_threads() {
    let seen = run(|board| {
        let go = &AtomicI32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Neither a call nor memory is needed to wait.
                while go.load(Ordering::SeqCst) < 2 {
                    go.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
                        .ok();
                }
                board.put(1);
                let _ = sys!(SYS_getuid);
                board.put(2);
            });
            while go.load(Ordering::SeqCst) == 0 {
                nap(1);
            }
            restrict_strict(RESTRICT_TSYNC);
            go.store(2, Ordering::SeqCst);
            loop {
                std::hint::spin_loop();
            }
        });
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![1])
    );
}

/// The caller's layers are those that wait, too.
fn threads_take_over_what_waits_for_an_exec() {
    let path = c"/evf-tsync-waits";
    executable::install(path, &executable::calls(SYS_getgid));
    for (exec, expected) in [(false, 0), (true, EPERM)] {
        let seen = run(|board| {
            let act = |_: &[i32]| {
                let waits = load(&syscalls(refuse_getgid()));
                let done = restrict_with(RESTRICT_AT_EXEC, waits.as_raw_fd());
                assert_eq!(done, (Ok(0), 0));
                assert_eq!((EVFILTER.all)(&refuse_getuid()), Outcome::Done);
            };
            let look = || {
                if exec {
                    executable::exec(path);
                }
                state()
            };
            report(board, &crew(|_| (), act, look));
        });
        assert_eq!(seen.end, End::Exit(expected));
        let states = if exec {
            vec![]
        } else {
            [[-76, 0, 0]; 4].concat()
        };
        assert_eq!(seen.values, states);
    }
}

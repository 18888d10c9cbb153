// SPDX-License-Identifier: GPL-2.0
//! Domains are replaced while the fast paths of other processors read them: no call is judged by less than what holds when it is made.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AT_FDCWD, SYS_geteuid, SYS_getppid};
use uapi::control::RESTRICT_TSYNC;

use crate::harness::{Test, note, tests};
use crate::kernel::{load, restrict_with};
use crate::program::{
    ALLOW, ODD, deny_name, errno, load as word, ret, syscalls, unless_equal_skip,
};
use crate::ring::Ring;
use crate::sys::child::{End, run, wait};
use crate::sys::{no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("native";
        law_1_narrow_only_threads_in_a_loop_are_bound_once_tsync_returns, law_1_narrow_only_calls_by_argument_while_layers_come,
        law_3_inherited_whole_rings_while_others_call, law_3_inherited_whole_2000_forks_while_layers_come,
    );
    tests.into_iter().map(|test| test.limit(180)).collect()
}

/// Layers of a round, which is a process.
const LAYERS: i32 = 60;
const FIRST: i32 = 200;

/// The errno of getppid becomes that of layer `number`, which also refuses geteuid with that first argument. The newest of several errnos is seen.
fn layer(number: i32) -> Vec<u8> {
    syscalls(vec![
        word(0),
        unless_equal_skip(SYS_getppid as u32, 1),
        ret(errno(FIRST + number)),
        unless_equal_skip(SYS_geteuid as u32, 3),
        word(16),
        unless_equal_skip(number as u32, 1),
        ret(errno(ODD)),
        ret(ALLOW),
    ])
}

/// All layers of a round, loaded once: pushing them is then all that the rounds do.
fn layers() -> Vec<OwnedFd> {
    (0..LAYERS).map(|number| load(&layer(number))).collect()
}

/// Pushes a layer on all threads of the process.
#[track_caller]
fn push_on_all(filter: &OwnedFd) {
    let fd = filter.as_raw_fd();
    assert_eq!(restrict_with(RESTRICT_TSYNC, fd), (Ok(0), 0));
}

/// Rounds of this kind go on for as long.
const STORM: Duration = Duration::from_secs(3);

/// Runs rounds in children while two threads of each call `look` over and over with the number of layers that had been pushed on all before the
/// call. It says
/// whether what it saw is possible.
fn storm(look: fn(i32) -> bool) {
    no_new_privs();
    let filters = layers();
    let begun = Instant::now();
    let (mut rounds, mut looked) = (0, 0);
    while rounds < 3 || begun.elapsed() < STORM {
        let seen = run(|board| {
            let pushed = AtomicI32::new(0);
            let done = AtomicBool::new(false);
            let calls = AtomicU64::new(0);
            let wrong = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !done.load(Ordering::SeqCst) {
                            let before = pushed.load(Ordering::SeqCst);
                            calls.fetch_add(1, Ordering::Relaxed);
                            if !look(before) {
                                wrong.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
                for filter in &filters {
                    push_on_all(filter);
                    pushed.fetch_add(1, Ordering::SeqCst);
                }
                done.store(true, Ordering::SeqCst);
            });
            board.put(calls.load(Ordering::Relaxed) as i64);
            board.put(wrong.load(Ordering::Relaxed) as i64);
        });
        let values = seen.well();
        assert_eq!(values[1], 0, "of {} calls, round {rounds}", values[0]);
        looked += values[0];
        rounds += 1;
    }
    note(&format!("{rounds} rounds, {looked} calls"));
    assert!(looked > 1000, "hardly any call was made while layers came");
}

/// getppid is decided by its number alone: by the table that the trampoline reads. The errno tells which layer was the newest when it did.
fn law_1_narrow_only_threads_in_a_loop_are_bound_once_tsync_returns() {
    storm(|pushed| match sys!(SYS_getppid) {
        Ok(_) => pushed == 0,
        Err(errno) => errno >= FIRST + pushed - 1 && errno < FIRST + LAYERS,
    });
}

/// Decided by the one program of all layers: what any of them refused before is refused ever after.
fn law_1_narrow_only_calls_by_argument_while_layers_come() {
    storm(|pushed| {
        let refused = |argument: i32| sys!(SYS_geteuid, argument) == Err(ODD);
        let oldest = pushed == 0 || refused(0);
        let middle = pushed == 0 || refused(pushed / 2);
        let newest = pushed == 0 || refused(pushed - 1);
        oldest && middle && newest && sys!(SYS_geteuid, LAYERS) == Ok(0)
    });
}

/// Layers on the names that the kernel's threads of a ring open, while other threads make calls that the trampoline decides.
fn law_3_inherited_whole_rings_while_others_call() {
    no_new_privs();
    for round in 0..6 {
        let seen = run(|board| {
            let mut rings = [Ring::sqpoll(), Ring::new()];
            rings[1].wake_worker();
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            let _ = sys!(SYS_getppid);
                        }
                    });
                }
                let mut wrong = 0;
                for number in 0..LAYERS / 3 {
                    let name = format!("/evf-absent/ring-{number}");
                    push_on_all(&load(&deny_name(name.as_bytes())));
                    let name = std::ffi::CString::new(name).expect("a name");
                    for (at, ring) in rings.iter_mut().enumerate() {
                        let entry = opcode::OpenAt::new(Fd(AT_FDCWD), name.as_ptr()).build();
                        let opened = if at == 0 {
                            ring.call(entry)
                        } else {
                            ring.call_in_worker(entry)
                        };
                        wrong += i64::from(opened != Err(ODD));
                    }
                }
                done.store(true, Ordering::Relaxed);
                board.put(wrong);
            });
        });
        assert_eq!(seen.well(), [0], "round {round}");
    }
}

/// Forks of one thread while another one replaces the domain of both: each child is under all layers that were there when its fork began, and goes
/// on under them.
fn law_3_inherited_whole_2000_forks_while_layers_come() {
    const FORKS: usize = 50;
    no_new_privs();
    let filters = layers();
    for round in 0..2000 / FORKS {
        let seen = run(|board| {
            let pushed = AtomicI32::new(0);
            let forked = AtomicU64::new(0);
            std::thread::scope(|scope| {
                let forker = scope.spawn(|| {
                    let mut free = 0;
                    for _ in 0..FORKS {
                        let before = pushed.load(Ordering::SeqCst);
                        let pid = sys!(libc::SYS_fork).expect("fork");
                        if pid == 0 {
                            let bound = match sys!(SYS_getppid) {
                                Ok(_) => before == 0,
                                Err(errno) => errno >= FIRST + before - 1,
                            };
                            let bound =
                                bound && (before == 0 || sys!(SYS_geteuid, before - 1) == Err(ODD));
                            crate::sys::child::exit(i32::from(!bound));
                        }
                        free += i64::from(wait(pid as i32) != End::Exit(0));
                        forked.fetch_add(1, Ordering::SeqCst);
                    }
                    free
                });
                for filter in &filters {
                    push_on_all(filter);
                    pushed.fetch_add(1, Ordering::SeqCst);
                    // Spread over the forks.
                    let due = pushed.load(Ordering::SeqCst) as usize * FORKS / filters.len();
                    while (forked.load(Ordering::SeqCst) as usize) < due {
                        std::thread::yield_now();
                    }
                }
                board.put(forker.join().expect("the forking thread"));
            });
        });
        assert_eq!(seen.well(), [0], "round {round}");
    }
    // Nothing of all that has touched this process.
    assert!(sys!(SYS_getppid).is_ok());
}

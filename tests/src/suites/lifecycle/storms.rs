// SPDX-License-Identifier: GPL-2.0
//! The life of many tasks under the module: forks, ends, kills, and the memory that they must give back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::races::stretch;
use super::{NAME, and_loaded_again, unload, until_asleep};
use crate::executable;
use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict, try_control};
use crate::program::{
    ALLOW, ODD, allow_all, deny_name, errno, load as word, ret, syscalls, unless_equal_skip,
};
use crate::sys::child::{End, exit, fork, nap, run, start, wait};
use crate::sys::memory::Shared;
use crate::sys::{clone, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("lifecycle";
        law_3_inherited_whole_10000_forks,
        exit_storm_of_processes,
        exit_storm_of_threads,
        exit_storm_while_attaching,
        exec_storm,
        law_8_bounded_memory_comes_back,
        domain_goes_with_its_last_task_1000_times, killed_while_asleep_in_getname,
        confined_zombie_is_no_obstacle_once_reaped,
        security_sequence_can_be_read,
    )
}

/// Every one of them is judged; on one emulated processor they take some ten milliseconds each at worst.
fn law_3_inherited_whole_10000_forks() {
    attach(&deny_name(NAME.to_bytes()));
    for count in 0..10_000 {
        // One in ten with memory of its own, which is what costs time.
        let memory = if count % 10 == 0 { 0 } else { libc::CLONE_VM };
        let flags = libc::CLONE_VFORK | libc::SIGCHLD | memory;
        assert_eq!(clone::open_in_clone(flags, NAME), Err(ODD), "fork {count}");
    }
}

fn exit_storm_of_processes() {
    attach(&deny_name(NAME.to_bytes()));
    for _ in 0..10 {
        let go = Shared::<AtomicBool>::new();
        let children: Vec<_> = (0..64)
            .map(|_| {
                start(|board| {
                    while !go.load(Ordering::SeqCst) {
                        let _ = sys!(libc::SYS_sched_yield);
                    }
                    board.ret(try_open(NAME));
                })
            })
            .collect();
        go.store(true, Ordering::SeqCst);
        for child in children {
            assert_eq!(child.wait().well(), [-76]);
        }
    }
}

/// Many threads, each under layers of its own, end at once by `exit_group`.
fn exit_storm_of_threads() {
    for _ in 0..10 {
        let seen = run(|board| {
            let gate = std::sync::Barrier::new(33);
            let gate: &'static std::sync::Barrier = Box::leak(Box::new(gate));
            for _ in 0..32 {
                std::thread::spawn(|| {
                    attach(&deny_name(NAME.to_bytes()));
                    gate.wait();
                    loop {
                        assert_eq!(try_open(NAME), Err(ODD));
                    }
                });
            }
            gate.wait();
            board.put(1);
            exit(0);
        });
        assert_eq!(seen.well(), [1]);
    }
}

/// Tasks are killed at any point of loading, attaching and opening.
fn exit_storm_while_attaching() {
    for round in 0..100u64 {
        let child = start(|board| {
            board.put(1);
            loop {
                let filter = load(&deny_name(NAME.to_bytes()));
                if crate::kernel::try_restrict(&filter).is_err() {
                    nap(1);
                }
            }
        });
        child.until(1);
        for _ in 0..round * 300 {
            std::hint::spin_loop();
        }
        child.kill();
    }
    assert!(try_control().is_ok());
}

fn exec_storm() {
    attach(&deny_name(NAME.to_bytes()));
    for _ in 0..100 {
        let status = std::process::Command::new("/bin/busybox")
            .arg("true")
            .status();
        assert!(status.expect("exec").success());
    }
}

/// Kibibytes of slab memory that cannot be reclaimed.
pub(super) fn slab() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let line = text.lines().find(|line| line.starts_with("SUnreclaim"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).expect("SUnreclaim")
}

/// 3,000 domains and filters of some 70 KiB each come and go; a leak of one part in a hundred would show.
fn law_8_bounded_memory_comes_back() {
    let image = {
        let mut names = crate::program::Names::new();
        for at in 0..16u8 {
            names = names.equal(&[at + 1; 4000], crate::program::errno(ODD));
        }
        names.or_allow()
    };
    let round = || {
        let seen = run(|board| {
            for _ in 0..10 {
                attach(&image);
            }
            board.put(i64::from(layers()));
        });
        assert_eq!(seen.well(), [10]);
    };
    // The first rounds fill caches that stay.
    (0..20).for_each(|_| round());
    nap(300);
    let before = slab();
    (0..300).for_each(|_| round());
    nap(1000);
    let grown = slab() - before;
    assert!(
        grown < 3000,
        "the kernel's memory has grown by {grown} KiB over 3000 filters of 64 KiB"
    );
}

/// Processes that end while nobody else holds their domain, which has machine code of its own: by exit, by a signal, by an exec before that, as the
/// last of several threads, or as the child of a parent that is gone. Nothing of it keeps the module.
fn domain_goes_with_its_last_task_1000_times() {
    let argument = |value: u32| {
        syscalls(vec![
            word(0),
            unless_equal_skip(libc::SYS_geteuid as u32, 3),
            word(16),
            unless_equal_skip(value, 1),
            ret(errno(ODD)),
            ret(ALLOW),
        ])
    };
    const PROGRAM: &std::ffi::CStr = c"/evf-life-exec";
    executable::install(PROGRAM, &executable::calls(libc::SYS_geteuid));
    let orphans_are_ours = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_eq!(orphans_are_ours, Ok(0));
    let images = [argument(1), argument(2)];
    let before = slab();
    for count in 0..1000 {
        let confined = || {
            // Two layers, of which one program is made.
            images.iter().for_each(|image| attach(image));
            let [one, two, three] = [1, 2, 3].map(|value| sys!(libc::SYS_geteuid, value));
            assert_eq!((one, two, three), (Err(ODD), Err(ODD), Ok(0)));
        };
        match count % 5 {
            0 => drop(run(|_| confined()).well()),
            1 => {
                let child = start(|board| {
                    confined();
                    board.put(1);
                    nap(60_000);
                });
                child.until(1);
                child.kill();
            }
            2 => {
                let seen = run(|_| {
                    confined();
                    executable::exec(PROGRAM);
                });
                assert_eq!(seen.end, End::Exit(0));
            }
            3 => {
                // The first thread ends before the second one, which has a domain that the first one never had.
                let seen = run(|_| {
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            confined();
                            nap(1);
                            exit(0);
                        });
                        let _ = sys!(libc::SYS_exit, 0);
                    });
                });
                assert_eq!(seen.end, End::Exit(0));
            }
            _ => {
                let seen = run(|board| {
                    confined();
                    let pid = fork().expect("fork");
                    if pid == 0 {
                        // An orphan by then.
                        nap(2);
                        exit(0);
                    }
                    board.put(i64::from(pid));
                });
                assert_eq!(wait(seen.well()[0] as i32), End::Exit(0));
            }
        }
    }
    nap(1000);
    let grown = slab() - before;
    assert!(grown < 8000, "the kernel's memory has grown by {grown} KiB");
    and_loaded_again(unload);
}

/// A confined task that sleeps in the copy of a name is killed there.
fn killed_while_asleep_in_getname() {
    for _ in 0..10 {
        let sleeping = Shared::<AtomicU64>::new();
        let child = start(|_| {
            attach(&deny_name(NAME.to_bytes()));
            let stretch = stretch();
            let name = stretch.head(b"/evf-absent/evf-0123456789abcdef-");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    stretch.wait();
                    sleeping.store(1, Ordering::SeqCst);
                    nap(60_000);
                });
                let _ = sys!(libc::SYS_open, name, 0, 0);
            });
        });
        until_asleep(&sleeping);
        child.kill();
    }
    and_loaded_again(unload);
}

fn confined_zombie_is_no_obstacle_once_reaped() {
    let child = start(|_| attach(&allow_all()));
    nap(200);
    child.wait();
    and_loaded_again(unload);
}

/// Seed 003: a number that user space can read to know which security fixes are in the running module.
fn security_sequence_can_be_read() {
    assert!(crate::kernel::info().security_sequence >= 1);
    let filter = load(&allow_all());
    crate::sys::no_new_privs();
    restrict(&filter);
    assert_eq!(
        crate::kernel::info().security_sequence,
        uapi::control::SECURITY_SEQUENCE
    );
}

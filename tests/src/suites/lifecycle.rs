// SPDX-License-Identifier: GPL-2.0
//! The life of the module: loading, unloading, and what may not be unloaded.

mod demand;
mod storms;
mod taken;
mod unloaded;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::{EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT};

use crate::harness::{Test, skip, tests};
use crate::kernel::{attach, layers, load, try_control};
use crate::program::{ODD, allow_all, deny_name};
use crate::sys::child::{ask, nap, run, start};
use crate::sys::memory::Shared;
use crate::sys::{Ret, open, sys, try_open};

const NAME: &std::ffi::CStr = c"/evf-absent/evf-life";
const MODULE: &std::ffi::CStr = c"/lib/modules/evfilter.ko";

pub(super) fn tests() -> Vec<Test> {
    let rows = tests!("lifecycle";
    unload_refused_while_a_control_descriptor_is_open, unload_refused_while_a_device_is_open, unload_refused_while_a_filter_descriptor_is_open,
    unload_refused_while_a_task_is_confined, unload_refused_while_a_thread_is_confined, unload_refused_while_a_sqpoll_thread_is_confined,
    unload_refused_while_a_filter_is_in_flight, law_4_not_removable_by_unloading, unload_and_load_again, load_twice_is_refused, unloaded_module_answers_nothing,
    load_with_ftrace_switched_off_is_refused, load_and_unload_100_times, load_and_unload_under_load, unload_with_a_task_asleep_in_getname,
    );
    let rows = rows
        .into_iter()
        .chain(storms::tests())
        .chain(unloaded::tests())
        .chain(demand::tests())
        .chain(taken::tests());
    // Each load and each unload waits for several grace periods: seconds on a busy host.
    rows.map(|test| test.limit(1800)).collect()
}

pub(super) fn insmod() -> Ret {
    let file = open(MODULE, libc::O_RDONLY).expect("/lib/modules/evfilter.ko");
    sys!(libc::SYS_finit_module, &file, c"", 0)
}

pub(super) fn rmmod() -> Ret {
    sys!(libc::SYS_delete_module, c"evfilter", libc::O_NONBLOCK)
}

pub(super) fn is_loaded() -> bool {
    std::fs::metadata("/sys/module/evfilter").is_ok()
}

/// Unloads; what the last confined task leaves behind is freed after a grace period, so this may take some tries.
#[track_caller]
pub(super) fn unload() {
    let mut last = Ok(0);
    for _ in 0..500 {
        last = rmmod();
        match last {
            Ok(_) => return,
            Err(EAGAIN | EBUSY) => nap(10),
            Err(_) => break,
        }
    }
    panic!("delete_module: {last:?}");
}

/// Runs `body`, and loads the module afterwards if it is not there.
pub(super) fn and_loaded_again(body: impl FnOnce()) {
    let seen = run(|_| body());
    if !is_loaded() {
        assert_eq!(insmod(), Ok(0), "finit_module");
    }
    seen.well();
}

/// The kernel functions that are directed somewhere else.
#[track_caller]
pub(super) fn directed() -> BTreeSet<String> {
    let path = "/sys/kernel/tracing/enabled_functions";
    let text = std::fs::read_to_string(path).expect(path);
    text.lines()
        .filter(|line| line.contains(" D "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Unloading must be refused now, and work once `held` is gone.
#[track_caller]
fn held_by<T>(held: T) {
    for _ in 0..5 {
        assert!(
            matches!(rmmod(), Err(EAGAIN | EBUSY)),
            "unloaded although in use"
        );
        nap(5);
    }
    assert!(is_loaded());
    drop(held);
    and_loaded_again(unload);
}

fn unload_refused_while_a_control_descriptor_is_open() {
    held_by(crate::kernel::control());
}

fn unload_refused_while_a_device_is_open() {
    held_by(open(c"/dev/evfilter", libc::O_RDWR).expect("/dev/evfilter"));
}

fn unload_refused_while_a_filter_descriptor_is_open() {
    held_by(load(&allow_all()));
}

struct KillOnDrop(Option<crate::sys::child::Child>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            child.kill();
        }
    }
}

fn confined(body: impl FnOnce()) -> KillOnDrop {
    let child = start(|board| {
        body();
        board.put(1);
        nap(120_000);
    });
    child.until(1);
    KillOnDrop(Some(child))
}

fn unload_refused_while_a_task_is_confined() {
    held_by(confined(|| attach(&allow_all())));
}

fn unload_refused_while_a_thread_is_confined() {
    held_by(confined(|| {
        let gate = std::sync::Barrier::new(2);
        let gate: &'static std::sync::Barrier = Box::leak(Box::new(gate));
        std::thread::spawn(|| {
            attach(&allow_all());
            gate.wait();
            nap(120_000);
        });
        gate.wait();
    }));
}

/// The thread that attached is gone; what it has covered is not.
fn unload_refused_while_a_sqpoll_thread_is_confined() {
    held_by(confined(|| {
        let ring = crate::ring::Ring::sqpoll();
        let attached = std::thread::spawn(|| attach(&allow_all())).join();
        assert!(attached.is_ok());
        Box::leak(Box::new(ring));
    }));
}

/// The only reference to a filter lies in the queue of a socket.
fn unload_refused_while_a_filter_is_in_flight() {
    let (here, there) = crate::sys::message::pair();
    crate::sys::message::send_fd(&here, std::os::fd::AsFd::as_fd(&load(&allow_all())));
    held_by((here, there));
}

/// Root under a layer cannot unload what holds it. (`rmmod -f`, where the kernel has it, asks nobody: see the limits in SECURITY.md.)
fn law_4_not_removable_by_unloading() {
    attach(&deny_name(NAME.to_bytes()));
    for _ in 0..100 {
        assert!(matches!(rmmod(), Err(EAGAIN | EBUSY)));
    }
    assert_eq!((try_open(NAME), layers()), (Err(ODD), 1));
}

fn unload_and_load_again() {
    and_loaded_again(|| {
        unload();
        assert!(!is_loaded());
        assert_eq!(insmod(), Ok(0));
    });
    attach(&deny_name(NAME.to_bytes()));
    assert_eq!(try_open(NAME), Err(ODD));
}

fn load_twice_is_refused() {
    assert_eq!(insmod(), Err(EEXIST));
    assert_eq!(insmod(), Err(EEXIST));
    assert!(try_control().is_ok());
}

fn unloaded_module_answers_nothing() {
    and_loaded_again(|| {
        unload();
        assert_eq!(try_control().err(), Some(EINVAL));
        assert_eq!(try_open(c"/dev/evfilter"), Err(ENOENT));
        assert_eq!(try_open(NAME), Err(ENOENT));
        assert_eq!(sys!(libc::SYS_getuid), Ok(0));
        assert_eq!(
            crate::sys::trace::attach_and_leave(1).is_ok(),
            ask(|| crate::sys::trace::attach_and_leave(1)).is_ok()
        );
    });
}

/// Hooks that could not be in force are not set up.
fn load_with_ftrace_switched_off_is_refused() {
    let switch = "/proc/sys/kernel/ftrace_enabled";
    let switched = Shared::<AtomicBool>::new();
    and_loaded_again(|| {
        unload();
        if std::fs::write(switch, "0").is_err() {
            return;
        }
        switched.store(true, Ordering::SeqCst);
        let refused = insmod();
        std::fs::write(switch, "1").expect(switch);
        assert!(refused.is_err(), "loaded although ftrace is off");
        assert!(!is_loaded());
        assert_eq!(insmod(), Ok(0));
    });
    if !switched.load(Ordering::SeqCst) {
        skip("this kernel no longer lets ftrace be switched off");
    }
}

fn load_and_unload_100_times() {
    and_loaded_again(|| {
        for round in 0..100 {
            unload();
            assert_eq!(insmod(), Ok(0), "round {round}");
            if round % 10 == 0 {
                let result = ask(|| {
                    attach(&deny_name(NAME.to_bytes()));
                    try_open(NAME)
                });
                assert_eq!(result, Err(ODD), "round {round}");
            }
        }
    });
}

/// Other tasks fork, open, trace and make rings all the while, some of them confined as long as the module is there.
fn load_and_unload_under_load() {
    let done = Shared::<AtomicBool>::new();
    let rounds = Shared::<AtomicU64>::new();
    let busy = |body: fn()| {
        start(|_| {
            while !done.load(Ordering::Relaxed) {
                body();
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let children = [
        busy(|| {
            let _ = try_open(c"/proc/self/status");
            let _ = try_open(NAME);
        }),
        busy(|| {
            run(|_| ()).well();
        }),
        busy(|| {
            let _ = std::thread::spawn(|| crate::sys::trace::read_memory(crate::sys::getpid(), 0))
                .join();
        }),
        busy(|| {
            let result = ask(|| {
                let Ok(filter) = crate::kernel::try_control()
                    .and_then(|_| crate::kernel::try_load(&deny_name(NAME.to_bytes())))
                else {
                    return Err(ODD);
                };
                match crate::kernel::try_restrict(&filter) {
                    Ok(_) => try_open(NAME),
                    Err(errno) => Err(errno),
                }
            });
            assert_eq!(result, Err(ODD));
            // A module that is in use all the time is never unloaded: leave it some moments, longer than a grace period.
            nap(100);
        }),
    ];
    and_loaded_again(|| {
        for _ in 0..8 {
            unload_while_busy();
            assert_eq!(insmod(), Ok(0));
            nap(20);
        }
    });
    done.store(true, Ordering::Relaxed);
    for child in children {
        assert_eq!(child.wait().end, crate::sys::child::End::Exit(0));
    }
    assert!(rounds.load(Ordering::Relaxed) > 100);
}

/// As [`unload`], but other tasks take hold of the module again and again.
fn unload_while_busy() {
    for _ in 0..6_000 {
        if rmmod().is_ok() {
            return;
        }
        nap(2);
    }
    panic!("no moment in which the module was free");
}

/// A free task that sleeps in the copy of a name has no frame of ours on its stack: the module goes, the task goes on.
fn unload_with_a_task_asleep_in_getname() {
    use super::races::stretch;
    let sleeping = Shared::<AtomicU64>::new();
    let sleeper = start(|board| {
        let stretch = stretch();
        let name = stretch.head(b"/evf-absent/evf-0123456789abcdef-");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                stretch.wait();
                sleeping.store(1, Ordering::SeqCst);
                while sleeping.load(Ordering::SeqCst) == 1 {
                    nap(1);
                }
                stretch.answer(b"tail\0");
            });
            board.ret(sys!(libc::SYS_open, name, 0, 0));
        });
    });
    until_asleep(&sleeping);
    and_loaded_again(|| {
        unload();
        assert_eq!(insmod(), Ok(0));
        unload();
    });
    sleeping.store(2, Ordering::SeqCst);
    assert_eq!(sleeper.wait().well(), [-i64::from(ENOENT)]);
}

/// Waits until the task that sets this to 1 when it sleeps has done so.
#[track_caller]
fn until_asleep(sleeping: &AtomicU64) {
    for _ in 0..5000 {
        if sleeping.load(Ordering::SeqCst) == 1 {
            return;
        }
        nap(1);
    }
    panic!("the task does not sleep");
}

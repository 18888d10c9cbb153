// SPDX-License-Identifier: GPL-2.0
//! Many tasks nest to the limit at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use libc::{ENOENT, ENOSPC, SYS_getuid};
use std::os::fd::AsRawFd;
use uapi::control::{RESTRICT_AT_EXEC, RESTRICT_TSYNC};

use crate::harness::{Test, note, tests};
use crate::kernel::{attach, info, layers, load, restrict, restrict_with};
use crate::program::{ALLOW, Names, Part, errno, image, on_nr};
use crate::sys::child::{run, start};
use crate::sys::memory::Shared;
use crate::sys::{no_new_privs, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("storms"; law_8_bounded_sixteen_tasks_nest_to_the_limit_at_once)
        .into_iter()
        .map(|test| test.limit(300))
        .collect()
}

const TASKS: usize = 16;

/// The layer with this number of this task: it refuses a name of its own, and one call.
#[derive(Clone, Copy)]
struct Place {
    task: usize,
    layer: usize,
}

impl Place {
    fn name(self) -> std::ffi::CString {
        let name = format!("/evf-absent/nest-{}/{}", self.task, self.layer);
        std::ffi::CString::new(name).expect("a name without NUL")
    }

    /// Neighbours have different ones.
    fn errno(self) -> i32 {
        match 1 + ((self.task * 5 + self.layer) % 133) as i32 {
            ENOENT => 133,
            errno => errno,
        }
    }

    fn image(self) -> Vec<u8> {
        let raw = errno(self.errno());
        let name = Names::new().equal(self.name().to_bytes(), raw);
        image(&[name.or_else(ALLOW), Part::syscall(on_nr(SYS_getuid, raw))])
    }
}

/// A task under so many layers is judged by each of them, and not by the one after them; returns how many answers that took.
#[track_caller]
fn judged_by_all(task: usize, count: usize) -> u64 {
    for layer in 0..=count {
        let place = Place { task, layer };
        let expected = if layer < count { place.errno() } else { ENOENT };
        assert_eq!(
            try_open(&place.name()),
            Err(expected),
            "task {task}, {layer}"
        );
    }
    // Between errnos the newest is seen.
    let newest = Place {
        task,
        layer: count - 1,
    };
    assert_eq!(sys!(SYS_getuid), Err(newest.errno()), "task {task}");
    assert_eq!(layers() as usize, count, "task {task}");
    count as u64 + 3
}

/// One more is refused in each way to push it, and changes nothing.
#[track_caller]
fn one_too_many(task: usize, limit: usize) {
    let filter = load(&Place { task, layer: limit }.image());
    for flags in [0, RESTRICT_TSYNC, RESTRICT_AT_EXEC] {
        let refused = restrict_with(flags, filter.as_raw_fd());
        assert_eq!(refused, (Err(ENOSPC), 0), "task {task}, flags {flags}");
    }
}

/// Tasks that nest beside others that do not: one is free, one has a single layer, and both look again and again.
fn law_8_bounded_sixteen_tasks_nest_to_the_limit_at_once() {
    let limit = info().max_layers as usize;
    let full = Shared::<AtomicU64>::new();
    let done = Shared::<AtomicU64>::new();
    let looks = Shared::<AtomicU64>::new();
    let answers = Shared::<AtomicU64>::new();
    let sibling = |confined: bool| {
        start(|_| {
            let one = Place {
                task: TASKS,
                layer: 0,
            };
            if confined {
                attach(&one.image());
            }
            while done.load(Ordering::SeqCst) == 0 {
                let (name, call) = match confined {
                    true => (Err(one.errno()), Err(one.errno())),
                    false => (Err(ENOENT), Ok(0)),
                };
                assert_eq!(try_open(&one.name()), name, "a sibling");
                assert_eq!(sys!(SYS_getuid), call, "a sibling");
                assert_eq!(layers(), u32::from(confined), "a sibling");
                looks.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let siblings = [sibling(false), sibling(true)];
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            start(|_| {
                no_new_privs();
                for layer in 0..limit {
                    let place = Place { task, layer };
                    restrict(&load(&place.image()));
                    assert_eq!(try_open(&place.name()), Err(place.errno()));
                }
                // All are at the limit before any is refused.
                full.fetch_add(1, Ordering::SeqCst);
                while full.load(Ordering::SeqCst) < TASKS as u64 {
                    let _ = sys!(libc::SYS_sched_yield);
                }
                one_too_many(task, limit);
                let mut count = judged_by_all(task, limit);
                let child = run(|board| {
                    one_too_many(task, limit);
                    board.put(judged_by_all(task, limit) as i64);
                });
                count += child.well()[0] as u64;
                answers.fetch_add(count, Ordering::SeqCst);
            })
        })
        .collect();
    for task in tasks {
        task.wait().well();
    }
    done.store(1, Ordering::SeqCst);
    for sibling in siblings {
        sibling.wait().well();
    }
    let (looks, answers) = [&looks, &answers]
        .map(|count| count.load(Ordering::SeqCst))
        .into();
    note(&format!(
        "{TASKS} tasks under {limit} layers, {answers} answers compared; siblings looked {looks} times"
    ));
    assert!(looks > 1);
}

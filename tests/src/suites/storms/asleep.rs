// SPDX-License-Identifier: GPL-2.0
//! Tasks asleep in the copy of a name, in the middle of a hooked function, while everything else goes on.
//!
//! What holds for such a call: whether it is judged at all was decided when it entered the function, by the layers that the task had then. If any of them
//! speaks of names, the name is judged when its copy is whole, by the layers that the task has by then; those that a sibling pushed meanwhile are among
//! them. If none does, the name counts as copied before the layer came, and what is chosen by it is for the later events.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use evfilter::Policy;
use libc::{EBADMSG, ENOENT, EUCLEAN, SIGKILL};
use uapi::control::RESTRICT_TSYNC;

use super::blow::Storm;
use super::task::unload_is_refused;
use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict, restrict_with};
use crate::program::{Names, ODD, allow_all, errno};
use crate::slow;
use crate::suites::lifecycle::{and_loaded_again, unload};
use crate::suites::races::stretch;
use crate::sys::child::{End, ask, run, start};
use crate::sys::{Ret, no_new_privs, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("storms";
        law_2_stable_strings_asleep_judged_by_the_layers_of_its_waking, layer_of_a_sibling_leaves_a_free_task_asleep_its_name,
        law_3_inherited_whole_asleep_judged_by_a_layer_on_objects, everything_goes_on_around_tasks_asleep_in_a_name,
    )
    .into_iter()
    .map(|test| test.limit(180))
    .collect()
}

/// A name in two parts, of which the kernel sleeps over the second.
const HEAD: &str = "/tmp/evf-asleep-0123456789abcdef-";
const TAIL: &[u8] = b"tail\0";
const NAME: &std::ffi::CStr = c"/tmp/evf-asleep-0123456789abcdef-tail";

/// A layer on names that refuses [`NAME`] so, or speaks of another one.
fn on_the_name(refusal: Option<i32>) -> Vec<u8> {
    let names = Names::new().equal(b"/evf-absent/storm-other", errno(EBADMSG));
    match refusal {
        Some(number) => names.equal(NAME.to_bytes(), errno(number)).or_allow(),
        None => names.or_allow(),
    }
}

fn open_at(address: u64) -> Ret {
    crate::sys::own(sys!(libc::SYS_openat, libc::AT_FDCWD, address, 0, 0)).map(|_| 0)
}

/// A thread of the caller's opens [`NAME`] and falls asleep over it; `meanwhile` runs in the caller. What the thread got then, and what it gets the
/// next time.
#[track_caller]
fn asleep(meanwhile: impl FnOnce()) -> [Ret; 2] {
    let stretch = stretch();
    let name = stretch.head(HEAD.as_bytes());
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| [open_at(name), try_open(NAME)]);
        stretch.wait();
        meanwhile();
        stretch.answer(TAIL);
        sleeper.join().expect("a thread")
    })
}

fn push_on_all(image: &[u8]) {
    let filter = load(image);
    assert_eq!(
        restrict_with(RESTRICT_TSYNC, filter.as_raw_fd()),
        (Ok(0), 0),
        "RESTRICT_TSYNC"
    );
}

/// Runs `body`, which gives what a thread got, in a process of its own.
#[track_caller]
fn of(body: impl FnOnce() -> [Ret; 2]) -> Vec<i64> {
    run(|board| body().into_iter().for_each(|ret| board.ret(ret))).well()
}

fn law_2_stable_strings_asleep_judged_by_the_layers_of_its_waking() {
    for (older, newer, seen) in [
        (None, Some(ODD), ODD),
        (Some(EUCLEAN), None, EUCLEAN),
        // Between errnos the newest is seen.
        (Some(EUCLEAN), Some(ODD), ODD),
        (None, None, ENOENT),
    ] {
        let got = of(|| {
            attach(&on_the_name(older));
            asleep(|| {
                // Children that are made meanwhile, and the caller itself, are under what they have.
                assert_eq!(ask(|| try_open(NAME)), Err(older.unwrap_or(ENOENT)));
                push_on_all(&on_the_name(newer));
                assert_eq!(ask(|| try_open(NAME)), Err(seen));
                // A layer that the caller pushes on itself alone is not the sleeper's.
                restrict(&load(&on_the_name(Some(libc::ENOANO))));
                assert_eq!(ask(|| try_open(NAME)), Err(libc::ENOANO));
                assert_eq!(layers(), 3);
                unload_is_refused();
            })
        });
        assert_eq!(got, [-i64::from(seen); 2], "{older:?}, {newer:?}");
    }
}

/// A stated limit, as for a call that was a moment earlier: see the file's documentation. The next name is judged.
fn layer_of_a_sibling_leaves_a_free_task_asleep_its_name() {
    let bare = || ();
    // A layer that does not speak of names is none here.
    let calls = || attach(&allow_all());
    for prepare in [bare, calls] as [fn(); 2] {
        let got = of(|| {
            no_new_privs();
            prepare();
            asleep(|| push_on_all(&on_the_name(Some(ODD))))
        });
        assert_eq!(got, [-i64::from(ENOENT), -i64::from(ODD)]);
    }
}

/// The object is chosen after the waking, and judged.
fn law_3_inherited_whole_asleep_judged_by_a_layer_on_objects() {
    let path = NAME.to_str().expect("a path");
    std::fs::write(path, "").expect(path);
    let text = format!(
        "on vfs.pick {{ deny ENOTUNIQ action == open and path == \"{path}\"; default allow }}"
    );
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let got = of(|| {
        no_new_privs();
        asleep(|| push_on_all(policy.image()))
    });
    std::fs::remove_file(path).expect(path);
    assert_eq!(got, [-i64::from(ODD); 2]);
}

/// Neither a storm nor an attempt to unload waits for those who sleep, nor they for a storm. Some are killed in their sleep; the others are judged when they wake.
fn everything_goes_on_around_tasks_asleep_in_a_name() {
    const SLEEPERS: usize = 6;
    let wake = crate::sys::memory::Shared::<std::sync::atomic::AtomicU64>::new();
    let order = std::sync::atomic::Ordering::SeqCst;
    let sleepers: Vec<_> = (0..SLEEPERS)
        .map(|_| {
            start(|board| {
                attach(&on_the_name(Some(ODD)));
                let got = asleep(|| {
                    board.put(1);
                    while wake.load(order) == 0 {
                        crate::sys::child::nap(1);
                    }
                });
                got.into_iter().for_each(|ret| board.ret(ret));
            })
        })
        .collect();
    for sleeper in &sleepers {
        sleeper.until(1);
    }
    let begun = Instant::now();
    (0..20).for_each(|_| unload_is_refused());
    let took = begun.elapsed();
    assert!(
        took < slow::limit(Duration::from_secs(5)),
        "{took:?} for being refused"
    );
    Storm::of_the_wish(100).blow().note("around them");
    for (at, sleeper) in sleepers.into_iter().enumerate() {
        if at < SLEEPERS / 2 {
            let begun = Instant::now();
            assert_eq!(sleeper.kill().end, End::Signal(SIGKILL, false));
            let took = begun.elapsed();
            assert!(
                took < slow::limit(Duration::from_secs(5)),
                "{took:?} to be killed"
            );
        } else {
            wake.store(1, order);
            let refused = -i64::from(ODD);
            assert_eq!(sleeper.wait().well(), [1, refused, refused]);
        }
    }
    and_loaded_again(unload);
}

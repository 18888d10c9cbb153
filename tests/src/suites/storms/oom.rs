// SPDX-License-Identifier: GPL-2.0
//! The kernel runs out of what a group of confined tasks may have, and kills one of them, or all.

use libc::{ENOMEM, SIGKILL};

use super::blow::Storm;
use super::layer::Layer;
use super::stack::Stack;
use crate::group::Group;
use crate::harness::{Test, note, tests};
use crate::kernel::{attach, restrict, try_load};
use crate::program::{Names, ODD, errno};
use crate::random::{Random, Wish};
use crate::slow;
use crate::suites::lifecycle::{and_loaded_again, unload};
use crate::sys::child::{End, nap, run, start};
use crate::sys::memory::{PAGE, map, poke};
use crate::sys::signal::answer_sigsys;
use crate::sys::sys;

pub(super) fn tests() -> Vec<Test> {
    tests!("storms";
        tasks_beside_one_that_the_oom_killer_takes_keep_their_layers, whole_tree_that_the_oom_killer_takes_leaves_nothing,
        filters_that_the_oom_killer_interrupts_leave_nothing,
    )
    .into_iter()
    .map(|test| test.limit(300))
    .collect()
}

/// Makes the caller the one that the OOM killer takes, if it takes one.
fn offer() {
    std::fs::write("/proc/self/oom_score_adj", "1000").expect("oom_score_adj");
}

/// Uses memory until the caller is killed for it.
fn hog() {
    loop {
        let bytes = 1 << 20;
        let start = map(bytes, libc::MAP_PRIVATE);
        (0..bytes)
            .step_by(PAGE)
            .for_each(|at| poke(start + at as u64, 1));
    }
}

fn group(limit: &str, together: bool) -> Group {
    let group = Group::new("evf-oom");
    group.set("memory.max", limit);
    group.set("memory.oom.group", if together { "1" } else { "0" });
    group
}

/// A layer of its own, after which the caller verifies itself.
fn push(stack: &Stack, random: &mut Random) -> Stack {
    let layer = Layer::any(random);
    attach(&layer.image());
    let stack = stack.and(&layer);
    stack.verify(random.number());
    stack
}

/// A storm in a group in which one task after the other is killed: confined ones, whose layers others have too.
fn tasks_beside_one_that_the_oom_killer_takes_keep_their_layers() {
    const KILLS: i64 = 5;
    let group = group("256M", false);
    let storm = Storm::of_the_wish(100);
    let mut random = Random::new(Wish::get().seed());
    run(|_| {
        group.enter();
        let blowing = storm.begin();
        answer_sigsys();
        let stack = push(&Stack::default(), &mut random);
        for _ in 0..KILLS {
            let victim = run(|_| {
                offer();
                push(&stack, &mut random);
                hog();
            });
            assert_eq!(victim.end, End::Signal(SIGKILL, false));
            stack.verify(0);
        }
        blowing.end().note("around them");
        stack.verify(0);
    })
    .well();
    assert_eq!(group.number("memory.events", "oom_kill"), KILLS);
    group.remove();
    and_loaded_again(unload);
}

/// With `memory.oom.group` the kill of one is the kill of all. Their ancestor outside of the group, under layers that they had too, keeps its own.
fn whole_tree_that_the_oom_killer_takes_leaves_nothing() {
    const MEMBERS: usize = 8;
    let group = group("64M", true);
    let mut random = Random::new(Wish::get().seed());
    run(|_| {
        // Children whose parents are killed come to us.
        let adopts = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        assert_eq!(adopts, Ok(0), "PR_SET_CHILD_SUBREAPER");
        answer_sigsys();
        let outer = push(&Stack::default(), &mut random);
        let members: Vec<_> = (0..MEMBERS)
            .map(|at| {
                let member = start(|board| {
                    group.enter();
                    let mut random = Random::new(at as u64);
                    let stack = push(&outer, &mut random);
                    // Half of them have a child that has one layer more.
                    let child = (at % 2 == 0).then(|| {
                        start(|_| {
                            let stack = push(&stack, &mut random);
                            loop {
                                stack.verify(0);
                                nap(5);
                            }
                        })
                    });
                    board.put(1);
                    let _child = child;
                    loop {
                        stack.verify(0);
                        nap(5);
                    }
                });
                member.until(1);
                member
            })
            .collect();
        let victim = start(|_| {
            group.enter();
            offer();
            hog();
        });
        for task in members.into_iter().chain([victim]) {
            assert_eq!(task.wait().end, End::Signal(SIGKILL, false));
        }
        for _ in 0..MEMBERS / 2 {
            let mut status = 0i32;
            let waited = sys!(libc::SYS_wait4, -1, &raw mut status, libc::__WALL, 0);
            assert!(waited.is_ok(), "{waited:?}");
            assert_eq!(End::from_status(status), End::Signal(SIGKILL, false));
        }
        outer.verify(0);
        push(&outer, &mut random);
    })
    .well();
    assert_eq!(group.number("memory.events", "oom_group_kill"), 1);
    group.remove();
    and_loaded_again(unload);
}

/// What a task loads is charged to its group, so it is killed for that in the middle of loading, or told that there is no memory.
fn filters_that_the_oom_killer_interrupts_leave_nothing() {
    let group = group("64M", false);
    // Half a MiB each.
    let images: [Vec<u8>; 4] = std::array::from_fn(|at| {
        let names = (0..128u8).fold(Names::new(), |names, rule| {
            let text = [vec![rule + 1; 4000], vec![at as u8 + 1]].concat();
            names.equal(&text, errno(ODD))
        });
        names.or_allow()
    });
    let mut ends = [0; 2];
    let rounds = (10 / u64::from(slow::factor())).max(2);
    for round in 0..rounds {
        let victim = run(|board| {
            group.enter();
            offer();
            answer_sigsys();
            let mut random = Random::new(round);
            let stack = push(&Stack::default(), &mut random);
            let mut held = Vec::new();
            for image in images.iter().cycle() {
                match try_load(image) {
                    Ok(filter) => held.push(filter),
                    Err(ENOMEM) => break,
                    Err(errno) => panic!("IOC_LOAD: errno {errno} after {}", held.len()),
                }
                board.put(1);
            }
            // What was loaded until then is whole.
            stack.verify(0);
            for filter in held.iter().rev().take(4) {
                restrict(filter);
            }
            stack.verify_answers(0);
        });
        let loaded = victim.values.len();
        assert!(loaded > 8, "{loaded} filters, {:?}", victim.end);
        match victim.end {
            End::Signal(SIGKILL, false) => ends[0] += 1,
            End::Exit(0) => ends[1] += 1,
            end => panic!("{end:?}"),
        }
    }
    note(&format!("{} killed, {} told", ends[0], ends[1]));
    nap(100);
    group.remove();
    and_loaded_again(unload);
}

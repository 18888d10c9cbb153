// SPDX-License-Identifier: GPL-2.0
//! Functions that BPF programs have. ftrace leads the callers of a function to one place only, so whoever comes second is refused: nobody is to be less confined for
//! it, and whoever is refused is to learn why.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use libc::{EBUSY, EINVAL, ENOENT};
use uapi::control::RESTRICT_STRICT;

use super::demand::policy;
use super::{NAME, and_loaded_again, directed, insmod, is_loaded, unload};
use crate::bpf::{Link, Moment, Program};
use crate::harness::{Test, note, tests};
use crate::kernel::{attach, layers, restrict_with, try_load};
use crate::kmsg::Log;
use crate::program::{ODD, Part, allow_all, deny_name, errno, image, on_nr};
use crate::sys::child::{ask, nap, run, start};
use crate::sys::memory::Shared;
use crate::sys::{Ret, no_new_privs, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("lifecycle";
        load_while_bpf_has_the_way_in_is_refused, filter_that_needs_what_bpf_has_is_refused, law_5_fail_closed_no_filter_while_bpf_has_fork,
        refusal_names_whatever_bpf_has, refusal_hooks_nothing_to_find_out, refusals_do_not_flood_the_log, bpf_is_refused_what_the_module_has,
        bpf_elsewhere_changes_no_verdict, bpf_comes_and_goes_while_filters_are_loaded,
    )
}

/// A program at the entry of a function, not attached yet.
#[track_caller]
fn at_entry(function: &str) -> Program {
    Program::load(function, Moment::Entry)
}

#[track_caller]
fn attached(program: &Program, function: &str) -> Link {
    match program.attach() {
        Ok(link) => {
            assert!(directed().contains(function), "{function} is not directed");
            link
        }
        Err(errno) => panic!("BPF_LINK_CREATE for {function}: errno {errno}"),
    }
}

/// The module as if just loaded: nothing is hooked that no filter has needed yet.
#[track_caller]
fn load_afresh() {
    unload();
    assert_eq!(insmod(), Ok(0), "finit_module");
}

fn refusal_of(image: &[u8]) -> Option<i32> {
    try_load(image).err()
}

/// What is refused under `deny_name(NAME)`, by a task of its own.
fn judged() -> Ret {
    ask(|| {
        attach(&deny_name(NAME.to_bytes()));
        try_open(NAME)
    })
}

/// What the log says of functions that somebody has: what was not done, and the function.
fn blamed(log: &Log) -> Vec<(String, String)> {
    let lines = log.lines();
    let ours = lines
        .iter()
        .filter_map(|line| line.strip_prefix("evfilter: "));
    ours.map(|line| {
        let (what, cause) = line.split_once(": ").unwrap_or((line, ""));
        let function = cause.split_once(" is taken by bpf_trampoline_");
        let (function, _) = function.unwrap_or_else(|| panic!("{line:?}"));
        (what.to_owned(), function.to_owned())
    })
    .collect()
}

fn pairs(what: &str, functions: &[&str]) -> Vec<(String, String)> {
    let pair = |function: &&str| (what.to_owned(), (*function).to_owned());
    functions.iter().map(pair).collect()
}

fn load_while_bpf_has_the_way_in_is_refused() {
    const FUNCTION: &str = "security_task_prctl";
    let program = at_entry(FUNCTION);
    and_loaded_again(|| {
        unload();
        let link = attached(&program, FUNCTION);
        let others = directed();
        let log = Log::follow();
        assert_eq!(insmod(), Err(EBUSY));
        assert!(!is_loaded());
        assert_eq!(directed(), others);
        assert_eq!(blamed(&log), pairs("not loaded", &[FUNCTION]));
        drop(link);
        assert_eq!(insmod(), Ok(0));
        assert_eq!(judged(), Err(ODD));
    });
}

/// Everything else goes on: filters that do not need the function, and tasks under them.
fn filter_that_needs_what_bpf_has_is_refused() {
    const FUNCTION: &str = "do_getname_kernel";
    let program = at_entry(FUNCTION);
    and_loaded_again(|| {
        load_afresh();
        let link = attached(&program, FUNCTION);
        let log = Log::follow();
        let names = deny_name(NAME.to_bytes());
        run(|_| {
            attach(&image(&[Part::syscall(on_nr(
                libc::SYS_getppid,
                errno(ODD),
            ))]));
            assert_eq!(refusal_of(&names), Some(EBUSY));
            assert_eq!((layers(), sys!(libc::SYS_getppid)), (1, Err(ODD)));
        })
        .well();
        assert_eq!(blamed(&log), pairs("filter refused", &[FUNCTION]));
        // Nor is it half of a filter that stays.
        assert_eq!(try_open(NAME), Err(ENOENT));
        drop(link);
        assert_eq!(judged(), Err(ODD));
    });
}

/// Without it children would not be under their parents' domains.
fn law_5_fail_closed_no_filter_while_bpf_has_fork() {
    const FUNCTION: &str = "security_task_alloc";
    let program = at_entry(FUNCTION);
    and_loaded_again(|| {
        load_afresh();
        let link = attached(&program, FUNCTION);
        let log = Log::follow();
        assert_eq!(refusal_of(&allow_all()), Some(EBUSY));
        let strict = || restrict_with(RESTRICT_STRICT, -1).0;
        no_new_privs();
        assert_eq!((strict(), layers()), (Err(EBUSY), 0));
        let twice = [
            pairs("filter refused", &[FUNCTION]),
            pairs("filter refused", &[FUNCTION]),
        ];
        assert_eq!(blamed(&log), twice.concat());
        drop(link);
        assert_eq!(judged(), Err(ODD));
    });
}

/// Functions that are hooked together, or not at all.
const TOGETHER: [&str; 3] = [
    "security_path_mkdir",
    "security_inode_setxattr",
    "security_file_open",
];

#[track_caller]
fn programs<const N: usize>(functions: [&'static str; N]) -> [(&'static str, Program); N] {
    functions.map(|function| (function, at_entry(function)))
}

fn picks() -> Vec<u8> {
    policy("on vfs.pick { default allow }")
}

fn refusal_names_whatever_bpf_has() {
    let [mkdir, setxattr, _] = TOGETHER;
    let programs = programs([setxattr, mkdir]);
    and_loaded_again(|| {
        load_afresh();
        let links = programs
            .each_ref()
            .map(|(function, program)| attached(program, function));
        let log = Log::follow();
        assert_eq!(refusal_of(&picks()), Some(EBUSY));
        let mut seen = blamed(&log);
        seen.sort();
        assert_eq!(seen, pairs("filter refused", &[setxattr, mkdir]));
        let [first, second] = links;
        drop(first);
        assert_eq!(refusal_of(&picks()), Some(EBUSY));
        assert_eq!(blamed(&log), pairs("filter refused", &[mkdir]));
        drop(second);
        assert_eq!(refusal_of(&picks()), None);
        let directed = directed();
        assert!(TOGETHER.iter().all(|function| directed.contains(*function)));
    });
}

/// Everybody may load filters. To patch fifty functions and wait for fifty grace periods at each refusal would be everybody's burden.
fn refusal_hooks_nothing_to_find_out() {
    let [function, ..] = TOGETHER;
    let program = at_entry(function);
    and_loaded_again(|| {
        load_afresh();
        let _link = attached(&program, function);
        // What comes before it in the order of attaching stays.
        assert_eq!(refusal_of(&picks()), Some(EBUSY));
        let stays = directed();
        let looks = Shared::<AtomicU64>::new();
        let (hooked, done) = (Shared::<AtomicBool>::new(), Shared::<AtomicBool>::new());
        let watcher = start(|_| {
            while !done.load(Ordering::SeqCst) {
                if directed() != stays {
                    hooked.store(true, Ordering::SeqCst);
                }
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut refused = 0;
        while (refused < 20 || looks.load(Ordering::SeqCst) < 20) && !hooked.load(Ordering::SeqCst)
        {
            assert_eq!(refusal_of(&picks()), Some(EBUSY));
            refused += 1;
        }
        done.store(true, Ordering::SeqCst);
        watcher.wait().well();
        assert!(
            !hooked.load(Ordering::SeqCst),
            "something was hooked meanwhile"
        );
    });
}

fn refusals_do_not_flood_the_log() {
    let program = at_entry("do_getname");
    and_loaded_again(|| {
        load_afresh();
        let _link = attached(&program, "do_getname");
        let log = Log::follow();
        let begun = Instant::now();
        for _ in 0..200 {
            assert_eq!(refusal_of(&deny_name(NAME.to_bytes())), Some(EBUSY));
        }
        let intervals = 1 + begun.elapsed().as_secs() as usize / 5;
        let lines = log.lines();
        let ours = lines
            .iter()
            .filter(|line| line.contains("do_getname is taken"))
            .count();
        assert!(
            (1..=10 * intervals).contains(&ours),
            "{ours} lines in {intervals} intervals"
        );
    });
}

/// Whoever comes second is refused, whatever the program is; nobody under a filter notices.
fn bpf_is_refused_what_the_module_has() {
    let programs = [
        ("do_getname", Moment::Entry),
        ("do_getname", Moment::Exit),
        ("__seccomp_permit_syscall", Moment::Entry),
        ("security_task_alloc", Moment::ModifyReturn),
        ("security_task_prctl", Moment::ModifyReturn),
    ]
    .map(|(function, moment)| (function, Program::load(function, moment)));
    let done = Shared::<AtomicBool>::new();
    let confined = start(|board| {
        attach(&deny_name(NAME.to_bytes()));
        board.put(1);
        while !done.load(Ordering::SeqCst) {
            assert_eq!(try_open(NAME), Err(ODD));
            // A child's children, too.
            assert_eq!(ask(|| try_open(NAME)), Err(ODD));
            board.put(1);
        }
    });
    for (round, (function, program)) in programs.iter().enumerate() {
        confined.until(1 + round);
        // EBUSY before Linux 7.0.
        let refused = program.attach().err();
        assert!(
            matches!(refused, Some(EBUSY | EINVAL)),
            "{function}: {refused:?}"
        );
        confined.until(confined.values().len() + 2);
    }
    done.store(true, Ordering::SeqCst);
    confined.wait().well();
    and_loaded_again(|| {
        unload();
        // What was refused was the function, not the program.
        for (function, program) in &programs {
            drop(attached(program, function));
        }
        assert_eq!(insmod(), Ok(0));
        assert_eq!(judged(), Err(ODD));
    });
}

/// systemd's and others' programs for BPF's own security hooks, and those on functions that are not hooked, are in nobody's way.
fn bpf_elsewhere_changes_no_verdict() {
    let lsm = Program::load("bpf_lsm_file_open", Moment::Lsm);
    let reads = at_entry("vfs_read");
    and_loaded_again(|| {
        unload();
        let before = attached(&lsm, "bpf_lsm_file_open");
        assert_eq!(insmod(), Ok(0));
        assert_eq!(refusal_of(&picks()), None);
        assert_eq!(judged(), Err(ODD));
        let later = attached(&reads, "vfs_read");
        assert_eq!(judged(), Err(ODD));
        drop(before);
        assert_eq!(judged(), Err(ODD));
        drop(later);
        assert_eq!(judged(), Err(ODD));
    });
}

/// A filter exists with all that it needs, or not at all, at whatever moment the function is taken.
fn bpf_comes_and_goes_while_filters_are_loaded() {
    let program = at_entry("do_getname_kernel");
    and_loaded_again(|| {
        let done = Shared::<AtomicBool>::new();
        let (taken, missed) = (Shared::<AtomicU64>::new(), Shared::<AtomicU64>::new());
        let other = start(|_| {
            while !done.load(Ordering::SeqCst) {
                match program.attach() {
                    Ok(link) => {
                        taken.fetch_add(1, Ordering::SeqCst);
                        nap(20);
                        drop(link);
                    }
                    Err(EBUSY | EINVAL) => {
                        missed.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(errno) => panic!("BPF_LINK_CREATE: errno {errno}"),
                }
                nap(5);
            }
        });
        let mut refused = 0;
        for _ in 0..8 {
            load_afresh();
            loop {
                match refusal_of(&deny_name(NAME.to_bytes())) {
                    None => break,
                    Some(EBUSY) => refused += 1,
                    Some(errno) => panic!("IOC_LOAD: errno {errno}"),
                }
                assert_eq!(try_open(NAME), Err(ENOENT));
            }
            let before = taken.load(Ordering::SeqCst);
            assert_eq!(judged(), Err(ODD));
            nap(100);
            let after = taken.load(Ordering::SeqCst);
            assert_eq!(after, before, "taken although hooked");
        }
        done.store(true, Ordering::SeqCst);
        other.wait().well();
        let (taken, missed) = (taken.load(Ordering::SeqCst), missed.load(Ordering::SeqCst));
        assert!(taken > 0 && missed > 0, "{taken} taken, {missed} missed");
        note(&format!(
            "{refused} filters refused, {taken} times taken, {missed} times missed"
        ));
    });
}

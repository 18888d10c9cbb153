// SPDX-License-Identifier: GPL-2.0
//! Many layers: up to the limit, at the limit, and what a stack may cost.

use filters::insn::{Insn, JA, JMP};
use filters::limits::{LAYER_COST, MAX_INSNS, MAX_LAYERS, MAX_STACK_COST, SEARCH_COST};
use libc::{ENOMEM, ENOSPC, SYS_getuid};

use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict, try_control, try_load, try_restrict};
use crate::program::{
    ALLOW, Names, ODD, allow_all, deny_name, errno, image, on_nr, on_nrs, ret, syscalls,
};
use crate::slow;
use crate::sys::child::{ask, run};
use crate::sys::{Ret, no_new_privs, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("nesting";
        sixty_four_layers_hold, law_8_bounded_layer_65_is_refused, every_one_of_64_layers_is_asked, each_generation_adds_a_layer,
        limit_holds_for_descendants, law_8_bounded_cost_of_a_stack, cost_counts_each_event_by_itself, law_8_bounded_dearest_stack_still_answers,
        attach_when_prctl_is_refused, attach_through_an_inherited_control_descriptor, attach_when_ioctl_is_refused, no_descriptor_leaks_over_64_layers,
        policy_with_both_events, verdict_with_64_layers_on_a_long_name, law_8_bounded_memory_of_refused_layers,
    )
}

fn open(name: &str) -> Ret {
    try_open(&std::ffi::CString::new(name).expect("a name without NUL"))
}

fn fill() {
    no_new_privs();
    let filter = load(&allow_all());
    for count in 1..=MAX_LAYERS {
        restrict(&filter);
        assert_eq!(layers() as usize, count);
    }
}

fn sixty_four_layers_hold() {
    fill();
    assert_eq!(sys!(SYS_getuid), Ok(0));
    assert!(try_open(c"/proc/version").is_ok());
}

fn law_8_bounded_layer_65_is_refused() {
    fill();
    let filter = load(&syscalls(on_nr(SYS_getuid, errno(ODD))));
    for _ in 0..3 {
        assert_eq!(try_restrict(&filter), Err(ENOSPC));
    }
    assert_eq!(layers() as usize, MAX_LAYERS);
    assert_eq!(sys!(SYS_getuid), Ok(0), "a refused layer does not judge");
}

/// Each layer refuses one name of its own.
fn every_one_of_64_layers_is_asked() {
    for at in 0..MAX_LAYERS {
        attach(&deny_name(format!("/evf-absent/layer-{at}").as_bytes()));
    }
    for at in 0..MAX_LAYERS {
        assert_eq!(
            open(&format!("/evf-absent/layer-{at}")),
            Err(ODD),
            "layer {at}"
        );
    }
    assert_eq!(open("/evf-absent/layer-64"), Err(libc::ENOENT));
}

/// A chain of 64 forks, each child under one layer more than its parent, all of them alive.
fn each_generation_adds_a_layer() {
    fn generation(at: usize) -> Ret {
        attach(&deny_name(format!("/evf-absent/layer-{at}").as_bytes()));
        if layers() as usize != at + 1 {
            return Err(libc::EBADMSG);
        }
        for older in 0..=at {
            if open(&format!("/evf-absent/layer-{older}")) != Err(ODD) {
                return Err(libc::ENOENT);
            }
        }
        if open(&format!("/evf-absent/layer-{}", at + 1)) != Err(libc::ENOENT) {
            return Err(libc::EEXIST);
        }
        if at + 1 == MAX_LAYERS {
            Ok(at as u64)
        } else {
            ask(|| generation(at + 1))
        }
    }
    assert_eq!(ask(|| generation(0)), Ok(MAX_LAYERS as u64 - 1));
}

fn limit_holds_for_descendants() {
    fill();
    let filter = load(&allow_all());
    assert_eq!(ask(|| try_restrict(&filter)), Err(ENOSPC));
    let thread = std::thread::spawn(move || try_restrict(&filter));
    assert_eq!(thread.join().ok(), Some(Err(ENOSPC)));
}

/// A program of `cost` units in all, for system calls.
fn costing(cost: u32) -> Vec<u8> {
    let insns = (cost - LAYER_COST - 1) as usize;
    assert!(insns < MAX_INSNS);
    let mut program = vec![Insn::stmt(JMP | JA, 0); insns];
    program.push(ret(ALLOW));
    syscalls(program)
}

fn law_8_bounded_cost_of_a_stack() {
    no_new_privs();
    let big = load(&costing(4096));
    for _ in 0..MAX_STACK_COST / 4096 {
        restrict(&big);
    }
    let before = layers();
    for image in [costing(4096), costing(5), allow_all()] {
        assert_eq!(try_restrict(&load(&image)), Err(ENOMEM));
    }
    assert_eq!(layers(), before, "nothing changed");
    // A layer for another event costs nothing here.
    restrict(&load(&deny_name(b"/evf-absent/x")));
    assert_eq!(layers(), before + 1);
}

fn cost_counts_each_event_by_itself() {
    no_new_privs();
    let big = load(&costing(4096));
    for _ in 1..MAX_STACK_COST / 4096 {
        restrict(&big);
    }
    restrict(&load(&costing(4091)));
    restrict(&load(&costing(5)));
    assert_eq!(
        try_restrict(&load(&costing(5))),
        Err(ENOMEM),
        "one unit over the limit counts"
    );
    assert_eq!(layers(), MAX_STACK_COST / 4096 + 1);
}

/// The dearest stack that is accepted, with searches through the longest names, is slow but ends.
fn law_8_bounded_dearest_stack_still_answers() {
    no_new_privs();
    let needle = [b'a'; 64];
    // What fits, less room for the returns between the searches.
    let fits = MAX_STACK_COST / (SEARCH_COST + 2);
    let dear = (0..fits).fold(Names::new(), |names, _| names.contains(&needle, errno(ODD)));
    restrict(&load(&dear.or_allow()));
    let dearer = (0..10).fold(Names::new(), |names, _| names.contains(&needle, errno(ODD)));
    assert_eq!(try_restrict(&load(&dearer.or_allow())), Err(ENOMEM));
    let name = format!("/evf-absent/{}", "aaaaaaaaaaaaaaab/".repeat(239));
    assert_eq!(open(&name), Err(libc::ENOENT));
    // `LAYER_COST` is part of every program's cost, so a program may not use the whole budget by itself either.
    let too_dear =
        (0..=fits + 2).fold(Names::new(), |names, _| names.contains(&needle, errno(ODD)));
    assert_eq!(try_load(&too_dear.or_allow()).err(), Some(libc::EINVAL));
}

/// A policy that opts system calls in usually leaves out prctl: nesting is then over, with an error that says so.
fn attach_when_prctl_is_refused() {
    attach(&syscalls(on_nr(libc::SYS_prctl, errno(ODD))));
    assert_eq!(try_control().err(), Some(ODD));
}

fn attach_through_an_inherited_control_descriptor() {
    use std::os::fd::{AsFd, AsRawFd};
    let control = crate::kernel::control();
    no_new_privs();
    let filter = load(&deny_name(b"/evf-absent/late"));
    attach(&syscalls(on_nr(libc::SYS_prctl, errno(ODD))));
    let result = crate::kernel::restrict_through(control.as_fd(), filter.as_raw_fd());
    assert_eq!(result, Ok(0));
    assert_eq!(open("/evf-absent/late"), Err(ODD));
    assert_eq!(crate::kernel::info_of(control.as_fd()).layers, 2);
}

fn attach_when_ioctl_is_refused() {
    no_new_privs();
    let filter = load(&allow_all());
    attach(&syscalls(on_nr(libc::SYS_ioctl, errno(ODD))));
    assert_eq!(try_restrict(&filter), Err(ODD));
}

fn no_descriptor_leaks_over_64_layers() {
    fn open_files() -> usize {
        std::fs::read_dir("/proc/self/fd")
            .expect("/proc/self/fd")
            .count()
    }
    let before = open_files();
    fill();
    let filter = load(&allow_all());
    assert_eq!(try_restrict(&filter), Err(ENOSPC));
    drop(filter);
    assert_eq!(try_load(b"no image").err(), Some(libc::ENOEXEC));
    assert_eq!(open_files(), before);
}

fn policy_with_both_events() {
    let names = Names::new()
        .equal(b"/evf-absent/x", errno(ODD))
        .or_else(ALLOW);
    let calls = crate::program::Part::syscall(on_nrs(&[(SYS_getuid, errno(70))]));
    attach(&image(&[names, calls]));
    assert_eq!(layers(), 1);
    assert_eq!(
        (open("/evf-absent/x"), sys!(SYS_getuid)),
        (Err(ODD), Err(70))
    );
}

fn verdict_with_64_layers_on_a_long_name() {
    let name = format!("/evf-absent/{}", "d/".repeat(2000));
    no_new_privs();
    for at in 0..MAX_LAYERS {
        let end = if at == 31 { "d/" } else { "x/" };
        restrict(&load(
            &Names::new().suffix(end.as_bytes(), errno(ODD)).or_allow(),
        ));
    }
    assert_eq!(open(&name), Err(ODD));
    assert_eq!(open(&name[..name.len() - 1]), Err(libc::ENOENT));
}

/// Refused layers leave no memory behind: 2,000 refusals of a 64 KiB image cost less than a tenth of what they would take together.
fn law_8_bounded_memory_of_refused_layers() {
    fn available() -> i64 {
        let text = std::fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
        let line = text.lines().find(|line| line.starts_with("MemAvailable"));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse().ok())
            .expect("MemAvailable")
    }
    let seen = run(|_| {
        fill();
        let image = Names::new().equal(&[b'x'; 4000], errno(ODD)).or_allow();
        let big: Vec<u8> = {
            let mut names = Names::new();
            for at in 0..16u8 {
                names = names.equal(&[at + 1; 4000], errno(ODD));
            }
            names.or_allow()
        };
        let before = available();
        for _ in 0..2000 {
            assert_eq!(try_restrict(&load(&big)), Err(ENOSPC));
            let mut broken = image.clone();
            broken[0] ^= 1;
            assert_eq!(try_load(&broken).err(), Some(libc::ENOEXEC));
        }
        // Frees wait for a grace period.
        crate::sys::child::nap(500);
        let lost = before - available();
        // A kernel that keeps freed memory to see whether it is used has less of it, whoever freed it.
        assert!(
            slow::factor() > 1 || lost < 12_800,
            "{lost} KiB are gone after 2000 refused layers of 64 KiB"
        );
    });
    seen.well();
}

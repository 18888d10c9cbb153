// SPDX-License-Identifier: GPL-2.0
//! Who may ask for a layer at the next exec, how many, and what a tracer does to it.

use std::os::fd::AsRawFd;

use filters::limits::MAX_LAYERS;
use libc::{EACCES, EBUSY, ENOSPC, SIGKILL};
use uapi::control::RESTRICT_AT_EXEC;

use super::{GETUID, LAYERS, at_exec, ends, install_all, refuse_getuid};
use crate::executable::exec;
use crate::harness::{Test, tests};
use crate::kernel::{layers, load, restrict, restrict_with, try_restrict};
use crate::program::{ODD, allow_all};
use crate::sys::child::{End, Seen, nap, start};
use crate::sys::trace::{next_stop, ptrace, seize};
use crate::sys::{become_user, no_new_privs};

pub(super) fn tests() -> Vec<Test> {
    tests!("at_exec";
        law_7_unprivileged_needs_no_new_privs, law_7_a_tracing_caller_is_refused, law_7_a_tracer_is_killed_at_its_exec, law_7_a_tracer_that_has_let_go_is_not_killed, law_8_bounded_number_of_layers, traced_task_execs_into_its_layer, filter_may_be_closed_before_the_exec,
    )
}

fn law_7_unprivileged_needs_no_new_privs() {
    install_all();
    let end = ends(|_| {
        become_user(1000);
        let filter = refuse_getuid();
        let refused = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
        assert_eq!(refused, (Err(EACCES), 0));
        no_new_privs();
        at_exec(&filter);
        exec(GETUID);
    });
    assert_eq!(end, End::Exit(ODD));
}

/// A process that waits to be traced.
fn target() -> crate::sys::child::Child {
    let child = start(|board| {
        board.put(1);
        nap(60_000);
    });
    child.until(1);
    child
}

fn law_7_a_tracing_caller_is_refused() {
    let child = target();
    assert_eq!(seize(child.pid, 0), Ok(0));
    let filter = refuse_getuid();
    let refused = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
    assert_eq!(refused, (Err(EBUSY), 0));
    child.kill();
}

/// Nothing forbids it to trace a freer task before the exec; with its tracee it cannot go on.
fn law_7_a_tracer_is_killed_at_its_exec() {
    install_all();
    let child = target();
    let pid = child.pid;
    let end = ends(|_| {
        at_exec(&refuse_getuid());
        assert_eq!(seize(pid, 0), Ok(0));
        exec(GETUID);
    });
    assert_eq!(end, End::Signal(SIGKILL, false));
    child.kill();
}

fn law_7_a_tracer_that_has_let_go_is_not_killed() {
    install_all();
    let child = target();
    let pid = child.pid;
    let end = ends(|_| {
        at_exec(&refuse_getuid());
        assert_eq!(seize(pid, 0), Ok(0));
        assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0), Ok(0));
        next_stop(pid);
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0, 0), Ok(0));
        exec(GETUID);
    });
    assert_eq!(end, End::Exit(ODD));
    child.kill();
}

/// What there will be after the exec counts, at the time of the call, for layers now and later.
fn law_8_bounded_number_of_layers() {
    install_all();
    let filter = load(&allow_all());
    let end = ends(|_| {
        for _ in 1..MAX_LAYERS {
            restrict(&filter);
        }
        at_exec(&filter);
        let refused = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
        assert_eq!(refused, (Err(ENOSPC), 0));
        assert_eq!(try_restrict(&filter), Err(ENOSPC));
        assert_eq!(layers() as usize, MAX_LAYERS - 1);
        exec(LAYERS);
    });
    assert_eq!(end, End::Exit(MAX_LAYERS as i32));
}

/// A tracer that is free stays; what it traces is bound as without it.
fn traced_task_execs_into_its_layer() {
    install_all();
    let seen: Seen = {
        let child = start(|board| {
            assert_eq!(ptrace(libc::PTRACE_TRACEME, 0, 0, 0), Ok(0));
            at_exec(&refuse_getuid());
            board.put(1);
            exec(GETUID);
        });
        let pid = child.pid;
        assert_eq!(next_stop(pid) >> 8, libc::SIGTRAP, "the stop at the exec");
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0, 0), Ok(0));
        child.wait()
    };
    assert_eq!((seen.end, seen.values), (End::Exit(ODD), vec![1]));
}

/// The descriptor closes at the exec anyway.
fn filter_may_be_closed_before_the_exec() {
    install_all();
    let end = ends(|_| {
        let filter = refuse_getuid();
        at_exec(&filter);
        drop(filter);
        exec(GETUID);
    });
    assert_eq!(end, End::Exit(ODD));
}

// SPDX-License-Identifier: GPL-2.0
//! RESTRICT_AT_EXEC: nothing changes until the caller's next exec has succeeded; from the first instruction after it the layer is there.

mod inherited;
mod rights;

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::{EACCES, ENOENT, ENOEXEC, SIGSYS, SYS_getgid, SYS_getuid};
use uapi::control::{RESTRICT_AT_EXEC, RESTRICT_STRICT};

use crate::executable::{calls, exec, exec_at, install, tells_layers};
use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict, restrict_with};
use crate::program::{ALLOW, KILL, Names, ODD, allow_all, errno, image, on_nr, on_nrs, syscalls};
use crate::sys::child::{Board, End, run};
use crate::sys::{own, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    let mut tests = tests!("at_exec";
        caller_is_judged_as_before, layer_is_there_at_the_first_call, every_way_to_exec, script_and_its_interpreter, dynamic_program_and_its_loader, the_policy_need_not_allow_the_exec, the_policy_need_not_allow_the_names_of_the_exec, without_a_later_exec_nothing_happens, law_5_fail_closed_failed_exec_changes_nothing, it_takes_hold_once, law_4_not_removable_by_asking_again, law_1_narrow_only_with_a_layer_before, law_1_narrow_only_with_a_layer_after, many_layers_at_one_exec, number_of_layers_before_and_after, strict_filter_at_exec,
    );
    tests.extend(inherited::tests());
    tests.extend(rights::tests());
    tests
}

const GETUID: &CStr = c"/evf-exec-getuid";
const GETGID: &CStr = c"/evf-exec-getgid";
const LAYERS: &CStr = c"/evf-exec-layers";

fn install_all() {
    install(GETUID, &calls(SYS_getuid));
    install(GETGID, &calls(SYS_getgid));
    install(LAYERS, &tells_layers());
}

fn refuse_getuid() -> OwnedFd {
    load(&syscalls(on_nr(SYS_getuid, errno(ODD))))
}

fn refuse_getgid() -> OwnedFd {
    load(&syscalls(on_nr(SYS_getgid, errno(77))))
}

#[track_caller]
fn at_exec(filter: &OwnedFd) {
    let done = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
    assert_eq!(done, (Ok(0), 0), "RESTRICT_AT_EXEC");
}

/// Runs `body`, which ends in an exec.
fn ends(body: impl FnOnce(&Board)) -> End {
    let seen = run(|board| {
        body(board);
        panic!("the exec failed");
    });
    assert!(seen.values.is_empty());
    seen.end
}

/// getuid, and the number of layers.
fn look(board: &Board) {
    board.ret(sys!(SYS_getuid));
    board.put(i64::from(layers()));
}

fn caller_is_judged_as_before() {
    at_exec(&refuse_getuid());
    let seen = run(look);
    assert_eq!(seen.well(), [0, 0]);
    assert_eq!((sys!(SYS_getuid), layers()), (Ok(0), 0));
    assert_eq!(std::thread::spawn(layers).join().ok(), Some(0));
    // It may go on without any exec, and take other layers on.
    attach(&syscalls(on_nr(SYS_getgid, errno(77))));
    assert_eq!((sys!(SYS_getuid), sys!(SYS_getgid)), (Ok(0), Err(77)));
}

fn layer_is_there_at_the_first_call() {
    install_all();
    let free = ends(|_| {
        exec(GETUID);
    });
    assert_eq!(free, End::Exit(0), "without a layer");
    let bound = ends(|_| {
        at_exec(&refuse_getuid());
        exec(GETUID);
    });
    assert_eq!(bound, End::Exit(ODD));
    let killed = ends(|_| {
        at_exec(&load(&syscalls(on_nr(SYS_getuid, KILL))));
        exec(GETUID);
    });
    assert_eq!(killed, End::Signal(SIGSYS, false));
}

/// By name, by name in a directory, by descriptor, and without any name at all.
fn every_way_to_exec() {
    install_all();
    let ways: [fn(); 4] = [
        || {
            exec_at(libc::AT_FDCWD, c"evf-exec-getuid", 0);
        },
        || {
            let root = crate::sys::open(c"/", libc::O_DIRECTORY).expect("/");
            exec_at(root.as_raw_fd(), c"evf-exec-getuid", 0);
        },
        || {
            let file = crate::sys::open(GETUID, libc::O_PATH).expect("the program");
            exec_at(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH);
        },
        || {
            let made = sys!(libc::SYS_memfd_create, c"program", libc::MFD_CLOEXEC);
            let file = own(made).expect("memfd_create");
            let program = calls(SYS_getuid);
            let written = sys!(libc::SYS_write, &file, program.as_ptr(), program.len());
            assert_eq!(written, Ok(program.len() as u64));
            exec_at(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH);
        },
    ];
    assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
    for (number, way) in ways.into_iter().enumerate() {
        assert_eq!(ends(|_| way()), End::Exit(0), "way {number}, free");
        let bound = ends(|_| {
            at_exec(&refuse_getuid());
            way();
        });
        assert_eq!(bound, End::Exit(ODD), "way {number}");
    }
}

fn script_and_its_interpreter() {
    install_all();
    install(c"/evf-exec-script", b"#!/evf-exec-getuid\n");
    let bound = ends(|_| {
        at_exec(&refuse_getuid());
        exec(c"/evf-exec-script");
    });
    assert_eq!(bound, End::Exit(ODD));
    install(c"/evf-exec-script", b"#!/bin/sh\nexit 5\n");
    let free = ends(|_| {
        exec(c"/evf-exec-script");
    });
    assert_eq!(free, End::Exit(5));
    let killed = ends(|_| {
        at_exec(&load(&syscalls(on_nr(libc::SYS_exit_group, KILL))));
        exec(c"/evf-exec-script");
    });
    assert_eq!(killed, End::Signal(SIGSYS, false));
}

/// The loader runs before the program, and is judged too: its first call is brk.
fn dynamic_program_and_its_loader() {
    let path = c"/usr/bin/true";
    let file = std::fs::read("/usr/bin/true").expect("/usr/bin/true");
    let loader = b"ld-linux-x86-64.so.2\0";
    assert!(
        file.windows(loader.len()).any(|bytes| bytes == loader),
        "not a dynamic program"
    );
    for (verdict, expected) in [(ALLOW, End::Exit(0)), (KILL, End::Signal(SIGSYS, false))] {
        let end = ends(|_| {
            at_exec(&load(&syscalls(on_nr(libc::SYS_brk, verdict))));
            exec(path);
        });
        assert_eq!(end, expected);
    }
}

fn the_policy_need_not_allow_the_exec() {
    install_all();
    install(c"/evf-exec-exec", &calls(libc::SYS_execve));
    let no_exec = load(&syscalls(on_nrs(&[
        (libc::SYS_execve, errno(ODD)),
        (libc::SYS_execveat, errno(ODD)),
    ])));
    let now = run(|board| {
        restrict(&no_exec);
        board.put(i64::from(exec(GETUID)));
    });
    assert_eq!(now.well(), [i64::from(ODD)]);
    let end = ends(|_| {
        at_exec(&no_exec);
        exec(c"/evf-exec-exec");
    });
    assert_eq!(end, End::Exit(ODD), "the new program cannot exec");
}

/// The program's name and its interpreter's are looked up before the layer is there; what comes after is not.
fn the_policy_need_not_allow_the_names_of_the_exec() {
    install_all();
    install(c"/evf-exec-script", b"#!/evf-exec-getuid\n");
    let no_names = load(&image(&[Names::new().or_else(errno(ODD))]));
    for path in [GETUID, c"/evf-exec-script"] {
        let end = ends(|_| {
            at_exec(&no_names);
            assert!(try_open(c"/etc/passwd").is_ok());
            exec(path);
        });
        assert_eq!(end, End::Exit(0), "{path:?}");
    }
    // The loader finds no libraries.
    let end = ends(|_| {
        at_exec(&no_names);
        exec(c"/usr/bin/true");
    });
    assert_eq!(end, End::Exit(127));
}

fn without_a_later_exec_nothing_happens() {
    let seen = run(|_| at_exec(&load(&syscalls(on_nr(libc::SYS_exit_group, KILL)))));
    assert_eq!(seen.end, End::Exit(0));
}

fn law_5_fail_closed_failed_exec_changes_nothing() {
    install_all();
    install(c"/evf-exec-garbage", b"\x7fELF no program");
    install(c"/evf-exec-plain", &calls(SYS_getuid));
    assert_eq!(sys!(libc::SYS_chmod, c"/evf-exec-plain", 0o644), Ok(0));
    install(c"/evf-exec-script", b"#!/evf-absent/interpreter\n");
    let seen = run(|board| {
        at_exec(&refuse_getuid());
        for path in [
            c"/evf-absent/program",
            c"/evf-exec-garbage",
            c"/evf-exec-plain",
            c"/evf-exec-script",
        ] {
            board.put(i64::from(exec(path)));
            look(board);
        }
        exec(GETUID);
    });
    let failed = [ENOENT, ENOEXEC, EACCES, ENOENT];
    let expected = failed.map(|errno| [i64::from(errno), 0, 0]).concat();
    assert_eq!((seen.values, seen.end), (expected, End::Exit(ODD)));
}

/// One more exec does not push it again.
fn it_takes_hold_once() {
    install_all();
    install(
        c"/evf-exec-script",
        b"#!/bin/sh\n/evf-exec-layers; echo $? > /tmp/evf-exec-first\nexec /evf-exec-layers\n",
    );
    let end = ends(|_| {
        at_exec(&load(&allow_all()));
        exec(c"/evf-exec-script");
    });
    assert_eq!(end, End::Exit(1));
    let first = std::fs::read_to_string("/tmp/evf-exec-first").expect("the shell wrote it");
    assert_eq!(first, "1\n");
}

fn law_4_not_removable_by_asking_again() {
    install_all();
    for (path, expected) in [(GETUID, ODD), (GETGID, 77), (LAYERS, 3)] {
        let end = ends(|_| {
            at_exec(&refuse_getuid());
            at_exec(&refuse_getgid());
            at_exec(&load(&allow_all()));
            exec(path);
        });
        assert_eq!(end, End::Exit(expected), "{path:?}");
    }
}

/// Both layers are there afterwards.
fn both(prepare: fn()) {
    install_all();
    for (path, expected) in [(GETUID, ODD), (GETGID, 77), (LAYERS, 2)] {
        let end = ends(|_| {
            prepare();
            exec(path);
        });
        assert_eq!(end, End::Exit(expected), "{path:?}");
    }
}

fn law_1_narrow_only_with_a_layer_before() {
    both(|| {
        restrict(&refuse_getgid());
        at_exec(&refuse_getuid());
        assert_eq!((sys!(SYS_getuid), sys!(SYS_getgid)), (Ok(0), Err(77)));
    });
}

fn law_1_narrow_only_with_a_layer_after() {
    both(|| {
        at_exec(&refuse_getuid());
        restrict(&refuse_getgid());
        assert_eq!((sys!(SYS_getuid), sys!(SYS_getgid)), (Ok(0), Err(77)));
    });
}

/// Alternately for now and for later.
fn many_layers_at_one_exec() {
    install_all();
    let filter = load(&allow_all());
    let end = ends(|_| {
        for count in 0..20 {
            at_exec(&filter);
            restrict(&filter);
            assert_eq!(layers(), count + 1);
        }
        exec(LAYERS);
    });
    assert_eq!(end, End::Exit(40));
}

fn number_of_layers_before_and_after() {
    install_all();
    let free = ends(|_| {
        exec(LAYERS);
    });
    assert_eq!(free, End::Exit(0));
    let bound = ends(|_| {
        at_exec(&load(&allow_all()));
        assert_eq!(layers(), 0);
        exec(LAYERS);
    });
    assert_eq!(bound, End::Exit(1));
}

fn strict_filter_at_exec() {
    install_all();
    install(c"/evf-exec-exit", &calls(libc::SYS_exit_group));
    for (path, expected) in [
        (c"/evf-exec-exit", End::Exit(0)),
        (GETUID, End::Signal(SIGSYS, false)),
        (c"/usr/bin/true", End::Signal(SIGSYS, false)),
    ] {
        let end = ends(|_| {
            let done = restrict_with(RESTRICT_AT_EXEC | RESTRICT_STRICT, -1);
            assert_eq!(done, (Ok(0), 0));
            assert_eq!(sys!(SYS_getuid), Ok(0));
            exec(path);
        });
        assert_eq!(end, expected, "{path:?}");
    }
}

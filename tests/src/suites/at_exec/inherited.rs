// SPDX-License-Identifier: GPL-2.0
//! Whose exec it is: children and new threads of the caller wait for theirs with the same layer.

use libc::SYS_getuid;

use super::{GETUID, at_exec, ends, install_all, look, refuse_getuid};
use crate::executable::exec;
use crate::harness::{Test, tests};
use crate::kernel::layers;
use crate::program::ODD;
use crate::sys::child::{End, nap, run};
use crate::sys::sys;

pub(super) fn tests() -> Vec<Test> {
    tests!("at_exec";
        law_3_inherited_whole_by_fork, law_3_inherited_whole_by_a_spawned_program, law_3_inherited_whole_by_a_new_thread, exec_of_a_thread_that_asked, exec_of_a_thread_that_did_not_ask,
    )
}

/// Runs `body` in a child; how that ends.
fn in_a_child(body: impl FnOnce()) -> End {
    run(|_| body()).end
}

fn law_3_inherited_whole_by_fork() {
    install_all();
    at_exec(&refuse_getuid());
    let child = in_a_child(|| {
        exec(GETUID);
    });
    let grandchild = run(|board| {
        let end = in_a_child(|| {
            exec(GETUID);
        });
        board.put(i64::from(end == End::Exit(ODD)));
        look(board);
    });
    assert_eq!(child, End::Exit(ODD));
    assert_eq!(grandchild.well(), [1, 0, 0]);
    // The exec of a child is not the caller's.
    assert_eq!((sys!(SYS_getuid), layers()), (Ok(0), 0));
}

/// The C library's posix_spawn: a child that shares the memory until it execs.
fn law_3_inherited_whole_by_a_spawned_program() {
    install_all();
    at_exec(&refuse_getuid());
    for _ in 0..3 {
        let status = std::process::Command::new("/evf-exec-getuid").status();
        assert_eq!(status.expect("spawn").code(), Some(ODD));
        assert_eq!((sys!(SYS_getuid), layers()), (Ok(0), 0));
    }
}

fn law_3_inherited_whole_by_a_new_thread() {
    install_all();
    let end = ends(|_| {
        at_exec(&refuse_getuid());
        let thread = std::thread::spawn(|| {
            assert_eq!((sys!(SYS_getuid), layers()), (Ok(0), 0));
            exec(GETUID)
        });
        let _ = thread.join();
    });
    assert_eq!(end, End::Exit(ODD));
}

/// A thread that is not the first asks and execs: it takes the first one's place, with its own layers.
fn exec_of_a_thread_that_asked() {
    install_all();
    let end = ends(|_| {
        let thread = std::thread::spawn(|| {
            at_exec(&refuse_getuid());
            exec(GETUID)
        });
        let _ = thread.join();
    });
    assert_eq!(end, End::Exit(ODD));
}

/// Layers are a thread's: the exec of another one, which was there before, is not the caller's exec. (RESTRICT_TSYNC is for all.)
fn exec_of_a_thread_that_did_not_ask() {
    install_all();
    let end = ends(|_| {
        let gate = &std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.wait();
                exec(GETUID)
            });
            at_exec(&refuse_getuid());
            gate.wait();
            nap(10_000);
        });
    });
    assert_eq!(end, End::Exit(0));
}

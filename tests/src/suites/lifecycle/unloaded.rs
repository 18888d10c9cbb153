// SPDX-License-Identifier: GPL-2.0
//! What keeps the module loaded since layers can wait for an exec, and what is left of its files when it goes.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libc::ENOENT;
use uapi::control::{RESTRICT_AT_EXEC, RESTRICT_TSYNC, SECURITY_SEQUENCE_PATH};

use super::storms::slab;
use super::{and_loaded_again, confined, held_by, insmod, unload};
use crate::executable::{exec, install};
use crate::harness::{Test, note, tests};
use crate::kernel::{load, restrict_strict, restrict_with};
use crate::program::allow_all;
use crate::slow;
use crate::sys::child::{End, nap, run, start};
use crate::sys::memory::Shared;
use crate::sys::{open, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("lifecycle";
        unload_refused_while_a_layer_waits_for_an_exec, unload_refused_while_a_child_waits_for_an_exec, unload_refused_after_the_exec,
        unload_refused_while_all_threads_are_confined, unload_refused_while_a_task_is_strict, unload_after_an_exec_has_ended,
        sequence_file_goes_with_the_module, open_sequence_file_outlives_the_module, sequence_file_is_read_while_the_module_comes_and_goes,
        table_of_handlers_goes_with_the_module,
    )
}

fn waits() {
    let filter = load(&allow_all());
    let done = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
    assert_eq!(done, (Ok(0), 0));
}

fn unload_refused_while_a_layer_waits_for_an_exec() {
    held_by(confined(waits));
}

/// The one that asked is gone.
fn unload_refused_while_a_child_waits_for_an_exec() {
    // Its child becomes ours: a zombie would hold the module as well.
    let adopted = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_eq!(adopted, Ok(0), "PR_SET_CHILD_SUBREAPER");
    let board = run(|board| {
        waits();
        let pid = crate::sys::child::fork().expect("fork");
        if pid == 0 {
            crate::sys::child::run_and_exit(|| {
                nap(120_000);
                0
            });
        }
        board.put(i64::from(pid));
    });
    let child = board.well()[0];
    held_by(Orphan(child as i32));
}

/// The table of the functions that share a trampoline, 8 KiB, was left behind: nobody drops what a static owns.
fn table_of_handlers_goes_with_the_module() {
    const ROUNDS: i64 = 25;
    and_loaded_again(|| {
        let round = || {
            unload();
            assert_eq!(insmod(), Ok(0));
        };
        (0..5).for_each(|_| round());
        nap(1000);
        let before = slab();
        (0..ROUNDS).for_each(|_| round());
        nap(1000);
        let grown = slab() - before;
        note(&format!("{grown} KiB more after {ROUNDS} rounds"));
        // A kernel that keeps freed memory to see whether it is used has more of it, and its own detector of leaks.
        assert!(slow::factor() > 1 || grown < 4 * ROUNDS, "{grown} KiB");
    });
}

/// A process that was left to us.
struct Orphan(i32);

impl Drop for Orphan {
    fn drop(&mut self) {
        assert_eq!(sys!(libc::SYS_kill, self.0, libc::SIGKILL), Ok(0));
        crate::sys::child::wait(self.0);
    }
}

/// The program after the exec holds what the task before it held.
fn unload_refused_after_the_exec() {
    install(
        c"/evf-life-pause",
        &crate::executable::calls(libc::SYS_pause),
    );
    let child = start(|_| {
        waits();
        exec(c"/evf-life-pause");
    });
    let comm = format!("/proc/{}/comm", child.pid);
    let execed = || std::fs::read_to_string(&comm).is_ok_and(|name| name == "evf-life-pause\n");
    for _ in 0..5000 {
        if execed() {
            break;
        }
        nap(1);
    }
    assert!(execed(), "the exec failed");
    held_by(super::KillOnDrop(Some(child)));
}

fn unload_refused_while_all_threads_are_confined() {
    held_by(confined(|| {
        let filter = load(&allow_all());
        let thread = std::thread::spawn(move || restrict_with(RESTRICT_TSYNC, filter.as_raw_fd()));
        assert_eq!(thread.join().ok(), Some((Ok(0), 0)));
    }));
}

fn unload_refused_while_a_task_is_strict() {
    let child = start(|board| {
        restrict_strict(0);
        board.put(1);
        loop {
            std::hint::spin_loop();
        }
    });
    child.until(1);
    held_by(super::KillOnDrop(Some(child)));
}

/// Many layers that wait, that have taken hold, and that never will: all of them are given back.
fn unload_after_an_exec_has_ended() {
    install(
        c"/evf-life-exec",
        &crate::executable::calls(libc::SYS_getuid),
    );
    for round in 0..20 {
        let seen = run(|_| {
            for _ in 0..5 {
                waits();
            }
            let child = run(|_| {
                exec(c"/evf-life-exec");
            });
            assert_eq!(child.end, End::Exit(0));
            if round % 2 == 0 {
                exec(c"/evf-life-exec");
            }
        });
        assert_eq!(seen.end, End::Exit(0));
    }
    and_loaded_again(unload);
}

fn sequence_file_goes_with_the_module() {
    let path = std::ffi::CString::new(SECURITY_SEQUENCE_PATH).expect("a path");
    and_loaded_again(|| {
        assert!(open(&path, libc::O_RDONLY).is_ok());
        unload();
        assert_eq!(open(&path, libc::O_RDONLY).err(), Some(ENOENT));
        assert!(std::fs::metadata("/proc/sys/kernel/evfilter").is_err());
        assert_eq!(insmod(), Ok(0));
        assert!(open(&path, libc::O_RDONLY).is_ok());
    });
}

/// It does not hold the module, and says that there is nothing any more.
fn open_sequence_file_outlives_the_module() {
    let path = std::ffi::CString::new(SECURITY_SEQUENCE_PATH).expect("a path");
    and_loaded_again(|| {
        let file = open(&path, libc::O_RDONLY).expect("the file");
        let mut buffer = [0u8; 16];
        let mut read = || sys!(libc::SYS_pread64, &file, buffer.as_mut_ptr(), 16, 0);
        assert_eq!(read(), Ok(2));
        unload();
        assert_eq!(read(), Err(ENOENT));
        // Another module's file is another file.
        assert_eq!(insmod(), Ok(0));
        assert_eq!(read(), Err(ENOENT));
    });
}

fn sequence_file_is_read_while_the_module_comes_and_goes() {
    let done = Shared::<AtomicBool>::new();
    let reads = Shared::<AtomicU64>::new();
    let reader = start(|_| {
        while !done.load(Ordering::SeqCst) {
            match std::fs::read_to_string(SECURITY_SEQUENCE_PATH) {
                Ok(text) => {
                    assert_eq!(text, format!("{}\n", uapi::control::SECURITY_SEQUENCE));
                    reads.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => assert_eq!(error.raw_os_error(), Some(ENOENT)),
            }
        }
    });
    and_loaded_again(|| {
        for _ in 0..4 {
            unload();
            assert_eq!(insmod(), Ok(0));
            let before = reads.load(Ordering::SeqCst);
            let enough = || reads.load(Ordering::SeqCst) >= before + 5;
            for _ in 0..20_000 {
                if enough() {
                    break;
                }
                nap(1);
            }
            assert!(enough(), "the reader has ended");
        }
    });
    done.store(true, Ordering::SeqCst);
    reader.wait().well();
}

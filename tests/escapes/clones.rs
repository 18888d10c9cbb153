// SPDX-License-Identifier: GPL-2.0
//! Children of every kind, threads, and other programs: the policy goes along.

use libc::{
    CLONE_FILES, CLONE_FS, CLONE_NEWUSER, CLONE_PARENT, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK,
    CLONE_VM, SIGCHLD,
};

use super::case::{Case, Deed, Proof, Stop, said};
use super::deeds::{FLAG, exec, output_of, read, read_name};
use super::stage::Stage;
use crate::sys::child::{exit, fork};
use crate::sys::clone::{open_in_clone, open_in_clone3};
use crate::sys::{own, sys};

const CLASS: &str = "clones";

/// A child that shares the table of descriptors opens the secret, and we read it.
fn kind(name: &'static str, flags: i32, new: bool) -> Case {
    let run = move |stage: &Stage| {
        stage.confined(|| {
            let flags = flags | CLONE_FILES;
            let opened = match new {
                true => open_in_clone3(flags, FLAG),
                false => open_in_clone(flags, FLAG),
            };
            read(&own(opened)?)
        })
    };
    let reference = if new { "clone3(2)" } else { "clone(2)" };
    let tries = "has a child open the file that was made with unusual flags";
    Case::new(CLASS, name, reference, tries, Proof::Content, run)
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    let thread = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD;
    vec![
        kind("clone", SIGCHLD, false),
        kind("clone_vfork", CLONE_VM | CLONE_VFORK | SIGCHLD, false),
        kind("clone_memory", CLONE_VM | CLONE_VFORK | SIGCHLD, true),
        kind("clone_parent", CLONE_PARENT, false),
        kind("clone3", SIGCHLD, true),
        kind("clone3_parent", CLONE_PARENT, true),
        kind("clone3_no_signal", 0, true),
        kind("clone_new_user", CLONE_NEWUSER | SIGCHLD, false),
        case(
            "thread",
            "pthread_create(3)",
            "has a thread open the file",
            |stage| {
                stage.confined(|| {
                    std::thread::scope(|scope| scope.spawn(|| read_name(FLAG)).join())
                        .unwrap_or_else(|_| said("the thread panicked"))
                })
            },
        ),
        kind("clone_thread", thread, false),
        case(
            "orphan",
            "fork(2), credentials(7)",
            "has a grandchild open the file whose parent has ended",
            |stage| {
                stage.confined(|| {
                    output_of(|| {
                        if fork() != Ok(0) {
                            exit(0);
                        }
                        while sys!(libc::SYS_getppid) == Ok(u64::from(std::process::id())) {}
                        tell(read_name(FLAG))
                    })
                })
            },
        ),
        case(
            "other_program",
            "execve(2)",
            "has a program of the system open the file",
            |stage| {
                stage.confined(|| {
                    output_of(|| exec(c"/usr/bin/busybox", &[c"busybox", c"cat", FLAG]))
                })
            },
        ),
        case(
            "other_program_by_descriptor",
            "execveat(2)",
            "the same, and the program is started by a descriptor",
            |stage| {
                stage.confined(|| {
                    let program = super::deeds::open(c"/usr/bin/busybox", libc::O_PATH)?;
                    let words = [
                        c"busybox".as_ptr() as u64,
                        c"cat".as_ptr() as u64,
                        FLAG.as_ptr() as u64,
                        0,
                    ];
                    output_of(|| {
                        sys!(
                            libc::SYS_execveat,
                            &program,
                            c"",
                            words.as_ptr(),
                            0,
                            libc::AT_EMPTY_PATH
                        )
                        .expect_err("exec does not return 0")
                    })
                })
            },
        ),
        case(
            "session_and_group",
            "setsid(2), setpgid(2), prctl(2): PR_SET_CHILD_SUBREAPER",
            "leaves its session and becomes a reaper first",
            |stage| {
                stage.confined(|| {
                    let _ = sys!(libc::SYS_setsid);
                    let _ = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
                    read_name(FLAG)
                })
            },
        ),
        case(
            "other_user",
            "setuid(2), capabilities(7)",
            "changes its user and drops what it may",
            |stage| {
                stage.confined(|| {
                    crate::sys::become_user(1000);
                    read_name(FLAG)
                })
            },
        ),
        case(
            "second_layer",
            "docs/language.md: strictest of all layers",
            "attaches a policy of its own that allows everything",
            |stage| {
                stage.confined(|| {
                    if stage.image.is_some() {
                        crate::kernel::attach(&crate::program::allow_all());
                    }
                    read_name(FLAG)
                })
            },
        ),
    ]
}

/// Writes what was read to the standard output and ends as a program does.
pub(super) fn tell(deed: Deed) -> i32 {
    match deed {
        Ok(super::case::Loot::Bytes(bytes)) => {
            let _ = sys!(libc::SYS_write, 1, bytes.as_ptr(), bytes.len());
            0
        }
        Ok(_) => 0,
        Err(Stop::Errno(errno)) => errno,
        Err(_) => libc::EPROTO,
    }
}

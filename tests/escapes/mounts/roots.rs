// SPDX-License-Identifier: GPL-2.0
//! Another root: absolute names begin elsewhere.

use libc::{MS_BIND, MS_REC, O_DIRECTORY, O_PATH};

use super::super::case::{Case, Deed, Proof, said};
use super::super::deeds::{HOME, SECRET, in_proc, open, read_name};
use super::super::stage::Stage;
use super::{CLASS, mount};
use crate::sys::sys;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    vec![
        case(
            "chroot",
            "chroot(2)",
            "makes the secret directory its root",
            |stage| {
                drop(with_allowed_names());
                stage.confined(|| {
                    sys!(libc::SYS_chroot, SECRET)?;
                    read_name(c"/usr/flag")
                })
            },
        ),
        case(
            "chroot_by_proc",
            "chroot(2), proc_pid_fd(5)",
            "the same by a descriptor; then a name is allowed that has the allowed tree in it",
            |stage| {
                let secret = with_allowed_names();
                stage.confined(|| {
                    sys!(libc::SYS_chroot, &*in_proc(&secret, ""))?;
                    read_name(c"/usr/flag")
                })
            },
        )
        .past_names(),
        case(
            "fchroot",
            "fchroot(2) (new)",
            "the same by fchroot",
            |stage| {
                let secret = with_allowed_names();
                stage.confined(|| {
                    sys!(472, &secret, 0)?;
                    read_name(c"/usr/flag")
                })
            },
        )
        .past_names(),
        case(
            "chroot_breakout",
            "chroot(2): a root below the working directory",
            "moves its root below its working directory and goes up",
            |stage| {
                stage.confined(|| {
                    sys!(libc::SYS_chdir, HOME)?;
                    sys!(libc::SYS_chroot, c"/home/escape/dir")?;
                    read_name(c"../secret/flag")
                })
            },
        ),
        case(
            "pivot_root",
            "pivot_root(2)",
            "makes another directory the root of its mounts",
            pivot_root,
        )
        .past_names(),
        case(
            "root_shared",
            "clone(2), CLONE_FS",
            "shares its root with a free process, which changes it",
            root_shared,
        )
        .past_names(),
    ]
}

/// The secret directory, with a file below a name that is allowed in it if it is the root.
fn with_allowed_names() -> std::os::fd::OwnedFd {
    std::fs::create_dir("/home/secret/usr").expect("mkdir");
    std::fs::copy("/home/secret/flag", "/home/secret/usr/flag").expect("copy");
    open(SECRET, O_PATH | O_DIRECTORY).expect("open")
}

/// The first root of a machine cannot be moved; so the attacker has one of its own from the start, a mount of everything.
fn pivot_root(stage: &Stage) -> Deed {
    drop(with_allowed_names());
    stage
        .attacker(|| {
            std::fs::create_dir("/home/root").expect("mkdir");
            let bound = mount(c"/", c"/home/root", c"", MS_BIND | MS_REC);
            assert_eq!(bound, Ok(0), "mount --rbind");
            assert_eq!(sys!(libc::SYS_chroot, c"/home/root"), Ok(0), "chroot");
            assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0), "chdir");
            let secret = open(SECRET, O_PATH | O_DIRECTORY)?;
            stage.confine();
            mount(&in_proc(&secret, ""), &in_proc(&secret, ""), c"", MS_BIND)?;
            // What was mounted lies over the directory that is open: reach it by its name.
            sys!(libc::SYS_chdir, c"/proc/self/root/home/secret")?;
            sys!(libc::SYS_pivot_root, c".", c".")?;
            read_name(c"/usr/flag")
        })
        .finish()
}

fn root_shared(stage: &Stage) -> Deed {
    drop(with_allowed_names());
    let board = crate::sys::memory::Shared::<crate::sys::child::Board>::new();
    stage
        .attacker(|| {
            let pid = sys!(libc::SYS_clone, libc::CLONE_FS | libc::SIGCHLD, 0, 0, 0, 0)?;
            if pid == 0 {
                while board.values().is_empty() {
                    crate::sys::child::nap(1);
                }
                board.ret(sys!(libc::SYS_chroot, SECRET));
                crate::sys::child::nap(60_000);
                crate::sys::child::exit(0)
            }
            stage.confine();
            board.put(0);
            for _ in 0..5000 {
                if board.values().len() == 2 {
                    return read_name(c"/usr/flag");
                }
                crate::sys::child::nap(1);
            }
            said("the helper did not help")
        })
        .finish()
}

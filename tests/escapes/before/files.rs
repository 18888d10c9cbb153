// SPDX-License-Identifier: GPL-2.0
//! Files that were left open, and what can be done to them without a name.

use std::os::fd::{AsRawFd, OwnedFd};

use libc::{O_RDONLY, O_RDWR};

use super::super::case::{Case, Deed, Proof};
use super::super::deeds::{done, open};
use super::super::empty::OPENED;
use super::super::stage::{Stage, pipe};
use super::CLASS;
use crate::ring::Ring;
use crate::sys::memory::PAGE;
use crate::sys::sys;

/// A call on a file that was opened before.
fn on_victim(
    name: &'static str,
    reference: &'static str,
    tries: &'static str,
    flags: i32,
    attack: fn(&OwnedFd) -> Deed,
) -> Case {
    let run = move |stage: &Stage| {
        let victim = open(c"/home/secret/victim", flags).expect("open");
        stage.confined(|| attack(&victim))
    };
    Case::new(CLASS, name, reference, tries, Proof::Changed, run).past_names()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        on_victim(
            "ftruncate",
            "ftruncate(2)",
            "sets the length of an open file",
            O_RDWR,
            |victim| done(sys!(libc::SYS_ftruncate, victim, 1)),
        ),
        on_victim(
            "uring_ftruncate",
            "io_uring_enter(2), IORING_OP_FTRUNCATE",
            "sets the length of an open file by a ring",
            O_RDWR,
            |victim| {
                let file = io_uring::types::Fd(victim.as_raw_fd());
                let entry = io_uring::opcode::Ftruncate::new(file, 1).build();
                done(Ring::new().call(entry))
            },
        ),
        on_victim(
            "uring_fsetxattr",
            "io_uring_enter(2), IORING_OP_FSETXATTR",
            "sets an attribute of an open file by a ring",
            O_RDONLY,
            |victim| {
                let file = io_uring::types::Fd(victim.as_raw_fd());
                let (name, value) = (c"user.mark".as_ptr(), c"x".as_ptr());
                let entry = io_uring::opcode::FSetXattr::new(file, name, value.cast(), 1);
                done(Ring::new().call(entry.build()))
            },
        ),
        on_victim(
            "i386_ftruncate64",
            "ftruncate(2), int 0x80",
            "sets the length of an open file through the 32-bit entry",
            O_RDWR,
            |victim| {
                let number = victim.as_raw_fd() as u32;
                done(crate::sys::ia32::call(194, [number, 1, 0, 0, 0, 0]))
            },
        ),
        on_victim(
            "fchmod",
            "fchmod(2)",
            "sets the mode of an open file",
            O_RDONLY,
            |victim| done(sys!(libc::SYS_fchmod, victim, 0o600)),
        ),
        on_victim(
            "fchown",
            "fchown(2)",
            "sets the owner of an open file",
            O_RDONLY,
            |victim| done(sys!(libc::SYS_fchown, victim, 7, 7)),
        ),
        on_victim(
            "futimens",
            "futimens(3)",
            "sets the times of an open file",
            O_RDONLY,
            |victim| done(sys!(libc::SYS_utimensat, victim, 0, [1u64; 4].as_ptr(), 0)),
        ),
        on_victim(
            "fsetxattr",
            "fsetxattr(2)",
            "sets an attribute of an open file",
            O_RDONLY,
            |victim| {
                done(sys!(
                    libc::SYS_fsetxattr,
                    victim,
                    c"user.mark",
                    c"x".as_ptr(),
                    1,
                    0
                ))
            },
        ),
        on_victim(
            "fremovexattr",
            "fremovexattr(2)",
            "removes an attribute of an open file",
            O_RDONLY,
            |victim| done(sys!(libc::SYS_fremovexattr, victim, c"user.mark")),
        ),
        on_victim(
            "fsetxattr_acl",
            "acl(5), fsetxattr(2)",
            "gives an open file an access control list",
            O_RDONLY,
            |victim| {
                // Version 2; owner rw, group r, others none: the mode follows.
                let list: [u8; 28] = [
                    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32,
                    0, 0, 0, 255, 255, 255, 255,
                ];
                done(sys!(
                    libc::SYS_fsetxattr,
                    victim,
                    c"system.posix_acl_access",
                    list.as_ptr(),
                    28,
                    0
                ))
            },
        ),
        on_victim(
            "write",
            "write(2)",
            "writes to an open file",
            O_RDWR,
            |victim| done(sys!(libc::SYS_write, victim, c"x".as_ptr(), 1)),
        )
        .limit(OPENED),
        on_victim(
            "fallocate",
            "fallocate(2)",
            "makes a hole in an open file",
            O_RDWR,
            |victim| {
                // FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE.
                done(sys!(libc::SYS_fallocate, victim, 3, 0, 4))
            },
        )
        .limit(OPENED),
        on_victim(
            "map_shared",
            "mmap(2), MAP_SHARED",
            "writes through a mapping of an open file",
            O_RDWR,
            |victim| {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let at = sys!(libc::SYS_mmap, 0, PAGE, access, libc::MAP_SHARED, victim, 0)?;
                crate::sys::memory::write(at, b"owned");
                done(sys!(libc::SYS_msync, at, PAGE, libc::MS_SYNC))
            },
        )
        .limit(OPENED),
        on_victim(
            "splice",
            "splice(2)",
            "moves bytes from a pipe into an open file",
            O_RDWR,
            |victim| {
                let (reader, writer) = pipe();
                sys!(libc::SYS_write, &writer, c"x".as_ptr(), 1)?;
                done(sys!(libc::SYS_splice, &reader, 0, victim, 0, 1, 0))
            },
        )
        .limit(OPENED),
    ]
}

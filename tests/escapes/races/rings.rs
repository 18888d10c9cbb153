// SPDX-License-Identifier: GPL-2.0
//! The same through io_uring: the name is read when the call is submitted, or by a thread of the kernel.

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use libc::AT_FDCWD;

use super::super::case::{Case, Loot, Proof};
use super::super::deeds::{read, read_name};
use super::super::stage::Stage;
use super::{Flip, REFERENCE, Round, TRIES, unless_own};
use crate::ring::Ring;
use crate::sys::{own, sys};

const HERE: Fd = Fd(AT_FDCWD);

/// An operation on the name at an address.
struct Operation {
    name: &'static str,
    leaf: &'static str,
    proof: Proof,
    entry: fn(*const libc::c_char) -> Entry,
    result: fn(u64) -> Round,
}

/// The judge sees what was changed.
const ON: fn(u64) -> Round = |_| Ok(None);

/// What was made in the attacker's own tree is taken away again.
const AGAIN: fn(u64) -> Round = |_| {
    let _ = sys!(libc::SYS_unlink, c"/home/escape/new");
    let _ = sys!(libc::SYS_rmdir, c"/home/escape/new");
    Ok(None)
};

fn opened(fd: u64) -> Round {
    unless_own(read(&own(Ok(fd))?))
}

static OPERATIONS: [Operation; 12] = [
    Operation {
        name: "uring_openat",
        leaf: "flag",
        proof: Proof::Content,
        entry: |name| opcode::OpenAt::new(HERE, name).build(),
        result: opened,
    },
    Operation {
        name: "uring_unlinkat",
        leaf: "victim",
        proof: Proof::Changed,
        entry: |name| opcode::UnlinkAt::new(HERE, name).build(),
        result: ON,
    },
    Operation {
        name: "uring_renameat",
        leaf: "victim",
        proof: Proof::Changed,
        entry: |name| {
            opcode::RenameAt::new(HERE, name, HERE, c"/home/escape/moved".as_ptr()).build()
        },
        result: ON,
    },
    Operation {
        name: "uring_renameat_into",
        leaf: "victim",
        proof: Proof::Changed,
        entry: |name| {
            opcode::RenameAt::new(HERE, c"/home/escape/door".as_ptr(), HERE, name).build()
        },
        result: |_| {
            let _ = sys!(
                libc::SYS_rename,
                c"/home/escape/victim",
                c"/home/escape/door"
            );
            Ok(None)
        },
    },
    Operation {
        name: "uring_mkdirat",
        leaf: "new",
        proof: Proof::Changed,
        entry: |name| opcode::MkDirAt::new(HERE, name).mode(0o755).build(),
        result: AGAIN,
    },
    Operation {
        name: "uring_symlinkat",
        leaf: "new",
        proof: Proof::Changed,
        entry: |name| opcode::SymlinkAt::new(HERE, c"own".as_ptr(), name).build(),
        result: AGAIN,
    },
    Operation {
        name: "uring_linkat",
        leaf: "flag",
        proof: Proof::Content,
        entry: |name| opcode::LinkAt::new(HERE, name, HERE, c"/home/escape/new".as_ptr()).build(),
        result: |_| {
            let found = unless_own(read_name(c"/home/escape/new"));
            sys!(libc::SYS_unlink, c"/home/escape/new")?;
            found
        },
    },
    Operation {
        name: "uring_linkat_into",
        leaf: "new",
        proof: Proof::Changed,
        entry: |name| opcode::LinkAt::new(HERE, c"/home/escape/door".as_ptr(), HERE, name).build(),
        result: AGAIN,
    },
    Operation {
        name: "uring_setxattr",
        leaf: "victim",
        proof: Proof::Changed,
        entry: |name| {
            opcode::SetXattr::new(c"user.mark".as_ptr(), c"x".as_ptr().cast(), name, 1).build()
        },
        result: ON,
    },
    Operation {
        name: "uring_openat_to_create",
        leaf: "new",
        proof: Proof::Changed,
        entry: |name| {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
            opcode::OpenAt::new(HERE, name)
                .flags(flags)
                .mode(0o644)
                .build()
        },
        result: |fd| {
            let _ = sys!(libc::SYS_close, fd);
            AGAIN(fd)
        },
    },
    Operation {
        name: "uring_openat_to_truncate",
        leaf: "victim",
        proof: Proof::Changed,
        entry: |name| {
            let flags = libc::O_TRUNC | libc::O_WRONLY;
            opcode::OpenAt::new(HERE, name).flags(flags).build()
        },
        result: |fd| sys!(libc::SYS_close, fd).map(|_| None),
    },
    Operation {
        name: "uring_unlinkat_directory",
        leaf: "dir",
        proof: Proof::Changed,
        entry: |name| {
            opcode::UnlinkAt::new(HERE, name)
                .flags(libc::AT_REMOVEDIR)
                .build()
        },
        result: ON,
    },
];

pub(super) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = OPERATIONS.iter().map(case).collect();
    all.push(statx());
    all.push(getxattr());
    all.push(in_thread("uring_openat_sqpoll", |entry, ring| {
        ring.call(entry)
    }));
    all.push(in_thread("uring_openat_worker", |entry, ring| {
        ring.call_in_worker(entry)
    }));
    all
}

fn case(operation: &'static Operation) -> Case {
    let run = |stage: &Stage| {
        stage.confined(|| {
            let mut ring = Ring::new();
            Flip::new(0, operation.leaf).race(|name| {
                let entry = (operation.entry)(name as *const libc::c_char);
                (operation.result)(ring.call(entry)?)
            })
        })
    };
    Case::new(
        "races",
        operation.name,
        REFERENCE,
        TRIES,
        operation.proof,
        run,
    )
}

fn statx() -> Case {
    let run = |stage: &Stage| {
        stage.confined(|| {
            let mut ring = Ring::new();
            let mut room = [0u64; 32];
            Flip::new(0, "flag").race(|name| {
                let place = room.as_mut_ptr();
                let entry = opcode::Statx::new(HERE, name as *const _, place.cast());
                ring.call(entry.mask(0x7ff).build())?;
                unless_own(Ok(Loot::Number(room[5])))
            })
        })
    };
    Case::new("races", "uring_statx", REFERENCE, TRIES, Proof::Size, run)
}

fn getxattr() -> Case {
    let run = |stage: &Stage| {
        stage.confined(|| {
            let mut ring = Ring::new();
            let mut room = vec![0u8; 100];
            Flip::new(0, "flag").race(|name| {
                let place = room.as_mut_ptr().cast();
                let attribute = c"user.token".as_ptr();
                let entry = opcode::GetXattr::new(attribute, place, name as *const _, 100);
                let count = ring.call(entry.build())?;
                unless_own(Ok(Loot::Bytes(room[..count as usize].to_vec())))
            })
        })
    };
    Case::new(
        "races",
        "uring_getxattr",
        REFERENCE,
        TRIES,
        Proof::Content,
        run,
    )
}

/// The open is made by a thread of the kernel: the one that polls, or a worker.
fn in_thread(name: &'static str, call: fn(Entry, &mut Ring) -> Result<u64, i32>) -> Case {
    let run = move |stage: &Stage| {
        stage.confined(|| {
            let mut ring = if name.ends_with("sqpoll") {
                Ring::sqpoll()
            } else {
                Ring::new()
            };
            Flip::new(0, "flag").race(|name| {
                let entry = opcode::OpenAt::new(HERE, name as *const _).build();
                opened(call(entry, &mut ring)?)
            })
        })
    };
    Case::new("races", name, REFERENCE, TRIES, Proof::Content, run)
}

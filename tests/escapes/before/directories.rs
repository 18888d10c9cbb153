// SPDX-License-Identifier: GPL-2.0
//! Directories that were left open: everything below them, by relative names.

use std::os::fd::{AsRawFd, OwnedFd};

use libc::{AT_FDCWD, O_DIRECTORY, O_PATH, O_RDWR, O_TMPFILE, O_WRONLY};

use super::super::case::{Case, Deed, Loot, Proof};
use super::super::deeds::{SECRET, done, open, open_at, output_of, read_at, size_at};
use super::super::stage::Stage;
use super::CLASS;
use crate::sys::sys;

/// A call relative to the secret directory, which was opened before.
fn in_secret(
    name: &'static str,
    reference: &'static str,
    tries: &'static str,
    proof: Proof,
    attack: fn(&OwnedFd) -> Deed,
) -> Case {
    let run = move |stage: &Stage| {
        let secret = open(SECRET, O_PATH | O_DIRECTORY).expect("open");
        stage.confined(|| attack(&secret))
    };
    Case::new(CLASS, name, reference, tries, proof, run).past_names()
}

pub(super) fn cases() -> Vec<Case> {
    let changes =
        |name, reference, tries, attack| in_secret(name, reference, tries, Proof::Changed, attack);
    vec![
        in_secret(
            "openat",
            "openat(2); capsicum(4)",
            "opens a file below a directory that was left open",
            Proof::Content,
            |secret| read_at(secret.as_raw_fd(), c"flag"),
        ),
        in_secret(
            "readlinkat",
            "readlinkat(2)",
            "reads a link there",
            Proof::Content,
            |secret| {
                let mut room = vec![0u8; 100];
                sys!(
                    libc::SYS_readlinkat,
                    secret,
                    c"link",
                    room.as_mut_ptr(),
                    room.len()
                )?;
                Ok(Loot::Bytes(room))
            },
        ),
        in_secret(
            "fstatat",
            "fstatat(2)",
            "asks for the size of a file there",
            Proof::Size,
            |secret| size_at(secret.as_raw_fd(), c"flag", 0),
        ),
        in_secret(
            "execveat",
            "execveat(2)",
            "runs a program there",
            Proof::Ran,
            |secret| {
                let words = [c"prog".as_ptr() as u64, 0];
                output_of(|| {
                    sys!(libc::SYS_execveat, secret, c"prog", words.as_ptr(), 0, 0)
                        .expect_err("exec does not return 0")
                })
            },
        ),
        changes(
            "openat_for_writing",
            "openat(2)",
            "writes to a file there",
            |secret| {
                let file = open_at(secret.as_raw_fd(), c"victim", O_WRONLY)?;
                done(sys!(libc::SYS_write, &file, c"x".as_ptr(), 1))
            },
        ),
        changes(
            "openat_to_create",
            "openat(2)",
            "makes a file there",
            |secret| done(open_at(secret.as_raw_fd(), c"new", libc::O_CREAT | O_WRONLY).map(|_| 0)),
        ),
        changes(
            "unlinkat",
            "unlinkat(2)",
            "removes a file there",
            |secret| done(sys!(libc::SYS_unlinkat, secret, c"victim", 0)),
        ),
        changes(
            "rmdir",
            "unlinkat(2), AT_REMOVEDIR",
            "removes a directory there",
            |secret| done(sys!(libc::SYS_unlinkat, secret, c"dir", libc::AT_REMOVEDIR)),
        ),
        changes(
            "renameat",
            "renameat(2)",
            "renames a file there",
            |secret| {
                done(sys!(
                    libc::SYS_renameat,
                    secret,
                    c"victim",
                    secret,
                    c"renamed"
                ))
            },
        ),
        changes(
            "renameat_into",
            "renameat(2)",
            "moves a file of its own there",
            |secret| {
                done(sys!(
                    libc::SYS_renameat,
                    AT_FDCWD,
                    c"/home/escape/door",
                    secret,
                    c"new"
                ))
            },
        ),
        changes(
            "renameat_whiteout",
            "renameat2(2), RENAME_WHITEOUT",
            "moves a file away and leaves a device in its place",
            |secret| {
                let flags = libc::RENAME_WHITEOUT;
                done(sys!(
                    libc::SYS_renameat2,
                    secret,
                    c"victim",
                    secret,
                    c"renamed",
                    flags
                ))
            },
        ),
        changes(
            "mkdirat",
            "mkdirat(2)",
            "makes a directory there",
            |secret| done(sys!(libc::SYS_mkdirat, secret, c"new", 0o755)),
        ),
        changes("mknodat", "mknodat(2)", "makes a pipe there", |secret| {
            done(sys!(
                libc::SYS_mknodat,
                secret,
                c"new",
                libc::S_IFIFO | 0o644,
                0
            ))
        }),
        changes(
            "symlinkat",
            "symlinkat(2)",
            "makes a link there",
            |secret| done(sys!(libc::SYS_symlinkat, c"own", secret, c"new")),
        ),
        changes(
            "linkat",
            "linkat(2)",
            "links a file of its own there",
            |secret| {
                done(sys!(
                    libc::SYS_linkat,
                    AT_FDCWD,
                    c"/home/escape/door",
                    secret,
                    c"new",
                    0
                ))
            },
        ),
        changes("fchmodat", "fchmodat(2)", "sets a mode there", |secret| {
            done(sys!(libc::SYS_fchmodat, secret, c"victim", 0o600))
        }),
        changes("fchownat", "fchownat(2)", "sets an owner there", |secret| {
            done(sys!(libc::SYS_fchownat, secret, c"victim", 7, 7, 0))
        }),
        changes("utimensat", "utimensat(2)", "sets times there", |secret| {
            done(sys!(
                libc::SYS_utimensat,
                secret,
                c"victim",
                [1u64; 4].as_ptr(),
                0
            ))
        }),
        changes(
            "tmpfile_linked",
            "open(2), O_TMPFILE",
            "makes a file without a name there, and names it",
            |secret| {
                let file = open_at(secret.as_raw_fd(), c".", O_TMPFILE | O_RDWR)?;
                done(sys!(
                    libc::SYS_linkat,
                    &file,
                    c"",
                    secret,
                    c"new",
                    libc::AT_EMPTY_PATH
                ))
            },
        ),
    ]
}

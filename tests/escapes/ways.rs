// SPDX-License-Identifier: GPL-2.0
//! Directories on the way to granted places: they may be passed through, and nothing else.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use libc::{O_DIRECTORY, O_PATH, O_RDONLY};

use super::case::{Case, Deed, Loot, Proof, Stop};
use super::deeds::{bits_in, done, list, open, open_at};
use super::stage::Stage;
use crate::sys::{Ret, sys};

const CLASS: &str = "ways";
const REFERENCE: &str = "docs/language.md: the way to a granted place; path_resolution(7)";

/// The directory on the way.
const WAY: &std::ffi::CStr = c"/home";

/// Reads the list of names.
fn listing(name: &'static str, tries: &'static str, attack: fn() -> Deed) -> Case {
    let run = move |stage: &Stage| stage.confined(attack);
    Case::new(CLASS, name, REFERENCE, tries, Proof::Bits, run)
}

/// Changes the directory, by its name or by a descriptor that may be had of it.
fn changing(name: &'static str, tries: &'static str, attack: fn() -> Ret) -> Case {
    let run = move |stage: &Stage| {
        let before = state();
        let deed = stage.confined(|| done(attack()));
        match state() == before {
            true => Err(deed.err().unwrap_or(Stop::Said("it is as it was".into()))),
            false => Ok(Loot::Done),
        }
    };
    Case::new(CLASS, name, REFERENCE, tries, Proof::Told, run)
}

/// What a change of the directory itself would show in.
fn state() -> (u32, u32, i64, i64, bool, bool) {
    let data = std::fs::metadata("/home").expect("stat");
    let attribute = sys!(libc::SYS_getxattr, WAY, c"user.mark", 0, 0).is_ok();
    let new = std::fs::exists("/home/new").expect("stat");
    let times = (data.mtime(), data.mtime_nsec());
    (data.mode(), data.uid(), times.0, times.1, attribute, new)
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    vec![
        listing("list", "lists the directory", || {
            let way = open(WAY, O_RDONLY | O_DIRECTORY)?;
            Ok(bits_in(&list(&way)?))
        }),
        listing(
            "list_by_place",
            "opens it as a mere place, and by that for listing",
            || {
                let way = open(WAY, O_PATH | O_DIRECTORY)?;
                let again = open_at(way.as_raw_fd(), c".", O_RDONLY | O_DIRECTORY)?;
                Ok(bits_in(&list(&again)?))
            },
        ),
        listing("list_by_proc", "the same through procfs", || {
            let way = open(WAY, O_PATH | O_DIRECTORY)?;
            let again = open(&super::deeds::in_proc(&way, "/."), O_RDONLY | O_DIRECTORY)?;
            Ok(bits_in(&list(&again)?))
        }),
        listing(
            "list_as_working_directory",
            "the same as the working directory",
            || {
                sys!(libc::SYS_chdir, WAY)?;
                let again = open(c".", O_RDONLY | O_DIRECTORY)?;
                Ok(bits_in(&list(&again)?))
            },
        ),
        changing("create", "makes a file in it", || {
            open(c"/home/new", libc::O_CREAT | libc::O_WRONLY).map(|_| 0)
        }),
        changing("mkdir", "makes a directory in it", || {
            sys!(libc::SYS_mkdir, c"/home/new", 0o755)
        }),
        changing(
            "rename_into",
            "moves a directory of its own into it",
            || sys!(libc::SYS_rename, c"/home/escape/dir", c"/home/new"),
        ),
        changing("link_into", "links a file of its own into it", || {
            sys!(libc::SYS_link, c"/home/escape/door", c"/home/new")
        }),
        changing("rename_own_tree", "renames its own tree in it", || {
            sys!(libc::SYS_rename, c"/home/escape", c"/home/new")
        }),
        changing("chmod", "sets its mode", || {
            sys!(libc::SYS_chmod, WAY, 0o700)
        }),
        changing("chmod_by_place", "sets its mode by a mere place", || {
            let way = open(WAY, O_PATH)?;
            sys!(libc::SYS_fchmodat2, &way, c"", 0o700, libc::AT_EMPTY_PATH)
        }),
        changing("chown", "sets its owner", || {
            sys!(libc::SYS_chown, WAY, 7, 7)
        }),
        changing("utimensat", "sets its times", || {
            sys!(
                libc::SYS_utimensat,
                libc::AT_FDCWD,
                WAY,
                [1u64; 4].as_ptr(),
                0
            )
        }),
        changing("setxattr", "sets an attribute", || {
            sys!(libc::SYS_setxattr, WAY, c"user.mark", c"x", 1, 0)
        }),
    ]
}

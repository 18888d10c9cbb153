// SPDX-License-Identifier: GPL-2.0
//! Spellings: the same file by names that look like another.

use std::ffi::CString;

use libc::O_RDONLY;

use super::case::{Case, Deed, Loot, Proof};
use super::deeds::{CWD, open, read_name};
use super::stage::Stage;
use crate::sys::sys;

const CLASS: &str = "names";
const REFERENCE: &str = "path_resolution(7); CWE-22, CWE-41";

/// Spellings of the secret file. None of them helps, and all of them work without a policy.
const SPELLINGS: [(&str, &str, &str); 16] = [
    ("plain", "/home/secret/flag", "says what it wants"),
    (
        "double_slash",
        "//home//secret///flag",
        "writes several slashes",
    ),
    ("dots", "/./home/./secret/./flag", "writes single dots"),
    (
        "dot_dot",
        "/home/escape/../secret/flag",
        "begins with the allowed tree and goes up",
    ),
    (
        "dot_dot_slashes",
        "/home/escape//..//secret/flag",
        "the same with several slashes",
    ),
    (
        "dot_dot_of_root",
        "/../../home/secret/flag",
        "goes above the root",
    ),
    (
        "dot_dot_deep",
        "/home/escape/dir/../../secret/flag",
        "goes down and up",
    ),
    (
        "dot_dot_usr",
        "/usr/lib/../../home/secret/flag",
        "goes up from a system directory",
    ),
    (
        "dot_dot_link",
        "/lib/../../home/secret/flag",
        "goes up from behind a link, where the parent is another one",
    ),
    (
        "neighbour",
        "/home/escapee/flag",
        "takes the tree whose name begins like the allowed one",
    ),
    (
        "neighbour_dots",
        "/home/./escapee/./flag",
        "the same with single dots",
    ),
    (
        "proc_dot_dot",
        "/proc/self/../../home/secret/flag",
        "goes up from procfs",
    ),
    (
        "proc_cwd_dot_dot",
        "/proc/self/cwd/../../../../home/secret/flag",
        "goes up from the working directory",
    ),
    (
        "proc_root",
        "/proc/self/root//home/secret/flag",
        "goes by the root in procfs",
    ),
    (
        "dot_first",
        "./../../../../../home/secret/flag",
        "begins with a dot",
    ),
    (
        "relative",
        "../../../../../home/secret/flag",
        "goes up from wherever it is",
    ),
];

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = SPELLINGS
        .iter()
        .map(|(name, path, tries)| {
            let run = move |stage: &Stage| stage.confined(|| read_name(&super::deeds::text(path)));
            let case = Case::new(CLASS, name, REFERENCE, tries, Proof::Content, run);
            match *name {
                "proc_root" => case.past_names(),
                _ => case,
            }
        })
        .collect();
    let case = |name, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, REFERENCE, tries, proof, run)
    };
    all.extend([
        case(
            "trailing_slash",
            "lists the directory by a name that ends in a slash",
            Proof::Bits,
            |stage| {
                stage.confined(|| {
                    let directory = open(c"/home/secret/", O_RDONLY)?;
                    Ok(super::deeds::bits_in(&super::deeds::list(&directory)?))
                })
            },
        ),
        case(
            "trailing_dot",
            "the same by a name that ends in a dot",
            Proof::Bits,
            |stage| {
                stage.confined(|| {
                    let directory = open(c"/home/secret/.", O_RDONLY)?;
                    Ok(super::deeds::bits_in(&super::deeds::list(&directory)?))
                })
            },
        ),
        case(
            "trailing_dot_dot",
            "the same by a name that ends in two",
            Proof::Bits,
            |stage| {
                stage.confined(|| {
                    let directory = open(c"/home/secret/dir/..", O_RDONLY)?;
                    Ok(super::deeds::bits_in(&super::deeds::list(&directory)?))
                })
            },
        ),
        case(
            "not_utf8",
            "takes a file whose name is no UTF-8",
            Proof::Content,
            |stage| strange(stage, b"\xff\xfe\xc0\xaf"),
        ),
        case(
            "control_characters",
            "takes a file with a line break and an escape in its name",
            Proof::Content,
            |stage| strange(stage, b"a\nb\x1b[2Jc"),
        ),
        case(
            "backslash_and_wildcards",
            "takes a file with characters of patterns in its name",
            Proof::Content,
            |stage| strange(stage, b"\\*?[a-z]**"),
        ),
        case(
            "looks_deleted",
            "takes a file whose name ends as those of removed files are shown",
            Proof::Content,
            |stage| strange(stage, b"flag (deleted)"),
        ),
        case(
            "looks_unreachable",
            "takes a file in a directory whose name looks as what is out of reach is shown",
            Proof::Content,
            |stage| strange(stage, b"(unreachable)"),
        ),
        case(
            "longest_component",
            "takes a file whose name has 255 bytes",
            Proof::Content,
            |stage| strange(stage, &[b'n'; 255]),
        ),
        case(
            "longest_name",
            "writes the name with 4095 bytes",
            Proof::Content,
            |stage| stage.confined(|| read_name(&padded(4095))),
        ),
        case(
            "past_the_first_copy",
            "writes the name with 168 bytes, of which the kernel's first copy ends",
            Proof::Content,
            |stage| stage.confined(|| read_name(&padded(168)).or_else(|_| read_name(&padded(169)))),
        ),
        case(
            "deeper_than_a_name",
            "takes a file outside whose whole name is longer than any name may be",
            Proof::Content,
            |stage| {
                let directory = deep(stage, "/home/secret");
                stage
                    .attacker(|| {
                        sys!(libc::SYS_fchdir, &directory)?;
                        stage.confine();
                        read_name(c"flag")
                    })
                    .finish()
            },
        )
        .past_names(),
        case(
            "removed_directory",
            "takes a file in a working directory outside whose name is gone",
            Proof::Told,
            |stage| {
                std::env::set_current_dir("/home/secret/dir").expect("chdir");
                std::fs::remove_dir("/home/secret/dir").expect("rmdir");
                stage.confined(|| {
                    open(c".", O_RDONLY)
                        .map(|_| Loot::Done)
                        .map_err(super::case::Stop::Errno)
                })
            },
        )
        .past_names(),
        case(
            "removed_own_directory",
            "makes a file in a directory of its own whose name is gone, and goes up from there",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    sys!(libc::SYS_chdir, c"/home/escape/dir")?;
                    sys!(libc::SYS_rmdir, c"/home/escape/dir")?;
                    super::deeds::read_at(CWD, c"../../secret/flag")
                        .or_else(|_| read_name(c"/home/escape/../secret/flag"))
                })
            },
        ),
    ]);
    all
}

/// A file with such a name outside.
fn strange(stage: &Stage, name: &[u8]) -> Deed {
    use std::os::unix::ffi::OsStrExt;
    let path = [b"/home/secret/".as_slice(), name].concat();
    std::fs::write(std::ffi::OsStr::from_bytes(&path), &stage.world.flag).expect("write");
    let path = CString::new(path).expect("no NUL");
    stage.confined(|| read_name(&path))
}

/// The name of the secret file, made so long by slashes and dots.
fn padded(bytes: usize) -> CString {
    let mut name = "/home/secret".to_owned();
    let rest = bytes - name.len() - "/flag".len();
    name += &"/.".repeat(rest / 2);
    name += &"/".repeat(rest % 2);
    name += "/flag";
    assert_eq!(name.len(), bytes);
    super::deeds::text(&name)
}

/// A directory so deep that its name is longer than PATH_MAX, with a copy of the secret in it.
fn deep(stage: &Stage, root: &str) -> std::os::fd::OwnedFd {
    let mut at = open(&super::deeds::text(root), libc::O_PATH).expect("open");
    let name = super::deeds::text(&"d".repeat(200));
    for _ in 0..25 {
        assert_eq!(
            sys!(libc::SYS_mkdirat, &at, &*name, 0o755),
            Ok(0),
            "mkdirat"
        );
        let number = std::os::fd::AsRawFd::as_raw_fd(&at);
        at = super::deeds::open_at(number, &name, libc::O_PATH).expect("open");
    }
    let number = std::os::fd::AsRawFd::as_raw_fd(&at);
    let flags = libc::O_CREAT | libc::O_WRONLY;
    let file = super::deeds::open_at(number, c"flag", flags).expect("open");
    let flag = &stage.world.flag;
    let written = sys!(libc::SYS_write, &file, flag.as_ptr(), flag.len());
    assert_eq!(written, Ok(flag.len() as u64));
    at
}

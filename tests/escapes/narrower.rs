// SPDX-License-Identifier: GPL-2.0
//! Narrower places inside granted trees: what is refused or read-only there must stay so under every other name.

use std::fs;

use libc::{AT_FDCWD, O_PATH, O_WRONLY, RENAME_EXCHANGE};

use super::case::{Case, Deed, Loot, Proof, Stop};
use super::deeds::{done, open, read_at, read_name};
use super::stage::Stage;
use crate::sys::sys;

const CLASS: &str = "narrower";
const REFERENCE: &str = "path_resolution(7); AppArmor's and TOMOYO's rename and link rules; docs/language.md, laws of the paths block";

/// `/home/escape/up/private` is refused.
const DENY: (&str, &str) = (
    "deny \"/home/escape/up/private\"\n    ",
    "deny EACCES path under \"/home/escape/up/private\"\n    ",
);
/// The same as if absent.
const HIDDEN: (&str, &str) = (
    "hidden \"/home/escape/up/private\"\n    ",
    "deny ENOENT path under \"/home/escape/up/private\"\n    ",
);
/// `/home/escape/up/frozen` can be read only.
const FROZEN: (&str, &str) = (
    "read \"/home/escape/up/frozen\"\n    ",
    "deny EACCES path under \"/home/escape/up/frozen\"\n    ",
);
/// Files of this name are refused everywhere.
const PATTERN: (&str, &str) = (
    "deny \"**/.env\"\n    ",
    "deny EACCES path matches \"**/.env\"\n    ",
);
/// And below directories of this name.
const DEEP: (&str, &str) = (
    "deny \"**/conf/secret\"\n    ",
    "deny EACCES path matches \"**/conf/secret\"\n    ",
);

/// The secret, in a narrower place.
fn build(stage: &Stage) {
    for directory in ["up", "up/private", "up/frozen", "up/conf", "other"] {
        fs::create_dir(format!("/home/escape/{directory}")).expect("mkdir");
    }
    for file in ["up/private/flag", "up/.env", "up/conf/secret"] {
        fs::write(format!("/home/escape/{file}"), &stage.world.flag).expect("write");
    }
    fs::write("/home/escape/up/frozen/file", "frozen").expect("write");
    fs::hard_link("/home/escape/up/private/flag", "/home/escape/alias").expect("link");
}

/// Reads what is refused, by whatever way.
fn reading(
    name: &'static str,
    rule: (&'static str, &'static str),
    tries: &'static str,
    attack: fn() -> Deed,
) -> Case {
    let run = move |stage: &Stage| {
        build(stage);
        stage.confined(attack)
    };
    Case::new(CLASS, name, REFERENCE, tries, Proof::Content, run).with(rule.0, rule.1)
}

/// Changes what is read-only, by whatever way.
fn changing(name: &'static str, tries: &'static str, attack: fn() -> Deed) -> Case {
    let run = move |stage: &Stage| {
        build(stage);
        let deed = stage.confined(attack);
        match fs::read("/home/escape/up/frozen/file") {
            Ok(bytes)
                if bytes == b"frozen"
                    && !std::fs::exists("/home/escape/up/frozen/new").expect("stat") =>
            {
                Err(deed.err().unwrap_or(Stop::Said("it is as it was".into())))
            }
            _ => Ok(Loot::Done),
        }
    };
    Case::new(CLASS, name, REFERENCE, tries, Proof::Told, run).with(FROZEN.0, FROZEN.1)
}

/// `/home/escape/ci/up` takes upper case for lower.
const CASELESS: (&str, &str) = (
    "deny \"/home/escape/ci/up/private\"\n    ",
    "deny EACCES path under \"/home/escape/ci/up/private\"\n    ",
);

/// The directory that is refused has many names, of which the kernel knows one.
fn other_case() -> Case {
    let run = |stage: &Stage| {
        fs::create_dir("/home/escape/ci").expect("mkdir");
        let place = c"/home/escape/ci";
        if sys!(libc::SYS_mount, c"none", place, c"tmpfs", 0, c"casefold").is_err() {
            return super::case::cannot("this kernel has no file system without letter case");
        }
        fs::create_dir("/home/escape/ci/up").expect("mkdir");
        let up = open(c"/home/escape/ci/up", libc::O_RDONLY).expect("open");
        // FS_IOC_SETFLAGS, FS_CASEFOLD_FL.
        let flags = 0x4000_0000u64;
        let set = sys!(libc::SYS_ioctl, &up, 0x4008_6602u32, &raw const flags);
        assert_eq!(set, Ok(0), "FS_IOC_SETFLAGS");
        fs::create_dir("/home/escape/ci/up/private").expect("mkdir");
        fs::write("/home/escape/ci/up/private/flag", &stage.world.flag).expect("write");
        stage.confined(|| read_name(c"/home/escape/ci/up/PRIVATE/flag"))
    };
    let reference = "tmpfs(5), casefold; CVE-2014-9390 and CVE-2021-21300 (git)";
    let tries =
        "opens it by a name in other letters, where the file system takes them for the same";
    Case::new(CLASS, "letter_case", reference, tries, Proof::Content, run)
        .with(CASELESS.0, CASELESS.1)
        .past_names()
}

fn rename(from: &std::ffi::CStr, to: &std::ffi::CStr) -> Result<u64, i32> {
    sys!(libc::SYS_rename, from, to)
}

fn exchange(one: &std::ffi::CStr, other: &std::ffi::CStr) -> Result<u64, i32> {
    sys!(
        libc::SYS_renameat2,
        AT_FDCWD,
        one,
        AT_FDCWD,
        other,
        RENAME_EXCHANGE
    )
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    vec![
        reading("open", DENY, "opens what is refused in its own tree", || read_name(c"/home/escape/up/private/flag")),
        reading("open_hidden", HIDDEN, "opens what is hidden in its own tree", || read_name(c"/home/escape/up/private/flag")),
        reading("open_relative", DENY, "opens it from the working directory", || {
            sys!(libc::SYS_chdir, c"/home/escape/up")?;
            read_name(c"private/flag")
        })
        .past_names(),
        reading("open_by_directory", DENY, "opens it below a directory that it may open", || {
            let up = open(c"/home/escape/up", O_PATH)?;
            read_at(std::os::fd::AsRawFd::as_raw_fd(&up), c"private/flag")
        })
        .past_names(),
        reading("open_dots", DENY, "opens it by a name with a dot in it", || read_name(c"/home/escape/./up/./private/flag")).past_names(),
        reading("rename", DENY, "renames the directory that is refused", || {
            rename(c"/home/escape/up/private", c"/home/escape/other/open")?;
            read_name(c"/home/escape/other/open/flag")
        }),
        reading("rename_parent", DENY, "renames the directory above it", || {
            rename(c"/home/escape/up", c"/home/escape/down")?;
            read_name(c"/home/escape/down/private/flag")
        })
        .past_names(),
        reading("rename_parent_hidden", HIDDEN, "renames the directory above what is hidden", || {
            rename(c"/home/escape/up", c"/home/escape/down")?;
            read_name(c"/home/escape/down/private/flag")
        })
        .past_names(),
        reading("exchange_parent", DENY, "exchanges the directory above it with another one", || {
            exchange(c"/home/escape/up", c"/home/escape/other")?;
            read_name(c"/home/escape/other/private/flag")
        })
        .past_names(),
        reading("exchange_parent_as_target", DENY, "the same the other way round", || {
            exchange(c"/home/escape/other", c"/home/escape/up")?;
            read_name(c"/home/escape/other/private/flag")
        })
        .past_names(),
        reading("move_parent_deeper", DENY, "moves the directory above it into another one", || {
            rename(c"/home/escape/up", c"/home/escape/other/up")?;
            read_name(c"/home/escape/other/up/private/flag")
        })
        .past_names(),
        reading("rename_by_ring", DENY, "renames the directory above it by io_uring", || {
            let here = io_uring::types::Fd(AT_FDCWD);
            let (from, to) = (c"/home/escape/up".as_ptr(), c"/home/escape/down".as_ptr());
            let entry = io_uring::opcode::RenameAt::new(here, from, here, to);
            crate::ring::Ring::new().call(entry.build())?;
            read_name(c"/home/escape/down/private/flag")
        })
        .past_names(),
        reading("link", DENY, "makes another name for the file that is refused", || {
            sys!(libc::SYS_link, c"/home/escape/up/private/flag", c"/home/escape/hard")?;
            read_name(c"/home/escape/hard")
        }),
        reading("symlink", DENY, "makes a link to the directory that is refused", || {
            sys!(libc::SYS_symlink, c"up/private", c"/home/escape/way")?;
            read_name(c"/home/escape/way/flag")
        })
        .past_names(),
        reading("symlink_to_parent", DENY, "makes a link to the directory above it", || {
            sys!(libc::SYS_symlink, c"up", c"/home/escape/way")?;
            read_name(c"/home/escape/way/private/flag")
        })
        .past_names(),
        reading("bind_parent", DENY, "mounts the directory above it elsewhere", || {
            let (from, to) = (c"/home/escape/up", c"/home/escape/other");
            sys!(libc::SYS_mount, from, to, 0, libc::MS_BIND, 0)?;
            read_name(c"/home/escape/other/private/flag")
        })
        .past_names(),
        reading("working_directory_inside", DENY, "goes up from below", || {
            sys!(libc::SYS_chdir, c"/home/escape/up/frozen")?;
            let how = [0u64, 0, 0];
            let name = c"../private/flag";
            super::deeds::read(&crate::sys::own(sys!(libc::SYS_openat2, AT_FDCWD, name, how.as_ptr(), 24))?)
        }),
        reading("pattern_open", PATTERN, "opens a file whose name is refused everywhere", || read_name(c"/home/escape/up/.env")),
        reading("pattern_relative", PATTERN, "opens it from the working directory", || {
            sys!(libc::SYS_chdir, c"/home/escape/up")?;
            read_name(c".env")
        }),
        reading("pattern_rename", PATTERN, "gives it a name that is not refused", || {
            rename(c"/home/escape/up/.env", c"/home/escape/up/env")?;
            read_name(c"/home/escape/up/env")
        }),
        reading("pattern_link", PATTERN, "makes another name for it", || {
            sys!(libc::SYS_link, c"/home/escape/up/.env", c"/home/escape/env")?;
            read_name(c"/home/escape/env")
        }),
        reading("pattern_rename_directory", DEEP, "renames a directory that the pattern names", || {
            rename(c"/home/escape/up/conf", c"/home/escape/up/cold")?;
            read_name(c"/home/escape/up/cold/secret")
        })
        .past_names(),
        reading("pattern_exchange_directory", DEEP, "exchanges a directory that the pattern names", || {
            exchange(c"/home/escape/other", c"/home/escape/up/conf")?;
            read_name(c"/home/escape/other/secret")
        })
        .past_names(),
        other_case(),
        reading("alias_of_before", DENY, "uses another name that was there before, as a mount or a link makes one", || read_name(c"/home/escape/alias"))
            .limit("A file with two names, by a hard link or a bind mount that was there before the policy, is judged by the name that is used."),
        changing("frozen_write", "writes to what can be read only", || {
            let file = open(c"/home/escape/up/frozen/file", O_WRONLY | libc::O_TRUNC)?;
            done(sys!(libc::SYS_write, &file, c"x".as_ptr(), 1))
        }),
        changing("frozen_create", "makes a file there", || {
            done(open(c"/home/escape/up/frozen/new", libc::O_CREAT | O_WRONLY).map(|_| 0))
        }),
        changing("frozen_unlink", "removes a file there", || done(sys!(libc::SYS_unlink, c"/home/escape/up/frozen/file"))),
        changing("frozen_replace", "moves another file over one there", || done(rename(c"/home/escape/door", c"/home/escape/up/frozen/file"))),
        changing("frozen_rename", "renames the directory and puts another one in its place", || {
            rename(c"/home/escape/up/frozen", c"/home/escape/thawed")?;
            done(rename(c"/home/escape/other", c"/home/escape/up/frozen"))
        }),
        changing("frozen_rename_parent", "renames the directory above and writes there", || {
            rename(c"/home/escape/up", c"/home/escape/down")?;
            let file = open(c"/home/escape/down/frozen/file", O_WRONLY | libc::O_TRUNC)?;
            done(sys!(libc::SYS_write, &file, c"x".as_ptr(), 1))
        })
        .past_names(),
        changing("frozen_link", "makes another name for a file there and writes to that", || {
            sys!(libc::SYS_link, c"/home/escape/up/frozen/file", c"/home/escape/hard")?;
            let file = open(c"/home/escape/hard", O_WRONLY | libc::O_TRUNC)?;
            done(sys!(libc::SYS_write, &file, c"x".as_ptr(), 1))
        }),
        changing("frozen_again_for_writing", "opens for writing what it has open for reading", || {
            let file = open(c"/home/escape/up/frozen/file", libc::O_RDONLY)?;
            let again = open(&super::deeds::in_proc(&file, ""), O_WRONLY | libc::O_TRUNC)?;
            done(sys!(libc::SYS_write, &again, c"x".as_ptr(), 1))
        }),
        changing("frozen_rmdir_parent", "removes what is above, file by file", || {
            let _ = sys!(libc::SYS_unlink, c"/home/escape/up/frozen/file");
            done(sys!(libc::SYS_rmdir, c"/home/escape/up/frozen"))
        }),
    ]
}

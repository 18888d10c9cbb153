// SPDX-License-Identifier: GPL-2.0
//! Calls that take a descriptor and no name, an empty one, or one that is resolved by rules of its own.

use std::os::fd::AsRawFd;

use libc::{AT_EMPTY_PATH, O_DIRECTORY, O_PATH, O_RDONLY};

use super::case::{Case, Deed, Loot, Proof};
use super::deeds::{
    CWD, FLAG, O_EMPTYPATH, SECRET, done, list, open, output_of, read, read_at, read_name, size_at,
};
use super::stage::Stage;
use crate::sys::{own, sys};

const CLASS: &str = "empty";

/// What is said of open descriptors.
pub(super) const OPENED: &str = "What is open when a policy is attached stays open: it can be read, written, mapped, listed and asked about as far as it was opened for that.";

/// `RESOLVE_*` of `include/uapi/linux/openat2.h`.
const RESOLVE: [(&str, u64); 5] = [
    ("resolve_no_xdev", 1),
    ("resolve_no_magiclinks", 2),
    ("resolve_no_symlinks", 4),
    ("resolve_beneath", 8),
    ("resolve_cached", 32),
];

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, proof, run).past_names()
    };
    let mut all = vec![
        case(
            "emptypath",
            "O_EMPTYPATH (fs/open.c, new)",
            "opens for reading what it holds as a mere place, by an empty name",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    read(&own(sys!(
                        libc::SYS_openat,
                        &flag,
                        c"",
                        O_EMPTYPATH | O_RDONLY,
                        0
                    ))?)
                })
            },
        ),
        case(
            "emptypath_openat2",
            "O_EMPTYPATH, openat2(2)",
            "the same by openat2",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    let how = [(O_EMPTYPATH | O_RDONLY) as u64, 0, 0];
                    read(&own(sys!(libc::SYS_openat2, &flag, c"", how.as_ptr(), 24))?)
                })
            },
        ),
        case(
            "resolve_in_root",
            "openat2(2), RESOLVE_IN_ROOT",
            "makes a directory that was left open the root of a resolution",
            Proof::Content,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let how = [0u64, 0, 16];
                    read(&own(sys!(
                        libc::SYS_openat2,
                        &secret,
                        c"flag",
                        how.as_ptr(),
                        24
                    ))?)
                })
            },
        ),
        case(
            "fchdir",
            "fchdir(2)",
            "makes a directory that was left open the working directory",
            Proof::Content,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    sys!(libc::SYS_fchdir, &secret)?;
                    read_name(c"flag")
                })
            },
        ),
        case(
            "dot",
            "open(2)",
            "opens `.` relative to a directory that it holds as a mere place, and lists it",
            Proof::Bits,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let again =
                        super::deeds::open_at(secret.as_raw_fd(), c".", O_RDONLY | O_DIRECTORY)?;
                    Ok(super::deeds::bits_in(&list(&again)?))
                })
            },
        ),
        case(
            "execveat",
            "execveat(2), AT_EMPTY_PATH",
            "runs a program that it holds as a mere place",
            Proof::Ran,
            |stage| {
                let prog = open(c"/home/secret/prog", O_PATH).expect("open");
                stage.confined(|| {
                    let words = [c"prog".as_ptr() as u64, 0];
                    output_of(|| {
                        sys!(
                            libc::SYS_execveat,
                            &prog,
                            c"",
                            words.as_ptr(),
                            0,
                            AT_EMPTY_PATH
                        )
                        .expect_err("exec does not return 0")
                    })
                })
            },
        ),
        case(
            "readlinkat",
            "readlinkat(2) with an empty name",
            "reads a link that it holds as a mere place",
            Proof::Content,
            |stage| {
                let link = open(c"/home/secret/link", O_PATH | libc::O_NOFOLLOW).expect("open");
                stage.confined(|| {
                    let mut room = vec![0u8; 100];
                    sys!(
                        libc::SYS_readlinkat,
                        &link,
                        c"",
                        room.as_mut_ptr(),
                        room.len()
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "fchmodat2",
            "fchmodat2(2), AT_EMPTY_PATH",
            "sets the mode of what it holds as a mere place",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_PATH).expect("open");
                stage.confined(|| {
                    done(sys!(
                        libc::SYS_fchmodat2,
                        &victim,
                        c"",
                        0o600,
                        AT_EMPTY_PATH
                    ))
                })
            },
        ),
        case(
            "fchownat",
            "fchownat(2), AT_EMPTY_PATH",
            "sets its owner",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_PATH).expect("open");
                stage.confined(|| done(sys!(libc::SYS_fchownat, &victim, c"", 7, 7, AT_EMPTY_PATH)))
            },
        ),
        case(
            "utimensat",
            "utimensat(2), AT_EMPTY_PATH",
            "sets its times",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_PATH).expect("open");
                stage.confined(|| {
                    done(sys!(
                        libc::SYS_utimensat,
                        &victim,
                        c"",
                        [1u64; 4].as_ptr(),
                        AT_EMPTY_PATH
                    ))
                })
            },
        ),
        case(
            "setxattrat",
            "setxattrat(2), AT_EMPTY_PATH",
            "sets an attribute of what it has open",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_RDONLY).expect("open");
                stage.confined(|| {
                    let value = [c"x".as_ptr() as u64, 1];
                    done(sys!(
                        463,
                        &victim,
                        c"",
                        AT_EMPTY_PATH,
                        c"user.mark",
                        value.as_ptr(),
                        16
                    ))
                })
            },
        ),
        case(
            "removexattrat",
            "removexattrat(2), AT_EMPTY_PATH",
            "removes an attribute of what it has open",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_RDONLY).expect("open");
                stage.confined(|| done(sys!(466, &victim, c"", AT_EMPTY_PATH, c"user.mark")))
            },
        ),
        case(
            "getxattrat",
            "getxattrat(2), AT_EMPTY_PATH",
            "reads an attribute of what it has open",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| {
                    let mut room = vec![0u8; 100];
                    let value = [room.as_mut_ptr() as u64, 100];
                    sys!(
                        464,
                        &flag,
                        c"",
                        AT_EMPTY_PATH,
                        c"user.token",
                        value.as_ptr(),
                        16
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "listxattrat",
            "listxattrat(2), AT_EMPTY_PATH",
            "lists attributes of what it has open",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| {
                    let mut room = vec![0u8; 200];
                    sys!(
                        465,
                        &flag,
                        c"",
                        AT_EMPTY_PATH,
                        room.as_mut_ptr(),
                        room.len()
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "open_tree",
            "open_tree(2), AT_EMPTY_PATH",
            "makes a private copy of the mount below a directory that was left open, and opens a file in it",
            Proof::Content,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let tree = own(sys!(libc::SYS_open_tree, &secret, c"", AT_EMPTY_PATH | 1))?;
                    read_at(tree.as_raw_fd(), c"flag")
                })
            },
        ),
        case(
            "name_to_handle_at",
            "name_to_handle_at(2), AT_EMPTY_PATH; open_by_handle_at(2)",
            "has a mere place made into a handle, and opens that",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    let mut handle = [0u32; 34];
                    handle[0] = 128;
                    let mut mount = 0i32;
                    sys!(
                        libc::SYS_name_to_handle_at,
                        &flag,
                        c"",
                        handle.as_mut_ptr(),
                        &raw mut mount,
                        AT_EMPTY_PATH
                    )?;
                    let home = open(super::deeds::HOME, O_RDONLY)?;
                    read(&own(sys!(
                        libc::SYS_open_by_handle_at,
                        &home,
                        handle.as_ptr(),
                        O_RDONLY
                    ))?)
                })
            },
        ),
        case(
            "statx",
            "statx(2), AT_EMPTY_PATH",
            "asks for the size of what it holds as a mere place",
            Proof::Size,
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| size_at(flag.as_raw_fd(), c"", AT_EMPTY_PATH))
            },
        )
        .limit(OPENED),
        case(
            "fstat",
            "fstat(2)",
            "the same by fstat",
            Proof::Size,
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    let mut room = [0u64; 32];
                    sys!(libc::SYS_fstat, &flag, room.as_mut_ptr())?;
                    Ok(Loot::Number(room[6]))
                })
            },
        )
        .limit(OPENED),
        case(
            "bind_by_proc",
            "unix(7)",
            "makes a socket below a directory that was left open, through procfs",
            Proof::Changed,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let name = super::deeds::in_proc(&secret, "/sock");
                    let address = crate::sys::message::Address::new(name.to_bytes());
                    let (place, length) = address.parts();
                    let socket = own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
                    done(sys!(libc::SYS_bind, &socket, place, length))
                })
            },
        ),
        case(
            "relative_directory",
            "openat(2) with AT_FDCWD and a working directory from before",
            "was in the directory when the policy came",
            Proof::Content,
            |stage| {
                stage
                    .attacker(|| {
                        sys!(libc::SYS_chdir, SECRET)?;
                        stage.confine();
                        read_at(CWD, c"flag")
                    })
                    .finish()
            },
        ),
    ];
    for (name, bits) in RESOLVE {
        let run = move |stage: &Stage| {
            let secret = open(SECRET, O_PATH).expect("open");
            // In the cache, so that a resolution that may not sleep finds it.
            let _ = open(FLAG, O_PATH).expect("open");
            stage.confined(|| {
                let how = [0u64, 0, bits];
                read(&own(sys!(
                    libc::SYS_openat2,
                    &secret,
                    c"flag",
                    how.as_ptr(),
                    24
                ))?)
            })
        };
        let tries =
            "opens below a directory that was left open, with a resolution by rules of its own";
        all.push(Case::new(CLASS, name, "openat2(2)", tries, Proof::Content, run).past_names());
    }
    all
}

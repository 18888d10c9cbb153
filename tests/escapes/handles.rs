// SPDX-License-Identifier: GPL-2.0
//! File handles: names that no directory holds.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::{AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Proof};
use super::deeds::{FLAG, HOME, SECRET, done, list, open, output_of, read, read_at};
use super::stage::Stage;
use crate::sys::{own, sys};

const CLASS: &str = "handles";
const REFERENCE: &str =
    "open_by_handle_at(2); shocker.c (Krahmer 2014, breaking out of containers)";
const TRIES: &str =
    "opens by a handle what it has no name for; the handle was made before, guessed, or told";

type Handle = [u32; 34];

/// The handle of a name.
fn handle(name: &CStr, flags: i32) -> Handle {
    try_handle(name, flags).expect("name_to_handle_at")
}

fn try_handle(name: &CStr, flags: i32) -> Result<Handle, i32> {
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = [0u64; 1];
    sys!(
        libc::SYS_name_to_handle_at,
        AT_FDCWD,
        name,
        handle.as_mut_ptr(),
        mount.as_mut_ptr(),
        flags
    )?;
    Ok(handle)
}

fn open_handle(mount: i32, handle: &Handle, flags: i32) -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_open_by_handle_at,
        mount,
        handle.as_ptr(),
        flags | libc::O_CLOEXEC
    ))
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, REFERENCE, TRIES, proof, run).past_names()
    };
    vec![
        case("file", Proof::Content, |stage| {
            let flag = handle(FLAG, 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                read(&open_handle(home.as_raw_fd(), &flag, O_RDONLY)?)
            })
        }),
        case("file_as_place", Proof::Content, |stage| {
            let flag = handle(FLAG, 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let place = open_handle(home.as_raw_fd(), &flag, O_PATH)?;
                super::deeds::read_name(&super::deeds::in_proc(&place, ""))
            })
        }),
        case("mount_by_working_directory", Proof::Content, |stage| {
            let flag = handle(FLAG, 0);
            stage.confined(|| {
                sys!(libc::SYS_chdir, HOME)?;
                read(&open_handle(AT_FDCWD, &flag, O_RDONLY)?)
            })
        }),
        case("directory", Proof::Content, |stage| {
            let secret = handle(SECRET, 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let directory = open_handle(home.as_raw_fd(), &secret, O_PATH | O_DIRECTORY)?;
                read_at(directory.as_raw_fd(), c"flag")
            })
        }),
        case("list", Proof::Bits, |stage| {
            let secret = handle(SECRET, 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let directory = open_handle(home.as_raw_fd(), &secret, O_RDONLY | O_DIRECTORY)?;
                Ok(super::deeds::bits_in(&list(&directory)?))
            })
        }),
        case("above", Proof::Content, |stage| {
            let above = handle(c"/home", 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let above = open_handle(home.as_raw_fd(), &above, O_PATH | O_DIRECTORY)?;
                read_at(above.as_raw_fd(), c"secret/flag")
            })
        }),
        case("write", Proof::Changed, |stage| {
            let victim = handle(c"/home/secret/victim", 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let file = open_handle(home.as_raw_fd(), &victim, O_WRONLY)?;
                done(sys!(libc::SYS_write, &file, c"x".as_ptr(), 1))
            })
        }),
        case("exec", Proof::Ran, |stage| {
            let prog = handle(c"/home/secret/prog", 0);
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                let file = open_handle(home.as_raw_fd(), &prog, O_PATH)?;
                let words = [c"prog".as_ptr() as u64, 0];
                output_of(|| {
                    sys!(
                        libc::SYS_execveat,
                        &file,
                        c"",
                        words.as_ptr(),
                        0,
                        libc::AT_EMPTY_PATH
                    )
                    .expect_err("exec does not return 0")
                })
            })
        }),
        case("connectable", Proof::Content, |stage| {
            // AT_HANDLE_CONNECTABLE: the handle tells the directory, too.
            let Ok(flag) = try_handle(FLAG, 0x002) else {
                return super::case::cannot("this file system has no connectable handles");
            };
            stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                read(&open_handle(home.as_raw_fd(), &flag, O_RDONLY)?)
            })
        }),
        case("removed", Proof::Content, |stage| {
            let flag = handle(FLAG, 0);
            // Somebody has it open: the file is there, its name is not.
            let kept = open(FLAG, O_RDONLY).expect("open");
            std::fs::remove_file("/home/secret/flag").expect("unlink");
            let deed = stage.confined(|| {
                let home = open(HOME, O_RDONLY)?;
                read(&open_handle(home.as_raw_fd(), &flag, O_RDONLY)?)
            });
            drop(kept);
            deed
        }),
        Case::new(
            CLASS,
            "namespace",
            "open_by_handle_at(2) with FD_NSFS_ROOT (fs/nsfs.c, new)",
            "opens the namespace of a free process by its handle, and enters it",
            Proof::Content,
            |stage| {
                let free = super::magic::named_host(&stage.world.flag);
                let name = super::deeds::text(&format!("/proc/{}/ns/uts", free.pid));
                let namespace = handle(&name, libc::AT_SYMLINK_FOLLOW);
                stage.confined(|| {
                    // FD_NSFS_ROOT of include/uapi/linux/fcntl.h.
                    let file = open_handle(-10003, &namespace, O_RDONLY)?;
                    sys!(libc::SYS_setns, &file, 0)?;
                    super::magic::host_name()
                })
            },
        )
        .limit(super::kernel::CALLS),
    ]
}

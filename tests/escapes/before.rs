// SPDX-License-Identifier: GPL-2.0
//! What was open before the policy came: directories, files, the working directory.

mod directories;
mod files;

use std::os::fd::AsRawFd;

use libc::{O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Loot, Proof, Stop};
use super::deeds::{FLAG, SECRET, done, list, open, read, read_name};
use super::empty::OPENED;
use super::stage::Stage;
use crate::sys::memory::PAGE;
use crate::sys::{own, sys};

const CLASS: &str = "before";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let mut all = directories::cases();
    all.extend(files::cases());
    all.extend(others());
    all
}

fn others() -> Vec<Case> {
    let case = |name, reference, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, proof, run).past_names()
    };
    vec![
        case(
            "read",
            "read(2)",
            "reads an open file",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| read(&flag))
            },
        )
        .limit(OPENED),
        case(
            "copy_file_range",
            "copy_file_range(2)",
            "copies an open file to one of its own",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| {
                    let copy = open(c"/home/escape/copy", libc::O_CREAT | O_WRONLY)?;
                    sys!(libc::SYS_copy_file_range, &flag, 0, &copy, 0, 100, 0)?;
                    read_name(c"/home/escape/copy")
                })
            },
        )
        .limit(OPENED),
        case(
            "getdents",
            "getdents(2)",
            "lists an open directory",
            Proof::Bits,
            |stage| {
                let secret = open(SECRET, O_RDONLY | O_DIRECTORY).expect("open");
                stage.confined(|| Ok(super::deeds::bits_in(&list(&secret)?)))
            },
        )
        .limit(OPENED),
        case(
            "fgetxattr",
            "fgetxattr(2)",
            "reads an attribute of an open file",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| {
                    let mut room = vec![0u8; 100];
                    sys!(
                        libc::SYS_fgetxattr,
                        &flag,
                        c"user.token",
                        room.as_mut_ptr(),
                        100
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "flistxattr",
            "flistxattr(2)",
            "lists the attributes of an open file",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage.confined(|| {
                    let mut room = vec![0u8; 200];
                    sys!(libc::SYS_flistxattr, &flag, room.as_mut_ptr(), 200)?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "map_as_code",
            "mmap(2), PROT_EXEC",
            "runs code that lies in an open file outside",
            Proof::Told,
            |stage| {
                std::fs::write("/home/secret/code", super::elf::returns(4711)).expect("write");
                let code = open(c"/home/secret/code", O_RDONLY).expect("open");
                stage.confined(|| {
                    let access = libc::PROT_READ | libc::PROT_EXEC;
                    let at = sys!(libc::SYS_mmap, 0, PAGE, access, libc::MAP_PRIVATE, &code, 0)?;
                    match crate::sys::trace::call_address(at) {
                        4711 => Ok(Loot::Done),
                        other => Err(Stop::Said(format!("the code returned {other}"))),
                    }
                })
            },
        ),
        case(
            "core_file",
            "core(5): the core file is made in the working directory",
            "was in the directory when the policy came, and dumps core there",
            Proof::Changed,
            |stage| {
                std::fs::write("/proc/sys/kernel/core_pattern", "core").expect("core_pattern");
                stage
                    .attacker(|| {
                        sys!(libc::SYS_chdir, SECRET)?;
                        let limit = [libc::RLIM_INFINITY; 2];
                        sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, limit.as_ptr(), 0)?;
                        stage.confine();
                        let pid = crate::sys::child::fork()?;
                        if pid == 0 {
                            crate::sys::signal::illegal();
                        }
                        match crate::sys::child::wait(pid) {
                            crate::sys::child::End::Signal(_, true) => Ok(Loot::Done),
                            end => Err(Stop::Said(format!("no core: {end:?}"))),
                        }
                    })
                    .finish()
            },
        ),
        case(
            "io_uring_fixed_file",
            "io_uring_register(2), IORING_REGISTER_FILES",
            "reads an open file that it gave to a ring and closed",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                stage
                    .attacker(|| {
                        let mut ring = crate::ring::Ring::new();
                        ring.register_files(4);
                        let files = [flag.as_raw_fd()];
                        let update = io_uring::opcode::FilesUpdate::new(files.as_ptr(), 1).build();
                        assert_eq!(ring.call(update), Ok(1), "files_update");
                        drop(flag);
                        stage.confine();
                        let mut room = vec![0u8; 100];
                        let file = io_uring::types::Fixed(0);
                        let entry = io_uring::opcode::Read::new(file, room.as_mut_ptr(), 100);
                        ring.call(entry.build())?;
                        Ok(Loot::Bytes(room))
                    })
                    .finish()
            },
        )
        .limit(OPENED),
        case(
            "open_again_by_number",
            "open(2) of /dev/fd/N; proc_pid_fd(5)",
            "opens by its number, for writing, a file that is open for reading",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_RDONLY).expect("open");
                stage.confined(|| {
                    let name = super::deeds::text(&format!("/proc/self/fd/{}", victim.as_raw_fd()));
                    done(sys!(libc::SYS_truncate, &*name, 1))
                })
            },
        ),
        case(
            "acct_by_proc",
            "acct(2)",
            "makes the kernel write to a file below a directory that was left open",
            Proof::Changed,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    sys!(libc::SYS_acct, &*super::deeds::in_proc(&secret, "/victim"))?;
                    match crate::sys::child::fork()? {
                        0 => crate::sys::child::exit(0),
                        pid => crate::sys::child::wait(pid),
                    };
                    done(sys!(libc::SYS_acct, 0))
                })
            },
        ),
        case(
            "mount_setattr",
            "mount_setattr(2), AT_EMPTY_PATH",
            "makes the mount read-only that a directory, left open, is the root of",
            Proof::Told,
            |stage| {
                let above = open(c"/home", O_PATH).expect("open");
                let deed = stage.confined(|| {
                    // struct mount_attr: attr_set (MOUNT_ATTR_RDONLY), attr_clr, propagation, userns_fd.
                    let attributes = [1u64, 0, 0, 0];
                    done(sys!(
                        libc::SYS_mount_setattr,
                        &above,
                        c"",
                        libc::AT_EMPTY_PATH,
                        attributes.as_ptr(),
                        32
                    ))
                });
                match std::fs::write("/home/secret/new", "") {
                    Ok(()) => Err(deed.err().unwrap_or(Stop::Said("still writable".into()))),
                    Err(_) => Ok(Loot::Done),
                }
            },
        ),
        case(
            "file_setattr",
            "file_setattr(2) (new), chattr(1)",
            "makes a file append-only, relative to a directory that was left open",
            Proof::Told,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                let deed = stage.confined(|| {
                    // struct file_attr: xflags first. FS_XFLAG_APPEND.
                    let attributes = [0x10u64, 0, 0];
                    done(sys!(469, &secret, c"victim", attributes.as_ptr(), 24, 0))
                });
                append_only(deed)
            },
        ),
        case(
            "chattr",
            "ioctl_iflags(2), FS_IOC_SETFLAGS",
            "makes an open file append-only",
            Proof::Told,
            |stage| {
                let victim = open(c"/home/secret/victim", O_RDONLY).expect("open");
                let deed = stage.confined(|| {
                    // FS_IOC_SETFLAGS, FS_APPEND_FL.
                    let flags = 0x20u64;
                    done(sys!(
                        libc::SYS_ioctl,
                        &victim,
                        0x4008_6602u32,
                        &raw const flags
                    ))
                });
                append_only(deed)
            },
        ),
        case(
            "unix_bind_working_directory",
            "unix(7)",
            "makes a socket in the working directory from before",
            Proof::Changed,
            |stage| {
                stage
                    .attacker(|| {
                        sys!(libc::SYS_chdir, SECRET)?;
                        stage.confine();
                        let address = crate::sys::message::Address::new(b"sock");
                        let (place, length) = address.parts();
                        let socket =
                            own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
                        done(sys!(libc::SYS_bind, &socket, place, length))
                    })
                    .finish()
            },
        ),
    ]
}

/// Whether the file has become one that can only grow.
fn append_only(deed: Deed) -> Deed {
    match std::fs::write("/home/secret/victim", "anew") {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Loot::Done),
        Err(error) => super::case::said(format!("writing fails: {error}")),
        Ok(()) => Err(deed.err().unwrap_or(Stop::Said("it can be written".into()))),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Mounts, namespaces and roots: the name stays, the tree below it is another one.

mod roots;

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use libc::{
    AT_FDCWD, CLONE_NEWNS, CLONE_NEWUSER, MNT_DETACH, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT,
    O_DIRECTORY, O_PATH,
};

use super::case::{Case, Deed, Loot, Proof, Stop, said};
use super::deeds::{HOME, SECRET, done, in_proc, open, read_at, read_name};
use super::stage::Stage;
use crate::sys::child::start;
use crate::sys::{Ret, become_user, own, sys};

const CLASS: &str = "mounts";

/// `MOVE_MOUNT_F_EMPTY_PATH` of `include/uapi/linux/mount.h`.
const FROM_DESCRIPTOR: u32 = 4;
/// `FSCONFIG_*`.
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;
const CREATE: u32 = 6;
const RECONFIGURE: u32 = 7;

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> Ret {
    sys!(libc::SYS_mount, source, target, kind, flags, 0)
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, proof, run)
    };
    let mut all = vec![
        case(
            "bind",
            "mount(2), MS_BIND",
            "binds the secret directory below its own",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    mount(SECRET, c"/home/escape/dir", c"", MS_BIND)?;
                    read_name(c"/home/escape/dir/flag")
                })
            },
        ),
        case(
            "bind_by_proc",
            "mount(2), proc_pid_fd(5)",
            "the same from the name of a descriptor",
            Proof::Content,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    mount(&in_proc(&secret, ""), c"/home/escape/dir", c"", MS_BIND)?;
                    read_name(c"/home/escape/dir/flag")
                })
            },
        )
        .past_names(),
        case(
            "bind_root_by_proc",
            "mount(2), proc_pid_root(5)",
            "binds the root below its own directory",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    mount(
                        c"/proc/self/root",
                        c"/home/escape/dir",
                        c"",
                        MS_BIND | MS_REC,
                    )?;
                    read_name(c"/home/escape/dir/home/secret/flag")
                })
            },
        )
        .past_names(),
        case(
            "user_namespace",
            "user_namespaces(7): a tmpfs over an allowed directory, `/` bound below it",
            "as an ordinary user: covers its own directory and binds the root below it",
            Proof::Content,
            |stage| {
                stage
                    .attacker(|| {
                        become_user(1000);
                        stage.confine();
                        user_namespace()?;
                        covered()
                    })
                    .finish()
            },
        )
        .past_names(),
        case(
            "mount_namespace",
            "mount_namespaces(7)",
            "the same as root, in a mount namespace of its own",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    sys!(libc::SYS_unshare, CLONE_NEWNS)?;
                    covered()
                })
            },
        )
        .past_names(),
        case(
            "open_tree_by_name",
            "open_tree(2), OPEN_TREE_CLONE",
            "has the mount of the secret directory copied",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let tree = own(sys!(libc::SYS_open_tree, AT_FDCWD, SECRET, 1))?;
                    read_at(tree.as_raw_fd(), c"flag")
                })
            },
        ),
        case(
            "open_tree_of_above",
            "open_tree(2), OPEN_TREE_CLONE",
            "has the mount copied from the root of its own directory's mount, through procfs",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let tree = own(sys!(
                        libc::SYS_open_tree,
                        AT_FDCWD,
                        c"/proc/self/root/home",
                        1
                    ))?;
                    read_at(tree.as_raw_fd(), c"secret/flag")
                })
            },
        )
        .past_names(),
        case(
            "open_tree_attached",
            "open_tree(2), move_mount(2)",
            "has it copied and attaches it below its own directory",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let tree = own(sys!(
                        libc::SYS_open_tree,
                        AT_FDCWD,
                        c"/proc/self/root/home",
                        1
                    ))?;
                    sys!(
                        libc::SYS_move_mount,
                        &tree,
                        c"",
                        AT_FDCWD,
                        c"/home/escape/dir",
                        FROM_DESCRIPTOR
                    )?;
                    read_name(c"/home/escape/dir/secret/flag")
                })
            },
        )
        .past_names(),
        case(
            "open_tree_namespace",
            "open_tree(2), OPEN_TREE_NAMESPACE (new)",
            "has its own directory copied into a mount namespace, enters that, and looks for the rest",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let tree = own(sys!(
                        libc::SYS_open_tree,
                        AT_FDCWD,
                        c"/proc/self/root/home/secret",
                        2
                    ))?;
                    sys!(libc::SYS_setns, &tree, CLONE_NEWNS)?;
                    read_name(c"/flag").or_else(|_| read_name(c"flag"))
                })
            },
        ),
        case(
            "fresh_procfs",
            "fsopen(2), proc(5)",
            "makes a procfs of its own, attached nowhere, and goes through its links",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let context = own(sys!(libc::SYS_fsopen, c"proc", 0))?;
                    sys!(libc::SYS_fsconfig, &context, CREATE, 0, 0, 0)?;
                    let tree = own(sys!(libc::SYS_fsmount, &context, 0, 0))?;
                    read_at(tree.as_raw_fd(), c"self/root/home/secret/flag")
                })
            },
        )
        .past_names(),
        case(
            "fresh_file_system",
            "fsopen(2), fsmount(2)",
            "makes a file system of its own, attached nowhere, and runs a program in it",
            Proof::Told,
            |stage| {
                stage.confined(|| {
                    let context = own(sys!(libc::SYS_fsopen, c"tmpfs", 0))?;
                    sys!(libc::SYS_fsconfig, &context, CREATE, 0, 0, 0)?;
                    let tree = own(sys!(libc::SYS_fsmount, &context, 0, 0))?;
                    super::deeds::open_at(tree.as_raw_fd(), c"file", libc::O_CREAT | libc::O_RDWR)?;
                    Ok(Loot::Done)
                })
            },
        )
        .past_names(),
        case(
            "fsconfig_source",
            "fsconfig(2), FSCONFIG_SET_PATH_EMPTY and sources by name",
            "names the secret directory as the lower layer of a file system",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let Ok(context) = own(sys!(libc::SYS_fsopen, c"overlay", 0)) else {
                        return super::case::cannot(
                            "this kernel has no overlay file system built in",
                        );
                    };
                    sys!(
                        libc::SYS_fsconfig,
                        &context,
                        SET_STRING,
                        c"lowerdir",
                        c"/home/secret:/home/escape",
                        0
                    )?;
                    sys!(libc::SYS_fsconfig, &context, CREATE, 0, 0, 0)?;
                    let tree = own(sys!(libc::SYS_fsmount, &context, 0, 0))?;
                    read_at(tree.as_raw_fd(), c"flag")
                })
            },
        ),
        case(
            "cover_by_proc",
            "mount(2)",
            "mounts over a directory outside, by a descriptor",
            Proof::Changed,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| done(mount(c"none", &in_proc(&secret, "/dir"), c"tmpfs", 0)))
            },
        )
        .past_names(),
        case(
            "umount_by_proc",
            "umount(2)",
            "takes a mount away outside, by a descriptor",
            Proof::Told,
            |stage| {
                assert_eq!(mount(c"none", c"/home/secret/dir", c"tmpfs", 0), Ok(0));
                std::fs::write("/home/secret/dir/file", "x").expect("write");
                changes_after(stage, |secret| {
                    sys!(libc::SYS_umount2, &*in_proc(secret, "/dir"), MNT_DETACH)
                })
            },
        )
        .past_names(),
        case(
            "remount",
            "mount(2), MS_REMOUNT",
            "makes the file system read-only that it shares with everybody",
            Proof::Told,
            |stage| {
                frozen(stage, |above| {
                    mount(c"none", &in_proc(above, ""), c"", MS_REMOUNT | MS_RDONLY)
                })
            },
        )
        .past_names(),
        case(
            "remount_bind",
            "mount(2), MS_REMOUNT with MS_BIND",
            "makes the mount read-only",
            Proof::Told,
            |stage| {
                frozen(stage, |above| {
                    mount(
                        c"none",
                        &in_proc(above, ""),
                        c"",
                        MS_REMOUNT | MS_BIND | MS_RDONLY,
                    )
                })
            },
        )
        .past_names(),
        case(
            "mount_setattr_by_name",
            "mount_setattr(2)",
            "the same by mount_setattr and `.`",
            Proof::Told,
            |stage| {
                frozen(stage, |above| {
                    let attributes = [1u64, 0, 0, 0];
                    sys!(
                        libc::SYS_mount_setattr,
                        above,
                        c".",
                        0,
                        attributes.as_ptr(),
                        32
                    )
                })
            },
        )
        .past_names(),
        case(
            "mount_setattr_of_parent",
            "mount_setattr(2)",
            "the same by the name of a directory on the way to its own",
            Proof::Told,
            |stage| {
                frozen(stage, |_| {
                    let attributes = [1u64, 0, 0, 0];
                    sys!(
                        libc::SYS_mount_setattr,
                        AT_FDCWD,
                        c"/home",
                        0,
                        attributes.as_ptr(),
                        32
                    )
                })
            },
        ),
        case(
            "open_tree_attr",
            "open_tree_attr(2) (new)",
            "the same by open_tree_attr",
            Proof::Told,
            |stage| {
                frozen(stage, |above| {
                    let attributes = [1u64, 0, 0, 0];
                    sys!(
                        467,
                        above,
                        c"",
                        libc::AT_EMPTY_PATH,
                        attributes.as_ptr(),
                        32
                    )
                })
            },
        )
        .past_names(),
        case(
            "fspick",
            "fspick(2), fsconfig(2): FSCONFIG_CMD_RECONFIGURE",
            "reconfigures the file system that its own directory lies on",
            Proof::Told,
            |stage| {
                frozen(stage, |above| {
                    let context = own(sys!(433, above, c"", 8))?;
                    sys!(libc::SYS_fsconfig, &context, SET_FLAG, c"ro", 0, 0)?;
                    sys!(libc::SYS_fsconfig, &context, RECONFIGURE, 0, 0, 0)
                })
            },
        )
        .past_names(),
        case(
            "fspick_of_parent",
            "fspick(2)",
            "the same by the name of a directory on the way to its own",
            Proof::Told,
            |stage| {
                frozen(stage, |_| {
                    let context = own(sys!(433, AT_FDCWD, c"/home", 0))?;
                    sys!(libc::SYS_fsconfig, &context, SET_FLAG, c"ro", 0, 0)?;
                    sys!(libc::SYS_fsconfig, &context, RECONFIGURE, 0, 0, 0)
                })
            },
        ),
        case(
            "namespace_by_pidfd",
            "setns(2) with a pidfd",
            "enters the mount namespace of a free process",
            Proof::Content,
            |stage| {
                let free = start(|_| crate::sys::child::nap(60_000));
                stage.confined(|| {
                    let pidfd = own(sys!(libc::SYS_pidfd_open, free.pid, 0))?;
                    sys!(libc::SYS_setns, &pidfd, CLONE_NEWNS)?;
                    read_at(AT_FDCWD, c"home/secret/flag")
                })
            },
        ),
        case(
            "namespaces_listed",
            "ioctl_nsfs(2): NS_MNT_GET_NEXT (new)",
            "steps from its own mount namespace to the one of a free process, and enters that",
            Proof::Content,
            |stage| {
                let free = start(|board| {
                    board.ret(sys!(libc::SYS_unshare, CLONE_NEWNS));
                    crate::sys::child::nap(60_000);
                });
                assert_eq!(free.until(1), [0]);
                stage.confined(|| {
                    let namespace = open(c"/proc/self/ns/mnt", 0)?;
                    // NS_MNT_GET_NEXT, with a struct mnt_ns_info of sixteen bytes.
                    let info = [16u64, 0];
                    let other = own(sys!(
                        libc::SYS_ioctl,
                        &namespace,
                        0x8010_b70bu32,
                        info.as_ptr()
                    ))?;
                    sys!(libc::SYS_setns, &other, CLONE_NEWNS)?;
                    read_name(c"/proc/self/root/home/secret/flag")
                })
            },
        ),
    ];
    all.extend(roots::cases());
    all
}

/// A user namespace of its own, in which the caller is root.
fn user_namespace() -> Result<(), Stop> {
    sys!(libc::SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS)?;
    for (name, value) in [
        ("setgroups", "deny"),
        ("uid_map", "0 1000 1"),
        ("gid_map", "0 1000 1"),
    ] {
        // A policy may refuse it: what follows then fails by itself, or does not need it.
        let _ = std::fs::write(format!("/proc/self/{name}"), value);
    }
    Ok(())
}

/// Covers the own directory and binds the root below it: all names stay below what is allowed.
fn covered() -> Deed {
    sys!(libc::SYS_chdir, c"/usr")?;
    mount(c"none", HOME, c"tmpfs", 0)?;
    sys!(libc::SYS_mkdir, c"/home/escape/root", 0o755)?;
    mount(
        c"/proc/self/root",
        c"/home/escape/root",
        c"",
        MS_BIND | MS_REC,
    )?;
    read_name(c"/home/escape/root/home/secret/flag")
}

/// Whether a file is still there after a call on the directory that was opened before.
fn changes_after(stage: &Stage, attack: fn(&std::os::fd::OwnedFd) -> Ret) -> Deed {
    let before = std::fs::exists("/home/secret/dir/file").expect("stat");
    let secret = open(SECRET, O_PATH).expect("open");
    let deed = stage.confined(|| done(attack(&secret)));
    let after = std::fs::exists("/home/secret/dir/file").expect("stat");
    match before == after {
        true => Err(deed.err().unwrap_or(Stop::Said("it had no effect".into()))),
        false => Ok(Loot::Done),
    }
}

/// Whether files outside can still be written after a call that makes their file system read-only.
fn frozen(stage: &Stage, attack: fn(&std::os::fd::OwnedFd) -> Ret) -> Deed {
    let above = open(c"/home", O_PATH | O_DIRECTORY).expect("open");
    let deed = stage.confined(|| done(attack(&above)));
    match std::fs::write("/home/secret/flag", "new") {
        Err(error) if error.raw_os_error() == Some(libc::EROFS) => Ok(Loot::Done),
        Err(error) => said(format!("writing fails: {error}")),
        Ok(()) => Err(deed.err().unwrap_or(Stop::Said("still writable".into()))),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Names in the arguments of 64-bit system calls (`do_getname`).

use libc::{
    AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, EINVAL, ENOENT, MS_BIND, O_CREAT, O_PATH, O_RDONLY,
    O_RDWR, S_IFREG,
};

use super::{ALLOWED, DENIED, OTHER, Row, check, row, text};
use crate::harness::Test;
use crate::sys::sys;

/// Calls newer than the C library's list.
const SYS_SETXATTRAT: i64 = 463;
const SYS_GETXATTRAT: i64 = 464;
const SYS_LISTXATTRAT: i64 = 465;
const SYS_REMOVEXATTRAT: i64 = 466;
const SYS_OPEN_TREE_ATTR: i64 = 467;
const SYS_FILE_GETATTR: i64 = 468;
const SYS_FILE_SETATTR: i64 = 469;

/// The current directory as a directory descriptor.
const CWD: i32 = AT_FDCWD;

fn other() -> u64 {
    const TEXT: &str = concat!("/evf-absent/evf-other", "\0");
    assert!(TEXT.starts_with(OTHER));
    TEXT.as_ptr() as u64
}

fn attribute() -> u64 {
    c"user.evf".as_ptr() as u64
}

/// `struct xattr_args`: value, size, flags.
fn value() -> u64 {
    static ARGS: [u64; 2] = [0, 0];
    ARGS.as_ptr() as u64
}

fn how(flags: i32) -> [u64; 3] {
    [flags as u64, 0, 0]
}

const ROWS: &[Row] = &[
    row("open", ENOENT, |n| sys!(libc::SYS_open, n, O_RDONLY, 0)),
    row("openat", ENOENT, |n| {
        sys!(libc::SYS_openat, CWD, n, O_RDONLY, 0)
    }),
    row("openat_creat", ENOENT, |n| {
        sys!(libc::SYS_openat, CWD, n, O_CREAT | O_RDWR, 0o600)
    }),
    row("openat_path", ENOENT, |n| {
        sys!(libc::SYS_openat, CWD, n, O_PATH, 0)
    }),
    row("creat", ENOENT, |n| sys!(libc::SYS_creat, n, 0o600)),
    row("openat2", ENOENT, |n| {
        sys!(libc::SYS_openat2, CWD, n, &how(O_RDONLY)[..], 24)
    }),
    row("stat", ENOENT, |n| sys!(libc::SYS_stat, n, &[0u64; 32][..])),
    row("lstat", ENOENT, |n| {
        sys!(libc::SYS_lstat, n, &[0u64; 32][..])
    }),
    row("newfstatat", ENOENT, |n| {
        sys!(libc::SYS_newfstatat, CWD, n, &[0u64; 32][..], 0)
    }),
    row("newfstatat_empty_path", ENOENT, |n| {
        sys!(libc::SYS_newfstatat, CWD, n, &[0u64; 32][..], AT_EMPTY_PATH)
    }),
    row("statx", ENOENT, |n| {
        sys!(libc::SYS_statx, CWD, n, 0, 0x7ff, &[0u64; 64][..])
    }),
    row("statx_empty_path", ENOENT, |n| {
        sys!(
            libc::SYS_statx,
            CWD,
            n,
            AT_EMPTY_PATH,
            0x7ff,
            &[0u64; 64][..]
        )
    }),
    row("access", ENOENT, |n| sys!(libc::SYS_access, n, 0)),
    row("faccessat", ENOENT, |n| {
        sys!(libc::SYS_faccessat, CWD, n, 0)
    }),
    row("faccessat2", ENOENT, |n| {
        sys!(libc::SYS_faccessat2, CWD, n, 0, 0)
    }),
    row("readlink", ENOENT, |n| {
        sys!(libc::SYS_readlink, n, &[0u8; 64][..], 64)
    }),
    row("readlinkat", ENOENT, |n| {
        sys!(libc::SYS_readlinkat, CWD, n, &[0u8; 64][..], 64)
    }),
    row("truncate", ENOENT, |n| sys!(libc::SYS_truncate, n, 0)),
    row("chdir", ENOENT, |n| sys!(libc::SYS_chdir, n)),
    row("chroot", ENOENT, |n| sys!(libc::SYS_chroot, n)),
    row("chmod", ENOENT, |n| sys!(libc::SYS_chmod, n, 0o600)),
    row("fchmodat", ENOENT, |n| {
        sys!(libc::SYS_fchmodat, CWD, n, 0o600)
    }),
    row("fchmodat2", ENOENT, |n| {
        sys!(libc::SYS_fchmodat2, CWD, n, 0o600, 0)
    }),
    row("chown", ENOENT, |n| sys!(libc::SYS_chown, n, 0, 0)),
    row("lchown", ENOENT, |n| sys!(libc::SYS_lchown, n, 0, 0)),
    row("fchownat", ENOENT, |n| {
        sys!(libc::SYS_fchownat, CWD, n, 0, 0, 0)
    }),
    row("mkdir", ENOENT, |n| sys!(libc::SYS_mkdir, n, 0o700)),
    row("mkdirat", ENOENT, |n| {
        sys!(libc::SYS_mkdirat, CWD, n, 0o700)
    }),
    row("rmdir", ENOENT, |n| sys!(libc::SYS_rmdir, n)),
    row("unlink", ENOENT, |n| sys!(libc::SYS_unlink, n)),
    row("unlinkat", ENOENT, |n| sys!(libc::SYS_unlinkat, CWD, n, 0)),
    row("unlinkat_removedir", ENOENT, |n| {
        sys!(libc::SYS_unlinkat, CWD, n, AT_REMOVEDIR)
    }),
    row("rename_old", ENOENT, |n| sys!(libc::SYS_rename, n, other())),
    row("rename_new", ENOENT, |n| sys!(libc::SYS_rename, c"/tmp", n)),
    row("renameat_old", ENOENT, |n| {
        sys!(libc::SYS_renameat, CWD, n, CWD, other())
    }),
    row("renameat_new", ENOENT, |n| {
        sys!(libc::SYS_renameat, CWD, c"/tmp", CWD, n)
    }),
    row("renameat2_old", ENOENT, |n| {
        sys!(libc::SYS_renameat2, CWD, n, CWD, other(), 0)
    }),
    row("renameat2_new", ENOENT, |n| {
        sys!(libc::SYS_renameat2, CWD, c"/tmp", CWD, n, 0)
    }),
    row("link_old", ENOENT, |n| sys!(libc::SYS_link, n, other())),
    row("link_new", ENOENT, |n| {
        sys!(libc::SYS_link, c"/proc/version", n)
    }),
    row("linkat_old", ENOENT, |n| {
        sys!(libc::SYS_linkat, CWD, n, CWD, other(), 0)
    }),
    row("linkat_new", ENOENT, |n| {
        sys!(libc::SYS_linkat, CWD, c"/proc/version", CWD, n, 0)
    }),
    row("symlink_target", ENOENT, |n| {
        sys!(libc::SYS_symlink, n, other())
    }),
    row("symlink_link", ENOENT, |n| {
        sys!(libc::SYS_symlink, other(), n)
    }),
    row("symlinkat_target", ENOENT, |n| {
        sys!(libc::SYS_symlinkat, n, CWD, other())
    }),
    row("symlinkat_link", ENOENT, |n| {
        sys!(libc::SYS_symlinkat, other(), CWD, n)
    }),
    row("mknod", ENOENT, |n| {
        sys!(libc::SYS_mknod, n, S_IFREG | 0o600, 0)
    }),
    row("mknodat", ENOENT, |n| {
        sys!(libc::SYS_mknodat, CWD, n, S_IFREG | 0o600, 0)
    }),
    row("utime", ENOENT, |n| sys!(libc::SYS_utime, n, 0)),
    row("utimes", ENOENT, |n| sys!(libc::SYS_utimes, n, 0)),
    row("futimesat", ENOENT, |n| {
        sys!(libc::SYS_futimesat, CWD, n, 0)
    }),
    row("utimensat", ENOENT, |n| {
        sys!(libc::SYS_utimensat, CWD, n, 0, 0)
    }),
    row("statfs", ENOENT, |n| {
        sys!(libc::SYS_statfs, n, &[0u64; 32][..])
    }),
    row("setxattr", ENOENT, |n| {
        sys!(libc::SYS_setxattr, n, attribute(), 0, 0, 0)
    }),
    row("lsetxattr", ENOENT, |n| {
        sys!(libc::SYS_lsetxattr, n, attribute(), 0, 0, 0)
    }),
    row("getxattr", ENOENT, |n| {
        sys!(libc::SYS_getxattr, n, attribute(), 0, 0)
    }),
    row("lgetxattr", ENOENT, |n| {
        sys!(libc::SYS_lgetxattr, n, attribute(), 0, 0)
    }),
    row("listxattr", ENOENT, |n| sys!(libc::SYS_listxattr, n, 0, 0)),
    row("llistxattr", ENOENT, |n| {
        sys!(libc::SYS_llistxattr, n, 0, 0)
    }),
    row("removexattr", ENOENT, |n| {
        sys!(libc::SYS_removexattr, n, attribute())
    }),
    row("lremovexattr", ENOENT, |n| {
        sys!(libc::SYS_lremovexattr, n, attribute())
    }),
    row("setxattrat", ENOENT, |n| {
        sys!(SYS_SETXATTRAT, CWD, n, 0, attribute(), value(), 16)
    }),
    row("getxattrat", ENOENT, |n| {
        sys!(SYS_GETXATTRAT, CWD, n, 0, attribute(), value(), 16)
    }),
    row("listxattrat", ENOENT, |n| {
        sys!(SYS_LISTXATTRAT, CWD, n, 0, 0, 0)
    }),
    row("removexattrat", ENOENT, |n| {
        sys!(SYS_REMOVEXATTRAT, CWD, n, 0, attribute())
    }),
    row("file_getattr", ENOENT, |n| {
        sys!(SYS_FILE_GETATTR, CWD, n, &[0u64; 4][..], 24, 0)
    }),
    row("file_setattr", ENOENT, |n| {
        sys!(SYS_FILE_SETATTR, CWD, n, &[0u64; 4][..], 24, 0)
    }),
    row("name_to_handle_at", ENOENT, |n| {
        sys!(
            libc::SYS_name_to_handle_at,
            CWD,
            n,
            &[0u64; 32][..],
            &[0u32; 2][..],
            0
        )
    }),
    row("mount_target", ENOENT, |n| {
        sys!(libc::SYS_mount, c"none", n, c"tmpfs", 0, 0)
    }),
    row("mount_bind_target", ENOENT, |n| {
        sys!(libc::SYS_mount, c"/", n, 0, MS_BIND, 0)
    }),
    row("umount2", ENOENT, |n| sys!(libc::SYS_umount2, n, 0)),
    row("pivot_root_new", ENOENT, |n| {
        sys!(libc::SYS_pivot_root, n, other())
    }),
    row("pivot_root_put_old", ENOENT, |n| {
        sys!(libc::SYS_pivot_root, c"/", n)
    }),
    row("open_tree", ENOENT, |n| {
        sys!(libc::SYS_open_tree, CWD, n, 0)
    }),
    row("open_tree_attr", ENOENT, |n| {
        sys!(SYS_OPEN_TREE_ATTR, CWD, n, 0, &[0u64; 4][..], 32)
    }),
    row("move_mount_from", ENOENT, |n| {
        sys!(libc::SYS_move_mount, CWD, n, CWD, c"/", 0)
    }),
    row("move_mount_to", ENOENT, |n| {
        sys!(libc::SYS_move_mount, CWD, c"/", CWD, n, 0)
    }),
    row("mount_setattr", ENOENT, |n| {
        // Read-only, asked for on a path that is not there: an empty request would return before the name is looked at.
        sys!(libc::SYS_mount_setattr, CWD, n, 0, &[1u64, 0, 0, 0][..], 32)
    }),
    row("fspick", ENOENT, |n| sys!(libc::SYS_fspick, CWD, n, 0)),
    row("execve", ENOENT, |n| {
        sys!(libc::SYS_execve, n, &[0u64][..], &[0u64][..])
    }),
    row("execveat", ENOENT, |n| {
        sys!(libc::SYS_execveat, CWD, n, &[0u64][..], &[0u64][..], 0)
    }),
    row("swapon", ENOENT, |n| sys!(libc::SYS_swapon, n, 0)),
    row("swapoff", ENOENT, |n| sys!(libc::SYS_swapoff, n)),
    row("acct", ENOENT, |n| sys!(libc::SYS_acct, n)),
    row("inotify_add_watch", ENOENT, |n| {
        let fd = crate::sys::own(sys!(libc::SYS_inotify_init1, 0))?;
        sys!(libc::SYS_inotify_add_watch, &fd, n, libc::IN_OPEN)
    }),
    row("fanotify_mark", ENOENT, |n| {
        let fd = crate::sys::own(sys!(libc::SYS_fanotify_init, 0, 0))?;
        sys!(
            libc::SYS_fanotify_mark,
            &fd,
            libc::FAN_MARK_ADD,
            libc::FAN_OPEN,
            CWD,
            n
        )
    }),
    // QCMD(Q_GETFMT, USRQUOTA): takes the device by name.
    row("quotactl_special", ENOENT, |n| {
        sys!(libc::SYS_quotactl, 0x8000_0400u32, n, 0, &[0u64; 4][..])
    }),
    row("bpf_obj_pin", ENOENT, |n| {
        // BPF_MAP_CREATE of an array with one element of four bytes: there must be something to pin.
        let map = crate::sys::own(sys!(libc::SYS_bpf, 0, &[2u32, 4, 4, 1][..], 16))?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&map) as u64;
        sys!(libc::SYS_bpf, 6, &[n, fd][..], 16)
    }),
    row("bpf_obj_get", ENOENT, |n| {
        sys!(libc::SYS_bpf, 7, &[n, 0, 0, 0][..], 16)
    }),
    row("fsconfig_set_path", EINVAL, |n| {
        // FSCONFIG_SET_PATH of a tmpfs context: the name is taken before the file system finds that it wants none.
        let context = crate::sys::own(sys!(libc::SYS_fsopen, c"tmpfs", 0))?;
        sys!(libc::SYS_fsconfig, &context, 3, c"evf", n, CWD)
    }),
];

// Not here: the names of Q_QUOTAON and of mounts of block devices are looked at after a device that this guest does not have.

/// Names of message queues have no directory: the system call takes them without the slash.
const QUEUES: &[Row] = &[
    row("mq_open", ENOENT, |n| {
        sys!(libc::SYS_mq_open, n, O_RDWR, 0, 0)
    }),
    row("mq_unlink", ENOENT, |n| sys!(libc::SYS_mq_unlink, n)),
    row("relative_openat", ENOENT, |n| {
        sys!(libc::SYS_openat, CWD, n, O_RDONLY, 0)
    }),
];

pub(super) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = ROWS
        .iter()
        .map(|row| {
            Test::new(format!("getname::{}", row.name), || {
                check(row.ordinary, ALLOWED, DENIED, |name| {
                    (row.deed)(text(name).as_ptr() as u64)
                });
            })
        })
        .collect();
    tests.extend(QUEUES.iter().map(|row| {
        Test::new(format!("getname::{}", row.name), || {
            check(row.ordinary, "evf-allowed", "evf-refused", |name| {
                (row.deed)(text(name).as_ptr() as u64)
            });
        })
    }));
    tests.push(Test::new(
        "getname::openat_through_descriptor",
        openat_through_descriptor,
    ));
    tests
}

/// Judged is the string that was given, relative as it is, not where it leads.
fn openat_through_descriptor() {
    let directory = crate::sys::open(c"/proc", libc::O_DIRECTORY).expect("/proc");
    check(None, "uptime", "version", |name| {
        let name = text(name);
        crate::sys::own(sys!(libc::SYS_openat, &directory, &*name, O_RDONLY, 0)).map(|_| 0)
    });
}

// SPDX-License-Identifier: GPL-2.0
//! Names in the arguments of 32-bit system calls, made through `int 0x80`.

use libc::ENOENT;

use super::{ALLOWED, DENIED, OTHER, check};
use crate::harness::{Test, skip};
use crate::sys::Ret;
use crate::sys::ia32::call;
use crate::sys::memory::Low;

/// What a row can point to, all below 4 GiB.
struct At {
    /// The name that is judged.
    name: u32,
    /// Another name.
    other: u32,
    /// Zeroed room.
    room: u32,
    /// "/tmp", which is there.
    present: u32,
    /// "/proc/version", a file that is there.
    file: u32,
    /// "tmpfs".
    tmpfs: u32,
    /// "user.evf".
    attribute: u32,
}

/// The current directory.
const CWD: u32 = libc::AT_FDCWD as u32;

/// Name, number of the call, its arguments.
struct Row(&'static str, u32, fn(&At) -> [u32; 6]);

const fn plain(at: &At) -> [u32; 6] {
    [at.name, 0, 0, 0, 0, 0]
}

const fn into_room(at: &At) -> [u32; 6] {
    [at.name, at.room, 0, 0, 0, 0]
}

const fn at_cwd(at: &At) -> [u32; 6] {
    [CWD, at.name, 0, 0, 0, 0]
}

const fn at_cwd_room(at: &At) -> [u32; 6] {
    [CWD, at.name, at.room, 0, 0, 0]
}

const ROWS: &[Row] = &[
    Row("open", 5, plain),
    Row("creat", 8, plain),
    Row("link_old", 9, |at| [at.name, at.other, 0, 0, 0, 0]),
    Row("link_new", 9, |at| [at.file, at.name, 0, 0, 0, 0]),
    Row("unlink", 10, plain),
    Row("execve", 11, |at| [at.name, at.room, at.room, 0, 0, 0]),
    Row("chdir", 12, plain),
    Row("mknod", 14, |at| [at.name, 0o100_600, 0, 0, 0, 0]),
    Row("chmod", 15, plain),
    Row("lchown16", 16, plain),
    Row("oldstat", 18, into_room),
    Row("mount_target", 21, |at| {
        [at.tmpfs, at.name, at.tmpfs, 0, 0, 0]
    }),
    Row("mount_source_bind", 21, |at| {
        [at.name, at.present, 0, 4096, 0, 0]
    }),
    Row("oldumount", 22, plain),
    Row("utime", 30, plain),
    Row("access", 33, plain),
    Row("rename_old", 38, |at| [at.name, at.other, 0, 0, 0, 0]),
    Row("rename_new", 38, |at| [at.present, at.name, 0, 0, 0, 0]),
    Row("mkdir", 39, plain),
    Row("rmdir", 40, plain),
    Row("acct", 51, plain),
    Row("umount2", 52, plain),
    Row("chroot", 61, plain),
    Row("symlink_target", 83, |at| [at.name, at.other, 0, 0, 0, 0]),
    Row("symlink_link", 83, |at| [at.other, at.name, 0, 0, 0, 0]),
    Row("oldlstat", 84, into_room),
    Row("readlink", 85, |at| [at.name, at.room, 64, 0, 0, 0]),
    Row("swapon", 87, plain),
    Row("truncate", 92, plain),
    Row("statfs", 99, into_room),
    Row("stat", 106, into_room),
    Row("lstat", 107, into_room),
    Row("swapoff", 115, plain),
    Row("quotactl", 131, |at| {
        [0x8000_0400, at.name, 0, at.room, 0, 0]
    }),
    Row("chown16", 182, plain),
    Row("truncate64", 193, plain),
    Row("stat64", 195, into_room),
    Row("lstat64", 196, into_room),
    Row("lchown32", 198, plain),
    Row("chown32", 212, plain),
    Row("pivot_root", 217, |at| [at.name, at.other, 0, 0, 0, 0]),
    Row("setxattr", 226, |at| [at.name, at.attribute, 0, 0, 0, 0]),
    Row("lsetxattr", 227, |at| [at.name, at.attribute, 0, 0, 0, 0]),
    Row("getxattr", 229, |at| [at.name, at.attribute, 0, 0, 0, 0]),
    Row("lgetxattr", 230, |at| [at.name, at.attribute, 0, 0, 0, 0]),
    Row("listxattr", 232, plain),
    Row("llistxattr", 233, plain),
    Row("removexattr", 235, |at| [at.name, at.attribute, 0, 0, 0, 0]),
    Row("lremovexattr", 236, |at| {
        [at.name, at.attribute, 0, 0, 0, 0]
    }),
    Row("statfs64", 268, |at| [at.name, 84, at.room, 0, 0, 0]),
    Row("utimes", 271, plain),
    Row("mq_open", 277, |at| [at.name, 2, 0, 0, 0, 0]),
    Row("openat", 295, at_cwd),
    Row("mkdirat", 296, at_cwd),
    Row("mknodat", 297, |at| [CWD, at.name, 0o100_600, 0, 0, 0]),
    Row("fchownat", 298, at_cwd),
    Row("futimesat", 299, at_cwd),
    Row("fstatat64", 300, at_cwd_room),
    Row("unlinkat", 301, at_cwd),
    Row("renameat_new", 302, |at| {
        [CWD, at.present, CWD, at.name, 0, 0]
    }),
    Row("linkat_old", 303, |at| [CWD, at.name, CWD, at.other, 0, 0]),
    Row("symlinkat_target", 304, |at| {
        [at.name, CWD, at.other, 0, 0, 0]
    }),
    Row("readlinkat", 305, |at| [CWD, at.name, at.room, 64, 0, 0]),
    Row("fchmodat", 306, at_cwd),
    Row("faccessat", 307, at_cwd),
    Row("utimensat", 320, at_cwd),
    Row("name_to_handle_at", 341, |at| {
        [CWD, at.name, at.room, at.room, 0, 0]
    }),
    Row("renameat2_old", 353, |at| {
        [CWD, at.name, CWD, at.other, 0, 0]
    }),
    Row("execveat", 358, |at| [CWD, at.name, at.room, at.room, 0, 0]),
    Row("statx", 383, |at| [CWD, at.name, 0, 0x7ff, at.room, 0]),
    Row("utimensat_time64", 412, at_cwd),
    Row("open_tree", 428, at_cwd),
    Row("openat2", 437, |at| [CWD, at.name, at.room, 24, 0, 0]),
    Row("faccessat2", 439, at_cwd),
    Row("fchmodat2", 452, at_cwd),
    Row("file_getattr", 468, |at| [CWD, at.name, at.room, 24, 0, 0]),
];

/// Makes the call of `row` on `name`.
fn deed(row: &Row, name: &str) -> Ret {
    let mut low = Low::new();
    let at = At {
        name: low.text(name.as_bytes()),
        other: low.text(OTHER.as_bytes()),
        present: low.text(b"/tmp"),
        file: low.text(b"/proc/version"),
        tmpfs: low.text(b"tmpfs"),
        attribute: low.text(b"user.evf"),
        room: low.put(&[0; 1024]),
    };
    call(row.1, row.2(&at))
}

/// Ends the test if the kernel was built or started without the 32-bit entry: `getpid` is 20 there.
fn need_ia32() {
    if call(20, [0; 6]) != Ok(crate::sys::getpid() as u64) {
        skip("this kernel has no 32-bit system calls");
    }
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = ROWS
        .iter()
        .map(|row| {
            Test::new(format!("getname::ia32_{}", row.0), || {
                need_ia32();
                if row.0 == "mq_open" {
                    // Names of queues have no directory.
                    check(Some(ENOENT), "evf-allowed", "evf-refused", |name| {
                        deed(row, name)
                    });
                    return;
                }
                check(Some(ENOENT), ALLOWED, DENIED, |name| deed(row, name));
            })
        })
        .collect();
    tests.push(Test::new(
        "getname::ia32_socketcall_connect",
        socketcall_connect,
    ));
    tests
}

/// `socketcall(SYS_CONNECT)`, the old way to connect.
fn socketcall_connect() {
    need_ia32();
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        let mut low = Low::new();
        let mut address = [0u8; 110];
        address[0] = libc::AF_UNIX as u8;
        address[2..2 + name.len()].copy_from_slice(name.as_bytes());
        let address = low.put(&address);
        let socket = crate::sys::own(crate::sys::sys!(
            libc::SYS_socket,
            libc::AF_UNIX,
            libc::SOCK_STREAM,
            0
        ))?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket) as u32;
        let args: Vec<u8> = [fd, address, 110]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        let args = low.put(&args);
        call(102, [3, args, 0, 0, 0, 0])
    });
}

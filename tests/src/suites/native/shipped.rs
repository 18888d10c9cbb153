// SPDX-License-Identifier: GPL-2.0
//! Every policy that ships, compiled and interpreted, and the same operations on the same tree: the same comes of each.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use evfilter::Policy;
use libc::{AF_INET, AF_UNIX, AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, SOCK_STREAM};

use super::KINDS;
use super::equal::on_argument;
use crate::harness::{Test, note};
use crate::kernel::{load_with, restrict};
use crate::suites::cli::POLICIES;
use crate::sys::child::{Seen, exit, run};
use crate::sys::memory::Low;
use crate::sys::message::Address;
use crate::sys::{Ret, getpid, ia32, no_new_privs, own, sys};

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("native::shipped_policies_decide_as_interpreted", shipped).limit(300)]
}

/// An operation that a policy may refuse. It leaves the process as it was, unless it ends it.
type Operation = (&'static str, fn() -> Ret);

fn path(nr: i64, path: &CStr, second: u64, third: u64) -> Ret {
    // The third register of calls that have two is not looked at.
    sys!(nr, path, second, third).map(|_| 0)
}

fn at(nr: i64, path: &CStr, second: u64, third: u64) -> Ret {
    sys!(nr, AT_FDCWD, path, second, third).map(|_| 0)
}

fn open(path: &CStr, flags: i32) -> Ret {
    crate::sys::open(path, flags).map(|_| 0)
}

/// The parent's side of a call that makes a process; the child ends at once.
fn process(made: Ret) -> Ret {
    match made {
        Ok(0) => exit(0),
        made => made.map(|_| 0),
    }
}

fn connect(family: u8, name: &[u8]) -> Ret {
    let socket = own(sys!(libc::SYS_socket, i32::from(family), SOCK_STREAM, 0))?;
    let address = Address::new(name);
    let (start, length) = address.parts();
    sys!(libc::SYS_connect, &socket, start, length)
}

fn ioctl(request: u64) -> Ret {
    let mut buffer = [0u64; 64];
    sys!(libc::SYS_ioctl, 0, request, buffer.as_mut_ptr()).map(|_| 0)
}

const SRC: &CStr = c"/home/sandbox/src/file";
const OUT: &CStr = c"/home/sandbox/out/file";
const OTHER: &CStr = c"/var/evf-native/file";

/// Names that policies speak of, and names that they do not.
const OPERATIONS: &[Operation] = &[
    ("read /etc/passwd", || open(c"/etc/passwd", O_RDONLY)),
    ("read /etc/hostname", || open(c"/etc/hostname", O_RDONLY)),
    ("read /etc/shadow", || open(c"/etc/shadow", O_RDONLY)),
    ("read src", || open(SRC, O_RDONLY)),
    ("read out", || open(OUT, O_RDONLY)),
    ("read other", || open(OTHER, O_RDONLY)),
    ("write src", || open(SRC, O_RDWR)),
    ("write out", || open(OUT, O_RDWR)),
    ("write other", || open(OTHER, O_RDWR)),
    ("write null", || open(c"/dev/null", O_RDWR)),
    ("place src", || open(SRC, libc::O_PATH)),
    ("place other", || open(OTHER, libc::O_PATH)),
    ("list root", || open(c"/", O_RDONLY)),
    ("list out", || open(c"/home/sandbox/out", O_RDONLY)),
    ("through ..", || {
        open(c"/home/sandbox/../../etc/passwd", O_RDONLY)
    }),
    ("through a link", || {
        open(c"/home/sandbox/out/link", O_RDONLY)
    }),
    ("relative", || open(c"home/sandbox/src/file", O_RDONLY)),
    ("own maps", || open(c"/proc/self/maps", O_RDONLY)),
    ("own root", || open(c"/proc/self/root/etc/passwd", O_RDONLY)),
    ("create out", || {
        open(c"/home/sandbox/out/new", O_RDWR | O_CREAT)
    }),
    ("create src", || {
        open(c"/home/sandbox/src/new", O_RDWR | O_CREAT)
    }),
    ("create tmp", || {
        open(c"/tmp/evf-native-new", O_RDWR | O_CREAT)
    }),
    ("environment", || open(c"/home/sandbox/out/.env", O_RDONLY)),
    ("stat src", || stat(SRC)),
    ("stat other", || stat(OTHER)),
    ("statx", || at(libc::SYS_statx, OTHER, 0, 0)),
    ("access", || path(libc::SYS_access, OTHER, 4, 0)),
    ("readlink", || {
        let mut buffer = [0u8; 128];
        let link = c"/home/sandbox/out/link";
        sys!(libc::SYS_readlink, link, buffer.as_mut_ptr(), buffer.len())
    }),
    ("rename in out", || {
        rename(OUT, c"/home/sandbox/out/renamed")
    }),
    ("rename out to src", || {
        rename(OUT, c"/home/sandbox/src/renamed")
    }),
    ("rename other to out", || {
        rename(OTHER, c"/home/sandbox/out/renamed")
    }),
    ("link in out", || link(OUT, c"/home/sandbox/out/linked")),
    ("link other to out", || {
        link(OTHER, c"/home/sandbox/out/linked")
    }),
    ("symlink", || {
        sys!(libc::SYS_symlink, c"/etc/shadow", c"/home/sandbox/out/sym")
    }),
    ("mkdir out", || {
        path(libc::SYS_mkdir, c"/home/sandbox/out/dir", 0o700, 0)
    }),
    ("mkdir other", || {
        path(libc::SYS_mkdir, c"/var/evf-native/dir", 0o700, 0)
    }),
    ("mknod", || {
        path(libc::SYS_mknod, c"/home/sandbox/out/fifo", 0o010_600, 0)
    }),
    ("unlink out", || path(libc::SYS_unlink, OUT, 0, 0)),
    ("unlink src", || path(libc::SYS_unlink, SRC, 0, 0)),
    ("rmdir", || {
        path(libc::SYS_rmdir, c"/home/sandbox/out/empty", 0, 0)
    }),
    ("chmod out", || path(libc::SYS_chmod, OUT, 0o600, 0)),
    ("chmod other", || path(libc::SYS_chmod, OTHER, 0o600, 0)),
    ("truncate", || path(libc::SYS_truncate, OUT, 0, 0)),
    ("utimensat", || at(libc::SYS_utimensat, OUT, 0, 0)),
    ("chdir", || {
        path(libc::SYS_chdir, c"/home/sandbox/out", 0, 0)
    }),
    ("chdir other", || path(libc::SYS_chdir, c"/var", 0, 0)),
    ("setxattr", || {
        sys!(libc::SYS_setxattr, OUT, c"user.evf", c"x", 1, 0)
    }),
    ("mount", || {
        sys!(
            libc::SYS_mount,
            c"none",
            c"/home/sandbox/out/empty",
            c"tmpfs",
            0,
            0
        )
    }),
    ("exec true", || exec(c"/usr/bin/true")),
    ("exec busybox", || exec(c"/bin/busybox")),
    ("exec src", || exec(SRC)),
    ("fork", || process(sys!(libc::SYS_fork))),
    ("clone", || {
        process(sys!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0))
    }),
    ("clone new user", || {
        process(sys!(
            libc::SYS_clone,
            libc::SIGCHLD | libc::CLONE_NEWUSER,
            0,
            0,
            0,
            0
        ))
    }),
    ("clone3", || {
        let mut arguments = [0u64; 11];
        arguments[4] = libc::SIGCHLD as u64;
        process(sys!(libc::SYS_clone3, arguments.as_ptr(), 64))
    }),
    ("unshare", || sys!(libc::SYS_unshare, libc::CLONE_NEWNS)),
    ("socket unix", || {
        sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0).map(|_| 0)
    }),
    ("socket inet", || {
        sys!(libc::SYS_socket, AF_INET, SOCK_STREAM, 0).map(|_| 0)
    }),
    ("socket packet", || {
        sys!(libc::SYS_socket, libc::AF_PACKET, SOCK_STREAM, 0).map(|_| 0)
    }),
    ("socketpair", || {
        let mut ends = [0i32; 2];
        sys!(
            libc::SYS_socketpair,
            AF_UNIX,
            SOCK_STREAM,
            0,
            ends.as_mut_ptr()
        )
    }),
    ("connect", || {
        connect(AF_UNIX as u8, b"/var/evf-native/socket")
    }),
    ("connect abstract", || {
        connect(AF_UNIX as u8, b"\0evf-native")
    }),
    ("ioctl TCGETS", || ioctl(libc::TCGETS)),
    ("ioctl TIOCSTI", || ioctl(libc::TIOCSTI)),
    ("ioctl FIONREAD", || ioctl(libc::FIONREAD)),
    ("ioctl with more above", || {
        ioctl(libc::TIOCSTI | 0xdead << 32)
    }),
    ("kill self", || sys!(libc::SYS_kill, getpid(), 0)),
    ("kill init", || sys!(libc::SYS_kill, 1, 0)),
    ("kill all", || sys!(libc::SYS_kill, -1, 0)),
    ("prctl name", || {
        sys!(libc::SYS_prctl, libc::PR_SET_NAME, c"evf", 0, 0, 0)
    }),
    ("prctl seccomp", || {
        sys!(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0)
    }),
    ("ptrace", || {
        sys!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)
    }),
    ("io_uring_setup", || {
        sys!(libc::SYS_io_uring_setup, 4, [0u64; 15].as_ptr()).map(|_| 0)
    }),
    ("bpf", || sys!(libc::SYS_bpf, 0, 0, 0)),
    ("keyctl", || sys!(libc::SYS_keyctl, 0, 0, 0).map(|_| 0)),
    ("setuid", || sys!(libc::SYS_setuid, 0)),
    ("getuid", || sys!(libc::SYS_getuid)),
    ("fcntl", || {
        sys!(libc::SYS_fcntl, 1, libc::F_GETFL, 0).map(|_| 0)
    }),
    ("fcntl owner", || {
        sys!(libc::SYS_fcntl, 1, libc::F_SETOWN, 1)
    }),
    ("mmap", || {
        sys!(
            libc::SYS_mmap,
            0,
            4096,
            3,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0
        )
        .map(|_| 0)
    }),
    ("mprotect", || sys!(libc::SYS_mprotect, 0, 4096, 7)),
    ("unknown call", || sys!(600)),
    ("x32 call", || {
        sys!(0x4000_0000 | libc::SYS_getpid).map(|_| 0)
    }),
    ("getpid of ia32", || ia32::call(20, [0; 6]).map(|_| 0)),
    ("open of ia32", || {
        let name = Low::new().text(b"/etc/passwd");
        ia32::call(5, [name, 0, 0, 0, 0, 0]).map(|_| 0)
    }),
];

fn stat(path: &CStr) -> Ret {
    let mut stat = [0u64; 32];
    sys!(libc::SYS_newfstatat, AT_FDCWD, path, stat.as_mut_ptr(), 0)
}

fn rename(from: &CStr, to: &CStr) -> Ret {
    sys!(libc::SYS_rename, from, to)
}

fn link(from: &CStr, to: &CStr) -> Ret {
    sys!(libc::SYS_link, from, to)
}

fn exec(path: &CStr) -> Ret {
    let argv = [path.as_ptr() as u64, 0];
    sys!(libc::SYS_execve, path, argv.as_ptr(), argv[1..].as_ptr())
}

/// The tree as it is before each operation.
fn prepare() {
    let write = |path: &str, text: &str| std::fs::write(path, text).expect(path);
    // What one of the operations has mounted, if it could.
    let _ = sys!(
        libc::SYS_umount2,
        c"/home/sandbox/out/empty",
        libc::MNT_DETACH
    );
    for dir in ["/home/sandbox/src", "/home/sandbox/out", "/var/evf-native"] {
        let _ = std::fs::remove_dir_all(dir);
        std::fs::create_dir_all(dir).expect(dir);
        write(&format!("{dir}/file"), "#!/bin/busybox true\n");
    }
    std::fs::create_dir("/home/sandbox/out/empty").expect("mkdir");
    std::os::unix::fs::symlink("/etc/passwd", "/home/sandbox/out/link").expect("symlink");
    write("/home/sandbox/out/.env", "secret");
    let _ = std::fs::remove_file("/tmp/evf-native-new");
}

/// All policies below a directory.
fn policies(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("policies") {
        let path = entry.expect("policies").path();
        if path.is_dir() {
            policies(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "evf") {
            found.push(path);
        }
    }
}

/// What comes of one operation under these layers, the oldest first.
fn done(filters: &[OwnedFd], operation: fn() -> Ret) -> Seen {
    prepare();
    run(|board| {
        no_new_privs();
        filters.iter().for_each(restrict);
        board.ret(operation());
    })
}

/// What came of the operations under one policy.
#[derive(Debug, Default)]
struct Tally {
    /// As without the policy.
    allowed: i64,
    refused: i64,
    /// The process was ended.
    ended: i64,
}

/// All operations under one policy, alone and between two layers with which it is made into one program.
fn under(path: &Path, free: &[Seen]) -> Tally {
    let policy = Policy::from_file(path).unwrap_or_else(|error| panic!("{error}"));
    let filters = KINDS.map(|flags| {
        let below = load_with(flags, &on_argument(1, 71));
        let above = load_with(flags, &on_argument(2, 72));
        [below, load_with(flags, policy.image()), above]
    });
    let path = path.display();
    let mut tally = Tally::default();
    for (at, (name, operation)) in OPERATIONS.iter().enumerate() {
        let seen = filters.each_ref().map(|filters| match at % 2 {
            0 => done(&filters[1..2], *operation),
            _ => done(filters, *operation),
        });
        assert_eq!(
            seen[0], seen[1],
            "{name} under {path}: compiled, interpreted"
        );
        match &seen[0] {
            seen if *seen == free[at] => tally.allowed += 1,
            seen if seen.values.is_empty() => tally.ended += 1,
            _ => tally.refused += 1,
        }
    }
    tally
}

fn shipped() {
    let mut paths = Vec::new();
    policies(Path::new(POLICIES), &mut paths);
    paths.sort();
    assert!(paths.len() >= 18, "{paths:?}");
    let free: Vec<Seen> = OPERATIONS
        .iter()
        .map(|(_, operation)| done(&[], *operation))
        .collect();
    let mut all = Tally::default();
    for path in &paths {
        // Each in a process of its own, or the memory that children share with it would add up and make forks slow.
        let counts = run(|board| {
            let tally = under(path, &free);
            for count in [tally.allowed, tally.refused, tally.ended] {
                board.put(count);
            }
        });
        let counts = counts.well();
        let narrows = !["allow-all.evf", "observe.evf"]
            .iter()
            .any(|name| path.ends_with(name));
        assert_eq!(
            counts[1] + counts[2] > 0,
            narrows,
            "{}: {counts:?}",
            path.display()
        );
        all.allowed += counts[0];
        all.refused += counts[1];
        all.ended += counts[2];
    }
    note(&format!(
        "{} policies, {} operations: {all:?}",
        paths.len(),
        OPERATIONS.len()
    ));
}

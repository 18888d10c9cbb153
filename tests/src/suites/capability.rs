// SPDX-License-Identifier: GPL-2.0
//! Capability mode (`policies/capability.evf`, `capability-exec.evf`): no global names, and signals to oneself only, also after fork.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use evfilter::Policy;
use libc::{AT_FDCWD, EACCES, EPERM, SIGABRT};

use super::cli::{EVF, POLICIES, as_user, ends_with, succeeds};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::sys::child::{Board, End, Seen, fork, run, run_and_exit, wait};
use crate::sys::{getpid, open, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("capability";
        absolute_and_working_directory_names_are_refused, names_below_a_descriptor_work, no_way_up_from_a_descriptor, sockets_by_address_and_mounts_are_refused,
        signals_to_itself_and_its_threads_only, signals_to_itself_survive_fork, abort_works, other_processes_are_not_looked_at, new_namespaces_are_refused,
        started_program_reads_libraries_and_what_it_was_given, started_program_has_no_names,
    )
}

const DIRECTORY: &CStr = c"/tmp/evf-capability";

/// A directory with a file in it, opened.
#[track_caller]
fn directory() -> OwnedFd {
    std::fs::create_dir_all("/tmp/evf-capability/sub").expect("mkdir");
    std::fs::write("/tmp/evf-capability/file", "given\n").expect("write");
    std::fs::write("/tmp/evf-outside", "outside\n").expect("write");
    open(DIRECTORY, libc::O_RDONLY | libc::O_DIRECTORY).expect("open")
}

/// Runs `deed` in capability mode.
#[track_caller]
fn confined(deed: impl Fn(&Board)) -> Seen {
    let path = format!("{POLICIES}/capability.evf");
    let policy = Policy::from_file(&path).unwrap_or_else(|error| panic!("{error}"));
    run(|board| {
        attach(policy.image());
        deed(board);
    })
}

fn openat(dir: i32, name: &CStr) -> crate::sys::Ret {
    sys!(libc::SYS_openat, dir, name.as_ptr(), libc::O_RDONLY, 0)
}

const NO: i64 = -(EPERM as i64);
const NAME: i64 = -(EACCES as i64);

fn absolute_and_working_directory_names_are_refused() {
    let _dir = directory();
    let seen = confined(|board| {
        board.ret(sys!(libc::SYS_open, c"/etc/passwd".as_ptr(), 0, 0));
        board.ret(openat(AT_FDCWD, c"/etc/passwd"));
        board.ret(openat(AT_FDCWD, c"."));
        board.ret(sys!(libc::SYS_chdir, c"/".as_ptr()));
        board.ret(sys!(libc::SYS_unlink, c"/tmp/evf-outside".as_ptr()));
        board.ret(sys!(libc::SYS_stat, c"/etc".as_ptr(), 0));
        board.ret(sys!(
            libc::SYS_execve,
            c"/bin/true".as_ptr(),
            std::ptr::null::<u8>(),
            std::ptr::null::<u8>()
        ));
    });
    assert_eq!(seen.well(), [NO; 7]);
    assert!(std::fs::exists("/tmp/evf-outside").expect("stat"));
}

fn names_below_a_descriptor_work() {
    let dir = directory();
    let dir = dir.as_raw_fd();
    let seen = confined(|board| {
        let file = openat(dir, c"file").map(|fd| fd as i32);
        board.ret(file.map(|_| 0));
        let mut bytes = [0u8; 16];
        board.ret(sys!(
            libc::SYS_read,
            file.unwrap_or(-1),
            bytes.as_mut_ptr(),
            16
        ));
        board.ret(sys!(libc::SYS_mkdirat, dir, c"sub/new".as_ptr(), 0o700));
        board.ret(sys!(
            libc::SYS_unlinkat,
            dir,
            c"sub/new".as_ptr(),
            libc::AT_REMOVEDIR
        ));
        // Dots in a name are no way up.
        board.ret(openat(dir, c"sub/..not").map(|_| 0));
    });
    assert_eq!(seen.well(), [0, 6, 0, 0, -i64::from(libc::ENOENT)]);
}

fn no_way_up_from_a_descriptor() {
    let dir = directory();
    let dir = dir.as_raw_fd();
    let names = [
        c"..",
        c"../evf-outside",
        c"sub/../../evf-outside",
        c"sub/..",
        c"/tmp/evf-outside",
        c"//tmp/evf-outside",
    ];
    let seen = confined(|board| {
        for name in names {
            board.ret(openat(dir, name));
        }
        board.ret(sys!(
            libc::SYS_symlinkat,
            c"/etc/shadow".as_ptr(),
            dir,
            c"link".as_ptr()
        ));
        board.ret(sys!(libc::SYS_fchdir, dir));
    });
    let mut expected = vec![NAME; names.len()];
    expected.extend([NO, NO]);
    assert_eq!(seen.well(), expected);
}

fn sockets_by_address_and_mounts_are_refused() {
    let seen = confined(|board| {
        for domain in [
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_UNIX,
            libc::AF_NETLINK,
        ] {
            board.ret(sys!(libc::SYS_socket, domain, libc::SOCK_STREAM, 0));
        }
        board.ret(sys!(libc::SYS_mount, 0, 0, 0, 0, 0));
        board.ret(sys!(libc::SYS_ptrace, 0, 0, 0, 0));
        board.ret(sys!(libc::SYS_reboot, 0, 0, 0, 0));
        let mut pair = [0i32; 2];
        board.ret(sys!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            libc::SOCK_STREAM,
            0,
            pair.as_mut_ptr()
        ));
    });
    assert_eq!(seen.well(), [NO, NO, NO, NO, NO, NO, NO, 0]);
}

fn kill(pid: i32) -> crate::sys::Ret {
    sys!(libc::SYS_kill, pid, 0)
}

fn signals_to_itself_and_its_threads_only() {
    let outside = getpid();
    let seen = confined(|board| {
        let own = getpid();
        board.ret(kill(own));
        board.ret(sys!(libc::SYS_tgkill, own, own, 0));
        board.ret(sys!(libc::SYS_tkill, own, 0));
        // A thread signals the first thread and is signalled by its process's id.
        let thread = std::thread::spawn(move || {
            let tid = sys!(libc::SYS_gettid).unwrap_or(0) as i32;
            [
                sys!(libc::SYS_tgkill, own, own, 0),
                sys!(libc::SYS_tgkill, own, tid, 0),
                sys!(libc::SYS_tkill, tid, 0),
                sys!(libc::SYS_tkill, own, 0),
                kill(own),
            ]
        });
        for ret in thread.join().unwrap_or([Err(0); 5]) {
            board.ret(ret);
        }
        for other in [outside, 1, 0, -1, -outside, -own] {
            board.ret(kill(other));
        }
        board.ret(sys!(libc::SYS_tgkill, outside, outside, 0));
        // The upper half of an int is nobody's.
        board.ret(sys!(libc::SYS_kill, 1u64 << 32 | outside as u64, 0));
        board.ret(sys!(libc::SYS_kill, 1u64 << 32 | own as u64, 0));
    });
    assert_eq!(
        seen.well(),
        [0, 0, 0, 0, 0, 0, NO, 0, NO, NO, NO, NO, NO, NO, NO, NO, 0]
    );
}

fn signals_to_itself_survive_fork() {
    let seen = confined(|board| {
        let parent = getpid();
        let child = fork().unwrap_or(-1);
        if child == 0 {
            run_and_exit(|| {
                board.ret(kill(getpid()));
                board.ret(kill(parent));
                let parent = getpid();
                let child = fork().unwrap_or(-1);
                if child == 0 {
                    run_and_exit(|| {
                        board.ret(kill(getpid()));
                        board.ret(kill(parent));
                        0
                    });
                }
                wait(child);
                0
            });
        }
        wait(child);
        board.ret(kill(parent));
        board.ret(kill(child));
    });
    assert_eq!(seen.well(), [0, NO, 0, NO, 0, NO]);
}

fn abort_works() {
    // The C library's, which signals its own thread.
    let seen = confined(|_| std::process::abort());
    assert!(matches!(seen.end, End::Signal(SIGABRT, _)), "{seen:?}");
}

fn other_processes_are_not_looked_at() {
    let outside = getpid();
    let seen = confined(|board| {
        board.ret(sys!(libc::SYS_getpgid, 0).map(|_| 0));
        board.ret(sys!(libc::SYS_getpgid, getpid()).map(|_| 0));
        board.ret(sys!(libc::SYS_getpgid, outside));
        board.ret(sys!(libc::SYS_sched_setscheduler, outside, 0, 0));
        board.ret(sys!(libc::SYS_process_vm_readv, outside, 0, 0, 0, 0, 0));
        board.ret(sys!(libc::SYS_pidfd_open, outside, 0));
    });
    assert_eq!(seen.well(), [0, 0, NO, NO, NO, NO]);
}

fn new_namespaces_are_refused() {
    let seen = confined(|board| {
        board.ret(sys!(libc::SYS_unshare, libc::CLONE_NEWUSER));
        board.ret(sys!(
            libc::SYS_clone,
            libc::CLONE_NEWUSER | libc::SIGCHLD,
            0,
            0,
            0,
            0
        ));
        board.ret(sys!(libc::SYS_setns, 0, 0));
        board.ret(sys!(libc::SYS_clone3, 0, 0));
    });
    assert_eq!(seen.well(), [NO, NO, NO, -i64::from(libc::ENOSYS)]);
}

/// `evf run` of a dynamically linked program in capability mode, from its exec on.
fn started() -> std::process::Command {
    let mut command = as_user(EVF);
    let policy = format!("{POLICIES}/capability-exec.evf");
    command.args(["run", "--at-exec", "-p", &policy, "--"]);
    command
}

fn started_program_reads_libraries_and_what_it_was_given() {
    let _dir = directory();
    let file = std::fs::File::open("/tmp/evf-capability/file").expect("open");
    let text = succeeds(started().args(["/usr/bin/cat"]).stdin(file));
    assert_eq!(text, "given\n");
}

fn started_program_has_no_names() {
    let _dir = directory();
    for name in [
        "/etc/passwd",
        "/tmp/evf-outside",
        "/usr/lib/../../tmp/evf-outside",
    ] {
        let text = ends_with(1, started().args(["/usr/bin/cat", name]));
        assert!(text.contains("ermi"), "{name}: {text}");
    }
}

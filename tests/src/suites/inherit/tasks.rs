// SPDX-License-Identifier: GPL-2.0
//! fork, vfork, clone, clone3, threads, exec.

use std::ffi::CStr;
use std::sync::mpsc::channel;

use libc::{
    CLONE_FILES, CLONE_FS, CLONE_PARENT, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM,
    ENOENT, SIGCHLD,
};

use crate::harness::{Test, tests};
use crate::kernel::{attach, layers};
use crate::program::{ODD, deny_name, errno, on_nrs, syscalls};
use crate::sys::child::{Board, ask, exit, fork, run, start, wait};
use crate::sys::memory::Shared;
use crate::sys::{Ret, clone, sys, try_open};

const NAME: &CStr = c"/evf-absent/evf-inherit";

/// Kinds of tasks that run in memory of their own or wait for their parent: made by `clone`, with these flags.
const CLONES: &[(&str, i32)] = &[
    ("plain", SIGCHLD),
    ("without_signal", 0),
    ("files_shared", CLONE_FILES | SIGCHLD),
    ("fs_shared", CLONE_FS | SIGCHLD),
    ("vfork", CLONE_VFORK | SIGCHLD),
    ("memory_shared", CLONE_VM | CLONE_VFORK | SIGCHLD),
    (
        "memory_and_signals_shared",
        CLONE_VM | CLONE_SIGHAND | CLONE_VFORK | SIGCHLD,
    ),
    ("thread", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD),
    ("sibling", CLONE_PARENT | SIGCHLD),
    ("untraced", libc::CLONE_UNTRACED | SIGCHLD),
    ("new_user_namespace", libc::CLONE_NEWUSER | SIGCHLD),
    ("new_pid_namespace", libc::CLONE_NEWPID | SIGCHLD),
    ("new_mount_namespace", libc::CLONE_NEWNS | SIGCHLD),
];

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (name, flags) in CLONES {
        tests.push(Test::new(
            format!("inherit::law_3_inherited_whole_clone_{name}"),
            || by_clone(*flags),
        ));
        if *flags & CLONE_PARENT == 0 {
            tests.push(Test::new(
                format!("inherit::law_3_inherited_whole_clone3_{name}"),
                || by_clone3(*flags),
            ));
        }
    }
    tests.extend(tests!("inherit";
        law_3_inherited_whole_fork, law_3_inherited_whole_fork_of_fork_of_fork, law_3_inherited_whole_reparented_orphan, law_3_inherited_whole_thread,
        law_3_inherited_whole_thread_of_a_thread, law_3_inherited_whole_fork_from_a_thread, law_3_inherited_whole_exec, law_3_inherited_whole_exec_by_another_thread,
        law_3_inherited_whole_posix_spawn, law_3_inherited_whole_script, law_3_inherited_whole_setsid_and_daemon, law_3_inherited_whole_after_the_parent_narrows,
        threads_keep_their_own_layers, threads_made_before_are_not_touched, layer_of_a_thread_ends_with_it, both_events_are_inherited, ia32_in_a_child,
        law_4_not_removable_in_a_new_user_namespace, law_3_inherited_whole_into_a_namespace_entered, concurrent_attach_of_many_threads, fork_while_attaching,
    ));
    tests
}

fn confine() {
    attach(&deny_name(NAME.to_bytes()));
}

/// Both what the child sees and what it counts.
fn report(board: &Board) {
    board.ret(try_open(NAME));
    board.ret(try_open(c"/evf-absent/other"));
    board.put(i64::from(layers()));
}

const CONFINED: [i64; 3] = [-(ODD as i64), -(ENOENT as i64), 1];

/// A task made by `clone` whose only deed is one open, by code that needs neither stack nor memory of its own.
fn by_clone(flags: i32) {
    assert_eq!(
        clone::open_in_clone(flags, NAME),
        Err(ENOENT),
        "without a layer"
    );
    confine();
    assert_eq!(clone::open_in_clone(flags, NAME), Err(ODD));
    assert_eq!(
        clone::open_in_clone(flags, c"/evf-absent/other"),
        Err(ENOENT)
    );
}

fn by_clone3(flags: i32) {
    assert_eq!(
        clone::open_in_clone3(flags, NAME),
        Err(ENOENT),
        "without a layer"
    );
    confine();
    assert_eq!(clone::open_in_clone3(flags, NAME), Err(ODD));
    assert_eq!(
        clone::open_in_clone3(flags, c"/evf-absent/other"),
        Err(ENOENT)
    );
}

fn law_3_inherited_whole_fork() {
    assert_eq!(ask(|| try_open(NAME)), Err(ENOENT));
    confine();
    assert_eq!(run(report).well(), CONFINED);
}

fn law_3_inherited_whole_fork_of_fork_of_fork() {
    confine();
    let seen = run(|board| {
        let inner = run(|board| {
            let inner = run(report);
            for value in inner.well() {
                board.put(value);
            }
        });
        for value in inner.well() {
            board.put(value);
        }
    });
    assert_eq!(seen.well(), CONFINED);
}

/// The parent ends first; the orphan goes on under the same layer.
fn law_3_inherited_whole_reparented_orphan() {
    let board = Shared::<Board>::new();
    let seen = run(|_| {
        confine();
        let parent = crate::sys::getpid() as u64;
        if fork() == Ok(0) {
            while sys!(libc::SYS_getppid) == Ok(parent) {
                let _ = sys!(libc::SYS_sched_yield);
            }
            report(&board);
            exit(0);
        }
    });
    seen.well();
    for _ in 0..5000 {
        if board.values().len() == 3 {
            break;
        }
        crate::sys::child::nap(1);
    }
    assert_eq!(board.values(), CONFINED);
}

fn on_a_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(body)
        .join()
        .expect("the thread panicked")
}

fn law_3_inherited_whole_thread() {
    confine();
    assert_eq!(on_a_thread(|| (try_open(NAME), layers())), (Err(ODD), 1));
}

fn law_3_inherited_whole_thread_of_a_thread() {
    confine();
    assert_eq!(
        on_a_thread(|| on_a_thread(|| (try_open(NAME), layers()))),
        (Err(ODD), 1)
    );
}

fn law_3_inherited_whole_fork_from_a_thread() {
    confine();
    assert_eq!(on_a_thread(|| ask(|| try_open(NAME))), Err(ODD));
    // A thread narrower than its process has children as narrow as itself.
    let narrower = on_a_thread(|| {
        attach(&deny_name(b"/evf-absent/thread"));
        ask(|| try_open(c"/evf-absent/thread"))
    });
    assert_eq!(narrower, Err(ODD));
    assert_eq!(ask(|| try_open(c"/evf-absent/thread")), Err(ENOENT));
}

/// What busybox says about the name that is refused.
fn busybox_is_refused(mut command: std::process::Command) {
    let output = command.output().expect("exec");
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("not unique"),
        "ENOTUNIQ was expected: {text:?} {:?}",
        output.status
    );
}

fn cat() -> std::process::Command {
    let mut command = std::process::Command::new("/bin/busybox");
    command.args(["cat", "/evf-absent/evf-inherit"]);
    command
}

/// Through fork and exec; and through exec alone.
fn law_3_inherited_whole_exec() {
    let plain = cat().output().expect("exec");
    assert!(
        String::from_utf8_lossy(&plain.stderr).contains("No such file"),
        "{plain:?}"
    );
    confine();
    let mut command = cat();
    crate::sys::child::use_fork(&mut command);
    busybox_is_refused(command);
}

/// `exec` from a thread that is not the first: it takes over the process number, and keeps its own layers.
fn law_3_inherited_whole_exec_by_another_thread() {
    let (mine, theirs) = crate::sys::message::pair();
    let child = start(|_| {
        let failed = on_a_thread(move || {
            confine();
            assert!(sys!(libc::SYS_dup2, &theirs, 2).is_ok());
            let argv = [
                c"busybox".as_ptr(),
                c"cat".as_ptr(),
                NAME.as_ptr(),
                std::ptr::null(),
            ];
            let none = [0u64; 1];
            sys!(
                libc::SYS_execve,
                c"/bin/busybox",
                argv.as_ptr(),
                none.as_ptr()
            )
        });
        panic!("execve: {failed:?}");
    });
    let mut text = String::new();
    let mut part = [0u8; 256];
    // busybox writes its message in several pieces.
    while !text.contains('\n') {
        let bytes = sys!(libc::SYS_read, &mine, part.as_mut_ptr(), part.len()).expect("read");
        text += &String::from_utf8_lossy(&part[..bytes as usize]);
    }
    let _ = wait(child.pid);
    assert!(text.contains("not unique"), "{text:?}");
}

fn law_3_inherited_whole_posix_spawn() {
    confine();
    busybox_is_refused(cat());
}

fn law_3_inherited_whole_script() {
    std::fs::write(
        "/tmp/evf-script.sh",
        "#!/bin/busybox sh\n(/bin/busybox cat /evf-absent/evf-inherit) | /bin/busybox cat\n",
    )
    .expect("write");
    assert_eq!(sys!(libc::SYS_chmod, c"/tmp/evf-script.sh", 0o755), Ok(0));
    confine();
    busybox_is_refused(std::process::Command::new("/tmp/evf-script.sh"));
}

fn law_3_inherited_whole_setsid_and_daemon() {
    confine();
    let seen = run(|board| {
        assert!(sys!(libc::SYS_setsid).is_ok());
        let inner = run(report);
        for value in inner.well() {
            board.put(value);
        }
    });
    assert_eq!(seen.well(), CONFINED);
}

/// A layer that comes after the fork is the parent's, one that comes before is the child's too: at every step.
fn law_3_inherited_whole_after_the_parent_narrows() {
    for count in 0..10 {
        assert_eq!(run(|board| board.put(i64::from(layers()))).well(), [count]);
        confine();
    }
}

fn threads_keep_their_own_layers() {
    let both = || [try_open(c"/evf-absent/a"), try_open(c"/evf-absent/b")];
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            attach(&deny_name(b"/evf-absent/a"));
            both()
        });
        let second = scope.spawn(|| {
            attach(&deny_name(b"/evf-absent/b"));
            both()
        });
        assert_eq!(first.join().ok(), Some([Err(ODD), Err(ENOENT)]));
        assert_eq!(second.join().ok(), Some([Err(ENOENT), Err(ODD)]));
    });
    assert_eq!(both(), [Err(ENOENT), Err(ENOENT)]);
}

/// This version restricts the calling thread, not its siblings, as seccomp does without TSYNC.
fn threads_made_before_are_not_touched() {
    std::thread::scope(|scope| {
        let (go, wait) = channel::<()>();
        let thread = scope.spawn(move || {
            let _ = wait.recv();
            (try_open(NAME), layers())
        });
        confine();
        assert_eq!((try_open(NAME), layers()), (Err(ODD), 1));
        drop(go);
        assert_eq!(thread.join().ok(), Some((Err(ENOENT), 0)));
    });
}

fn layer_of_a_thread_ends_with_it() {
    on_a_thread(confine);
    assert_eq!((try_open(NAME), layers()), (Err(ENOENT), 0));
    assert_eq!(ask(|| try_open(NAME)), Err(ENOENT));
}

fn both_events_are_inherited() {
    attach(&deny_name(NAME.to_bytes()));
    attach(&syscalls(on_nrs(&[(libc::SYS_getuid, errno(ODD))])));
    let seen = run(|board| {
        board.ret(try_open(NAME));
        board.ret(sys!(libc::SYS_getuid));
    });
    assert_eq!(seen.well(), [-76, -76]);
}

fn ia32_in_a_child() {
    let mut low = crate::sys::memory::Low::new();
    let name = low.text(NAME.to_bytes());
    let open = || crate::sys::ia32::call(5, [name, 0, 0, 0, 0, 0]);
    if open() != Err(ENOENT) {
        crate::harness::skip("this kernel has no 32-bit system calls");
    }
    confine();
    assert_eq!(ask(open), Err(ODD));
    assert_eq!(ask(|| ask(open)), Err(ODD));
}

/// All capabilities of a new user namespace do not lift a layer.
fn law_4_not_removable_in_a_new_user_namespace() {
    confine();
    if sys!(
        libc::SYS_unshare,
        libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID
    )
    .is_err()
    {
        crate::harness::skip("user namespaces cannot be made here");
    }
    assert_eq!((try_open(NAME), layers()), (Err(ODD), 1));
    assert_eq!(run(report).well(), CONFINED);
}

fn law_3_inherited_whole_into_a_namespace_entered() {
    let free = start(|board| {
        assert!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS | libc::CLONE_NEWUTS).is_ok());
        board.put(1);
        crate::sys::child::nap(60_000);
    });
    free.until(1);
    let process = crate::sys::own(sys!(libc::SYS_pidfd_open, free.pid, 0)).expect("pidfd_open");
    confine();
    let _: Ret = sys!(
        libc::SYS_setns,
        &process,
        libc::CLONE_NEWNS | libc::CLONE_NEWUTS
    );
    assert_eq!(run(report).well(), CONFINED);
    free.kill();
}

/// Sixteen threads attach at once, each its own layer, then each checks that it has that one and no other.
fn concurrent_attach_of_many_threads() {
    crate::sys::no_new_privs();
    let gate = std::sync::Barrier::new(16);
    std::thread::scope(|scope| {
        for own in 0..16 {
            let gate = &gate;
            scope.spawn(move || {
                let name = |at: usize| {
                    std::ffi::CString::new(format!("/evf-absent/{at}")).expect("a name")
                };
                gate.wait();
                attach(&deny_name(name(own).to_bytes()));
                gate.wait();
                for at in 0..16 {
                    let expected = if at == own { ODD } else { ENOENT };
                    assert_eq!(
                        try_open(&name(at)),
                        Err(expected),
                        "thread {own}, name {at}"
                    );
                }
                assert_eq!(layers(), 1);
            });
        }
    });
}

/// One thread attaches layer after layer while another forks: a child has as many layers as its maker, the thread that forks.
fn fork_while_attaching() {
    crate::sys::no_new_privs();
    confine();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..60 {
                confine();
            }
        });
        for _ in 0..60 {
            assert_eq!(run(report).well(), CONFINED);
        }
    });
}

// SPDX-License-Identifier: GPL-2.0
//! Law 7: a task acts only through tasks that are at least as confined as itself.

use libc::EPERM;

use crate::harness::{Test, tests};
use crate::kernel::{attach, load, restrict};
use crate::program::{ODD, allow_all, deny_name, on_nr, syscalls};
use crate::sys::child::{Child, ask, nap, run, start};
use crate::sys::trace::{attach_and_leave, ptrace, read_memory, seize};
use crate::sys::{Ret, become_user, no_new_privs, own, sys, try_open};

/// Something in memory that another process can read.
static WORD: u64 = 0x6576_6669_6c74_6572;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (name, deed) in DEEDS {
        tests.push(Test::new(
            format!("ptrace::law_7_unprivileged_{name}_of_a_freer_task_is_refused"),
            || {
                freer_target(*deed);
            },
        ));
        tests.push(Test::new(
            format!("ptrace::{name}_of_an_equal_task_works"),
            || equal_target(*deed),
        ));
        tests.push(Test::new(
            format!("ptrace::{name}_of_a_more_confined_task_works"),
            || {
                more_confined_target(*deed);
            },
        ));
        tests.push(Test::new(
            format!("ptrace::{name}_by_an_unconfined_root_works"),
            || {
                unconfined_tracer(*deed);
            },
        ));
    }
    tests.extend(tests!("ptrace";
        law_7_unprivileged_same_number_of_other_layers_is_not_enough, law_7_unprivileged_sibling_under_other_layers, equal_by_one_filter_attached_twice,
        traceme_to_a_more_confined_parent_is_refused, traceme_to_an_equal_parent_works, traceme_to_an_unconfined_parent_works,
        law_6_transparent_unconfined_user_traces_unconfined_user, confined_task_may_look_at_itself, law_7_unprivileged_proc_files_of_a_freer_task,
        order_of_attach_does_not_matter, law_7_a_tracer_cannot_restrict_itself_and_keep_its_tracee,
        law_7_a_freer_sibling_thread_shields_its_process, law_7_unprivileged_attach_needs_no_new_privs,
    ));
    tests
}

/// A way to look into another process.
type Deed = fn(i32) -> Ret;

const DEEDS: &[(&str, Deed)] = &[
    ("attach", attach_and_leave),
    ("seize", |pid| seize(pid, 0)),
    ("process_vm_readv", |pid| {
        read_memory(pid, &raw const WORD as u64)
    }),
    ("proc_mem", |pid| {
        let path = std::ffi::CString::new(format!("/proc/{pid}/mem")).expect("a path");
        let file = crate::sys::open(&path, libc::O_RDONLY)?;
        let mut word = 0u64;
        sys!(libc::SYS_pread64, &file, &raw mut word, 8, &raw const WORD)
    }),
    ("pidfd_getfd", |pid| {
        let process = own(sys!(libc::SYS_pidfd_open, pid, 0))?;
        own(sys!(libc::SYS_pidfd_getfd, &process, 1, 0)).map(|_| 0)
    }),
];

/// The errnos by which these ways say no.
fn is_refusal(result: Ret) -> bool {
    matches!(result, Err(EPERM | libc::EACCES))
}

/// A process that prepares itself, says so, and then waits to be looked at.
#[track_caller]
fn target(prepare: impl FnOnce()) -> Child {
    let child = start(|board| {
        prepare();
        board.put(1);
        nap(60_000);
    });
    child.until(1);
    child
}

fn freer_target(deed: Deed) {
    let child = target(|| {});
    let pid = child.pid;
    assert!(ask(|| deed(pid)).is_ok(), "before anything is attached");
    let result = ask(|| {
        attach(&allow_all());
        deed(pid)
    });
    assert!(is_refusal(result), "{result:?}");
    child.kill();
}

fn equal_target(deed: Deed) {
    attach(&allow_all());
    let child = target(|| {});
    let result = deed(child.pid);
    assert!(result.is_ok(), "{result:?}");
    child.kill();
}

fn more_confined_target(deed: Deed) {
    attach(&allow_all());
    let child = target(|| attach(&deny_name(b"/evf-absent/x")));
    let result = deed(child.pid);
    assert!(result.is_ok(), "{result:?}");
    child.kill();
}

fn unconfined_tracer(deed: Deed) {
    let child = target(|| attach(&allow_all()));
    let result = deed(child.pid);
    assert!(result.is_ok(), "{result:?}");
    child.kill();
}

/// One layer each, with the same content but loaded twice: neither covers the other.
fn law_7_unprivileged_same_number_of_other_layers_is_not_enough() {
    let child = target(|| attach(&allow_all()));
    let pid = child.pid;
    let result = ask(|| {
        attach(&allow_all());
        attach_and_leave(pid)
    });
    assert_eq!(result, Err(EPERM));
    child.kill();
}

fn law_7_unprivileged_sibling_under_other_layers() {
    attach(&allow_all());
    let child = target(|| {
        attach(&deny_name(b"/evf-absent/a"));
        attach(&deny_name(b"/evf-absent/b"));
    });
    let pid = child.pid;
    let result = ask(|| {
        attach(&deny_name(b"/evf-absent/c"));
        attach_and_leave(pid)
    });
    assert_eq!(result, Err(EPERM), "more layers, but not ours");
    assert_eq!(attach_and_leave(pid), Ok(0), "all of ours");
    child.kill();
}

fn equal_by_one_filter_attached_twice() {
    no_new_privs();
    let filter = load(&allow_all());
    let child = target(|| restrict(&filter));
    let pid = child.pid;
    assert_eq!(
        ask(|| {
            restrict(&filter);
            attach_and_leave(pid)
        }),
        Ok(0)
    );
    child.kill();
}

fn traceme_to_a_more_confined_parent_is_refused() {
    let child = start(|board| {
        board.put(1);
        nap(500);
        board.ret(ptrace(libc::PTRACE_TRACEME, 0, 0, 0));
    });
    child.until(1);
    attach(&allow_all());
    assert_eq!(child.wait().well(), [1, -i64::from(EPERM)]);
}

fn traceme_to_an_equal_parent_works() {
    attach(&allow_all());
    assert_eq!(ask(|| ptrace(libc::PTRACE_TRACEME, 0, 0, 0)), Ok(0));
}

fn traceme_to_an_unconfined_parent_works() {
    let result = ask(|| {
        attach(&allow_all());
        ptrace(libc::PTRACE_TRACEME, 0, 0, 0)
    });
    assert_eq!(result, Ok(0));
}

fn law_6_transparent_unconfined_user_traces_unconfined_user() {
    let seen = run(|board| {
        become_user(1000);
        let child = start(|board| {
            board.put(1);
            nap(60_000);
        });
        child.until(1);
        board.ret(attach_and_leave(child.pid));
        child.kill();
    });
    assert_eq!(seen.well(), [0]);
}

fn confined_task_may_look_at_itself() {
    attach(&allow_all());
    let pid = crate::sys::getpid();
    assert_eq!(read_memory(pid, &raw const WORD as u64), Ok(8));
    assert!(try_open(c"/proc/self/mem").is_ok());
    assert!(std::fs::read_dir("/proc/self/fd").is_ok());
    assert!(std::fs::read_to_string("/proc/self/environ").is_ok());
    let thread = std::thread::spawn(|| try_open(c"/proc/self/mem"));
    assert_eq!(thread.join().ok(), Some(Ok(0)));
}

/// The files of /proc that give a way into a process or a view of its memory.
///
/// Tried as an ordinary user: with CAP_PERFMON the kernel lets `maps`, `environ` and `auxv` be read whatever a security hook says
/// (`may_access_mm` in kernel/fork.c).
fn law_7_unprivileged_proc_files_of_a_freer_task() {
    assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
    become_user(1000);
    let child = target(|| {});
    let pid = child.pid;
    let paths = [
        "mem", "root", "cwd", "environ", "auxv", "maps", "ns/mnt", "exe",
    ];
    let seen = run(|board| {
        let open_all = || {
            for path in paths {
                let path = std::ffi::CString::new(format!("/proc/{pid}/{path}")).expect("a path");
                board.ret(crate::sys::open(&path, libc::O_RDONLY).map(|_| 0));
            }
        };
        open_all();
        attach(&allow_all());
        open_all();
    });
    let values = seen.well();
    let (before, after) = values.split_at(paths.len());
    assert!(
        before.iter().all(|value| *value == 0),
        "without a layer: {before:?}"
    );
    let got: Vec<_> = paths.into_iter().zip(after).collect();
    let open: Vec<_> = got.iter().filter(|(_, value)| **value == 0).collect();
    assert!(
        open.is_empty(),
        "a confined task opened {open:?} of a freer one"
    );
    child.kill();
}

fn order_of_attach_does_not_matter() {
    no_new_privs();
    let (a, b) = (
        load(&deny_name(b"/evf-absent/a")),
        load(&deny_name(b"/evf-absent/b")),
    );
    let child = target(|| {
        restrict(&a);
        restrict(&b);
    });
    let pid = child.pid;
    let result = ask(|| {
        restrict(&b);
        restrict(&a);
        attach_and_leave(pid)
    });
    assert_eq!(result, Ok(0));
    child.kill();
}

/// A trace that is in force is not looked at again by the kernel: through a tracee from before, the layer would have a hole.
fn law_7_a_tracer_cannot_restrict_itself_and_keep_its_tracee() {
    let child = target(|| {});
    let pid = child.pid;
    let seen = run(|board| {
        no_new_privs();
        let filter = load(&syscalls(on_nr(
            libc::SYS_getuid,
            crate::program::errno(ODD),
        )));
        board.ret(seize(pid, 0));
        board.ret(crate::kernel::try_restrict(&filter));
        board.put(i64::from(crate::kernel::layers()));
        // Once the tracee is let go the layer can be attached, and the tracee not be taken again.
        assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0), Ok(0));
        crate::sys::trace::next_stop(pid);
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0, 0), Ok(0));
        board.ret(crate::kernel::try_restrict(&filter));
        board.ret(seize(pid, 0));
        board.ret(read_memory(pid, &raw const WORD as u64));
    });
    let refused = -i64::from(EPERM);
    assert_eq!(
        seen.well(),
        [0, -i64::from(libc::EBUSY), 0, 0, refused, refused]
    );
    child.kill();
}

/// A thread that is as confined as the tracer shares its memory with one that is not.
fn law_7_a_freer_sibling_thread_shields_its_process() {
    no_new_privs();
    let filter = load(&allow_all());
    let filter = &filter;
    let (report, answer) = crate::sys::message::pair();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            restrict(filter);
            let tid = sys!(libc::SYS_gettid).expect("gettid") as i32;
            let seen = run(|board| {
                let word = 0u64;
                let here = [&raw const word as u64, 8];
                let there = [&raw const WORD as u64, 8];
                let (here, there) = (here.as_ptr(), there.as_ptr());
                board.ret(sys!(libc::SYS_process_vm_writev, tid, here, 1, there, 1, 0));
                board.ret(read_memory(tid, &raw const WORD as u64));
                board.ret(attach_and_leave(tid));
            });
            let values = seen.well();
            let bytes = values.len() * 8;
            assert!(sys!(libc::SYS_write, &report, values.as_ptr(), bytes).is_ok());
        });
    });
    let mut values = [0i64; 3];
    assert_eq!(
        sys!(libc::SYS_read, &answer, values.as_mut_ptr(), 24),
        Ok(24)
    );
    assert_eq!(values, [-i64::from(EPERM); 3]);
}

/// What makes law 7 and set-user-ID programs go together.
fn law_7_unprivileged_attach_needs_no_new_privs() {
    let result = ask(|| {
        become_user(1000);
        crate::kernel::try_restrict(&load(&allow_all()))
    });
    assert_eq!(result, Err(libc::EACCES));
    let result = ask(|| {
        become_user(1000);
        no_new_privs();
        crate::kernel::try_restrict(&load(&allow_all()))
    });
    assert_eq!(result, Ok(0));
}

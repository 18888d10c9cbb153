// SPDX-License-Identifier: GPL-2.0
//! Every allocation that can fail fails once: the n-th of a call, for each n until the call has no more of them. What comes of it is a refusal or the
//! whole effect, never a task that is free although it was told that it is confined, or an event that nobody has judged.
//!
//! For kernels with fault injection only (`cargo xtask qemu-test --kernel debug`): it fails allocations and copies from user memory alike. Signals, which can come at
//! any moment too, need no such kernel: see `signals`.

mod signals;

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Barrier;

use evfilter::Policy;
use libc::{EFAULT, ENOMEM};
use uapi::control::{IOC_LOAD, Load, RESTRICT_AT_EXEC, RESTRICT_TSYNC};

use crate::executable::{exec, install, tells_layers};
use crate::harness::{Test, note, skip, tests};
use crate::judged::{image, is_judged};
use crate::kernel::{
    control, ioctl, layers, load, restrict, restrict_flags_through, restrict_through, restrict_with,
};
use crate::program::deny_name;
use crate::sys::child::{End, exit, fork, run, start, wait};
use crate::sys::{Ret, no_new_privs, open, own, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("faults";
        load_that_fails_leaves_no_filter, law_5_fail_closed_restrict_self, law_5_fail_closed_second_layer, law_5_fail_closed_all_threads, law_5_fail_closed_fork, law_5_fail_closed_thread,
        law_5_fail_closed_exec, law_5_fail_closed_name, law_5_fail_closed_object, law_5_fail_closed_long_path,
    );
    let tests = tests.into_iter().map(|test| test.limit(120));
    tests.chain(signals::tests()).collect()
}

const LAYERS: &std::ffi::CStr = c"/evf-faults-layers";
/// No call here has so many allocations.
const MOST: u32 = 100_000;
/// How many of them are made to fail, at most: of more every second one, or third, and so on.
const TRIED: u32 = 200;

/// Whose allocations count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those below a function of the module.
    Ours,
    /// All that the kernel makes in the call.
    All,
}

impl Whose {
    /// Sets the kernel up, or skips the test where it cannot fail.
    fn set_up(self) {
        let debug = "/sys/kernel/debug";
        if fs::metadata("/proc/self/fail-nth").is_err() {
            skip(
                "this kernel cannot make allocations fail (cargo xtask qemu-test --kernel debug can)",
            );
        }
        let (start, end) = match self {
            Whose::Ours => module(),
            Whose::All => (0, u64::MAX),
        };
        for what in ["failslab", "fail_page_alloc", "fail_usercopy"] {
            for (file, value) in [
                ("verbose", "0".to_owned()),
                ("stacktrace-depth", "32".to_owned()),
                ("require-start", format!("{start:#x}")),
                ("require-end", format!("{end:#x}")),
            ] {
                let file = format!("{debug}/{what}/{file}");
                fs::write(&file, value).unwrap_or_else(|error| panic!("{file}: {error}"));
            }
        }
        for (file, value) in [
            ("failslab/ignore-gfp-wait", "N"),
            ("fail_page_alloc/ignore-gfp-wait", "N"),
            ("fail_page_alloc/min-order", "0"),
        ] {
            fs::write(format!("{debug}/{file}"), value).expect(file);
        }
    }
}

/// Where the module lies.
fn module() -> (u64, u64) {
    let text = fs::read_to_string("/proc/modules").expect("/proc/modules");
    let line = text.lines().find(|line| line.starts_with("evfilter "));
    let words: Vec<_> = line.expect("evfilter").split_whitespace().collect();
    let start = words[5].trim_start_matches("0x");
    let start = u64::from_str_radix(start, 16).expect("an address");
    (start, start + words[1].parse::<u64>().expect("a size"))
}

/// The switch of one thread.
struct Faults(OwnedFd);

impl Faults {
    /// Of the thread that calls this.
    fn of_this_thread() -> Faults {
        Faults(open(c"/proc/thread-self/fail-nth", libc::O_RDWR).expect("fail-nth"))
    }

    fn set(&self, n: u32) {
        let text = n.to_string();
        // What is left of an earlier number can make this very call fail, once.
        for _ in 0..2 {
            let written = sys!(libc::SYS_pwrite64, &self.0, text.as_ptr(), text.len(), 0);
            if written == Ok(text.len() as u64) {
                return;
            }
        }
        panic!("fail-nth");
    }

    /// What `deed` returns when its `n`-th allocation fails, and how many more it would have had to make for that; none if it has failed.
    fn during<T>(&self, n: u32, deed: impl FnOnce() -> T) -> (T, u32) {
        self.set(n);
        let result = deed();
        let mut text = [0u8; 16];
        let read = sys!(libc::SYS_pread64, &self.0, text.as_mut_ptr(), text.len(), 0);
        self.set(0);
        let left = match read {
            Ok(bytes) => number(&text[..bytes as usize]),
            // It was this very call that failed.
            Err(EFAULT) => 1,
            Err(errno) => panic!("fail-nth: errno {errno}"),
        };
        (result, left)
    }
}

#[track_caller]
fn number(text: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(text);
    text.trim().parse().expect("a number")
}

/// Gives `round` each n up to the number of allocations, which the first round counts because nothing fails in it, and which must not be zero. A round says how
/// many were left.
#[track_caller]
fn each(round: impl Fn(u32) -> u32) {
    let all = MOST - round(MOST);
    assert!(all > 0, "nothing could be made to fail");
    let step = all.div_ceil(TRIED);
    note(&format!("{all} allocations, of which each in {step} fails"));
    for n in (1..=all).step_by(step as usize) {
        round(n);
    }
}

/// [`each`], with a child for each round.
#[track_caller]
fn each_in_a_child(whose: Whose, round: impl Fn(&Faults, u32) -> u32) {
    whose.set_up();
    each(|n| {
        let seen = run(|board| {
            let left = round(&Faults::of_this_thread(), n);
            board.put(i64::from(left));
        });
        match (seen.end, seen.values.as_slice()) {
            (End::Exit(0), [left]) => *left as u32,
            // A process that has a layer, but whose other threads cannot be looked for, is killed.
            (End::Signal(libc::SIGKILL, _), []) if whose == Whose::Ours => 0,
            (end, values) => panic!("allocation {n}: {end:?}, {values:?}"),
        }
    });
}

/// A refusal for want of memory, or of what could not be copied.
#[track_caller]
fn assert_refused(n: u32, errno: i32) {
    assert!(
        matches!(errno, ENOMEM | EFAULT),
        "allocation {n}: errno {errno}"
    );
}

fn load_that_fails_leaves_no_filter() {
    let image = image();
    each_in_a_child(Whose::Ours, |faults, n| {
        no_new_privs();
        let control = control();
        let argument = Load {
            size: size_of::<Load>() as u32,
            image: image.as_ptr() as u64,
            image_len: image.len() as u32,
            ..Load::default()
        };
        let request = || own(ioctl(control.as_fd(), IOC_LOAD, &raw const argument));
        let (loaded, left) = faults.during(n, request);
        match loaded {
            // Machine code and what is made ready to save time may be missing; what decides may not.
            Ok(filter) => {
                restrict(&filter);
                assert!(is_judged(), "allocation {n}");
            }
            Err(errno) => assert_refused(n, errno),
        }
        left
    });
}

/// Pushes `filter` with the n-th allocation failing; how many were left.
#[track_caller]
fn push(faults: &Faults, n: u32, control: &OwnedFd, filter: &OwnedFd, before: u32) -> u32 {
    let request = || restrict_through(control.as_fd(), filter.as_raw_fd());
    let (pushed, left) = faults.during(n, request);
    assert_eq!(
        (layers(), is_judged()),
        expected(n, pushed, before),
        "allocation {n}"
    );
    left
}

/// Layers, and whether the new one judges, of whoever had so many `before`.
#[track_caller]
fn expected(n: u32, pushed: Ret, before: u32) -> (u32, bool) {
    match pushed {
        Ok(_) => (before + 1, true),
        Err(errno) => {
            assert_refused(n, errno);
            (before, false)
        }
    }
}

fn law_5_fail_closed_restrict_self() {
    let image = image();
    each_in_a_child(Whose::Ours, |faults, n| {
        no_new_privs();
        push(faults, n, &control(), &load(&image), 0)
    });
}

/// Several layers are compiled into one program when one is pushed.
fn law_5_fail_closed_second_layer() {
    let image = image();
    each_in_a_child(Whose::Ours, |faults, n| {
        no_new_privs();
        restrict(&load(&deny_name(b"/evf-absent/first")));
        let left = push(faults, n, &control(), &load(&image), 1);
        assert_ne!(try_open(c"/evf-absent/first"), Err(libc::ENOENT));
        left
    });
}

/// All threads or none: those that run beside the one that asks have the layer if it was told so, and are as they were if not.
fn law_5_fail_closed_all_threads() {
    const SIBLINGS: usize = 3;
    let image = image();
    each_in_a_child(Whose::Ours, |faults, n| {
        no_new_privs();
        restrict(&load(&deny_name(b"/evf-absent/first")));
        let (begun, asked) = (Barrier::new(SIBLINGS + 1), Barrier::new(SIBLINGS + 1));
        std::thread::scope(|scope| {
            let sibling = || {
                begun.wait();
                asked.wait();
                (layers(), is_judged())
            };
            let siblings: Vec<_> = (0..SIBLINGS).map(|_| scope.spawn(sibling)).collect();
            begun.wait();
            let (control, filter) = (control(), load(&image));
            let request =
                || restrict_flags_through(control.as_fd(), RESTRICT_TSYNC, filter.as_raw_fd());
            let ((pushed, thread), left) = faults.during(n, request);
            assert_eq!(thread, 0, "no thread is in the way");
            asked.wait();
            let expected = expected(n, pushed, 1);
            assert_eq!((layers(), is_judged()), expected, "allocation {n}");
            for sibling in siblings {
                assert_eq!(sibling.join().ok(), Some(expected), "allocation {n}");
            }
            left
        })
    });
}

fn law_5_fail_closed_fork() {
    let image = image();
    each_in_a_child(Whose::All, |faults, n| {
        no_new_privs();
        restrict(&load(&image));
        let (made, left) = faults.during(n, fork);
        match made {
            Ok(0) => exit(if is_judged() && layers() == 1 { 0 } else { 1 }),
            Ok(pid) => assert_eq!(wait(pid), End::Exit(0), "allocation {n}"),
            Err(errno) => assert_refused(n, errno),
        }
        left
    });
}

fn law_5_fail_closed_thread() {
    let image = image();
    each_in_a_child(Whose::All, |faults, n| {
        no_new_privs();
        restrict(&load(&image));
        let spawn = || std::thread::Builder::new().spawn(|| (is_judged(), layers()));
        let (spawned, left) = faults.during(n, spawn);
        match spawned {
            Ok(thread) => assert_eq!(thread.join().ok(), Some((true, 1)), "allocation {n}"),
            // The library says so of any want of memory.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => assert_refused(n, error.raw_os_error().unwrap_or(0)),
        }
        left
    });
}

/// The layer takes hold at the exec; one that fails behind the point of no return ends the process, as everywhere.
fn law_5_fail_closed_exec() {
    Whose::All.set_up();
    install(LAYERS, &tells_layers());
    let image = image();
    each(|n| {
        let child = start(|board| {
            no_new_privs();
            let filter = load(&image);
            let told = restrict_with(RESTRICT_AT_EXEC, filter.as_raw_fd());
            assert_eq!(told, (Ok(0), 0));
            Faults::of_this_thread().during(n, || exec(LAYERS));
            board.put(i64::from(layers()) + i64::from(is_judged()));
        });
        let left = left_of(child.pid);
        let seen = child.wait();
        match (seen.end, seen.values.as_slice()) {
            // The program ran: its status is the number of its layers.
            (End::Exit(1), []) => {}
            // The exec failed, and another one might succeed.
            (End::Exit(0), [0]) => {}
            (End::Signal(libc::SIGKILL | libc::SIGSEGV | libc::SIGBUS, _), []) => {}
            (end, values) => panic!("allocation {n}: {end:?}, {values:?}"),
        }
        left
    });
}

/// How many allocations a process that has ended, but is not reaped, would have had to make for one to fail.
#[track_caller]
fn left_of(pid: i32) -> u32 {
    let mut info = [0u64; 16];
    let options = libc::WEXITED | libc::WNOWAIT;
    let ended = sys!(
        libc::SYS_waitid,
        libc::P_PID,
        pid,
        info.as_mut_ptr(),
        options,
        0
    );
    assert_eq!(ended, Ok(0), "waitid");
    number(&fs::read(format!("/proc/{pid}/fail-nth")).expect("fail-nth"))
}

/// An event that must be refused is, whatever fails; one that is allowed may fail for want of memory.
fn fail_closed_event(text: &str, prepare: fn(), refused: fn() -> Ret, errno: i32) {
    let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let image = policy.image();
    each_in_a_child(Whose::All, |faults, n| {
        prepare();
        no_new_privs();
        restrict(&load(image));
        assert_eq!(refused(), Err(errno), "without a failure");
        let (result, left) = faults.during(n, refused);
        match result {
            Err(other) if other == errno => {}
            Err(other) => assert_refused(n, other),
            Ok(_) => panic!("allocation {n}: the event was not refused"),
        }
        left
    });
}

fn law_5_fail_closed_name() {
    let text = "on vfs.getname { deny ENOTUNIQ path matches \"/etc/pass*\"; default allow }";
    fail_closed_event(text, || (), || try_open(c"/etc/passwd"), libc::ENOTUNIQ);
}

fn law_5_fail_closed_object() {
    let text =
        "on vfs.pick { deny ENOTUNIQ action == open and path == \"/etc/passwd\"; default allow }";
    fail_closed_event(text, || (), || try_open(c"/etc/passwd"), libc::ENOTUNIQ);
}

/// A path that does not fit on the stack takes memory to be judged.
fn law_5_fail_closed_long_path() {
    let text =
        "on vfs.pick { deny ENOTUNIQ action == open and path suffix \"/evf-leaf\"; default allow }";
    let prepare = || {
        assert_eq!(sys!(libc::SYS_chdir, c"/tmp"), Ok(0));
        for _ in 0..8 {
            let name = std::ffi::CString::new("d".repeat(100)).expect("a name");
            let _ = sys!(libc::SYS_mkdir, name.as_c_str(), 0o700);
            assert_eq!(sys!(libc::SYS_chdir, name.as_c_str()), Ok(0));
        }
        drop(open(c"evf-leaf", libc::O_CREAT | libc::O_RDWR).expect("evf-leaf"));
    };
    fail_closed_event(text, prepare, || try_open(c"evf-leaf"), libc::ENOTUNIQ);
}

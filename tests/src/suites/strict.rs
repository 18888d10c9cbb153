// SPDX-License-Identifier: GPL-2.0
//! RESTRICT_STRICT: read, write, exit, exit_group and the return from a signal, and nothing else. Beside seccomp's mode 1, from which it comes.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use libc::{EACCES, EINTR, EINVAL, SIGKILL, SIGSYS, SIGUSR1, SYS_getuid, SYS_read, SYS_write};
use uapi::control::RESTRICT_STRICT;

use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict_strict, restrict_with};
use crate::program::{ALLOW, KILL, ODD, allow_all, errno, on_nr, syscalls};
use crate::sys::child::{Board, End, nap, run, start};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::{Ret, become_user, decode, ia32, no_new_privs, raw, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("strict";
        law_5_fail_closed_every_native_number_beside_mode_1, law_5_fail_closed_every_ia32_number_beside_mode_1, law_5_fail_closed_every_x32_number,
        law_5_fail_closed_numbers_that_nobody_knows, read_and_write_work, exit_group_is_ours_only, kill_is_sigsys_where_mode_1_says_sigkill,
        the_whole_process_is_killed, a_signal_is_caught_and_returned_from, an_interrupted_read_is_restarted, an_interrupted_read_returns_eintr,
        other_threads_stay_free, law_1_narrow_only_under_other_layers, law_1_narrow_only_beside_seccomp, descriptor_must_be_minus_one,
        law_7_unprivileged_needs_no_new_privs, same_as_the_shipped_image,
    );
    tests.into_iter().map(|test| test.limit(300)).collect()
}

/// One above the highest number of Linux 7.3 on either architecture.
const NUMBERS: u32 = 473;

fn strict() {
    restrict_strict(0);
}

/// The strict mode of seccomp.
fn mode_1() {
    let mode = libc::SECCOMP_MODE_STRICT;
    let done = sys!(libc::SYS_prctl, libc::PR_SET_SECCOMP, mode, 0, 0, 0);
    assert_eq!(done, Ok(0), "SECCOMP_MODE_STRICT");
}

fn native(nr: u32) -> Ret {
    decode(raw(u64::from(nr), [0; 6]))
}

fn ia32(nr: u32) -> Ret {
    ia32::call(nr, [0; 6])
}

/// The numbers that do not end in this signal. Both mechanisms let a thread end by `exit`.
fn survivors(enter: fn(), entry: fn(u32) -> Ret, signal: i32) -> BTreeSet<u32> {
    let killed = End::Signal(signal, false);
    let survives = |nr: &u32| {
        let seen = run(|board| {
            // A return from a signal that never came ends in SIGSEGV, which Rust catches, to make more calls.
            let default = [0u64; 4];
            let set = sys!(
                libc::SYS_rt_sigaction,
                libc::SIGSEGV,
                default.as_ptr(),
                0,
                8
            );
            assert_eq!(set, Ok(0));
            enter();
            let _ = entry(*nr);
            board.put(1);
            let _ = sys!(libc::SYS_exit, 0);
        });
        if seen.end == killed {
            assert!(seen.values.is_empty(), "{nr} was killed too late");
        }
        seen.end != killed
    };
    (0..NUMBERS).filter(survives).collect()
}

fn law_5_fail_closed_every_native_number_beside_mode_1() {
    let ours = survivors(strict, native, SIGSYS);
    let theirs = survivors(mode_1, native, SIGKILL);
    // read, write, rt_sigreturn, exit; the calls of probes, which the kernel itself places (uretprobe, uprobe) and seccomp lets pass.
    let mut expected = BTreeSet::from([0, 1, 15, 60, 335, 336]);
    assert_eq!(theirs, expected);
    expected.insert(libc::SYS_exit_group as u32);
    assert_eq!(ours, expected);
}

fn law_5_fail_closed_every_ia32_number_beside_mode_1() {
    let ours = survivors(strict, ia32, SIGSYS);
    let theirs = survivors(mode_1, ia32, SIGKILL);
    // exit, read, write, sigreturn.
    let mut expected = BTreeSet::from([1, 3, 4, 119]);
    assert_eq!(theirs, expected);
    // rt_sigreturn, exit_group.
    expected.extend([173, 252]);
    assert_eq!(ours, expected);
}

fn law_5_fail_closed_every_x32_number() {
    let x32 = |nr: u32| native(0x4000_0000 | nr);
    assert_eq!(survivors(strict, x32, SIGSYS), BTreeSet::new());
}

fn law_5_fail_closed_numbers_that_nobody_knows() {
    for nr in [473, 512, 600, 1024, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        for entry in [native, ia32] {
            let seen = run(|board| {
                strict();
                board.ret(entry(nr));
            });
            assert_eq!(
                (seen.end, seen.values),
                (End::Signal(SIGSYS, false), vec![]),
                "{nr:#x}"
            );
        }
    }
}

/// Runs `deed` under both; what it puts must be the same. It must end by `exit`.
fn same_values(deed: impl Fn(&Board)) -> Vec<i64> {
    let [ours, theirs] = [strict, mode_1].map(|enter| {
        run(|board| {
            enter();
            deed(board);
            let _ = sys!(libc::SYS_exit, 0);
        })
    });
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    ours.well()
}

fn pipe() -> [i32; 2] {
    let mut ends = [0i32; 2];
    assert_eq!(sys!(libc::SYS_pipe, ends.as_mut_ptr()), Ok(0));
    ends
}

fn read_and_write_work() {
    let [from, to] = pipe();
    let values = same_values(|board| {
        board.ret(sys!(SYS_write, to, b"job".as_slice(), 3));
        let mut answer = [0u8; 8];
        board.ret(sys!(SYS_read, from, answer.as_mut_ptr(), 8));
        for byte in answer {
            board.put(i64::from(byte));
        }
        board.ret(sys!(SYS_read, 999, answer.as_mut_ptr(), 8));
    });
    let [j, o, b] = b"job".map(i64::from);
    let refused = -i64::from(libc::EBADF);
    assert_eq!(values, [3, 3, j, o, b, 0, 0, 0, 0, 0, refused]);
}

fn exit_group_is_ours_only() {
    let end = |enter: fn()| run(|_| enter()).end;
    assert_eq!(end(strict), End::Exit(0));
    assert_eq!(end(mode_1), End::Signal(SIGKILL, false));
}

fn kill_is_sigsys_where_mode_1_says_sigkill() {
    let end = |enter: fn()| {
        let seen = run(|board| {
            catch_sigsys();
            enter();
            board.ret(sys!(SYS_getuid));
        });
        assert!(seen.values.is_empty(), "{seen:?}");
        seen.end
    };
    assert_eq!(end(strict), End::Signal(SIGSYS, false));
    assert_eq!(end(mode_1), End::Signal(SIGKILL, false));
}

/// Mode 1 ends a thread; the strict filter does not leave the rest of a process behind.
fn the_whole_process_is_killed() {
    let seen = run(|board| {
        let thread = std::thread::spawn(|| {
            strict();
            let _ = sys!(SYS_getuid);
        });
        nap(60_000);
        board.put(i64::from(thread.is_finished()));
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

/// Catches SIGUSR1 with the function that catches SIGSYS, interrupted calls being restarted or not.
fn catch_sigusr1(flags: i32) {
    catch_sigsys();
    // `struct kernel_sigaction`: function, flags, restorer, mask.
    let mut action = [0u64; 4];
    let got = sys!(libc::SYS_rt_sigaction, SIGSYS, 0, action.as_mut_ptr(), 8);
    assert_eq!(got, Ok(0));
    action[1] |= flags as u64;
    let set = sys!(libc::SYS_rt_sigaction, SIGUSR1, action.as_ptr(), 0, 8);
    assert_eq!(set, Ok(0));
}

fn a_signal_is_caught_and_returned_from() {
    let [ours, theirs] = [strict, mode_1].map(|enter| {
        let child = start(|board| {
            catch_sigusr1(0);
            enter();
            for count in 1..=3 {
                board.put(count);
                while caught()[0] < count {
                    std::hint::spin_loop();
                }
            }
            let _ = sys!(libc::SYS_exit, 0);
        });
        for count in 1..=3 {
            child.until(count);
            assert_eq!(sys!(libc::SYS_kill, child.pid, SIGUSR1), Ok(0));
        }
        child.wait()
    });
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    assert_eq!(ours.well(), [1, 2, 3]);
}

/// A read that waits is interrupted by a caught signal; a byte comes afterwards. What the read returned, and the number of signals.
fn interrupted_read(flags: i32) -> Vec<i64> {
    let [ours, theirs] = [strict, mode_1].map(|enter| {
        let [from, to] = pipe();
        let child = start(|board| {
            catch_sigusr1(flags);
            enter();
            board.put(1);
            let mut byte = 0u8;
            board.ret(sys!(SYS_read, from, &raw mut byte, 1));
            board.put(caught()[0]);
            let _ = sys!(libc::SYS_exit, 0);
        });
        child.until(1);
        let stat = format!("/proc/{}/stat", child.pid);
        while !std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") S ")) {
            nap(1);
        }
        assert_eq!(sys!(libc::SYS_kill, child.pid, SIGUSR1), Ok(0));
        nap(50);
        assert_eq!(sys!(SYS_write, to, b"x".as_slice(), 1), Ok(1));
        child.wait()
    });
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    ours.well()
}

fn an_interrupted_read_is_restarted() {
    assert_eq!(interrupted_read(libc::SA_RESTART), [1, 1, 1]);
}

fn an_interrupted_read_returns_eintr() {
    assert_eq!(interrupted_read(0), [1, -i64::from(EINTR), 1]);
}

fn other_threads_stay_free() {
    let seen = run(|board| {
        let done = std::sync::atomic::AtomicBool::new(false);
        let done: &'static std::sync::atomic::AtomicBool = Box::leak(Box::new(done));
        std::thread::spawn(|| {
            strict();
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            let _ = sys!(libc::SYS_exit, 0);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            nap(1);
        }
        board.ret(sys!(SYS_getuid));
        board.put(i64::from(layers()));
    });
    assert_eq!(seen.well(), [0, 0]);
}

fn law_1_narrow_only_under_other_layers() {
    let seen = run(|board| {
        attach(&syscalls(on_nr(SYS_write, errno(ODD))));
        strict();
        board.ret(sys!(SYS_write, 1, 0, 0));
        board.ret(sys!(SYS_read, 999, 0, 0));
        board.ret(sys!(SYS_getuid));
    });
    let values = vec![-i64::from(ODD), -i64::from(libc::EBADF)];
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), values)
    );
}

fn law_1_narrow_only_beside_seccomp() {
    for (verdict, expected) in [
        (ALLOW, -i64::from(libc::EBADF)),
        (errno(ODD), -i64::from(ODD)),
    ] {
        let seen = run(|board| {
            crate::seccomp::install(&on_nr(SYS_read, verdict));
            strict();
            board.ret(sys!(SYS_read, 999, 0, 0));
            board.ret(sys!(SYS_getuid));
        });
        let end = End::Signal(SIGSYS, false);
        assert_eq!((seen.end, seen.values), (end, vec![expected]));
    }
    let seen = run(|board| {
        crate::seccomp::install(&on_nr(SYS_read, KILL));
        strict();
        board.ret(sys!(SYS_write, 999, 0, 0));
        board.ret(sys!(SYS_read, 999, 0, 0));
    });
    let values = vec![-i64::from(libc::EBADF)];
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), values)
    );
}

/// A descriptor would say that another filter is meant.
fn descriptor_must_be_minus_one() {
    let filter = load(&allow_all());
    for fd in [filter.as_raw_fd(), 0, 999, -2, i32::MAX, i32::MIN] {
        let refused = restrict_with(RESTRICT_STRICT, fd);
        assert_eq!(refused, (Err(EINVAL), 0), "descriptor {fd}");
    }
    assert_eq!((layers(), sys!(SYS_getuid)), (0, Ok(0)));
}

fn law_7_unprivileged_needs_no_new_privs() {
    let seen = run(|board| {
        become_user(1000);
        board.ret(restrict_with(RESTRICT_STRICT, -1).0);
        board.ret(sys!(SYS_getuid));
        no_new_privs();
        strict();
        board.ret(sys!(SYS_getuid));
    });
    let values = vec![-i64::from(EACCES), 1000];
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), values)
    );
}

/// The image that `filters` has for user space is what the module has built in.
fn same_as_the_shipped_image() {
    for nr in [0, 1, 2, 3, 15, 39, 59, 60, 102, 231, 334, 472, 0x4000_0000] {
        for entry in [native, ia32] {
            let image = || {
                no_new_privs();
                let filter = std::mem::ManuallyDrop::new(load(&filters::strict::image()));
                let control = std::mem::ManuallyDrop::new(crate::kernel::control());
                let fd = std::os::fd::AsFd::as_fd(&*control);
                assert_eq!(
                    crate::kernel::restrict_through(fd, filter.as_raw_fd()),
                    Ok(0)
                );
            };
            let [ours, theirs] = [strict as fn(), image].map(|enter| {
                run(|board| {
                    enter();
                    board.ret(entry(nr));
                })
            });
            assert_eq!(ours, theirs, "number {nr}");
        }
    }
}

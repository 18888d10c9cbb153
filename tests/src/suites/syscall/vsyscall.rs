// SPDX-License-Identifier: GPL-2.0
//! The vsyscall page: calls of old programs that the kernel emulates when it finds them there, and judges as the calls that they stand for.

use libc::{ENOSYS, SIGSYS};

use crate::harness::{Test, skip, tests};
use crate::program::{KILL, errno, on_nr, trap};
use crate::seccomp::same;
use crate::sys::child::{End, run};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::trace::call_address;

/// Address and number of each: gettimeofday, time, getcpu.
const PAGE: [(u64, i64); 3] = [
    (0xffff_ffff_ff60_0000, libc::SYS_gettimeofday),
    (0xffff_ffff_ff60_0400, libc::SYS_time),
    (0xffff_ffff_ff60_0800, libc::SYS_getcpu),
];

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        vsyscall_page_is_judged, vsyscall_page_trap, vsyscall_page_kill, vsyscall_page_without_a_tracer, vsyscall_page_other_calls_go_on,
    )
}

/// The page is there if the kernel was booted with `vsyscall=emulate`, as the guest is.
fn need_page() {
    let alone = run(|board| {
        for (address, _) in PAGE {
            board.put(call_address(address).min(1));
        }
    });
    if alone.end != End::Exit(0) {
        skip("this kernel has no vsyscall page");
    }
    assert_eq!(alone.values, [0, 1, 0]);
}

fn vsyscall_page_is_judged() {
    need_page();
    for (address, nr) in PAGE {
        let seen = same(&[on_nr(nr, errno(70))], |board| {
            board.put(call_address(address));
        });
        assert_eq!(seen.well(), [-70], "call {nr}");
    }
}

fn vsyscall_page_other_calls_go_on() {
    need_page();
    for (_, nr) in PAGE {
        let seen = same(&[on_nr(nr, errno(70))], |board| {
            for (address, other) in PAGE {
                if other != nr {
                    board.put(call_address(address).min(1));
                }
            }
        });
        let expected = PAGE.iter().filter(|(_, other)| *other != nr);
        let expected: Vec<i64> = expected
            .map(|(_, other)| i64::from(*other == libc::SYS_time))
            .collect();
        assert_eq!(seen.well(), expected, "call {nr}");
    }
}

fn vsyscall_page_trap() {
    need_page();
    for (address, nr) in PAGE {
        let seen = same(&[on_nr(nr, trap(3))], |board| {
            catch_sigsys();
            let _ = call_address(address);
            for word in caught() {
                board.put(word);
            }
        });
        let words = seen.well();
        assert_eq!(words[..4], [1, i64::from(SIGSYS), 3, 1], "call {nr}");
        // The kernel emulates the return from the page before the signal; the address is the page's own.
        assert_eq!(words[4] as u64, address, "call {nr}");
        assert_eq!(words[5..7], [nr, 0xc000_003e], "call {nr}");
    }
}

fn vsyscall_page_kill() {
    need_page();
    for (address, nr) in PAGE {
        for verdict in [KILL, 0] {
            let seen = same(&[on_nr(nr, verdict)], |board| {
                board.put(call_address(address));
            });
            assert_eq!(seen.end, End::Signal(SIGSYS, false), "call {nr}");
            assert!(seen.values.is_empty());
        }
    }
}

fn vsyscall_page_without_a_tracer() {
    need_page();
    for (address, nr) in PAGE {
        let seen = same(&[on_nr(nr, 0x7ff0_0001)], |board| {
            board.put(call_address(address));
        });
        assert_eq!(seen.well(), [-i64::from(ENOSYS)], "call {nr}");
    }
}

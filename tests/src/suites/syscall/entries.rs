// SPDX-License-Identifier: GPL-2.0
//! The ways into the kernel, and numbers that are no system call.

use filters::insn::Insn;
use libc::{ENOSYS, SIGSYS, SYS_getuid};

use crate::harness::{Test, skip, tests};
use crate::program::{ALLOW, KILL, errno, load, on_nr, on_nrs, ret, trap, unless_equal_skip};
use crate::seccomp::same;
use crate::sys::child::{Board, End};
use crate::sys::probe::{Moment, count, probed};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::{decode, ia32, raw, sys};

/// `AUDIT_ARCH_I386`.
const I386: u32 = 0x4000_0003;
/// The bit by which x32 calls are told from others.
const X32: u64 = 0x4000_0000;

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        ia32_entry_has_its_own_architecture, ia32_numbers_are_not_native_numbers, ia32_arguments_are_32_bits, ia32_trap, ia32_kill, x32_number_is_seen_whole,
        upper_half_of_the_number_is_ignored, number_minus_one, law_5_fail_closed_unknown_numbers_are_judged, uretprobe_and_uprobe_pass,
        probed_function_returns_under_a_policy_that_kills, sigreturn_is_judged, exit_is_judged, numbers_are_compared_unsigned,
    )
}

/// Refuses all calls of one architecture and number.
fn on_arch(arch: u32, nr: u32, verdict: u32) -> Vec<Insn> {
    vec![
        load(4),
        unless_equal_skip(arch, 3),
        load(0),
        unless_equal_skip(nr, 1),
        ret(verdict),
        ret(ALLOW),
    ]
}

fn need_ia32() {
    if ia32::call(20, [0; 6]).is_err() {
        skip("this kernel has no 32-bit system calls");
    }
}

fn ia32_entry_has_its_own_architecture() {
    need_ia32();
    // 24 is getuid there.
    let seen = same(&[on_arch(I386, 24, errno(70))], |board| {
        board.ret(ia32::call(24, [0; 6]));
        board.ret(ia32::call(20, [0; 6]).map(|_| 0));
        board.ret(sys!(SYS_getuid));
    });
    assert_eq!(seen.well(), [-70, 0, 0]);
}

/// A rule on native 102 (getuid) does not bind the 32-bit 102 (socketcall), and the other way round: programs must look at `arch`.
fn ia32_numbers_are_not_native_numbers() {
    need_ia32();
    let seen = same(&[on_arch(0xc000_003e, 24, errno(70))], |board| {
        board.ret(ia32::call(24, [0; 6]));
        board.ret(sys!(24));
    });
    assert_eq!(seen.well(), [0, -70]);
}

fn ia32_arguments_are_32_bits() {
    need_ia32();
    let program = vec![
        load(4),
        unless_equal_skip(I386, 5),
        load(20),
        unless_equal_skip(0, 3),
        load(16),
        unless_equal_skip(0xffff_fff0, 1),
        ret(errno(70)),
        ret(ALLOW),
    ];
    let seen = same(&[program], |board| {
        // close(-16): the upper half of the argument is zero, not a copy of the sign.
        board.ret(ia32::call(6, [0xffff_fff0, 0, 0, 0, 0, 0]));
    });
    assert_eq!(seen.well(), [-70]);
}

fn ia32_trap() {
    need_ia32();
    let seen = same(&[on_arch(I386, 24, trap(5))], |board| {
        catch_sigsys();
        board.ret(ia32::call(24, [0; 6]));
        for word in caught() {
            board.put(word);
        }
    });
    let words = seen.well();
    assert_eq!(words[1..5], [1, i64::from(SIGSYS), 5, 1]);
    assert_eq!(words[6..8], [24, i64::from(I386)]);
}

fn ia32_kill() {
    need_ia32();
    let seen = same(&[on_arch(I386, 24, KILL)], |board| {
        board.ret(ia32::call(24, [0; 6]))
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

fn entry(board: &Board, rax: u64) {
    board.ret(decode(raw(rax, [0; 6])));
}

fn x32_number_is_seen_whole() {
    let nr = X32 | SYS_getuid as u64;
    let seen = same(&[on_nr(nr as i64, errno(70))], |board| {
        entry(board, nr);
        entry(board, SYS_getuid as u64);
    });
    assert_eq!(seen.well(), [-70, 0]);
    // A rule on the native number does not see the other one.
    let seen = same(&[on_nr(SYS_getuid, errno(70))], |board| entry(board, nr));
    assert_ne!(seen.well(), [-70]);
}

/// The kernel takes 32 bits of rax: garbage above must neither hide a call nor make another one.
fn upper_half_of_the_number_is_ignored() {
    let seen = same(&[on_nr(SYS_getuid, errno(70))], |board| {
        for garbage in [0u64, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            entry(board, garbage << 32 | SYS_getuid as u64);
        }
    });
    assert_eq!(seen.well(), [-70; 5]);
}

/// -1 is what a tracer writes to skip a call; a task that asks for it by itself gets ENOSYS, and a policy can say otherwise.
fn number_minus_one() {
    let seen = same(&[vec![ret(ALLOW)]], |board| entry(board, u64::MAX));
    assert_eq!(seen.well(), [-i64::from(ENOSYS)]);
    let seen = same(&[on_nr(-1, errno(70))], |board| {
        entry(board, u64::MAX);
        entry(board, 0xffff_ffff);
    });
    assert_eq!(seen.well(), [-70, -70]);
}

fn law_5_fail_closed_unknown_numbers_are_judged() {
    for nr in [473i64, 500, 1000, 0x3fff_ffff, 0x7fff_ffff, -2, -4096] {
        let seen = same(&[on_nr(nr, errno(70))], |board| {
            entry(board, nr as u32 as u64)
        });
        assert_eq!(seen.well(), [-70], "number {nr}");
    }
    // Opted in: a default that refuses holds for numbers that nobody has heard of.
    let allowed = [
        libc::SYS_exit_group,
        libc::SYS_prctl,
        libc::SYS_ioctl,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_seccomp,
    ];
    let mut program = vec![load(0)];
    for nr in allowed {
        program.extend([unless_equal_skip(nr as u32, 1), ret(ALLOW)]);
    }
    program.push(ret(errno(71)));
    let seen = same(&[program], |board| {
        for nr in [470u64, 480, 9999, 0x7fff_0000] {
            entry(board, nr);
        }
    });
    assert_eq!(seen.well(), [-71; 4]);
}

/// The kernel's own trampolines for uprobes pass every filter of seccomp; a policy that refuses them would break probed programs.
fn uretprobe_and_uprobe_pass() {
    for nr in [335u64, 336] {
        let seen = same(&[on_nr(nr as i64, errno(70))], |board| {
            // Both end a task that makes them from elsewhere with SIGILL or refuse with an errno of their own.
            entry(board, nr);
        });
        assert!(
            !seen.values.contains(&-70),
            "call {nr} was judged: {seen:?}"
        );
    }
}

/// The same with real probes: one at the function's start, one at its return.
fn probed_function_returns_under_a_policy_that_kills() {
    let kill_both = on_nrs(&[(335, KILL), (336, KILL)]);
    let seen = same(&[kill_both], |board| {
        let counters = [Moment::Call, Moment::Return].map(count);
        for turn in 0..8 {
            board.put(probed(turn) as i64);
        }
        for counter in counters {
            let counter = counter.expect("a probe");
            let mut times = 0u64;
            assert_eq!(sys!(libc::SYS_read, &counter, &raw mut times, 8), Ok(8));
            board.put(times as i64);
        }
    });
    assert_eq!(seen.well(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]);
}

/// The return from a signal handler is a system call like others: a policy that refuses it leaves the handler without a way out.
fn sigreturn_is_judged() {
    let seen = same(&[on_nr(libc::SYS_rt_sigreturn, KILL)], |board| {
        catch_sigsys();
        board.put(1);
        let _ = sys!(libc::SYS_kill, crate::sys::getpid(), SIGSYS);
        board.put(2);
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![1])
    );
}

fn exit_is_judged() {
    let seen = same(&[on_nr(libc::SYS_exit_group, KILL)], |board| board.put(1));
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![1])
    );
}

/// `nr` is signed in the record but compared as a number without sign.
fn numbers_are_compared_unsigned() {
    use filters::insn::{JGT, JMP};
    let program = vec![
        load(0),
        Insn::jump(JMP | JGT, 0x7fff_ffff, 0, 1),
        ret(errno(70)),
        ret(ALLOW),
    ];
    let seen = same(&[program], |board| {
        entry(board, 0xffff_fff0);
        entry(board, SYS_getuid as u64);
    });
    assert_eq!(seen.well(), [-70, 0]);
}

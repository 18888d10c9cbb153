// SPDX-License-Identifier: GPL-2.0
//! Policies as people write them: nothing above the width that the kernel reads can smuggle, and a policy for native calls lets no other entry in.

use evfilter::Policy;
use libc::{SIGSYS, SYS_getuid};

use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::sys::child::{Board, End, Seen, run};
use crate::sys::i386::{Door, become_program};
use crate::sys::{decode, ia32, raw, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        typed_int_arguments_have_32_bits, typed_flags_have_32_bits, typed_signed_arguments_have_32_bits, typed_long_arguments_have_64_bits,
        upper_half_of_the_number_hides_no_call_from_a_policy, law_5_native_policy_kills_int80, law_5_native_policy_kills_x32,
        law_5_native_policy_kills_programs32, law_5_native_policy_with_a_block_for_others,
    )
}

/// Runs `deed` under a policy.
#[track_caller]
fn under(rules: &str, deed: impl Fn(&Board)) -> Seen {
    let text = format!("policy guest\n{rules}\n");
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    run(|board| {
        attach(policy.image());
        deed(board);
    })
}

/// What may stand above bit 31.
const GARBAGE: [u64; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xdead_beef, 0xffff_ffff];

/// The results of one call with each garbage above its argument `at`.
fn with_garbage(nr: i64, args: [u64; 6], at: usize) -> impl Fn(&Board) {
    move |board| {
        for garbage in GARBAGE {
            let mut args = args;
            args[at] = garbage << 32 | args[at] & 0xffff_ffff;
            board.ret(decode(raw(nr as u64, args)));
        }
    }
}

fn typed_int_arguments_have_32_bits() {
    let refused = [-70; GARBAGE.len()];
    let socket = [2, 1, 0, 0, 0, 0];
    let rules = "on syscall.enter {\n deny 70 socket when domain == AF_INET\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_socket, socket, 0));
    assert_eq!(seen.well(), refused, "==");
    let rules = "on syscall.enter {\n allow socket when domain == AF_UNIX\n deny 70 socket\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_socket, socket, 0));
    assert_eq!(seen.well(), refused, "what is allowed");
    // The kernel reads AF_UNIX there whatever stands above, and the policy reads what the kernel reads.
    let seen = under(rules, with_garbage(libc::SYS_socket, [1, 1, 0, 0, 0, 0], 0));
    assert!(seen.well().iter().all(|fd| *fd >= 0));
    let rules = "on syscall.enter {\n deny 70 socket when domain in {AF_INET, AF_INET6, AF_NETLINK}\n default allow\n}";
    for domain in [2, 10, 16] {
        let seen = under(
            rules,
            with_garbage(libc::SYS_socket, [domain, 1, 0, 0, 0, 0], 0),
        );
        assert_eq!(seen.well(), refused, "in a set: {domain}");
    }
    let rules = "on syscall.enter {\n deny 70 socket when domain in 2..5\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_socket, socket, 0));
    assert_eq!(seen.well(), refused, "in a range");
    let rules = "on syscall.enter {\n deny 70 socket when domain != AF_UNIX\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_socket, socket, 0));
    assert_eq!(seen.well(), refused, "!=");
}

fn typed_flags_have_32_bits() {
    let refused = [-70; GARBAGE.len()];
    // O_WRONLY | O_CREAT; the path is a bad address, which is never reached.
    let open = [0, 0, 0o101, 0, 0, 0];
    let rules = "on syscall.enter {\n deny 70 openat when flags has O_CREAT\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_openat, open, 2));
    assert_eq!(seen.well(), refused, "has");
    let rules =
        "on syscall.enter {\n deny 70 openat when flags & O_ACCMODE == O_WRONLY\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_openat, open, 2));
    assert_eq!(seen.well(), refused, "&");
    let rules = "on syscall.enter {\n allow openat when flags not has O_CREAT\n deny 70 openat\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_openat, open, 2));
    assert_eq!(seen.well(), refused, "not has");
}

fn typed_signed_arguments_have_32_bits() {
    let refused = [-70; GARBAGE.len()];
    // Signal 0 reaches nobody's handler; the numbers are of no process.
    let everyone = [u64::from(u32::MAX - 0x0fff_ffff), 0, 0, 0, 0, 0];
    let rules = "on syscall.enter {\n deny 70 kill when pid < 0\n default allow\n}";
    let seen = under(rules, with_garbage(libc::SYS_kill, everyone, 0));
    assert_eq!(seen.well(), refused, "<");
    let rules = "on syscall.enter {\n deny 70 openat when dfd == AT_FDCWD\n default allow\n}";
    let here = [u64::from(-100i32 as u32), 0, 0, 0, 0, 0];
    let seen = under(rules, with_garbage(libc::SYS_openat, here, 0));
    assert_eq!(seen.well(), refused, "AT_FDCWD");
    // A number above that is not negative as the kernel reads it.
    let rules = "on syscall.enter {\n deny 70 kill when pid >= 0\n default allow\n}";
    let somebody = [0x3fff_fff0, 0, 0, 0, 0, 0];
    let seen = under(rules, with_garbage(libc::SYS_kill, somebody, 0));
    assert_eq!(seen.well(), refused, ">=");
}

/// The other way round: where the kernel reads 64 bits, all of them count.
fn typed_long_arguments_have_64_bits() {
    let rules = "on syscall.enter {\n deny 70 read when count == 4096\n default allow\n}";
    let seen = under(
        rules,
        with_garbage(libc::SYS_read, [u64::MAX, 0, 4096, 0, 0, 0], 2),
    );
    let bad = -i64::from(libc::EBADF);
    assert_eq!(seen.well(), [-70, bad, bad, bad, bad, bad]);
}

fn upper_half_of_the_number_hides_no_call_from_a_policy() {
    let rules = "on syscall.enter {\n deny 70 getuid\n default allow\n}";
    let seen = under(rules, |board| {
        for garbage in GARBAGE {
            board.put(raw(garbage << 32 | SYS_getuid as u64, [0; 6]) as i64);
        }
    });
    assert_eq!(seen.well(), [-70; GARBAGE.len()]);
}

/// A policy that allows everything, to native calls.
const NATIVE_ONLY: &str = "on syscall.enter {\n default allow\n}";

#[track_caller]
fn killed(seen: &Seen) {
    assert_eq!(
        (seen.end, seen.values.as_slice()),
        (End::Signal(SIGSYS, false), [0].as_slice())
    );
}

fn law_5_native_policy_kills_int80() {
    killed(&under(NATIVE_ONLY, |board| {
        board.ret(sys!(SYS_getuid));
        board.ret(ia32::call(24, [0; 6]));
    }));
}

fn law_5_native_policy_kills_x32() {
    for nr in [SYS_getuid as u64, 512, 0x3fff_ffff] {
        killed(&under(NATIVE_ONLY, |board| {
            board.ret(sys!(SYS_getuid));
            board.put(raw(0x4000_0000 | nr, [0; 6]) as i64);
        }));
    }
}

fn law_5_native_policy_kills_programs32() {
    for door in [Door::Int80, Door::Vdso] {
        killed(&under(NATIVE_ONLY, |board| {
            board.ret(sys!(SYS_getuid));
            board.ret(become_program(door, 199, [0; 6]));
        }));
    }
    // What goes back to native code before its first call is a native program.
    let seen = under(NATIVE_ONLY, |board| {
        board.ret(become_program(Door::Native, SYS_getuid as u32, [0; 6]));
    });
    assert_eq!((seen.end, seen.values), (End::Exit(0), vec![]));
}

fn law_5_native_policy_with_a_block_for_others() {
    let rules =
        "on syscall.enter {\n default allow\n}\non syscall.enter arch other {\n default deny 71\n}";
    let seen = under(rules, |board| {
        board.ret(ia32::call(24, [0; 6]));
        board.put(raw(0x4000_0000 | SYS_getuid as u64, [0; 6]) as i64);
        board.ret(sys!(SYS_getuid));
    });
    assert_eq!(seen.well(), [-71, -71, 0]);
}

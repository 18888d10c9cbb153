// SPDX-License-Identifier: GPL-2.0
//! Whole 32-bit programs, and every way that they have into the kernel.

use filters::insn::Insn;
use libc::{SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

use crate::harness::{Test, note, skip, tests};
use crate::program::{ALLOW, KILL, errno, load, ret, trap, unless_equal_skip};
use crate::seccomp::same;
use crate::sys::child::{Board, End, run, start};
use crate::sys::i386::{Door, become_program};
use crate::sys::trace::{go_on, next_stop, ptrace};

const I386: u32 = 0x4000_0003;
const NATIVE: u32 = 0xc000_003e;
/// getuid32 of i386.
const GETUID32: u32 = 199;
/// getuid of x86_64; on i386 it is socketcall.
const GETUID: u32 = 102;

const ENTRIES: [Door; 4] = [Door::Int80, Door::Vdso, Door::Sysenter, Door::Syscall];

pub(super) fn tests() -> Vec<Test> {
    tests!("syscall";
        programs32_errno_at_each_entry, programs32_each_argument_is_seen, programs32_kill_at_each_entry, programs32_trap_at_each_entry,
        programs32_can_change_to_native_calls, programs32_numbers_are_not_native, programs32_traced_without_a_tracer,
    )
}

/// Refuses one call of one architecture if its argument `at` is `value`.
fn on(arch: u32, nr: u32, at: u32, value: u32, verdict: u32) -> Vec<Insn> {
    vec![
        load(4),
        unless_equal_skip(arch, 5),
        load(0),
        unless_equal_skip(nr, 3),
        load(16 + 8 * at),
        unless_equal_skip(value, 1),
        ret(verdict),
        ret(ALLOW),
    ]
}

/// The program as what a child does; the child's end is the program's.
fn program(door: Door, nr: u32, args: [u32; 6]) -> impl Fn(&Board) {
    move |board| board.ret(become_program(door, nr, args))
}

/// The entries that this processor has. `int 0x80` and the vdso are everywhere, and one of the fast ones.
#[track_caller]
fn entries() -> Vec<Door> {
    let probe = |door: &Door| {
        let seen = run(program(*door, GETUID32, [0; 6]));
        match seen.end {
            End::Exit(0) if seen.values.is_empty() => true,
            // ENOEXEC: a kernel without 32-bit programs.
            End::Exit(0) if seen.values == [-i64::from(libc::ENOEXEC)] => {
                skip("this kernel has no 32-bit programs")
            }
            End::Signal(SIGILL | SIGSEGV, _) => false,
            other => panic!("{door:?}: {other:?}, {:?}", seen.values),
        }
    };
    let found: Vec<Door> = ENTRIES.into_iter().filter(probe).collect();
    note(&format!("entries of 32-bit programs: {found:?}"));
    assert!(found.len() >= 3 && found[..2] == ENTRIES[..2], "{found:?}");
    found
}

/// The exit status that an errno comes to.
fn status(errno: i32) -> End {
    End::Exit(-errno & 0xff)
}

fn programs32_errno_at_each_entry() {
    for door in entries() {
        let args = [0; 6];
        let seen = same(
            &[on(I386, GETUID32, 0, 0, errno(70))],
            program(door, GETUID32, args),
        );
        assert_eq!(seen.end, status(70), "{door:?}");
        // The same program under the same policy for another call.
        let seen = same(
            &[on(I386, GETUID32 + 1, 0, 0, errno(70))],
            program(door, GETUID32, args),
        );
        assert_eq!(seen.end, End::Exit(0), "{door:?}");
    }
}

/// The sixth argument travels through memory at the fast entries.
fn programs32_each_argument_is_seen() {
    for door in entries() {
        for at in 0..6 {
            let mut args = [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666];
            args[at] = 0xfedc_ba98;
            // 600 is no call.
            let policy = on(I386, 600, at as u32, 0xfedc_ba98, errno(70 + at as i32));
            let seen = same(&[policy], program(door, 600, args));
            assert_eq!(seen.end, status(70 + at as i32), "{door:?}, argument {at}");
            // The upper half of a 32-bit argument is zero.
            let upper = vec![
                load(20 + 8 * at as u32),
                unless_equal_skip(0, 1),
                ret(ALLOW),
                ret(KILL),
            ];
            let seen = same(&[upper_of(600, upper)], program(door, 600, args));
            assert_eq!(seen.end, status(libc::ENOSYS), "{door:?}, argument {at}");
        }
    }
}

/// `rest` for 32-bit calls of this number only.
fn upper_of(nr: u32, rest: Vec<Insn>) -> Vec<Insn> {
    let mut insns = vec![
        load(4),
        unless_equal_skip(I386, 2),
        load(0),
        Insn::jump(0x15, nr, 1, 0),
        ret(ALLOW),
    ];
    insns.extend(rest);
    insns
}

fn programs32_kill_at_each_entry() {
    for door in entries() {
        for verdict in [KILL, 0] {
            let seen = same(
                &[on(I386, GETUID32, 0, 0, verdict)],
                program(door, GETUID32, [0; 6]),
            );
            assert_eq!(seen.end, End::Signal(SIGSYS, false), "{door:?}");
        }
    }
}

/// What a tracer sees of the SIGSYS: the words of its siginfo.
fn programs32_trap_at_each_entry() {
    for door in entries() {
        let seen = same(&[on(I386, GETUID32, 0, 0, trap(77))], |board| {
            let child = start(|inner| {
                assert_eq!(ptrace(libc::PTRACE_TRACEME, 0, 0, 0), Ok(0));
                inner.ret(become_program(door, GETUID32, [0; 6]));
            });
            // The exec stops a traced program with SIGTRAP, and then comes the trap.
            let stop = next_stop(child.pid);
            assert_eq!(stop >> 8, SIGTRAP, "{stop:#x}");
            let stop = go_on(libc::PTRACE_CONT, child.pid, 0);
            board.put(i64::from(stop >> 8));
            let mut info = [0i32; 32];
            let done = ptrace(
                libc::PTRACE_GETSIGINFO,
                child.pid,
                0,
                info.as_mut_ptr() as u64,
            );
            assert_eq!(done, Ok(0), "PTRACE_GETSIGINFO");
            // The address of the vdso is another in each process.
            for at in [0, 1, 2, 6, 7] {
                board.put(i64::from(info[at]));
            }
            let end = go_on(libc::PTRACE_CONT, child.pid, stop >> 8);
            board.put(i64::from(end));
        });
        let words = seen.well();
        let signal = i64::from(SIGSYS);
        // si_signo, si_errno, si_code (SYS_SECCOMP), si_syscall, si_arch, and the end.
        let expected = [
            signal,
            signal,
            77,
            1,
            i64::from(GETUID32),
            i64::from(I386),
            signal,
        ];
        assert_eq!(words, expected, "{door:?}");
    }
}

/// A 32-bit program that jumps to a 64-bit code segment makes native calls, and is judged by them.
fn programs32_can_change_to_native_calls() {
    entries();
    let seen = same(
        &[on(NATIVE, GETUID, 0, 0, errno(70))],
        program(Door::Native, GETUID, [0; 6]),
    );
    assert_eq!(seen.end, status(70));
    let seen = same(
        &[on(I386, GETUID, 0, 0, errno(70))],
        program(Door::Native, GETUID, [0; 6]),
    );
    assert_eq!(seen.end, End::Exit(0));
}

fn programs32_numbers_are_not_native() {
    for door in entries() {
        let seen = same(
            &[on(NATIVE, GETUID32, 0, 0, KILL)],
            program(door, GETUID32, [0; 6]),
        );
        assert_eq!(seen.end, End::Exit(0), "{door:?}");
    }
}

fn programs32_traced_without_a_tracer() {
    let trace = 0x7ff0_0000 | 5;
    for door in entries() {
        let seen = same(
            &[on(I386, GETUID32, 0, 0, trace)],
            program(door, GETUID32, [0; 6]),
        );
        assert_eq!(seen.end, status(libc::ENOSYS), "{door:?}");
    }
}

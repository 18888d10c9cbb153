// SPDX-License-Identifier: GPL-2.0
//! What each verdict does to the call and to the task.

use filters::insn::{
    A, ADD, ALU, Insn, JMP, JSET, K, LD, LDX, LEN, MEM, MISC, RET, ST, TAX, TXA, X,
};
use filters::insn::{ABS, DIV, IMM, JA, JGE, JGT, LSH, MUL, NEG, RSH, SUB, XOR};
use filters::verdict::{Action, Verdict};
use libc::{SIGSYS, SYS_getppid, SYS_getuid};

use crate::harness::{Test, tests};
use crate::kernel;
use crate::program::{
    ALLOW, KILL, errno, load, on_nr, on_nrs, ret, syscalls, trap, unless_equal_skip,
};
use crate::seccomp::same;
use crate::sys::child::{Board, End, nap, run};
use crate::sys::signal::{block, catch_sigsys, caught, ignore};
use crate::sys::sys;

/// Raw verdict of an action without data.
const fn action(action: Action) -> u32 {
    Verdict::new(action, 0).raw()
}

fn getuid(board: &Board) {
    board.ret(sys!(SYS_getuid));
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for number in [1, 2, 13, 38, 133, 512, 4094, 4095] {
        tests.push(Test::new(
            format!("syscall::errno_{number}_is_returned"),
            move || {
                let seen = same(&[on_nr(SYS_getuid, errno(number))], getuid);
                assert_eq!(seen.well(), [-i64::from(number)]);
            },
        ));
    }
    for number in [4096, 5000, 65535] {
        tests.push(Test::new(
            format!("syscall::errno_{number}_is_cut_to_4095"),
            move || {
                let seen = same(&[on_nr(SYS_getuid, errno(number))], getuid);
                assert_eq!(seen.well(), [-4095]);
            },
        ));
    }
    tests.extend(tests!("syscall";
        errno_0_returns_zero_without_the_call, allow_lets_the_call_run, log_lets_the_call_run_and_logs, trap_delivers_sigsys, trap_data_reaches_the_signal,
        trap_without_a_catcher_kills, trap_blocked_kills, trap_ignored_kills, kill_process_ends_all_threads, kill_process_of_one_thread_of_many,
        kill_process_while_ignored, kill_thread_of_the_only_thread_kills_the_process, kill_thread_ends_one_thread_of_two, law_5_fail_closed_unknown_action_kills,
        law_5_fail_closed_notify_refuses, law_5_fail_closed_trace_refuses, refused_call_has_no_effect, return_of_a_computed_value, return_of_x_and_scratch,
        arithmetic_as_in_seccomp, division_by_zero_as_in_seccomp, length_of_the_record_is_64, jumps_as_in_seccomp, a_policy_without_this_event_allows,
        every_argument_register_is_seen, instruction_pointer_is_seen, program_of_4096_instructions_runs,
    ));
    tests
}

fn errno_0_returns_zero_without_the_call() {
    let seen = same(&[on_nr(SYS_getppid, errno(0))], |board| {
        board.ret(sys!(SYS_getppid))
    });
    assert_eq!(seen.well(), [0], "getppid of a child is never 0 by itself");
}

fn allow_lets_the_call_run() {
    let mine = sys!(libc::SYS_getppid).is_ok();
    assert!(mine);
    let seen = same(&[vec![ret(ALLOW)]], |board| {
        board.ret(sys!(SYS_getuid));
        board.ret(sys!(libc::SYS_close, 9999));
    });
    assert_eq!(seen.well(), [0, -i64::from(libc::EBADF)]);
}

fn log_lets_the_call_run_and_logs() {
    let seen = same(&[on_nr(SYS_getuid, action(Action::Log))], getuid);
    assert_eq!(seen.well(), [0]);
    let log = crate::kmsg::Log::follow();
    kernel::attach(&syscalls(on_nr(SYS_getuid, action(Action::Log))));
    assert_eq!(sys!(SYS_getuid), Ok(0));
    let lines = log.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("evfilter") && line.contains("syscall.enter"));
    let line = line.unwrap_or_else(|| panic!("no line of evfilter in {lines:?}"));
    assert!(line.contains(&crate::sys::getpid().to_string()), "{line}");
}

/// The handler sees what seccomp's would see: signo, errno, code, address, number, architecture; and rax is the number again.
fn trap_delivers_sigsys() {
    let seen = same(&[on_nr(SYS_getuid, trap(0))], |board| {
        catch_sigsys();
        board.ret(sys!(SYS_getuid));
        for word in caught() {
            board.put(word);
        }
    });
    let words = seen.well();
    assert_eq!(words[0], SYS_getuid, "rax after the handler");
    assert_eq!(
        words[1..5],
        [1, i64::from(SIGSYS), 0, 1],
        "count, signo, errno, SYS_SECCOMP"
    );
    assert_eq!(words[6..8], [SYS_getuid, 0xc000_003e]);
}

fn trap_data_reaches_the_signal() {
    for data in [1, 1234, 65535] {
        let seen = same(&[on_nr(SYS_getuid, trap(data))], |board| {
            catch_sigsys();
            let _ = sys!(SYS_getuid);
            for word in caught() {
                board.put(word);
            }
        });
        assert_eq!(seen.well()[2], i64::from(data));
    }
}

fn trap_without_a_catcher_kills() {
    let seen = same(&[on_nr(SYS_getuid, trap(0))], getuid);
    assert_eq!(seen.end, End::Signal(SIGSYS, false));
    assert!(seen.values.is_empty());
}

fn trap_blocked_kills() {
    let seen = same(&[on_nr(SYS_getuid, trap(0))], |board| {
        catch_sigsys();
        block(SIGSYS);
        getuid(board);
    });
    assert_eq!(seen.end, End::Signal(SIGSYS, false));
}

fn trap_ignored_kills() {
    let seen = same(&[on_nr(SYS_getuid, trap(0))], |board| {
        ignore(SIGSYS);
        getuid(board);
    });
    assert_eq!(seen.end, End::Signal(SIGSYS, false));
}

fn kill_process_ends_all_threads() {
    let seen = same(&[on_nr(SYS_getuid, KILL)], |board| {
        let thread = std::thread::spawn(|| nap(60_000));
        getuid(board);
        let _ = thread.join();
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

/// The thread that is killed is not the first one.
fn kill_process_of_one_thread_of_many() {
    let seen = same(&[on_nr(SYS_getuid, KILL)], |board| {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| nap(60_000));
            }
            scope.spawn(|| getuid(board));
        });
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

fn kill_process_while_ignored() {
    let seen = same(&[on_nr(SYS_getuid, KILL)], |board| {
        ignore(SIGSYS);
        block(SIGSYS);
        getuid(board);
    });
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

fn kill_thread_of_the_only_thread_kills_the_process() {
    let seen = same(&[on_nr(SYS_getuid, action(Action::KillThread))], getuid);
    assert_eq!(
        (seen.end, seen.values),
        (End::Signal(SIGSYS, false), vec![])
    );
}

/// One thread is killed, the other one sees it gone and goes on.
fn kill_thread_ends_one_thread_of_two() {
    let seen = same(&[on_nr(SYS_getuid, action(Action::KillThread))], |board| {
        // A thread of the C library that dies in the kernel is never joined; wait for its number to vanish instead.
        let tid = std::sync::atomic::AtomicI64::new(0);
        let tid: &'static std::sync::atomic::AtomicI64 = Box::leak(Box::new(tid));
        let pid = crate::sys::getpid();
        std::thread::spawn(move || {
            let own = sys!(libc::SYS_gettid).unwrap_or(0);
            tid.store(own as i64, std::sync::atomic::Ordering::SeqCst);
            nap(5);
            let _ = sys!(SYS_getuid);
            let _ = sys!(libc::SYS_exit_group, 9);
        });
        for _ in 0..2000 {
            let tid = tid.load(std::sync::atomic::Ordering::SeqCst);
            if tid != 0 && sys!(libc::SYS_tgkill, pid, tid, 0) == Err(libc::ESRCH) {
                board.put(1);
                return;
            }
            nap(1);
        }
        board.put(0);
    });
    assert_eq!(seen.well(), [1]);
}

fn law_5_fail_closed_unknown_action_kills() {
    for raw in [
        0x0001_0000,
        0x0007_0000,
        0x7fb0_0000,
        0x1234_5678,
        0x7ffe_0000,
        0x9000_0000,
    ] {
        let seen = same(&[on_nr(SYS_getuid, raw)], getuid);
        assert_eq!(
            (seen.end, seen.values),
            (End::Signal(SIGSYS, false), vec![]),
            "{raw:#x}"
        );
    }
}

fn law_5_fail_closed_notify_refuses() {
    let seen = same(&[on_nr(SYS_getuid, action(Action::Notify))], getuid);
    assert_eq!(seen.well(), [-i64::from(libc::ENOSYS)]);
}

fn law_5_fail_closed_trace_refuses() {
    let seen = same(&[on_nr(SYS_getuid, action(Action::Trace))], getuid);
    assert_eq!(seen.well(), [-i64::from(libc::ENOSYS)]);
}

fn refused_call_has_no_effect() {
    let seen = same(&[on_nr(libc::SYS_mkdir, errno(libc::EPERM))], |board| {
        let name = c"/tmp/evf-refused-directory";
        board.ret(sys!(libc::SYS_mkdir, name, 0o700));
        board.ret(sys!(libc::SYS_access, name, 0));
    });
    assert_eq!(
        seen.well(),
        [-i64::from(libc::EPERM), -i64::from(libc::ENOENT)]
    );
}

/// `errno | low bits of the first argument`, through A.
fn return_of_a_computed_value() {
    let program = vec![
        load(0),
        unless_equal_skip(libc::SYS_close as u32, 3),
        load(16),
        Insn::stmt(ALU | ADD | K, 0x0005_0000),
        Insn::stmt(RET | A, 0),
        ret(ALLOW),
    ];
    let seen = same(&[program], |board| {
        for fd in [1, 7, 133, 4095] {
            board.ret(sys!(libc::SYS_close, fd));
        }
    });
    assert_eq!(seen.well(), [-1, -7, -133, -4095]);
}

fn return_of_x_and_scratch() {
    let program = vec![
        load(0),
        unless_equal_skip(libc::SYS_close as u32, 7),
        load(16),
        Insn::stmt(ST, 15),
        Insn::stmt(LDX | MEM, 15),
        Insn::stmt(LD | IMM, 0x0005_0000),
        Insn::stmt(ALU | ADD | X, 0),
        Insn::stmt(MISC | TAX, 0),
        Insn::stmt(RET | A, 0),
        ret(ALLOW),
    ];
    let seen = same(&[program], |board| board.ret(sys!(libc::SYS_close, 77)));
    assert_eq!(seen.well(), [-77]);
}

/// One program for each operation: the low bits of its result become the errno.
fn arithmetic_as_in_seccomp() {
    let operations: [(u16, u32); 14] = [
        (ALU | ADD | K, 0xffff_fff0),
        (ALU | SUB | K, 3),
        (ALU | SUB | X, 0),
        (ALU | MUL | K, 0x1_0001),
        (ALU | MUL | X, 0),
        (ALU | DIV | K, 7),
        (ALU | LSH | K, 4),
        (ALU | RSH | K, 3),
        (ALU | RSH | X, 0),
        (ALU | NEG, 0),
        (ALU | XOR | K, 0x5a5a_5a5a),
        (ALU | XOR | X, 0),
        (MISC | TXA, 0),
        (LD | LEN, 0),
    ];
    for (code, k) in operations {
        let program = vec![
            load(0),
            unless_equal_skip(libc::SYS_dup2 as u32, 7),
            load(24),
            Insn::stmt(MISC | TAX, 0),
            load(16),
            Insn::stmt(code, k),
            Insn::stmt(ALU | filters::insn::AND | K, 0xff),
            Insn::stmt(ALU | filters::insn::OR | K, 0x0005_0000),
            Insn::stmt(RET | A, 0),
            ret(ALLOW),
        ];
        let values = [
            (0u32, 1u32),
            (1, 2),
            (0x8000_0000, 31),
            (0xffff_ffff, 5),
            (1234, 0x1_0003),
        ];
        let seen = same(&[program], |board| {
            for (first, second) in values {
                board.ret(sys!(libc::SYS_dup2, first, second));
            }
        });
        assert_eq!(seen.well().len(), values.len(), "operation {code:#x}");
    }
}

/// Classic BPF ends with 0, which is "kill the thread".
fn division_by_zero_as_in_seccomp() {
    let program = vec![
        load(0),
        unless_equal_skip(SYS_getuid as u32, 3),
        Insn::stmt(LDX | IMM, 0),
        Insn::stmt(ALU | DIV | X, 0),
        ret(ALLOW),
        ret(ALLOW),
    ];
    let seen = same(&[program], getuid);
    assert_eq!(seen.end, End::Signal(SIGSYS, false));
}

fn length_of_the_record_is_64() {
    let program = vec![
        load(0),
        unless_equal_skip(SYS_getuid as u32, 3),
        Insn::stmt(LD | LEN, 0),
        Insn::stmt(ALU | ADD | K, 0x0005_0000),
        Insn::stmt(RET | A, 0),
        ret(ALLOW),
    ];
    assert_eq!(same(&[program], getuid).well(), [-64]);
}

fn jumps_as_in_seccomp() {
    for (code, k) in [
        (JMP | JGT, 5),
        (JMP | JGE, 5),
        (JMP | JSET, 6),
        (JMP | JGT | X, 0),
        (JMP | JSET | X, 0),
    ] {
        let program = vec![
            load(0),
            unless_equal_skip(libc::SYS_dup2 as u32, 7),
            load(24),
            Insn::stmt(MISC | TAX, 0),
            load(16),
            Insn::jump(code, k, 0, 1),
            ret(errno(11)),
            Insn::stmt(JMP | JA, 0),
            ret(errno(22)),
            ret(ALLOW),
        ];
        let seen = same(&[program], |board| {
            for value in [0u32, 1, 4, 5, 6, 7, 0x8000_0000, u32::MAX] {
                board.ret(sys!(libc::SYS_dup2, value, 6));
            }
        });
        assert!(seen.well().iter().all(|value| [-11, -22].contains(value)));
    }
}

fn a_policy_without_this_event_allows() {
    kernel::attach(&crate::program::deny_name(b"/evf-absent/x"));
    assert_eq!(sys!(SYS_getuid), Ok(0));
    assert_eq!(sys!(9999), Err(libc::ENOSYS));
}

/// The low and the high half of each of the six arguments.
fn every_argument_register_is_seen() {
    for word in 0..12u32 {
        let program = vec![
            load(0),
            unless_equal_skip(9999, 3),
            load(16 + 4 * word),
            unless_equal_skip(0x1111_0000 + word, 1),
            ret(errno(70)),
            ret(ALLOW),
        ];
        let seen = same(&[program], |board| {
            let args: [u64; 6] = std::array::from_fn(|at| {
                let low = 0x1111_0000 + 2 * at as u64;
                (low + 1) << 32 | low
            });
            board.ret(crate::sys::call(9999, &args));
            board.ret(crate::sys::call(9999, &[0; 6]));
        });
        assert_eq!(seen.well(), [-70, -i64::from(libc::ENOSYS)], "word {word}");
    }
}

/// A program that allows one place in the code only, as the compute jail of seccomp does not but its filters can.
fn instruction_pointer_is_seen() {
    let place = run(|board| {
        kernel::attach(&syscalls(on_nr(SYS_getuid, trap(0))));
        catch_sigsys();
        let _ = sys!(SYS_getuid);
        board.put(caught()[4]);
    });
    // si_call_addr of our one place that enters the kernel.
    let place = place.well()[0] as u64;
    for (address, expected) in [(place, -71), (place + 1, 0)] {
        let program = vec![
            load(0),
            unless_equal_skip(SYS_getuid as u32, 5),
            load(8),
            unless_equal_skip(address as u32, 3),
            load(12),
            unless_equal_skip((address >> 32) as u32, 1),
            ret(errno(71)),
            ret(ALLOW),
        ];
        assert_eq!(same(&[program], getuid).well(), [expected]);
    }
}

/// The longest program: a chain of comparisons that decides at its very end.
fn program_of_4096_instructions_runs() {
    let mut rules: Vec<(i64, u32)> = (0..2046).map(|n| (100_000 + n, errno(1))).collect();
    rules.push((SYS_getuid, errno(72)));
    let mut program = on_nrs(&rules);
    assert_eq!(program.len(), 4096);
    assert_eq!(same(&[program.clone()], getuid).well(), [-72]);
    program.push(ret(ALLOW));
    assert_eq!(
        kernel::try_load(&syscalls(program)).err(),
        Some(libc::EINVAL),
        "one more is too many"
    );
    // Not a load at the wrong place: `LD | ABS` reads words only.
    assert_eq!(
        kernel::try_load(&syscalls(vec![Insn::stmt(LD | ABS, 2), ret(ALLOW)])).err(),
        Some(libc::EINVAL)
    );
}

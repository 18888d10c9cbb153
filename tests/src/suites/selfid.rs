// SPDX-License-Identifier: GPL-2.0
//! Programs that ask who is calling: "the caller itself" holds for each task that a policy came to, whatever its ids are.

use filters::image::{HEADER_BYTES, PROGRAM_HEADER_BYTES};
use filters::insn::{
    ABS, IMM, Insn, JEQ, JMP, K, LD, MISC, SELF, SELF_PROCESS, SELF_THREAD, TXA, X,
};
use io_uring::opcode;
use io_uring::types::Fd;
use libc::{
    AT_FDCWD, EINVAL, ENOENT, SIGABRT, SIGKILL, SYS_getuid, SYS_kill, SYS_tgkill, SYS_tkill,
};

use crate::harness::{Test, tests};
use crate::kernel::{attach, load_with_message};
use crate::program::{ALLOW, ODD, Part, errno, image, load, ret, syscalls, unless_equal_skip};
use crate::ring::Ring;
use crate::sys::child::{Board, End, run, start};
use crate::sys::{getpid, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("selfid";
        law_7_a_task_signals_only_its_own_process, threads_signal_threads_of_their_own_process, a_thread_is_not_the_other_thread,
        law_3_inherited_whole_ids_over_fork, law_3_inherited_whole_ids_over_clone_and_vfork, law_3_inherited_whole_ids_over_exec,
        ids_are_those_of_the_callers_pid_namespace, a_program_ends_itself_by_a_signal, garbage_above_the_id_is_not_compared,
        decision_is_made_for_each_caller_anew, names_are_judged_by_who_asks, ring_threads_have_the_ids_of_their_process, ids_are_values_like_others,
        seccomp_has_no_such_instruction, law_5_fail_closed_unknown_ids_are_refused,
    )
}

/// `nr` is allowed if the low word of argument `at` is that id of the caller.
fn only_own(nr: i64, at: u32, id: u32) -> [Insn; 6] {
    [
        unless_equal_skip(nr as u32, 5),
        Insn::stmt(SELF, id),
        load(16 + 8 * at),
        Insn::jump(JMP | JEQ | X, 0, 0, 1),
        ret(ALLOW),
        ret(errno(ODD)),
    ]
}

/// Signals to the caller's own process, or thread, only.
fn itself() -> Vec<u8> {
    let mut program = vec![load(0)];
    program.extend(only_own(SYS_kill, 0, SELF_PROCESS));
    program.extend(only_own(SYS_tgkill, 0, SELF_PROCESS));
    program.extend(only_own(SYS_tkill, 0, SELF_THREAD));
    program.push(ret(ALLOW));
    syscalls(program)
}

fn gettid() -> i32 {
    sys!(libc::SYS_gettid).expect("gettid") as i32
}

/// What signal 0 to each of these processes gives.
fn kill_all(board: &Board, pids: &[i32]) {
    for pid in pids {
        board.ret(sys!(SYS_kill, *pid, 0));
    }
}

const REFUSED: i64 = -(ODD as i64);

fn law_7_a_task_signals_only_its_own_process() {
    let other = start(|_| crate::sys::child::nap(60_000));
    let before = sys!(SYS_kill, other.pid, 0);
    assert_eq!(before, Ok(0));
    let seen = run(|board| {
        let pid = getpid();
        let parent = sys!(libc::SYS_getppid).expect("getppid") as i32;
        attach(&itself());
        // Itself; others; its group and everybody, in which it is too.
        kill_all(board, &[pid, parent, other.pid, 1, 0, -1, -pid]);
        board.ret(sys!(SYS_tgkill, other.pid, other.pid, 0));
        board.ret(sys!(SYS_tkill, other.pid, 0));
    });
    let mut expected = [REFUSED; 9];
    expected[0] = 0;
    assert_eq!(seen.well(), expected);
    assert_eq!(other.kill().end, End::Signal(SIGKILL, false));
}

fn threads_signal_threads_of_their_own_process() {
    attach(&itself());
    let first = gettid();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            send.send(gettid()).expect("the first thread waits");
            [
                sys!(SYS_tgkill, getpid(), first, 0),
                sys!(SYS_tgkill, getpid(), gettid(), 0),
                sys!(SYS_kill, getpid(), 0),
            ]
        });
        let other = receive.recv().expect("an id");
        // The thread may have ended: that is the kernel's answer, not ours.
        let there = sys!(SYS_tgkill, getpid(), other, 0);
        assert!([Ok(0), Err(libc::ESRCH)].contains(&there), "{there:?}");
        assert_eq!(thread.join().ok(), Some([Ok(0); 3]));
    });
}

fn a_thread_is_not_the_other_thread() {
    attach(&itself());
    let first = gettid();
    assert_eq!(first, getpid());
    let looks = move || {
        let own = gettid();
        [sys!(SYS_tkill, own, 0), sys!(SYS_tkill, first, 0)]
    };
    assert_eq!(looks(), [Ok(0), Ok(0)]);
    let thread = std::thread::spawn(looks).join();
    assert_eq!(thread.ok(), Some([Ok(0), Err(ODD)]));
}

fn law_3_inherited_whole_ids_over_fork() {
    attach(&itself());
    let first = getpid();
    let seen = run(|board| {
        let second = getpid();
        kill_all(board, &[second, first]);
        let below = run(|board| kill_all(board, &[getpid(), second, first]));
        for value in below.well() {
            board.put(value);
        }
    });
    assert_eq!(seen.well(), [0, REFUSED, 0, REFUSED, REFUSED]);
    let child = start(|_| crate::sys::child::nap(60_000));
    assert_eq!(sys!(SYS_kill, child.pid, SIGKILL), Err(ODD));
    let pidfd = sys!(libc::SYS_pidfd_open, child.pid, 0).expect("pidfd_open");
    assert_eq!(
        sys!(libc::SYS_pidfd_send_signal, pidfd, SIGKILL, 0, 0),
        Ok(0)
    );
    assert_eq!(child.wait().end, End::Signal(SIGKILL, false));
}

/// The shell's own `kill` and its children's.
fn shell(line: &str) -> String {
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", line])
        .output()
        .expect("sh");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// posix_spawn of the C library, which is clone with the parent's memory, and then an exec.
fn law_3_inherited_whole_ids_over_clone_and_vfork() {
    let line = "kill -0 $$ && echo own; kill -0 $PPID 2>/dev/null || echo refused";
    assert_eq!(shell(line), "own\n", "the parent is there");
    attach(&itself());
    assert_eq!(shell(line), "own\nrefused\n");
}

fn law_3_inherited_whole_ids_over_exec() {
    attach(&itself());
    let line = "sh=$$; (kill -0 $sh 2>/dev/null || echo refused); exec /bin/sh -c 'kill -0 $$ && echo own; kill -9 $$; echo alive'";
    assert_eq!(shell(line), "refused\nown\n");
}

fn ids_are_those_of_the_callers_pid_namespace() {
    let seen = run(|board| {
        attach(&itself());
        let outer = getpid();
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWPID), Ok(0));
        // The caller itself stays where it was.
        kill_all(board, &[outer]);
        let inside = run(|board| {
            assert_eq!(getpid(), 1);
            kill_all(board, &[1, outer]);
            board.ret(sys!(SYS_tkill, 1, 0));
            let below = run(|board| {
                board.put(i64::from(getpid()));
                kill_all(board, &[2, 1]);
            });
            for value in below.well() {
                board.put(value);
            }
            let thread = std::thread::spawn(|| (gettid(), sys!(SYS_tkill, gettid(), 0))).join();
            let (tid, result) = thread.expect("a thread");
            board.put(i64::from(tid));
            board.ret(result);
        });
        for value in inside.well() {
            board.put(value);
        }
    });
    assert_eq!(seen.well(), [0, 0, REFUSED, 0, 2, 0, REFUSED, 3, 0]);
}

/// `abort` of the C library is tgkill of the own thread.
fn a_program_ends_itself_by_a_signal() {
    let seen = run(|_| {
        attach(&itself());
        std::process::abort();
    });
    assert_eq!(seen.end, End::Signal(SIGABRT, false));
}

/// The kernel reads `pid` as an int: the half above does not make another process of it.
fn garbage_above_the_id_is_not_compared() {
    let seen = run(|board| {
        let own = getpid() as u64;
        let parent = sys!(libc::SYS_getppid).expect("getppid");
        attach(&itself());
        for garbage in [1u64, 0x7fff_ffff, 0xffff_ffff] {
            board.ret(sys!(SYS_kill, garbage << 32 | own, 0));
            board.ret(sys!(SYS_kill, garbage << 32 | parent, 0));
        }
    });
    assert_eq!(seen.well(), [0, REFUSED, 0, REFUSED, 0, REFUSED]);
}

/// getuid has one errno in one process and another one in all others.
fn by_process(pid: i32) -> Vec<u8> {
    syscalls(vec![
        load(0),
        unless_equal_skip(SYS_getuid as u32, 5),
        Insn::stmt(SELF, SELF_PROCESS),
        Insn::stmt(MISC | TXA, 0),
        unless_equal_skip(pid as u32, 1),
        ret(errno(70)),
        ret(errno(71)),
        ret(ALLOW),
    ])
}

/// Number and id decide; nothing may be remembered for the number alone.
fn decision_is_made_for_each_caller_anew() {
    attach(&by_process(getpid()));
    for _ in 0..3 {
        assert_eq!(sys!(SYS_getuid), Err(70));
        assert_eq!(run(|board| board.ret(sys!(SYS_getuid))).well(), [-71]);
    }
    // The same under more layers, which decide by the number alone and ask for more.
    attach(&syscalls(vec![ret(ALLOW)]));
    assert_eq!(sys!(SYS_getuid), Err(70));
    let seen = run(|board| {
        attach(&by_process(getpid()));
        board.ret(sys!(SYS_getuid));
        let below = run(|board| board.ret(sys!(SYS_getuid)));
        board.put(below.well()[0]);
    });
    assert_eq!(seen.well(), [-70, -71]);
}

/// Opens are refused whose `mode` is not the id of the caller's thread.
fn names_are_judged_by_who_asks() {
    let program = vec![
        load(0),
        unless_equal_skip(libc::SYS_openat as u32, 5),
        Insn::stmt(SELF, SELF_THREAD),
        load(16 + 8 * 3),
        Insn::jump(JMP | JEQ | X, 0, 0, 1),
        ret(ALLOW),
        ret(errno(ODD)),
        ret(ALLOW),
    ];
    attach(&image(&[Part::getname(program, vec![])]));
    let open = |mode: i32| sys!(libc::SYS_openat, AT_FDCWD, c"/evf-absent/x", 0, mode);
    let pid = getpid();
    let looks = || [open(gettid()), open(pid)];
    assert_eq!(looks(), [Err(ENOENT), Err(ENOENT)]);
    let thread = std::thread::scope(|scope| scope.spawn(looks).join());
    assert_eq!(thread.ok(), Some([Err(ENOENT), Err(ODD)]));
}

/// A name that only one process may not have.
fn refuse_names_to(pid: i32) -> Vec<u8> {
    let program = vec![
        Insn::stmt(SELF, SELF_PROCESS),
        Insn::stmt(LD | IMM, pid as u32),
        Insn::jump(JMP | JEQ | X, 0, 0, 1),
        ret(errno(ODD)),
        ret(ALLOW),
    ];
    image(&[Part::getname(program, vec![])])
}

fn ring_threads_have_the_ids_of_their_process() {
    let mut ring = Ring::sqpoll();
    attach(&refuse_names_to(getpid()));
    let entry = || opcode::OpenAt::new(Fd(AT_FDCWD), c"/evf-absent/x".as_ptr()).build();
    assert_eq!(try_open(c"/evf-absent/x"), Err(ODD));
    assert_eq!(ring.call(entry()), Err(ODD));
    let seen = run(|board| {
        board.ret(try_open(c"/evf-absent/x"));
        board.ret(Ring::sqpoll().call(entry()));
    });
    assert_eq!(seen.well(), [-i64::from(ENOENT); 2]);
}

/// The id can be computed with: getuid returns its low byte as an errno.
fn ids_are_values_like_others() {
    use filters::insn::{A, ALU, AND, OR, RET};
    for id in [SELF_PROCESS, SELF_THREAD] {
        let program = vec![
            load(0),
            unless_equal_skip(SYS_getuid as u32, 5),
            Insn::stmt(SELF, id),
            Insn::stmt(MISC | TXA, 0),
            Insn::stmt(ALU | AND | K, 0xff),
            Insn::stmt(ALU | OR | K, 0x0005_0000),
            Insn::stmt(RET | A, 0),
            ret(ALLOW),
        ];
        let seen = run(|board| {
            attach(&syscalls(program));
            board.ret(sys!(SYS_getuid));
            board.put(-i64::from(getpid() & 0xff));
            let thread = std::thread::spawn(|| (sys!(SYS_getuid), gettid())).join();
            let (result, tid) = thread.expect("a thread");
            board.ret(result);
            let own = if id == SELF_THREAD { tid } else { getpid() };
            board.put(-i64::from(own & 0xff));
        });
        let values = seen.well();
        assert_eq!((values[0], values[2]), (values[1], values[3]));
    }
}

fn seccomp_has_no_such_instruction() {
    for id in [SELF_PROCESS, SELF_THREAD] {
        let program = [Insn::stmt(SELF, id), ret(ALLOW)];
        assert_eq!(crate::seccomp::try_install(&program, 0), Err(EINVAL));
    }
}

fn law_5_fail_closed_unknown_ids_are_refused() {
    for insn in [
        Insn::stmt(SELF, 2),
        Insn::stmt(SELF, u32::MAX),
        Insn::stmt(SELF | X, SELF_PROCESS),
        Insn::stmt(SELF | ABS, SELF_PROCESS),
    ] {
        let image = syscalls(vec![load(0), insn, ret(ALLOW)]);
        assert_eq!(image.len(), HEADER_BYTES + PROGRAM_HEADER_BYTES + 3 * 8);
        let mut buffer = [0u8; 256];
        let (loaded, message) = load_with_message(&image, &mut buffer);
        assert_eq!(loaded.err(), Some(EINVAL), "{insn:?}");
        assert!(message.contains('1'), "names instruction 1: {message:?}");
    }
}

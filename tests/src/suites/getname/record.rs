// SPDX-License-Identifier: GPL-2.0
//! What the record of `vfs.getname` says besides the path.

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AT_EMPTY_PATH, AT_FDCWD, ENOENT};

use super::{ALLOWED, text};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{Names, ODD, errno};
use crate::ring::Ring;
use crate::sys::memory::Low;
use crate::sys::{Ret, ia32, sys, try_open};

/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
const I386: u32 = 0x4000_0003;

pub(super) fn tests() -> Vec<Test> {
    tests!("getname";
        record_holds_the_number_of_the_call, record_holds_the_architecture, record_holds_the_arguments, record_of_a_worker_has_no_call,
        flag_empty_is_set_where_an_empty_name_is_accepted, reserved_word_is_zero, kill_verdict_kills, errno_range_ends_at_133,
        law_6_transparent_other_tasks_see_nothing, log_verdict_allows_and_logs,
    )
}

fn open() -> Ret {
    try_open(&text(ALLOWED))
}

fn record_holds_the_number_of_the_call() {
    attach(
        &Names::new()
            .word(0, libc::SYS_openat as u32, errno(ODD))
            .or_allow(),
    );
    let name = text(ALLOWED);
    assert_eq!(open(), Err(ODD));
    assert_eq!(sys!(libc::SYS_open, &*name, 0, 0), Err(ENOENT));
    assert_eq!(sys!(libc::SYS_rmdir, &*name), Err(ENOENT));
}

fn record_holds_the_architecture() {
    let mut low = Low::new();
    let name = low.text(ALLOWED.as_bytes());
    if ia32::call(20, [0; 6]).is_err() {
        crate::harness::skip("this kernel has no 32-bit system calls");
    }
    attach(&Names::new().word(4, I386, errno(ODD)).or_allow());
    assert_eq!(ia32::call(5, [name, 0, 0, 0, 0, 0]), Err(ODD));
    assert_eq!(open(), Err(ENOENT));
    attach(
        &Names::new()
            .word(4, X86_64, errno(libc::EBADMSG))
            .or_allow(),
    );
    assert_eq!(open(), Err(libc::EBADMSG));
}

/// `faccessat(dirfd, name, mode)`: the third argument and the upper half of the first.
fn record_holds_the_arguments() {
    let rules = Names::new()
        .word(32, 4, errno(ODD))
        .word(20, 7, errno(libc::EBADMSG));
    attach(&rules.or_allow());
    let name = text(ALLOWED);
    assert_eq!(sys!(libc::SYS_faccessat, AT_FDCWD, &*name, 4), Err(ODD));
    assert_eq!(sys!(libc::SYS_faccessat, AT_FDCWD, &*name, 2), Err(ENOENT));
    assert_eq!(
        sys!(libc::SYS_faccessat, 7u64 << 32 | 1, &*name, 2),
        Err(libc::EBADMSG)
    );
}

/// A thread of the kernel that works for a ring is in no system call: the number is -1.
fn record_of_a_worker_has_no_call() {
    let name = text(ALLOWED);
    let mut ring = Ring::sqpoll();
    let mut openat = || ring.call(opcode::OpenAt::new(Fd(AT_FDCWD), name.as_ptr()).build());
    assert_eq!(openat(), Err(ENOENT));
    attach(&Names::new().word(0, u32::MAX, errno(ODD)).or_allow());
    assert_eq!(openat(), Err(ODD), "from the ring's thread");
    assert_eq!(open(), Err(ENOENT), "from the task itself");
}

fn flag_empty_is_set_where_an_empty_name_is_accepted() {
    attach(&Names::new().word(68, 1, errno(ODD)).or_allow());
    let name = text(ALLOWED);
    let room = [0u64; 32];
    let stat = |flags: i32| sys!(libc::SYS_newfstatat, AT_FDCWD, &*name, room.as_ptr(), flags);
    assert_eq!(stat(AT_EMPTY_PATH), Err(ODD));
    assert_eq!(stat(0), Err(ENOENT));
    assert_eq!(open(), Err(ENOENT));
}

fn reserved_word_is_zero() {
    attach(&Names::new().word(76, 0, errno(ODD)).or_allow());
    assert_eq!(open(), Err(ODD));
}

fn kill_verdict_kills() {
    use crate::sys::child::{End, run};
    let seen = run(|board| {
        attach(
            &Names::new()
                .equal(ALLOWED.as_bytes(), crate::program::KILL)
                .or_allow(),
        );
        board.put(1);
        board.ret(open());
    });
    assert!(matches!(seen.end, End::Signal(libc::SIGSYS, _)), "{seen:?}");
    assert_eq!(seen.values, [1], "the call must not return");
}

/// The largest errno that a name may be refused with; the verifier refuses more.
fn errno_range_ends_at_133() {
    for number in [1, 2, 133] {
        let seen = crate::sys::child::ask(|| {
            attach(
                &Names::new()
                    .equal(ALLOWED.as_bytes(), errno(number))
                    .or_allow(),
            );
            open()
        });
        assert_eq!(seen, Err(number));
    }
    for number in [0, 134, 512, 4095] {
        let image = Names::new()
            .equal(ALLOWED.as_bytes(), errno(number))
            .or_allow();
        assert_eq!(
            crate::kernel::try_load(&image).err(),
            Some(libc::EINVAL),
            "errno {number}"
        );
    }
}

/// A layer on one task changes nothing for another.
fn law_6_transparent_other_tasks_see_nothing() {
    let child = crate::sys::child::start(|board| {
        attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
        board.ret(open());
        crate::sys::child::nap(60_000);
    });
    assert_eq!(child.until(1), [-i64::from(ODD)]);
    for _ in 0..1000 {
        assert_eq!(open(), Err(ENOENT));
    }
    assert!(try_open(c"/proc/self/status").is_ok());
    child.kill();
}

/// `log` lets the call go on and says so in the kernel log: task, event, layer.
fn log_verdict_allows_and_logs() {
    let log = crate::kmsg::Log::follow();
    attach(&crate::program::allow_all());
    let raw = filters::verdict::Verdict::LOG.raw();
    attach(&Names::new().equal(ALLOWED.as_bytes(), raw).or_allow());
    assert_eq!(open(), Err(ENOENT));
    let lines = log.lines();
    let mine = lines.iter().find(|line| line.contains("vfs.getname"));
    let line = mine.unwrap_or_else(|| panic!("no line about vfs.getname in {lines:?}"));
    assert!(line.contains("evfilter"), "{line}");
    assert!(line.contains(&crate::sys::getpid().to_string()), "{line}");
}

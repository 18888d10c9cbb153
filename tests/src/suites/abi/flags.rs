// SPDX-License-Identifier: GPL-2.0
//! The flags of RESTRICT_SELF, and the field by which it tells of a thread.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{EBADF, EFAULT, EINVAL, EOPNOTSUPP, ESRCH, SYS_getuid};
use uapi::control::{
    IOC_RESTRICT_SELF, RESTRICT_AT_EXEC, RESTRICT_STRICT, RESTRICT_TSYNC, RestrictSelf,
};

use crate::harness::{Test, tests};
use crate::kernel::{attach, control, ioctl, layers, load, restrict_with};
use crate::program::{ODD, allow_all, errno, on_nr, syscalls};
use crate::sys::memory::{PAGE, at_page_end, map, write};
use crate::sys::{Ret, no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("abi";
        flags_that_exclude_each_other, unknown_flags_beside_known_ones, thread_must_be_zero_whatever_the_flags, descriptors_whatever_the_flags,
        pointers_whatever_the_flags, thread_is_written_for_esrch_only, law_5_fail_closed_thread_cannot_be_written, nothing_else_is_written,
        law_5_fail_closed_nothing_changes_after_wrong_flags,
    )
}

/// All that are known.
const KNOWN: u32 = RESTRICT_TSYNC | RESTRICT_STRICT | RESTRICT_AT_EXEC;

/// A policy by which the tests would notice that it has been pushed.
fn filter() -> OwnedFd {
    no_new_privs();
    load(&syscalls(on_nr(SYS_getuid, errno(ODD))))
}

fn nothing_changed() {
    assert_eq!((layers(), sys!(SYS_getuid)), (0, Ok(0)));
    // Nor is anything waiting for an exec.
    let output = std::process::Command::new("/usr/bin/id").arg("-u").output();
    assert_eq!(output.expect("id").stdout, b"0\n");
}

fn flags_that_exclude_each_other() {
    let filter = filter();
    let both = RESTRICT_TSYNC | RESTRICT_AT_EXEC;
    for (flags, fd) in [(both, filter.as_raw_fd()), (both | RESTRICT_STRICT, -1)] {
        assert_eq!(restrict_with(flags, fd), (Err(EINVAL), 0), "{flags}");
    }
    nothing_changed();
}

fn unknown_flags_beside_known_ones() {
    let filter = filter();
    for bit in 3..32 {
        for known in 0..=KNOWN {
            let fd = if known & RESTRICT_STRICT == 0 {
                filter.as_raw_fd()
            } else {
                -1
            };
            let refused = restrict_with(known | 1 << bit, fd);
            assert_eq!(refused, (Err(EOPNOTSUPP), 0), "{known} and bit {bit}");
        }
    }
    nothing_changed();
}

fn good(flags: u32, filter: &OwnedFd) -> RestrictSelf {
    let strict = flags & RESTRICT_STRICT != 0;
    RestrictSelf {
        size: size_of::<RestrictSelf>() as u32,
        flags,
        filter_fd: if strict { -1 } else { filter.as_raw_fd() },
        thread: 0,
    }
}

fn ask<T>(argument: *const T) -> Ret {
    ioctl(control().as_fd(), IOC_RESTRICT_SELF, argument)
}

/// The flags that may stand together.
const TOGETHER: [u32; 6] = [
    0,
    RESTRICT_TSYNC,
    RESTRICT_STRICT,
    RESTRICT_AT_EXEC,
    RESTRICT_TSYNC | RESTRICT_STRICT,
    RESTRICT_AT_EXEC | RESTRICT_STRICT,
];

fn thread_must_be_zero_whatever_the_flags() {
    let filter = filter();
    for flags in TOGETHER {
        for thread in [1, 1 << 31, u32::MAX, crate::sys::getpid() as u32] {
            let argument = RestrictSelf {
                thread,
                ..good(flags, &filter)
            };
            assert_eq!(ask(&raw const argument), Err(EINVAL), "{flags}");
        }
    }
    nothing_changed();
}

fn descriptors_whatever_the_flags() {
    let filter = filter();
    let control = control();
    for flags in [0, RESTRICT_TSYNC, RESTRICT_AT_EXEC] {
        for (fd, refusal) in [(-1, EBADF), (999, EBADF), (1, libc::EBADFD)] {
            assert_eq!(restrict_with(flags, fd), (Err(refusal), 0), "{flags}, {fd}");
        }
        let refused = restrict_with(flags, control.as_raw_fd());
        assert_eq!(refused, (Err(libc::EBADFD), 0), "{flags}");
    }
    for flags in [0, RESTRICT_TSYNC, RESTRICT_AT_EXEC] {
        let flags = flags | RESTRICT_STRICT;
        for fd in [filter.as_raw_fd(), 0, 999, -2] {
            assert_eq!(restrict_with(flags, fd), (Err(EINVAL), 0), "{flags}, {fd}");
        }
    }
    nothing_changed();
}

fn bytes(argument: &RestrictSelf) -> Vec<u8> {
    let words = [
        argument.size,
        argument.flags,
        argument.filter_fd as u32,
        argument.thread,
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn pointers_whatever_the_flags() {
    let filter = filter();
    for flags in TOGETHER {
        let whole = bytes(&good(flags, &filter));
        for missing in [1, 4, 8, 12] {
            let address = at_page_end(&whole[..whole.len() - missing]);
            assert_eq!(ask(address as *const u8), Err(EFAULT), "{flags}, {missing}");
        }
    }
    nothing_changed();
    let address = at_page_end(&bytes(&good(RESTRICT_TSYNC, &filter)));
    assert_eq!(ask(address as *const u8), Ok(0));
    assert_eq!(layers(), 1);
}

/// Runs `body` while a thread is there that RESTRICT_TSYNC cannot take along; `body` gets its id.
fn with_an_obstacle(body: impl FnOnce(u32)) {
    let gate = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let gate = &gate;
        let thread = scope.spawn(move || {
            attach(&allow_all());
            let id = sys!(libc::SYS_gettid).expect("gettid") as u32;
            send.send(id).expect("the test waits");
            gate.wait();
        });
        body(receive.recv().expect("an id"));
        gate.wait();
        // The end of a scope waits for what a thread does, this for its end.
        assert!(thread.join().is_ok());
    });
}

fn thread_is_written_for_esrch_only() {
    let filter = filter();
    with_an_obstacle(|id| {
        let fd = filter.as_raw_fd();
        assert_eq!(restrict_with(RESTRICT_TSYNC, fd), (Err(ESRCH), id));
        let both = RESTRICT_TSYNC | RESTRICT_STRICT;
        assert_eq!(restrict_with(both, -1), (Err(ESRCH), id));
        assert_eq!(restrict_with(RESTRICT_TSYNC, 999), (Err(EBADF), 0));
        assert_eq!(layers(), 0);
        // The others do not ask for other threads.
        assert_eq!(restrict_with(RESTRICT_AT_EXEC, fd), (Ok(0), 0));
        assert_eq!(restrict_with(0, fd), (Ok(0), 0));
    });
    assert_eq!(
        restrict_with(RESTRICT_TSYNC, filter.as_raw_fd()),
        (Ok(0), 0)
    );
}

/// The struct is readable, but the id cannot be put into it: the caller learns that something is wrong, and nothing has changed.
fn law_5_fail_closed_thread_cannot_be_written() {
    let filter = filter();
    let page = map(PAGE, libc::MAP_PRIVATE);
    write(page, &bytes(&good(RESTRICT_TSYNC, &filter)));
    let read_only = sys!(libc::SYS_mprotect, page, PAGE, libc::PROT_READ);
    assert_eq!(read_only, Ok(0));
    with_an_obstacle(|_| {
        assert_eq!(ask(page as *const u8), Err(EFAULT));
        assert_eq!((layers(), sys!(SYS_getuid)), (0, Ok(0)));
    });
    // Without an obstacle there is nothing to write.
    assert_eq!(ask(page as *const u8), Ok(0));
    assert_eq!((layers(), sys!(SYS_getuid)), (1, Err(ODD)));
}

/// A newer caller's struct, with a tail: of all of it only the field changes.
fn nothing_else_is_written() {
    let filter = filter();
    let mut words = [0u32; 16];
    words[..4].copy_from_slice(&[64, RESTRICT_TSYNC, filter.as_raw_fd() as u32, 0]);
    let mut expected = words;
    with_an_obstacle(|id| {
        assert_eq!(ask(words.as_mut_ptr()), Err(ESRCH));
        expected[3] = id;
    });
    assert_eq!(words, expected);
    words[3] = 0;
    expected[3] = 0;
    assert_eq!(ask(words.as_mut_ptr()), Ok(0));
    assert_eq!(words, expected);
}

fn law_5_fail_closed_nothing_changes_after_wrong_flags() {
    let filter = filter();
    for flags in 0..64 {
        let argument = RestrictSelf {
            thread: 7,
            ..good(flags, &filter)
        };
        assert!(ask(&raw const argument).is_err(), "{flags}");
    }
    nothing_changed();
}

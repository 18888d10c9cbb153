// SPDX-License-Identifier: GPL-2.0
//! Living under a layer that nobody has thought of: an image with errors in it that is sound all the same.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::judged::{CALL, NAME};
use crate::kernel::restrict_through;
use crate::sys::child::{End, PANICKED, run};
use crate::sys::signal::illegal;
use crate::sys::{Ret, sys, try_open};

/// Whether the layers that were there before still hold, as far as anything can be asked. The new one's errno is what is seen, and may be any, for a call 0.
fn escaped([call, name]: [Ret; 2]) -> bool {
    call.is_ok_and(|value| value != 0) || name.is_ok()
}

/// A child that pushes the filter on itself, looks whether it is freer than before, does a few things, and ends in whatever way it can.
#[track_caller]
pub(super) fn live_under(control: BorrowedFd<'_>, filter: &OwnedFd) {
    let seen = run(|board| {
        board.ret(restrict_through(control, filter.as_raw_fd()));
        let results = [sys!(CALL), try_open(NAME)];
        board.put(i64::from(escaped(results)));
        let _ = try_open(c"/etc/passwd");
        let _ = try_open(c"/evf-fuzz/x");
        let _ = sys!(libc::SYS_unlinkat, libc::AT_FDCWD, c"/tmp/evf-fuzz-none", 0);
        let _ = sys!(libc::SYS_kill, 123_456, 0);
        let _ = sys!(libc::SYS_getppid);
        let child = sys!(libc::SYS_fork);
        board.put(i64::from(escaped([sys!(CALL), try_open(NAME)])));
        if child == Ok(0) {
            let _ = sys!(libc::SYS_exit_group, 0);
        }
        // A layer may refuse `exit_group` too; nobody can refuse this.
        illegal();
    });
    // It may be killed at any point, and may be refused the memory for its layer; it may not be freer.
    let free = seen.values.iter().skip(1).any(|&value| value != 0);
    assert!(!free, "freer than before: {seen:?}");
    assert_ne!(seen.end, End::Exit(PANICKED), "{seen:?}");
}

// SPDX-License-Identifier: GPL-2.0
//! Holds whoever executes a file, until it is let go on (fanotify with a permission event).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::{own, sys};

const FAN_CLASS_CONTENT: u32 = 4;
const FAN_CLOEXEC: u32 = 1;
const FAN_MARK_ADD: u32 = 1;
const FAN_OPEN_EXEC_PERM: u64 = 0x4_0000;
const FAN_DENY: u32 = 2;

/// A file that nobody executes without being asked about.
pub struct Gate(OwnedFd);

/// Somebody who waits at the gate.
pub struct Held<'g> {
    gate: &'g Gate,
    file: OwnedFd,
}

impl Gate {
    /// None where the kernel cannot ask.
    pub fn at(path: &CStr) -> Option<Gate> {
        let flags = FAN_CLASS_CONTENT | FAN_CLOEXEC;
        let group = own(sys!(libc::SYS_fanotify_init, flags, libc::O_RDONLY)).ok()?;
        let marked = sys!(
            libc::SYS_fanotify_mark,
            &group,
            FAN_MARK_ADD,
            FAN_OPEN_EXEC_PERM,
            libc::AT_FDCWD,
            path
        );
        marked.ok().map(|_| Gate(group))
    }

    /// Waits for the next one.
    #[track_caller]
    pub fn wait(&self) -> Held<'_> {
        // struct fanotify_event_metadata: the descriptor is at byte 16.
        let mut event = [0u32; 6];
        let read = sys!(libc::SYS_read, &self.0, event.as_mut_ptr(), 24);
        assert_eq!(read, Ok(24), "fanotify");
        let file = own(Ok(u64::from(event[4]))).expect("a descriptor");
        Held { gate: self, file }
    }
}

impl Held<'_> {
    /// Its exec fails with `EPERM`. It may have ended meanwhile.
    pub fn turn_away(self) {
        let answer = [self.file.as_raw_fd() as u32, FAN_DENY];
        let _ = sys!(libc::SYS_write, &self.gate.0, answer.as_ptr(), 8);
    }
}

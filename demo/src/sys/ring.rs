// SPDX-License-Identifier: GPL-2.0
//! Opens through io_uring: in the submitter, in a kernel worker, and in the thread that polls the submission queue.

use std::ffi::CStr;
use std::os::fd::{FromRawFd as _, OwnedFd};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;

use super::raw::OPEN_FLAGS;

/// Who carries an open out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The submitting task, inside `io_uring_enter`.
    Submitter,
    /// A worker thread `iou-wrk-N`, by `IOSQE_ASYNC`.
    Worker,
    /// The thread `iou-sqp-N` that polls the queue: the open happens in no system call of anybody.
    Poller,
}

/// A ring, made for one carrier.
pub(crate) struct Ring {
    ring: IoUring,
    carrier: Carrier,
}

/// How long a polling thread stays awake without work, in milliseconds.
const POLLER_IDLE: u32 = 2000;

impl Ring {
    /// Makes a ring of the calling process.
    ///
    /// # Errors
    ///
    /// `ENOSYS` or `EPERM` where io_uring is switched off, or the policy's errno.
    pub(crate) fn new(carrier: Carrier) -> Result<Ring, Errno> {
        let mut builder = IoUring::builder();
        if carrier == Carrier::Poller {
            builder.setup_sqpoll(POLLER_IDLE);
        }
        let ring = builder.build(4).map_err(errno)?;
        Ok(Ring { ring, carrier })
    }

    /// Opens `name` for reading.
    ///
    /// # Errors
    ///
    /// What the ring completed with, or what `io_uring_enter` was refused with.
    pub(crate) fn open(&mut self, name: &CStr) -> Result<OwnedFd, Errno> {
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
            .flags(OPEN_FLAGS)
            .build();
        let entry = match self.carrier {
            Carrier::Worker => entry.flags(squeue::Flags::ASYNC),
            Carrier::Submitter | Carrier::Poller => entry,
        };
        // SAFETY: the entry refers to `name`, which is borrowed until the completion has arrived. Should the wait fail, the kernel
        // may read that address later; it reads user memory through its checked copy and writes none.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| Errno::AGAIN)?;
        self.wait()?;
        let result = match self.ring.completion().next() {
            Some(completion) => completion.result(),
            None => return Err(Errno::IO),
        };
        match result {
            // SAFETY: the ring has just installed this descriptor for us; nobody else knows it.
            fd if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            error => Err(Errno::from_raw_os_error(-error)),
        }
    }

    fn wait(&mut self) -> Result<(), Errno> {
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(errno(error)),
            }
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carrier_opens_and_says_why_not() {
        for carrier in [Carrier::Submitter, Carrier::Worker, Carrier::Poller] {
            let mut ring = match Ring::new(carrier) {
                Ok(ring) => ring,
                // A container may forbid io_uring; then that is all there is to see.
                Err(error) => {
                    assert!(matches!(error, Errno::PERM | Errno::NOSYS), "{error}");
                    continue;
                }
            };
            assert!(ring.open(c"/proc/self/status").is_ok(), "{carrier:?}");
            assert_eq!(
                ring.open(c"/no/such").unwrap_err(),
                Errno::NOENT,
                "{carrier:?}"
            );
        }
    }
}

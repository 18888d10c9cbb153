// SPDX-License-Identifier: GPL-2.0
//! Rings of io_uring, one call at a time.

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, opcode};

use crate::sys::Ret;

/// A ring with few entries.
pub struct Ring {
    ring: IoUring,
    next: u64,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::new()
    }
}

impl Ring {
    /// An ordinary ring: calls are taken up by the task that submits them.
    #[track_caller]
    pub fn new() -> Ring {
        Ring {
            ring: IoUring::new(8).expect("io_uring_setup"),
            next: 1,
        }
    }

    /// A ring with a thread of the kernel (`iou-sqp-N`) that takes the calls up, and never sleeps while a test runs.
    #[track_caller]
    pub fn sqpoll() -> Ring {
        let mut builder = IoUring::builder();
        builder.setup_sqpoll(60_000);
        Ring {
            ring: builder.build(8).expect("io_uring_setup with SQPOLL"),
            next: 1,
        }
    }

    /// Makes one call and waits for its result.
    #[track_caller]
    pub fn call(&mut self, entry: Entry) -> Ret {
        let tag = self.next;
        self.next += 1;
        let entry = entry.user_data(tag);
        // SAFETY: the strings and structs that entries of this crate name live until the result is here: we wait for it below.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        assert!(pushed.is_ok(), "the submission queue is full");
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => break,
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) => panic!("io_uring_enter: {error}"),
            }
        }
        let result = self.ring.completion().next().expect("a completion");
        assert_eq!(result.user_data(), tag);
        let result = result.result();
        if result < 0 {
            Err(-result)
        } else {
            Ok(result as u64)
        }
    }

    /// Makes one call in a worker (`iou-wrk-N`).
    #[track_caller]
    pub fn call_in_worker(&mut self, entry: Entry) -> Ret {
        self.call(entry.flags(Flags::ASYNC))
    }

    /// Makes the ring have a worker: a read that cannot be done at once is handed to one.
    #[track_caller]
    pub fn wake_worker(&mut self) {
        let entry = opcode::Nop::new().build();
        assert_eq!(self.call_in_worker(entry), Ok(0));
    }

    /// Installs an empty table for direct descriptors.
    #[track_caller]
    pub fn register_files(&mut self, slots: u32) {
        self.ring
            .submitter()
            .register_files_sparse(slots)
            .expect("register_files_sparse");
    }
}

impl Ring {
    /// Its descriptor.
    pub fn number(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.ring)
    }

    /// [`Ring::call`] on a ring that somebody else puts completions into as well: those are not the result.
    pub fn try_call(&mut self, entry: Entry) -> Ret {
        while self.ring.completion().next().is_some() {}
        self.call(entry)
    }
}

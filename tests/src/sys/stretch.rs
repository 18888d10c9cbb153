// SPDX-License-Identifier: GPL-2.0
//! Memory with a page that is missing until user space supplies it (userfaultfd): whoever reads it, the kernel too, sleeps there for as long as one likes.

use std::os::fd::OwnedFd;

use crate::sys::memory::{PAGE, map, write};
use crate::sys::{own, sys};

const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_COPY: u32 = 0xc028_aa03;

/// Two pages, the second of which is missing until someone supplies it.
pub struct Stretch {
    faults: OwnedFd,
    /// Start of the first page.
    pub start: u64,
}

impl Stretch {
    /// None where user space may not answer faults of the kernel.
    #[track_caller]
    pub fn new() -> Option<Stretch> {
        let faults = own(sys!(libc::SYS_userfaultfd, libc::O_CLOEXEC)).ok()?;
        let mut api = [0xaau64, 0, 0];
        assert_eq!(
            sys!(libc::SYS_ioctl, &faults, UFFDIO_API, api.as_mut_ptr()),
            Ok(0),
            "UFFDIO_API"
        );
        let start = map(2 * PAGE, libc::MAP_PRIVATE);
        write(start, &[0]);
        // UFFDIO_REGISTER_MODE_MISSING on the second page.
        let mut register = [start + PAGE as u64, PAGE as u64, 1, 0];
        let done = sys!(
            libc::SYS_ioctl,
            &faults,
            UFFDIO_REGISTER,
            register.as_mut_ptr()
        );
        assert_eq!(done, Ok(0), "UFFDIO_REGISTER");
        Some(Stretch { faults, start })
    }

    /// Puts `head` at the end of the first page, so that the second one continues it; returns its address.
    pub fn head(&self, head: &[u8]) -> u64 {
        let address = self.start + (PAGE - head.len()) as u64;
        write(address, head);
        address
    }

    /// Waits for the fault.
    #[track_caller]
    pub fn wait(&self) {
        let mut message = [0u64; 4];
        let read = sys!(libc::SYS_read, &self.faults, message.as_mut_ptr(), 32);
        assert_eq!(read, Ok(32), "userfaultfd");
    }

    /// Answers the fault with a page that begins with `tail`.
    #[track_caller]
    pub fn answer(&self, tail: &[u8]) {
        let source = map(PAGE, libc::MAP_PRIVATE);
        write(source, tail);
        let mut copy = [self.start + PAGE as u64, source, PAGE as u64, 0, 0];
        let done = sys!(
            libc::SYS_ioctl,
            &self.faults,
            UFFDIO_COPY,
            copy.as_mut_ptr()
        );
        assert_eq!(done, Ok(0), "UFFDIO_COPY");
    }
}

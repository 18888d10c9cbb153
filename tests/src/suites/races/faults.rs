// SPDX-License-Identifier: GPL-2.0
//! The copy of a name sleeps in a page fault that user space answers when it likes (userfaultfd), and rewrites the rest meanwhile.

use std::os::fd::OwnedFd;

use libc::ENOENT;

use crate::harness::{Test, skip, tests};
use crate::kernel::attach;
use crate::program::{Names, ODD, errno};
use crate::sys::memory::{PAGE, map, write};
use crate::sys::{Ret, own, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("races";
        law_2_stable_strings_copy_stretched_by_a_fault, law_2_stable_strings_long_copy_stretched_by_a_fault, law_2_stable_strings_head_rewritten_after_the_copy,
    )
}

const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_COPY: u32 = 0xc028_aa03;

/// Two pages, the second of which is missing until someone supplies it.
pub(crate) struct Stretch {
    faults: OwnedFd,
    /// Start of the first page.
    pub(crate) start: u64,
}

impl Stretch {
    /// Ends the test where user space may not answer faults of the kernel.
    pub(crate) fn new() -> Stretch {
        let Ok(faults) = own(sys!(libc::SYS_userfaultfd, libc::O_CLOEXEC)) else {
            skip("this kernel has no userfaultfd");
        };
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
        Stretch { faults, start }
    }

    /// Puts `head` at the end of the first page, so that the second one continues it; returns its address.
    pub(crate) fn head(&self, head: &[u8]) -> u64 {
        let address = self.start + (PAGE - head.len()) as u64;
        write(address, head);
        address
    }

    /// Waits for the fault.
    #[track_caller]
    pub(crate) fn wait(&self) {
        let mut message = [0u64; 4];
        let read = sys!(libc::SYS_read, &self.faults, message.as_mut_ptr(), 32);
        assert_eq!(read, Ok(32), "userfaultfd");
    }

    /// Answers the fault with a page that begins with `tail`.
    #[track_caller]
    pub(crate) fn answer(&self, tail: &[u8]) {
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

/// Opens a name whose copy meets a missing page; while it sleeps the part that was copied already is rewritten to `late`.
fn stretched(early: &[u8], late: &[u8], tail: &[u8]) -> Ret {
    let stretch = Stretch::new();
    let name = stretch.head(early);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stretch.wait();
            stretch.head(late);
            stretch.answer(tail);
        });
        sys!(libc::SYS_openat, libc::AT_FDCWD, name, 0, 0)
    })
}

/// The last bytes of a head. The kernel copies eight bytes at a time, and a load that meets the missing page is made again as a whole: what is
/// rewritten must end at least eight bytes before that page to be in the copy already.
const PLAIN: &str = "0123456789abcdef-";

/// The head that was copied decides, whatever the memory says by the time the tail arrives.
#[track_caller]
fn first_copy_decides(early: &str, late: &str) {
    assert_eq!(
        stretched(early.as_bytes(), late.as_bytes(), b"tail\0"),
        Err(ODD)
    );
    assert_eq!(
        stretched(late.as_bytes(), early.as_bytes(), b"tail\0"),
        Err(libc::EBADMSG)
    );
    assert_eq!(
        stretched(early.as_bytes(), late.as_bytes(), b"other\0"),
        Err(ENOENT)
    );
}

/// What is judged is what was copied: the early head with the tail that came later.
fn law_2_stable_strings_copy_stretched_by_a_fault() {
    let (early, late) = (
        format!("/evf-absent/early-{PLAIN}"),
        format!("/evf-absent/later-{PLAIN}"),
    );
    let rules = Names::new()
        .equal(format!("{early}tail").as_bytes(), errno(ODD))
        .equal(format!("{late}tail").as_bytes(), errno(libc::EBADMSG));
    attach(&rules.or_allow());
    first_copy_decides(&early, &late);
}

/// A name of more than 168 bytes: the head lies in one page, the tail, which is fetched by a second copy, in the missing one.
fn law_2_stable_strings_long_copy_stretched_by_a_fault() {
    let head = |end: &str| format!("/evf-absent/{}{end}{PLAIN}", "h/".repeat(200));
    let (early, late) = (head("early-"), head("later-"));
    let rules = Names::new()
        .suffix(format!("early-{PLAIN}tail").as_bytes(), errno(ODD))
        .suffix(
            format!("later-{PLAIN}tail").as_bytes(),
            errno(libc::EBADMSG),
        );
    attach(&rules.or_allow());
    first_copy_decides(&early, &late);
}

/// The allowed file is used although the memory names the refused one by the time of the verdict, and the other way round.
fn law_2_stable_strings_head_rewritten_after_the_copy() {
    std::fs::create_dir_all("/tmp/evf-stretch").expect("mkdir");
    let head = |start: &str| format!("/tmp/evf-stretch/{start}-{PLAIN}");
    for start in ["aa", "bb"] {
        std::fs::write(format!("{}file", head(start)), start).expect("write");
    }
    attach(&crate::program::deny_name(
        format!("{}file", head("bb")).as_bytes(),
    ));
    let content = |early: &str, late: &str| {
        let opened = own(stretched(
            head(early).as_bytes(),
            head(late).as_bytes(),
            b"file\0",
        ));
        opened.map(|fd| {
            let mut bytes = [0u8; 2];
            assert_eq!(sys!(libc::SYS_read, &fd, bytes.as_mut_ptr(), 2), Ok(2));
            bytes
        })
    };
    for _ in 0..20 {
        assert_eq!(content("aa", "bb"), Ok(*b"aa"));
        assert_eq!(content("bb", "aa"), Err(ODD));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The copy of a name sleeps in a page fault that user space answers when it likes (userfaultfd), and rewrites the rest meanwhile.

use libc::ENOENT;

use crate::harness::{Test, skip, tests};
use crate::kernel::attach;
use crate::program::{Names, ODD, errno};
use crate::sys::stretch::Stretch;
use crate::sys::{Ret, own, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("races";
        law_2_stable_strings_copy_stretched_by_a_fault, law_2_stable_strings_long_copy_stretched_by_a_fault, law_2_stable_strings_head_rewritten_after_the_copy,
    )
}

/// Ends the test where user space may not answer faults of the kernel.
pub(crate) fn stretch() -> Stretch {
    Stretch::new().unwrap_or_else(|| skip("this kernel has no userfaultfd"))
}

/// Opens a name whose copy meets a missing page; while it sleeps the part that was copied already is rewritten to `late`.
fn stretched(early: &[u8], late: &[u8], tail: &[u8]) -> Ret {
    let stretch = stretch();
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

// SPDX-License-Identifier: GPL-2.0
//! Names around the lengths at which the kernel changes how it keeps them, and names that are no text.

use std::ffi::CStr;

use libc::{EFAULT, ENAMETOOLONG, ENOENT};

use super::{ALLOWED, text};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{ALLOW, Names, ODD, errno};
use crate::sys::memory::{PAGE, at_page_end};
use crate::sys::{Ret, sys, try_open};

/// `EMBEDDED_NAME_MAX` is 168: up to 167 bytes lie inside `struct filename`, longer ones elsewhere. `PATH_MAX` is 4096 with the NUL.
const LENGTHS: &[usize] = &[
    160, 165, 166, 167, 168, 169, 170, 175, 192, 256, 336, 1000, 2048, 4000, 4093, 4094, 4095,
];

const TOO_LONG: &[usize] = &[4096, 4097, 5000, 8192];

pub(super) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for length in LENGTHS {
        tests.push(Test::new(
            format!("getname::name_of_{length}_bytes_is_judged_whole"),
            || {
                judged_whole(*length);
            },
        ));
    }
    for length in TOO_LONG {
        tests.push(Test::new(
            format!("getname::name_of_{length}_bytes_is_too_long"),
            || {
                too_long(*length);
            },
        ));
    }
    tests.extend(tests!("getname";
        name_that_is_not_utf8, every_byte_value_is_compared, empty_name_is_enoent_before_any_policy, null_pointer_is_efault, kernel_pointer_is_efault,
        name_cut_by_a_page_end_is_efault, name_that_ends_with_the_page, under_ends_at_a_component, suffix_and_contains, first_match_wins,
        default_deny_refuses_everything_else,
    ));
    tests
}

/// A name of `length` bytes in a directory that is not there, ending with `tail`.
fn name(length: usize, tail: &str) -> String {
    let mut name = String::from("/evf-absent");
    while name.len() + tail.len() < length {
        name.push(if name.len() % 100 == 99 { '/' } else { 'n' });
    }
    name.push_str(tail);
    assert_eq!(name.len(), length);
    name
}

fn open(name: &str) -> Ret {
    try_open(&text(name))
}

/// Both ends of the name count: the last byte alone, the last component, and the whole.
fn judged_whole(length: usize) {
    let (whole, last_byte) = (name(length, "/tail-w"), name(length, "/tail-x"));
    assert_eq!(open(&whole), Err(ENOENT));
    assert_eq!(open(&last_byte), Err(ENOENT));
    attach(&Names::new().equal(whole.as_bytes(), errno(ODD)).or_allow());
    assert_eq!(open(&whole), Err(ODD), "the whole name");
    assert_eq!(
        open(&last_byte),
        Err(ENOENT),
        "a name that differs in the last byte"
    );
    assert_eq!(
        open(&whole[..length - 1]),
        Err(ENOENT),
        "a name without the last byte"
    );
    attach(
        &Names::new()
            .suffix(b"/tail-x", errno(libc::EBADMSG))
            .or_allow(),
    );
    assert_eq!(open(&last_byte), Err(libc::EBADMSG), "the tail");
    // The record's length field counts every byte and no NUL.
    attach(
        &Names::new()
            .word(72, length as u32, errno(libc::ESTRPIPE))
            .or_allow(),
    );
    assert_eq!(
        open(&name(length, "/other")),
        Err(libc::ESTRPIPE),
        "path_len"
    );
    assert_eq!(
        open(&name(length - 1, "/other")),
        Err(ENOENT),
        "path_len of a shorter name"
    );
}

/// The kernel refuses the name itself; there is nothing to judge, and a policy that refuses everything must not change the answer.
fn too_long(length: usize) {
    let name = name(length, "/tail");
    assert_eq!(open(&name), Err(ENAMETOOLONG));
    attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
    assert_eq!(open(&name), Err(ENAMETOOLONG));
}

fn open_bytes(bytes: &[u8]) -> Ret {
    try_open(CStr::from_bytes_with_nul(bytes).expect("one NUL, at the end"))
}

fn name_that_is_not_utf8() {
    attach(
        &Names::new()
            .equal(b"/evf-absent/\xff\xfe\x80", errno(ODD))
            .or_allow(),
    );
    assert_eq!(open_bytes(b"/evf-absent/\xff\xfe\x80\0"), Err(ODD));
    assert_eq!(open_bytes(b"/evf-absent/\xff\xfe\x81\0"), Err(ENOENT));
}

fn every_byte_value_is_compared() {
    let mut names = Names::new();
    let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    for byte in &bytes {
        // 1 to 133 are the errnos that a filter may give; the low ones are enough to tell neighbours apart.
        names = names.equal(
            &[b"/evf-absent/", &[*byte][..]].concat(),
            errno(i32::from(byte % 20) + 60),
        );
    }
    attach(&names.or_allow());
    for byte in &bytes {
        let result = open_bytes(&[b"/evf-absent/", &[*byte][..], b"\0"].concat());
        assert_eq!(result, Err(i32::from(byte % 20) + 60), "byte {byte:#x}");
    }
}

/// An empty name where none is allowed never becomes a name.
fn empty_name_is_enoent_before_any_policy() {
    attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
    assert_eq!(open(""), Err(ENOENT));
    assert_eq!(open("x"), Err(ODD));
}

fn null_pointer_is_efault() {
    let open_null = || sys!(libc::SYS_openat, libc::AT_FDCWD, 0, 0, 0);
    assert_eq!(open_null(), Err(EFAULT));
    attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
    assert_eq!(open_null(), Err(EFAULT));
}

fn kernel_pointer_is_efault() {
    attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
    for address in [0xffff_8880_0000_0000u64, 0x0000_8000_0000_0000, u64::MAX, 1] {
        let result = sys!(libc::SYS_openat, libc::AT_FDCWD, address, 0, 0);
        assert_eq!(result, Err(EFAULT), "{address:#x}");
    }
}

/// The NUL never comes: the page behind is not there.
fn name_cut_by_a_page_end_is_efault() {
    for length in [1, 100, 167, 168, 169, 300] {
        let address = at_page_end(&vec![b'n'; length]);
        assert_eq!(
            sys!(libc::SYS_open, address, 0, 0),
            Err(EFAULT),
            "{length} bytes"
        );
    }
    attach(&crate::program::image(&[Names::new().or_else(errno(ODD))]));
    for length in [1, 100, 167, 168, 169, 300] {
        let address = at_page_end(&vec![b'n'; length]);
        assert_eq!(
            sys!(libc::SYS_open, address, 0, 0),
            Err(EFAULT),
            "{length} bytes under a layer"
        );
    }
}

/// The NUL is the last byte of the page.
fn name_that_ends_with_the_page() {
    let lengths = [12, 100, 167, 168, 169, 300, PAGE - 1];
    let at_end = |length: usize| at_page_end(&[name(length, "").as_bytes(), b"\0"].concat());
    let mut names = Names::new();
    for length in lengths {
        names = names.equal(name(length, "").as_bytes(), errno(ODD));
    }
    attach(&names.or_allow());
    for length in lengths {
        assert_eq!(
            sys!(libc::SYS_open, at_end(length), 0, 0),
            Err(ODD),
            "{length} bytes"
        );
    }
    assert_eq!(sys!(libc::SYS_open, at_end(50), 0, 0), Err(ENOENT));
}

fn under_ends_at_a_component() {
    attach(
        &Names::new()
            .under(b"/evf-absent/lib", errno(ODD))
            .or_allow(),
    );
    for denied in [
        "/evf-absent/lib",
        "/evf-absent/lib/",
        "/evf-absent/lib/x",
        "/evf-absent/lib//x/y",
    ] {
        assert_eq!(open(denied), Err(ODD), "{denied}");
    }
    for allowed in [
        "/evf-absent/library",
        "/evf-absent/li",
        "/evf-absent/lib-x/y",
        "evf-absent/lib",
    ] {
        assert_eq!(open(allowed), Err(ENOENT), "{allowed}");
    }
}

fn suffix_and_contains() {
    let rules = Names::new()
        .contains(b"..", errno(ODD))
        .suffix(b".env", errno(libc::EBADMSG))
        .prefix(b"/evf-absent/p", errno(libc::ESTRPIPE));
    attach(&rules.or_allow());
    assert_eq!(open("/evf-absent/../x"), Err(ODD));
    assert_eq!(open(".."), Err(ODD));
    assert_eq!(open("/evf-absent/a..b"), Err(ODD));
    assert_eq!(open("/evf-absent/.env"), Err(libc::EBADMSG));
    assert_eq!(open("/evf-absent/.envx"), Err(ENOENT));
    assert_eq!(open("/evf-absent/pq"), Err(libc::ESTRPIPE));
    assert_eq!(open("/evf-absent/q"), Err(ENOENT));
    assert_eq!(open("/evf-absent/."), Err(ENOENT));
}

fn first_match_wins() {
    let rules = Names::new()
        .equal(b"/evf-absent/tree/open", ALLOW)
        .under(b"/evf-absent/tree", errno(ODD))
        .equal(b"/evf-absent/tree/late", ALLOW);
    attach(&rules.or_allow());
    assert_eq!(open("/evf-absent/tree/open"), Err(ENOENT));
    assert_eq!(open("/evf-absent/tree/late"), Err(ODD));
}

fn default_deny_refuses_everything_else() {
    let rules = Names::new()
        .equal(ALLOWED.as_bytes(), ALLOW)
        .or_else(errno(ODD));
    attach(&crate::program::image(&[rules]));
    assert_eq!(open(ALLOWED), Err(ENOENT));
    for other in [
        "/",
        ".",
        "/proc/self/status",
        "evf",
        "/evf-absent/evf-probe-allowed/",
    ] {
        assert_eq!(open(other), Err(ODD), "{other}");
    }
}

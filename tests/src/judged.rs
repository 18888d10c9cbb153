// SPDX-License-Identifier: GPL-2.0
//! A policy that refuses a call and a name, by which a task finds out whether it is judged.

use std::ffi::CStr;

use crate::program::{ODD, Part, errno, image_of, on_nr};
use crate::sys::{sys, try_open};

/// A name that the policy refuses, and that exists: whatever the errno, who opens it is not judged.
pub const NAME: &CStr = c"/proc/version";

/// A call that the policy refuses, and that never returns 0: a newer layer's errno 0 is no success.
pub const CALL: i64 = libc::SYS_getpgrp;

/// The policy: an automaton for names, and calls by their numbers, assembled by hand because the language kills who comes through another entry.
#[track_caller]
pub fn image() -> Vec<u8> {
    let text = "on vfs.getname { deny ENOTUNIQ path matches \"/proc/versio*\"; default allow }";
    let names = evfilter::Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let calls = Part::syscall(on_nr(CALL, errno(libc::ENOANO)));
    image_of([calls.bytes(), crate::program::body(names.image()).to_vec()])
}

/// Whether the caller is judged by it; half of it is a failure.
#[track_caller]
pub fn is_judged() -> bool {
    let refusals = (sys!(CALL) == Err(libc::ENOANO), try_open(NAME) == Err(ODD));
    assert_eq!(refusals.0, refusals.1, "half of a policy");
    refusals.0
}

// SPDX-License-Identifier: GPL-2.0
//! Objects: what a program sees of them, whatever name led there. Which system call shows which action is held by the suite `coverage`.

mod effects;
mod ends;
mod long;
mod moved;
mod place;
mod sight;
mod stacked;
mod steps;

use evfilter::Policy;

use crate::harness::Test;
use crate::kernel::attach;
use crate::sys::Ret;
use crate::sys::child::{Board, ask, run};

pub(super) fn tests() -> Vec<Test> {
    [
        effects::tests(),
        place::tests(),
        sight::tests(),
        ends::tests(),
        long::tests(),
        moved::tests(),
        steps::tests(),
        stacked::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Errnos that the calls in these tests do not return by themselves.
const ONE: i32 = libc::ENOTUNIQ;
const TWO: i32 = libc::EUCLEAN;

/// The image of a policy.
#[track_caller]
fn compiled(text: &str) -> Vec<u8> {
    let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
    policy.image().to_vec()
}

/// What `deed` returns under a policy; `prepare` comes before it takes hold, in the same child.
#[track_caller]
fn under_after(policy: &str, prepare: impl FnOnce(), deed: impl FnOnce() -> Ret) -> Ret {
    let image = compiled(policy);
    ask(|| {
        prepare();
        attach(&image);
        deed()
    })
}

/// What `deed` returns under a policy.
#[track_caller]
fn under(policy: &str, deed: impl FnOnce() -> Ret) -> Ret {
    under_after(policy, || (), deed)
}

/// What several deeds return under a policy, each as its value or negative errno.
#[track_caller]
fn all_under(policy: &str, deeds: impl FnOnce(&Board)) -> Vec<i64> {
    let image = compiled(policy);
    run(|board| {
        attach(&image);
        deeds(board);
    })
    .well()
}

/// An empty directory of this name below /tmp.
#[track_caller]
fn fresh(name: &str) -> String {
    let path = format!("/tmp/evf-object-{name}");
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("mkdir");
    path
}

/// A NUL-terminated name.
#[track_caller]
fn name(text: impl Into<Vec<u8>>) -> std::ffi::CString {
    std::ffi::CString::new(text).expect("a name without NUL")
}

/// Opens a name for reading and closes it again.
fn open(path: &str) -> Ret {
    crate::sys::open(&name(path), libc::O_RDONLY).map(|_| 0)
}

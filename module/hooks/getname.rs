// SPDX-License-Identifier: GPL-2.0
//! `vfs.getname` behind `do_getname` and `do_getname_kernel`: the name is judged after the kernel has made its copy, and the copy that is judged is
//! the copy that is used.
//!
//! Not at `getname_flags`: the compiler inlines it into its callers in fs/namei.c, io_uring's among them.
#![allow(unsafe_code)]

use filters::event::Event;
use kernel::bindings;
use uapi::record::{VfsGetname, FLAG_EMPTY, ORIGIN_KERNEL, ORIGIN_USER};

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Filename, Trampoline, Words};
use crate::{enforce, event};

extern "C" {
    fn evf_tramp_getname();
    fn evf_tramp_getname_kernel();
}

pub(super) const USER: AttachPoint = AttachPoint {
    // The last two are io_uring's.
    hooks: &[Hook::own(c"do_getname").called_by(&[
        c"getname_flags",
        c"delayed_getname",
        c"delayed_getname_uflags",
    ])],
    trampoline: Trampoline(evf_tramp_getname),
    needed_by: Need::events(&[Event::VfsGetname]),
};

pub(super) const KERNEL: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"do_getname_kernel").called_by(&[c"getname_kernel", c"putname_to_delayed"])],
    trampoline: Trampoline(evf_tramp_getname_kernel),
    needed_by: Need::events(&[Event::VfsGetname]),
};

const WORDS: usize = size_of::<VfsGetname>() / 4;
const ORIGIN: usize = core::mem::offset_of!(VfsGetname, origin) / 4;
const FLAGS: usize = core::mem::offset_of!(VfsGetname, flags) / 4;
const PATH_LEN: usize = core::mem::offset_of!(VfsGetname, path_len) / 4;

pub(super) fn layout_agrees() -> bool {
    event::layout_agrees(Event::VfsGetname, WORDS, 1)
}

/// struct filename *do_getname(const char __user *filename, int flags, bool incomplete), after it has returned.
#[no_mangle]
extern "C" fn evf_on_getname(
    result: *mut bindings::filename,
    _filename: usize,
    flags: usize,
) -> *mut bindings::filename {
    let flags = if ffi::accepts_empty(flags as u32) {
        FLAG_EMPTY
    } else {
        0
    };
    judge(Filename(result), ORIGIN_USER, flags)
}

/// struct filename *do_getname_kernel(const char *filename, bool incomplete), after it has returned.
///
/// An incomplete name is the copy that io_uring takes of a user's name when it must try again: still the user's.
#[no_mangle]
extern "C" fn evf_on_getname_kernel(
    result: *mut bindings::filename,
    _filename: usize,
    incomplete: usize,
) -> *mut bindings::filename {
    // A bool argument fills the lowest byte only.
    let origin = if incomplete as u8 != 0 {
        ORIGIN_USER
    } else {
        ORIGIN_KERNEL
    };
    judge(Filename(result), origin, 0)
}

/// The name itself, or the error that takes its place.
fn judge(name: Filename, origin: u32, flags: u32) -> *mut bindings::filename {
    // SAFETY: The trampoline hands us what the function has just returned, before its caller sees it.
    let Some(path) = (unsafe { name.bytes() }) else {
        // The copy failed; that error stands.
        return name.0;
    };
    if event::is_name_allowed(path) {
        return name.0;
    }
    judge_at_length(name, path, origin, flags)
}

#[cold]
#[inline(never)]
fn judge_at_length(
    name: Filename,
    path: &[u8],
    origin: u32,
    flags: u32,
) -> *mut bindings::filename {
    let decision = event::ask(Event::VfsGetname, |domain| {
        let mut words = Words::<WORDS>::new();
        words.gather(domain.reads_words(Event::VfsGetname));
        words.0[ORIGIN] = origin;
        words.0[FLAGS] = flags;
        words.0[PATH_LEN] = path.len() as u32;
        event::decide(domain, Event::VfsGetname, &words.0, &[path])
    });
    match decision.map_or(Ok(()), |decision| {
        enforce::refusable(decision, Event::VfsGetname)
    }) {
        Ok(()) => name.0,
        Err(errno) => {
            // SAFETY: As above; `path` is not used any more.
            unsafe { name.put() };
            Filename::from_errno(errno).0
        }
    }
}

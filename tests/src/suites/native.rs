// SPDX-License-Identifier: GPL-2.0
//! Machine code: filters that the kernel's BPF compiler has compiled, and several of them made into one, decide as the interpreter does.

mod equal;
mod info;
mod names;
mod paths;
mod random;
mod shipped;
mod stack;
mod storms;

use uapi::control::LOAD_INTERPRETED;

use crate::harness::Test;
use crate::kernel::{load_with, restrict};
use crate::sys::no_new_privs;

pub(super) fn tests() -> Vec<Test> {
    [
        info::tests(),
        random::tests(),
        shipped::tests(),
        equal::tests(),
        names::tests(),
        paths::tests(),
        stack::tests(),
        storms::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `LOAD` flags of a filter that becomes machine code where the compiler is on.
const NATIVE: u32 = 0;
/// Both kinds of filters.
const KINDS: [u32; 2] = [NATIVE, LOAD_INTERPRETED];

/// Puts the caller under `image`, loaded with `flags`.
#[track_caller]
fn attach_with(flags: u32, image: &[u8]) {
    no_new_privs();
    restrict(&load_with(flags, image));
}

// SPDX-License-Identifier: GPL-2.0
//! Machine code: filters that the kernel's BPF compiler has compiled, and several of them made into one, decide as the interpreter does.

mod computed;
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
use crate::random::Random;
use crate::sys::no_new_privs;

pub(super) fn tests() -> Vec<Test> {
    [
        info::tests(),
        random::tests(),
        shipped::tests(),
        equal::tests(),
        names::tests(),
        paths::tests(),
        computed::tests(),
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

/// What comes of `done` under layers of these images, which must be the same whether all of them are interpreted, none, or some.
#[track_caller]
fn alike_in_all_kinds(
    images: &[Vec<u8>],
    random: &mut Random,
    repeat: &str,
    done: impl Fn(&[(u32, &[u8])]) -> Vec<i64>,
) -> Vec<i64> {
    let with = |flags: &mut dyn FnMut() -> u32| {
        let layers: Vec<(u32, &[u8])> = images.iter().map(|image| (flags(), &**image)).collect();
        done(&layers)
    };
    let native = with(&mut || NATIVE);
    let interpreted = with(&mut || LOAD_INTERPRETED);
    assert_eq!(native, interpreted, "{repeat}");
    let mixed = with(&mut || random.pick(&[NATIVE, NATIVE, NATIVE, LOAD_INTERPRETED]));
    assert_eq!(native, mixed, "{repeat}");
    native
}

/// Puts the caller under `image`, loaded with `flags`.
#[track_caller]
fn attach_with(flags: u32, image: &[u8]) {
    no_new_privs();
    restrict(&load_with(flags, image));
}

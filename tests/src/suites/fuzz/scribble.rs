// SPDX-License-Identifier: GPL-2.0
//! Arguments and images that other threads rewrite while the module reads them. Which bytes it has seen cannot be known; what it may do can.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{
    E2BIG, EBADF, EBADFD, EFAULT, EINVAL, EMSGSIZE, ENOEXEC, ENOMEM, ENOSPC, ENOTTY, EOPNOTSUPP,
};
use uapi::control::{
    IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, Load, RESTRICT_AT_EXEC, RestrictSelf,
};

use super::Tally;
use super::arena::Arena;
use super::image;
use super::request::Entry;
use super::session::{assert_confined, stand_on_ground};
use crate::kernel::{control, info, load};
use crate::program::allow_all;
use crate::random::Random;
use crate::sys::child::Board;
use crate::sys::memory::{poke, poke_word};
use crate::sys::own;

/// Requests of a session.
const REQUESTS: usize = 400;
/// Where the argument lies in the arena, and where the image.
const ARGUMENT: u64 = 64;
const IMAGE: u64 = 4096;

/// Words that make an argument another one. None of them asks for the strict filter, which would end the session.
fn words(filter: u32, arena: u64, image: u32) -> Vec<u32> {
    vec![
        0,
        1,
        RESTRICT_AT_EXEC,
        size_of::<RestrictSelf>() as u32,
        size_of::<Load>() as u32,
        size_of::<Info>() as u32,
        4096,
        filter,
        arena as u32,
        arena as u32 + IMAGE as u32,
        image,
        image - 1,
        u32::MAX - 2,
    ]
}

/// An argument as it should be.
fn sound_argument(request: u32, filter: &OwnedFd, arena: &Arena, image: &[u8]) -> Vec<u8> {
    let words = match request {
        IOC_LOAD => {
            let at = arena.start() + IMAGE;
            let [low, high] = [at as u32, (at >> 32) as u32];
            let len = image.len() as u32;
            vec![size_of::<Load>() as u32, 0, low, high, len, 0, 0, 0]
        }
        IOC_RESTRICT_SELF => {
            let fd = filter.as_raw_fd() as u32;
            vec![size_of::<RestrictSelf>() as u32, 0, fd, 0]
        }
        _ => vec![size_of::<Info>() as u32],
    };
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// Holds a session.
pub(super) fn hold(random: &mut Random, board: &Board) {
    stand_on_ground();
    let arena = Arena::new();
    let (control, filter) = (control(), load(&allow_all()));
    let sound = image::sound();
    let image = image::any(random, &sound);
    arena.put(arena.start() + IMAGE, &image);
    let at = arena.start() + ARGUMENT;
    let words = words(
        filter.as_raw_fd() as u32,
        arena.start(),
        image.len().max(1) as u32,
    );
    let over = AtomicBool::new(false);
    let mut tally = Tally::default();
    let mut layers = 1;
    std::thread::scope(|scope| {
        let mut own = Random::new(random.number());
        let (words, over, image) = (&words, &over, &image);
        let scribbler = move || {
            while !over.load(Ordering::Relaxed) {
                // At most of the moments of a request nothing happens, or none would get far.
                (0..own.below(20_000)).for_each(|_| std::hint::spin_loop());
                let [low, high] = [own.pick(words), own.pick(words)];
                let word = u64::from(low) | u64::from(high) << 32;
                poke_word(at + 8 * own.below(4) as u64, word.to_ne_bytes());
                if !image.is_empty() {
                    let byte = own.below(image.len());
                    poke(
                        at - ARGUMENT + IMAGE + byte as u64,
                        own.pick(&[image[byte], 0, 1, 0xff]),
                    );
                }
            }
        };
        scope.spawn(scribbler);
        for _ in 0..REQUESTS {
            let request = random.pick(&[IOC_INFO, IOC_LOAD, IOC_LOAD, IOC_RESTRICT_SELF]);
            // Sound, for as long as the others leave it so.
            arena.put(at, &sound_argument(request, &filter, &arena, image));
            arena.put(arena.start() + IMAGE, image);
            let before = (layers, request);
            let ret = Entry::Native.ioctl(control.as_raw_fd(), request, at);
            tally.requests += 1;
            match (request, ret) {
                (IOC_LOAD, Ok(_)) => {
                    tally.descriptors += 1;
                    drop(own_fd(ret));
                }
                (IOC_RESTRICT_SELF, Ok(0)) => {
                    // At once, or at an exec that never comes.
                    let now = info().layers;
                    assert!(now == layers || now == layers + 1, "{before:?}: {now}");
                    tally.layers += i64::from(now - layers);
                    layers = now;
                }
                (IOC_INFO, Ok(0)) => {}
                (IOC_LOAD, Err(ENOEXEC)) => tally.refused += 1,
                (_, Err(errno)) => assert!(
                    documented(request).contains(&errno),
                    "{request:#x}: errno {errno}"
                ),
                (_, Ok(value)) => panic!("{request:#x}: {value}"),
            }
            if random.percent(10) {
                assert_confined(layers);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_confined(layers);
    tally.put(board);
}

#[track_caller]
fn own_fd(ret: crate::sys::Ret) -> OwnedFd {
    own(ret).expect("a descriptor")
}

/// What `uapi::control` says a request may answer.
fn documented(request: u32) -> &'static [i32] {
    match request {
        IOC_INFO => &[EINVAL, E2BIG, EFAULT],
        IOC_LOAD => &[EINVAL, E2BIG, EFAULT, EOPNOTSUPP, EMSGSIZE, ENOMEM],
        IOC_RESTRICT_SELF => &[
            EINVAL, E2BIG, EFAULT, EOPNOTSUPP, EBADF, EBADFD, ENOSPC, ENOMEM,
        ],
        _ => &[ENOTTY],
    }
}

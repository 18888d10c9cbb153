// SPDX-License-Identifier: GPL-2.0
//! `vfs.pick`: wherever an object is finally chosen for something.

mod attributes;
mod lookup;
mod names;
mod open;
mod places;

use crate::attach::Hook;
use crate::ffi::{Answer, Place};
use crate::object::{self, Deed};

pub(super) use lookup::LOOKUP;
pub(super) use open::AS_PATH;
pub(super) use places::changed_directory;

/// All functions that share a trampoline, by room.
pub(super) const HOOKS: &[Hook] = &{
    const ROOMS: [&[Hook]; 4] = [open::HOOKS, names::HOOKS, attributes::HOOKS, places::HOOKS];
    const COUNT: usize = ROOMS[0].len() + ROOMS[1].len() + ROOMS[2].len() + ROOMS[3].len();
    let mut all = [const { Hook::none() }; COUNT];
    let (mut room, mut at) = (0, 0);
    while room < ROOMS.len() {
        let mut hook = 0;
        while hook < ROOMS[room].len() {
            all[at] = ROOMS[room][hook];
            hook += 1;
            at += 1;
        }
        room += 1;
    }
    all
};

/// The answer to a hook about one object; without a place there is nothing to judge.
fn answer(deed: Option<Deed<'_>>) -> Answer {
    match deed.map(|deed| object::judge(&deed)) {
        None | Some(Ok(())) => Answer::CONTINUE,
        Some(Err(stop)) => Answer::refuse(stop.value()),
    }
}

/// The answer about `action` on the object at `place`.
fn simple(action: u32, place: Option<Place<'_>>) -> Answer {
    answer(place.map(|place| Deed::pick(action, place)))
}

// SPDX-License-Identifier: GPL-2.0
//! Finding out which events see a call.

use std::collections::BTreeSet;
use std::fmt;

use filters::event::Event;
use filters::object::action;

use super::{Deed, scene};
use crate::kernel;
use crate::program::{ALLOW, Part, errno, image, load, ret, unless_equal_skip};
use crate::sys::Ret;
use crate::sys::child::{End, run};

/// An event, and of `vfs.pick` an action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// `vfs.getname`.
    Getname,
    /// `vfs.walk`, any step.
    Walk,
    /// `vfs.pick` with this action.
    Pick(u32),
    /// `fd.receive`.
    Receive,
}

/// Offset of the action in the record of `vfs.pick`.
const ACTION: u32 = 64;

impl Item {
    /// `vfs.pick` with the action of this name.
    #[track_caller]
    pub(super) fn pick(name: &str) -> Item {
        let found = action::NAMES.iter().find(|(known, _)| *known == name);
        Item::Pick(found.unwrap_or_else(|| panic!("no action {name}")).1)
    }

    /// All of them.
    fn all() -> BTreeSet<Item> {
        let picks = action::NAMES.iter().map(|(_, number)| Item::Pick(*number));
        let others = [Item::Getname, Item::Walk, Item::Receive];
        picks.chain(others).collect()
    }

    /// An errno that stands for it: one that file systems and sockets have no use for.
    fn errno(self) -> i32 {
        let at = match self {
            Item::Getname => 0,
            Item::Walk => 1,
            Item::Receive => 2,
            Item::Pick(action) => 3 + action as usize,
        };
        let errnos = (44..=57).chain(63..=70).chain(72..=74);
        let mut errnos = errnos.chain([76, 86]).chain(78..=83).chain(117..=124);
        errnos.nth(at).expect("enough numbers")
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Getname => out.write_str("vfs.getname"),
            Item::Walk => out.write_str("vfs.walk"),
            Item::Receive => out.write_str("fd.receive"),
            Item::Pick(number) => {
                let found = action::NAMES.iter().find(|(_, known)| known == number);
                out.write_str(found.map_or("?", |(name, _)| name))
            }
        }
    }
}

/// A layer that refuses these items, each with its errno.
fn refusing(items: &BTreeSet<Item>) -> Vec<u8> {
    let part = |event: Event, insns| Part {
        event: event.number(),
        insns,
        strings: Vec::new(),
    };
    let mut parts = Vec::new();
    let mut picks = vec![load(ACTION)];
    for item in items {
        let refuse = ret(errno(item.errno()));
        match item {
            Item::Getname => parts.push(part(Event::VfsGetname, vec![refuse])),
            Item::Walk => parts.push(part(Event::VfsWalk, vec![refuse])),
            Item::Receive => parts.push(part(Event::FdReceive, vec![refuse])),
            Item::Pick(action) => picks.extend([unless_equal_skip(*action, 1), refuse]),
        }
    }
    picks.push(ret(ALLOW));
    parts.push(part(Event::VfsPick, picks));
    parts.sort_by_key(|part| part.event);
    image(&parts)
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The call succeeded.
    Done,
    /// It failed with this errno.
    Errno(i32),
    /// Its process was killed.
    Killed,
}

/// Makes the call once, in a process and a scene of its own.
fn once(deed: Deed, layer: Option<&[u8]>) -> Outcome {
    let seen = run(|board| {
        scene::set();
        let result: Ret = deed(&|| {
            if let Some(layer) = layer {
                kernel::attach(layer);
            }
        });
        board.ret(result.map(|_| 0));
    });
    match (seen.end, seen.values.as_slice()) {
        (End::Exit(0), [0]) => Outcome::Done,
        (End::Exit(0), [value]) => Outcome::Errno(-*value as i32),
        (End::Signal(..), []) => Outcome::Killed,
        other => panic!("a row did not come to its call: {other:?}"),
    }
}

/// What sees the call, in all.
pub(super) fn by(deed: Deed) -> BTreeSet<Item> {
    let ordinary = once(deed, None);
    let mut left = Item::all();
    let mut seen = BTreeSet::new();
    loop {
        let outcome = once(deed, Some(&refusing(&left)));
        if outcome == ordinary {
            return seen;
        }
        let by_errno = left
            .iter()
            .copied()
            .find(|item| outcome == Outcome::Errno(item.errno()));
        let found: Vec<Item> = match by_errno {
            Some(item) => vec![item],
            // The kernel says it in another way: ask for each by itself.
            None => left
                .iter()
                .copied()
                .filter(|item| once(deed, Some(&refusing(&BTreeSet::from([*item])))) != ordinary)
                .collect(),
        };
        assert!(
            !found.is_empty(),
            "{outcome:?} instead of {ordinary:?}, by no item alone"
        );
        for item in found {
            left.remove(&item);
            seen.insert(item);
        }
    }
}

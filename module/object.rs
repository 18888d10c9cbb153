// SPDX-License-Identifier: GPL-2.0
//! Judging what happens to an object of a file system.
//!
//! The path is produced only if a program reads it, as seen from the root that the layer was attached under. Where a hook knows only a name and not the
//! mount it is seen on, the object is judged on each mount of the caller's namespace that shows it, and the mildest verdict counts: by that mount the
//! caller could have come to the same object with the same operation.

use core::cell::{Cell, RefCell};

use filters::by_path;
use filters::event::Event;
use filters::object::{action, flag};
use filters::record::{Object, Record, View};
use filters::stack::Decision;
use kernel::prelude::*;

use crate::domain::Domain;
use crate::ffi::{NoPath, PathText, Place, Root, Words};
use crate::{enforce, event};

/// What is about to happen to an object.
pub(crate) struct Deed<'h> {
    pub(crate) event: Event,
    /// Action or step, of `filters::object`.
    pub(crate) action: u32,
    /// Bits of `filters::object::access`.
    pub(crate) access: u32,
    /// Bits of `filters::object::flag`.
    pub(crate) flags: u32,
    /// The mode that the object is going to have, with its type if it does not exist yet.
    pub(crate) new_mode: u32,
    pub(crate) place: Place<'h>,
    /// The other end of a rename or link.
    pub(crate) other: Option<Place<'h>>,
    /// Name of an extended attribute.
    pub(crate) xattr: &'h [u8],
    /// Whether the hook may sleep.
    pub(crate) may_sleep: bool,
}

impl<'h> Deed<'h> {
    /// `action` of `vfs.pick` on the object at `place`.
    pub(crate) fn pick(action: u32, place: Place<'h>) -> Deed<'h> {
        Deed {
            event: Event::VfsPick,
            action,
            access: 0,
            flags: 0,
            new_mode: 0,
            place,
            other: None,
            xattr: b"",
            may_sleep: true,
        }
    }

    /// With the mode that the object is going to have.
    pub(crate) fn new_mode(self, new_mode: u32) -> Deed<'h> {
        Deed { new_mode, ..self }
    }
}

/// Why an event does not go on.
pub(crate) enum Stop {
    /// It is refused.
    Refused(u16),
    /// A walk that must not sleep has to be begun anew as one that may.
    TryAgain,
}

impl Stop {
    /// What the hooked function returns: a negative errno.
    pub(crate) fn value(&self) -> isize {
        match self {
            Stop::Refused(errno) => -(*errno as isize),
            Stop::TryAgain => ECHILD.to_errno() as isize,
        }
    }
}

const WORDS: usize = size_of::<uapi::record::Object>() / 4;
const ACTION: usize = core::mem::offset_of!(uapi::record::Object, action) / 4;
const ACCESS: usize = core::mem::offset_of!(uapi::record::Object, access) / 4;
const FLAGS: usize = core::mem::offset_of!(uapi::record::Object, flags) / 4;
const _: () = {
    use filters::object::offset;
    assert!(offset::ACTION as usize == ACTION * 4 && offset::ACCESS as usize == ACCESS * 4);
    assert!(offset::FLAGS as usize == FLAGS * 4);
    let reachable = core::mem::offset_of!(uapi::record::Object, reachable);
    assert!(offset::REACHABLE as usize == reachable);
};
const NEW_MODE: usize = core::mem::offset_of!(uapi::record::Object, new_mode) / 4;

pub(crate) fn layout_agrees() -> bool {
    event::layout_agrees(Event::VfsPick, WORDS, 3)
        && event::layout_agrees(Event::VfsWalk, WORDS, 1)
        && event::layout_agrees(Event::FdReceive, WORDS, 1)
}

/// Judges what is about to happen, for the caller, which has the mark, and carries the verdict out.
pub(crate) fn judge(deed: &Deed<'_>) -> Result<(), Stop> {
    let known = by_path::Deed::new(deed.action, deed.access).filter(|_| deed.flags == 0);
    if known.is_some_and(|known| event::is_path_allowed(deed.event, known, &deed.place)) {
        return Ok(());
    }
    judge_at_length(deed)
}

#[cold]
#[inline(never)]
fn judge_at_length(deed: &Deed<'_>) -> Result<(), Stop> {
    let texts = Texts::new(deed);
    let mut decision = decide(deed, &texts);
    if texts.lack_room.get() {
        // Nothing has come of it yet: again, with more room.
        texts.make_room(deed.may_sleep)?;
        decision = decide(deed, &texts);
    }
    match decision {
        Some(decision) => enforce::refusable(decision, deed.event).map_err(Stop::Refused),
        None => Ok(()),
    }
}

/// What the caller's domain says of the deed.
fn decide(deed: &Deed<'_>, texts: &Texts<'_>) -> Option<Decision> {
    if deed.place.has_mount() {
        decide_at(deed, texts, deed.place, deed.place.is_internal())
    } else {
        decide_on_mounts(deed, texts)
    }
}

/// The same, where no mount is known.
#[inline(never)]
fn decide_on_mounts(deed: &Deed<'_>, texts: &Texts<'_>) -> Option<Decision> {
    if !event::is_judged(deed.event) {
        return None;
    }
    let mounts = deed.place.mounts();
    // Asked for its state, an overlay asks its layer, and not with other credentials.
    let internal = mounts.internal
        || deed.action == action::STATFS && mounts.layer && mounts.each().next().is_none();
    let seen = mounts
        .each()
        .filter_map(|mount| decide_at(deed, texts, deed.place.on(mount), internal));
    let mildest = seen.reduce(|one, other| {
        if one.verdict.at_least_as_strict_as(other.verdict) {
            other
        } else {
            one
        }
    });
    // On no mount it is unreachable.
    mildest.or_else(|| decide_at(deed, texts, deed.place, internal))
}

/// What the caller's domain says of the deed, with the object at `place`.
fn decide_at(
    deed: &Deed<'_>,
    texts: &Texts<'_>,
    place: Place<'_>,
    internal: bool,
) -> Option<Decision> {
    texts.forget();
    let seen = Seen {
        texts,
        place,
        internal,
    };
    event::ask(deed.event, |domain: &Domain| {
        let read = domain.reads_words(deed.event);
        let mut words = Words::<WORDS>::new();
        words.gather(read);
        words.0[ACTION] = deed.action;
        words.0[ACCESS] = deed.access;
        words.0[FLAGS] = deed.flags | if internal { flag::INTERNAL } else { 0 };
        words.0[NEW_MODE] = deed.new_mode & 0o7777;
        place.describe(deed.new_mode, read, &mut words);
        event::decide_record(domain, Record::of_object(deed.event, &words.0, &seen))
    })
}

/// The strings of a record: produced when the first program asks, kept until a layer looks from elsewhere.
struct Texts<'h> {
    other: Option<Place<'h>>,
    xattr: &'h [u8],
    paths: [RefCell<Path>; 2],
    /// A path did not fit: what was decided counts for nothing.
    lack_room: Cell<bool>,
}

/// One path.
struct Path {
    text: PathText,
    /// Who looked, and what came of it.
    found: Option<(View, Result<(), NoPath>)>,
}

impl<'h> Texts<'h> {
    fn new(deed: &Deed<'h>) -> Texts<'h> {
        let path = || {
            RefCell::new(Path {
                text: PathText::new(),
                found: None,
            })
        };
        Texts {
            other: deed.other,
            xattr: deed.xattr,
            paths: [path(), path()],
            lack_room: Cell::new(false),
        }
    }

    /// Makes room for long paths. The domain may have been narrowed meanwhile, but what it wants to see it finds room for now.
    fn make_room(&self, may_sleep: bool) -> Result<(), Stop> {
        self.lack_room.set(false);
        let paths = if self.other.is_some() { 2 } else { 1 };
        for path in self.paths.iter().take(paths) {
            let made = match path.try_borrow_mut() {
                Ok(mut path) => path.text.make_room(may_sleep),
                Err(_) => Err(EACCES),
            };
            made.map_err(|_| match may_sleep {
                true => Stop::Refused(kernel::bindings::ENOMEM as u16),
                false => Stop::TryAgain,
            })?;
        }
        Ok(())
    }

    /// Forgets what was found: the object is looked at on another mount.
    fn forget(&self) {
        for path in &self.paths {
            if let Ok(mut path) = path.try_borrow_mut() {
                path.found = None;
            }
        }
    }
}

/// An object as it is seen on one mount.
struct Seen<'t, 'h> {
    texts: &'t Texts<'h>,
    place: Place<'t>,
    /// Of the kernel's own: no name leads there, and none is asked for.
    internal: bool,
}

/// What a string that cannot be had is refused with.
const UNSEEN: u16 = kernel::bindings::EACCES as u16;

impl Seen<'_, '_> {
    /// The place that string field `field` is the path of; `None` if there is no such place.
    fn place(&self, field: usize) -> Option<Place<'_>> {
        match field {
            0 => Some(self.place),
            _ => self.texts.other,
        }
    }

    /// Finds the path of `field` as seen from `view`, and shows it.
    fn path(&self, field: usize, view: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16> {
        // Never borrowed: whoever is shown a path does not ask for another one. Else fail closed.
        let cell = self.texts.paths.get(field).ok_or(UNSEEN)?;
        let mut path = cell.try_borrow_mut().map_err(|_| UNSEEN)?;
        let Path { text, found } = &mut *path;
        let seen = match found {
            Some((seen_from, seen)) if *seen_from == view => *seen,
            _ => {
                let place = self.place(field).ok_or(UNSEEN)?;
                let seen = Root::with_view(view, |root| text.find(&place, root));
                found
                    .insert((view, seen.unwrap_or(Err(NoPath::Unreachable))))
                    .1
            }
        };
        match seen {
            Ok(()) => {
                to(text.text());
                Ok(())
            }
            Err(NoPath::Unreachable) => Err(UNSEEN),
            Err(NoPath::TooLong) => Err(kernel::bindings::ENAMETOOLONG as u16),
            Err(NoPath::NoRoom) => {
                self.texts.lack_room.set(true);
                Err(kernel::bindings::ENAMETOOLONG as u16)
            }
        }
    }
}

impl Object for Seen<'_, '_> {
    fn show(&self, field: usize, view: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16> {
        match field {
            0 if self.internal => to(b""),
            1 if self.texts.other.is_none() => to(b""),
            0 | 1 => self.path(field, view, to)?,
            _ => to(self.texts.xattr),
        }
        Ok(())
    }

    fn is_reachable(&self, view: View) -> bool {
        if self.internal {
            return false;
        }
        match self.path(0, view, &mut |_| ()) {
            Ok(()) => true,
            Err(errno) => u32::from(errno) == kernel::bindings::ENAMETOOLONG,
        }
    }
}

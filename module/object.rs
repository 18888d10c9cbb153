// SPDX-License-Identifier: GPL-2.0
//! Judging what happens to an object of a file system.
//!
//! The path is produced only if a program reads it, as seen from the root that the layer was attached under. Where a hook knows only a name and not the
//! mount it is seen on, the object is judged on each mount of the caller's namespace that shows it, and the mildest verdict counts: by that mount the
//! caller could have come to the same object with the same operation.

use core::cell::RefCell;

use filters::event::Event;
use filters::object::{action, flag};
use filters::record::{Object, Record, View};
use filters::stack::Decision;
use kernel::alloc::flags::__GFP_NOWARN;
use kernel::prelude::*;

use crate::domain::Domain;
use crate::ffi::{self, Place, Root, PATH_BYTES};
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
const NEW_MODE: usize = core::mem::offset_of!(uapi::record::Object, new_mode) / 4;

pub(crate) fn layout_agrees() -> bool {
    event::layout_agrees(Event::VfsPick, WORDS, 3)
        && event::layout_agrees(Event::VfsWalk, WORDS, 1)
        && event::layout_agrees(Event::FdReceive, WORDS, 1)
}

/// Judges what is about to happen, for the caller, which has the mark, and carries the verdict out.
pub(crate) fn judge(deed: &Deed<'_>) -> Result<(), Stop> {
    let Some(looks) = event::interest(deed.event) else {
        return Ok(());
    };
    let texts = Texts::new(deed, looks)?;
    let mut nr = 0;
    let decision = if deed.place.has_mount() {
        decide(deed, &texts, deed.place, deed.place.is_internal(), &mut nr)
    } else {
        let mounts = deed.place.mounts();
        // Asked for its state, an overlay asks its layer, and not with other credentials.
        let internal = mounts.internal
            || deed.action == action::STATFS && mounts.layer && mounts.each().next().is_none();
        let seen = mounts.each().filter_map(|mount| {
            texts.forget();
            decide(deed, &texts, deed.place.on(mount), internal, &mut nr)
        });
        let mildest = seen.reduce(|one, other| {
            if one.verdict.at_least_as_strict_as(other.verdict) {
                other
            } else {
                one
            }
        });
        texts.forget();
        // On no mount it is unreachable.
        mildest.or_else(|| decide(deed, &texts, deed.place, internal, &mut nr))
    };
    match decision {
        Some(decision) => enforce::refusable(decision, deed.event, nr).map_err(Stop::Refused),
        None => Ok(()),
    }
}

/// What the caller's domain says of the deed, with the object at `place`.
fn decide(
    deed: &Deed<'_>,
    texts: &Texts<'_>,
    place: Place<'_>,
    internal: bool,
    nr: &mut u32,
) -> Option<Decision> {
    let seen = Seen {
        texts,
        place,
        internal,
    };
    event::ask(deed.event, |domain: &Domain| {
        let mut words = ffi::record_words::<WORDS>();
        *nr = words.0[0];
        words.0[ACTION] = deed.action;
        words.0[ACCESS] = deed.access;
        words.0[FLAGS] = deed.flags | if internal { flag::INTERNAL } else { 0 };
        words.0[NEW_MODE] = deed.new_mode & 0o7777;
        place.describe(deed.new_mode, &mut words);
        event::decide_record(domain, Record::of_object(deed.event, &words.0, &seen))
    })
}

/// The strings of a record: produced when the first program asks, kept until a layer looks from elsewhere.
struct Texts<'h> {
    other: Option<Place<'h>>,
    xattr: &'h [u8],
    texts: [RefCell<Text>; 2],
}

/// One path.
struct Text {
    buffer: KVec<u8>,
    /// Who looked, and where in the buffer the path begins; or the errno in its place.
    found: Option<(View, Result<usize, u16>)>,
}

impl<'h> Texts<'h> {
    /// With room for the paths, if a program may look at them: later we must not sleep.
    fn new(deed: &Deed<'h>, looks: bool) -> Result<Texts<'h>, Stop> {
        let room = |wanted: bool| {
            let mut buffer = KVec::new();
            if wanted {
                let flags = if deed.may_sleep {
                    GFP_KERNEL
                } else {
                    GFP_NOWAIT | __GFP_NOWARN
                };
                let made = buffer.resize(PATH_BYTES, 0, flags);
                made.map_err(|_| match deed.may_sleep {
                    true => Stop::Refused(kernel::bindings::ENOMEM as u16),
                    false => Stop::TryAgain,
                })?;
            }
            Ok(RefCell::new(Text {
                buffer,
                found: None,
            }))
        };
        Ok(Texts {
            other: deed.other,
            xattr: deed.xattr,
            texts: [room(looks)?, room(looks && deed.other.is_some())?],
        })
    }

    /// Forgets what was found: the object is looked at on another mount.
    fn forget(&self) {
        for text in &self.texts {
            if let Ok(mut text) = text.try_borrow_mut() {
                text.found = None;
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
        let refused = kernel::bindings::EACCES as u16;
        let cell = self.texts.texts.get(field).ok_or(refused)?;
        let mut text = cell.try_borrow_mut().map_err(|_| refused)?;
        let Text { buffer, found } = &mut *text;
        let begin = match found {
            Some((seen_from, begin)) if *seen_from == view => *begin,
            _ => {
                let place = self.place(field).ok_or(refused)?;
                let begin = find(&place, view, buffer);
                *found = Some((view, begin));
                begin
            }
        }?;
        // Without the NUL at its end.
        let end = buffer.len().saturating_sub(1);
        to(buffer.get(begin..end).ok_or(refused)?);
        Ok(())
    }
}

/// Where in `buffer` the path of `place` begins, or the errno to refuse with.
fn find(place: &Place<'_>, view: View, buffer: &mut [u8]) -> Result<usize, u16> {
    if buffer.is_empty() {
        // The domain was narrowed while we were gathering. Fail closed.
        return Err(kernel::bindings::EACCES as u16);
    }
    match Root::with_view(view, |root| place.path_from(root, buffer)) {
        Some(Ok(Some(begin))) => Ok(begin),
        Some(Err(error)) => Err(error.to_errno().unsigned_abs() as u16),
        _ => Err(kernel::bindings::EACCES as u16),
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

// SPDX-License-Identifier: GPL-2.0
//! The path of an object, and the room that it takes.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr;

use kernel::alloc::flags::__GFP_NOWARN;
use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;

use super::{Pinned, Place, Root};

#[expect(
    improper_ctypes,
    reason = "pointers to the kernel's structs, which C and Rust take from the same headers"
)]
extern "C" {
    fn evf_path(
        mnt: *const bindings::vfsmount,
        dentry: *const bindings::dentry,
        root: *const bindings::path,
        buffer: *mut c_void,
        bytes: u32,
    ) -> i32;
    fn evf_plain_path(
        mnt: *const bindings::vfsmount,
        dentry: *const bindings::dentry,
        root: *const bindings::path,
        path: *mut *const u8,
    ) -> i32;
    fn evf_paths_init() -> i32;
    fn evf_paths_exit();
}

/// Bytes of a path for which there is always room: nearly all are shorter.
const SHORT: usize = 256;
/// Bytes of the longest path: `PATH_MAX` without its NUL.
const LONG: usize = 4095;

type Room<const N: usize> = [MaybeUninit<u8>; N];

/// Why there is no path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPath {
    /// None leads from the root to the object.
    Unreachable,
    /// It is longer than any that the kernel takes.
    TooLong,
    /// It is longer than the room there is; [`PathText::make_room`] makes more.
    NoRoom,
}

/// Room for one path, for each processor. Dropped when nobody looks for paths any more.
pub(crate) struct PathRooms(());

impl PathRooms {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<PathRooms> {
        // SAFETY: Called once, by the module's init.
        to_result(unsafe { evf_paths_init() }).map(|()| PathRooms(()))
    }
}

impl Drop for PathRooms {
    fn drop(&mut self) {
        // SAFETY: Pairs with `new`. The hooks are gone.
        unsafe { evf_paths_exit() };
    }
}

/// The room of one processor.
pub(crate) struct PathRoom<'p>(PhantomData<&'p Pinned>);

impl PathRoom<'_> {
    /// Runs `work` pinned, with the processor's room.
    #[inline(always)]
    pub(crate) fn with<T>(work: impl for<'p> FnOnce(&'p Pinned, PathRoom<'p>) -> T) -> T {
        let pinned = Pinned::new();
        // Nobody else has it: hooks that ask for paths are entered by no interrupt, and what runs here does not come back to this place.
        work(&pinned, PathRoom(PhantomData))
    }
}

impl<'p> PathRoom<'p> {
    /// The path from `root` to the object at `place`, if that exists and lies on no mount of the kernel's own.
    #[inline]
    pub(crate) fn find(self, place: &Place<'_>, root: &Root) -> Option<&'p [u8]> {
        let (mnt, dentry) = place.parts();
        let mut path = ptr::null();
        // SAFETY: Invariant of `Place`; the root is held; the room is ours, and we are pinned.
        let bytes = unsafe { evf_plain_path(mnt, dentry, root.path(), &mut path) };
        let bytes = usize::try_from(bytes).ok()?;
        // SAFETY: Written by `evf_plain_path`, and by nobody else as long as we are pinned.
        Some(unsafe { core::slice::from_raw_parts(path, bytes) })
    }
}

/// A path, once it is found.
pub(crate) struct PathText {
    short: Room<SHORT>,
    long: Option<KBox<Room<LONG>>>,
    /// INVARIANT: From here to its end the room that is in use holds the path. At most the length of that.
    begin: usize,
}

impl PathText {
    /// Nothing yet.
    pub(crate) const fn new() -> PathText {
        PathText {
            short: [MaybeUninit::uninit(); SHORT],
            long: None,
            begin: SHORT,
        }
    }

    /// Finds the path from `root` to the object at `place`.
    ///
    /// # Errors
    ///
    /// See [`NoPath`].
    pub(crate) fn find(&mut self, place: &Place<'_>, root: &Root) -> Result<(), NoPath> {
        let (mnt, dentry) = place.parts();
        if mnt.is_null() {
            return Err(NoPath::Unreachable);
        }
        let (buffer, bytes, full) = match &mut self.long {
            Some(long) => (long.as_mut_ptr(), LONG, NoPath::TooLong),
            None => (self.short.as_mut_ptr(), SHORT, NoPath::NoRoom),
        };
        // INVARIANT: An empty path, should none be found.
        self.begin = bytes;
        // SAFETY: Invariant of `Place`; the root is held; the buffer has as many bytes as we say.
        let begin = unsafe { evf_path(mnt, dentry, root.path(), buffer.cast(), bytes as u32) };
        match usize::try_from(begin) {
            Ok(begin) => {
                // INVARIANT: `evf_path` has written what lies behind.
                self.begin = begin.min(bytes);
                Ok(())
            }
            Err(_) if begin == ENAMETOOLONG.to_errno() => Err(full),
            Err(_) => Err(NoPath::Unreachable),
        }
    }

    /// Makes room for the longest path, if there is none yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn make_room(&mut self, may_sleep: bool) -> Result {
        if self.long.is_none() {
            let flags = if may_sleep {
                GFP_KERNEL
            } else {
                GFP_NOWAIT | __GFP_NOWARN
            };
            let long = KBox::<Room<LONG>>::new_uninit(flags)?;
            // INVARIANT: An empty path.
            self.begin = LONG;
            // SAFETY: Bytes that may be anything need no initial value.
            self.long = Some(unsafe { long.assume_init() });
        }
        Ok(())
    }

    /// The path that was found last; empty if none was.
    pub(crate) fn text(&self) -> &[u8] {
        let room = match &self.long {
            Some(long) => long.get(self.begin..LONG),
            None => self.short.get(self.begin..SHORT),
        };
        // SAFETY: Invariant of the type.
        room.map_or(b"", |room| unsafe {
            &*(ptr::from_ref(room) as *const [u8])
        })
    }
}

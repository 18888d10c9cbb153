// SPDX-License-Identifier: GPL-2.0
//! The root directory that a layer was attached under.
//!
//! A view other than zero is made by [`Root::view`] only, for a layer that is judging and so holds its root until it has judged.

use core::ptr::NonNull;

use kernel::bindings;
use kernel::prelude::*;

use filters::record::View;

extern "C" {
    fn evf_root_new() -> *mut c_void;
    fn evf_root_get(root: *mut c_void);
    fn evf_root_put(root: *mut c_void);
    fn evf_root_same(one: *const c_void, other: *const c_void) -> bool;
}

/// A shared reference to it. It keeps the file system that it lies on.
pub(crate) struct Root(NonNull<c_void>);

// SAFETY: Counted atomically; the path in it never changes.
unsafe impl Send for Root {}
// SAFETY: As above.
unsafe impl Sync for Root {}

impl Root {
    /// The caller's root directory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn of_caller() -> Result<Root> {
        // SAFETY: Called in process context.
        NonNull::new(unsafe { evf_root_new() })
            .map(Root)
            .ok_or(ENOMEM)
    }

    /// Whether both are the same directory on the same mount.
    pub(crate) fn same(&self, other: &Root) -> bool {
        // SAFETY: Both are held.
        unsafe { evf_root_same(self.0.as_ptr(), other.0.as_ptr()) }
    }

    /// Whether both are the same shared reference. Equal directories may have several.
    pub(crate) fn is(&self, other: &Root) -> bool {
        self.0 == other.0
    }

    /// How layers that look from here are told from others.
    pub(crate) fn view(&self) -> View {
        View(self.0.as_ptr() as usize)
    }

    /// What `look` finds with the root of the layer that looks from `view`; `None` if nobody does.
    pub(crate) fn with_view<T>(view: View, look: impl FnOnce(&Root) -> T) -> Option<T> {
        let root = NonNull::new(view.0 as *mut c_void)?;
        // A reference of the layer's, not of ours: it must not be given back.
        let root = core::mem::ManuallyDrop::new(Root(root));
        Some(look(&root))
    }

    /// It begins with its path.
    pub(super) fn path(&self) -> *const bindings::path {
        self.0.as_ptr().cast_const().cast()
    }
}

impl Clone for Root {
    fn clone(&self) -> Root {
        // SAFETY: Held.
        unsafe { evf_root_get(self.0.as_ptr()) };
        Root(self.0)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // SAFETY: Gives back the reference that the value stands for; the release itself happens in a work queue.
        unsafe { evf_root_put(self.0.as_ptr()) };
    }
}

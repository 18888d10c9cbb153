// SPDX-License-Identifier: GPL-2.0
//! The kernel's copy of a name.

use kernel::bindings;
use kernel::prelude::*;

extern "C" {
    static evf_lookup_empty: u32;
    static evf_filename_name: usize;
    fn evf_name_len(name: *const c_char) -> u32;
}

/// Whether the `LOOKUP_*` flags say that an empty name is accepted.
pub(crate) fn accepts_empty(flags: u32) -> bool {
    // SAFETY: A constant of the shim.
    flags & unsafe { evf_lookup_empty } != 0
}

/// A `struct filename` that the kernel has just made, or the error in its place.
#[derive(Clone, Copy)]
pub(crate) struct Filename(pub(crate) *mut bindings::filename);

impl Filename {
    /// The error in its place.
    pub(crate) fn from_errno(errno: u16) -> Filename {
        Filename(Error::from_errno(-i32::from(errno)).to_ptr())
    }

    /// The name; `None` for an error.
    ///
    /// # Safety
    ///
    /// The value must be what `do_getname` or `do_getname_kernel` returned, and not yet given to anybody.
    pub(crate) unsafe fn bytes(&self) -> Option<&[u8]> {
        // IS_ERR_OR_NULL()
        if self.0.is_null() || self.0 as usize >= (-(bindings::MAX_ERRNO as isize)) as usize {
            return None;
        }
        // SAFETY: `name` of a valid filename is NUL-terminated (it may point behind the struct: names longer than EMBEDDED_NAME_MAX) and
        // nobody else has the pointer yet. Rust's bindings know the struct's size but not this field.
        let name = unsafe {
            let field = self.0.byte_add(evf_filename_name).cast::<*const c_char>();
            let name = field.read();
            core::slice::from_raw_parts(name.cast(), evf_name_len(name) as usize)
        };
        Some(name)
    }

    /// Frees the name.
    ///
    /// # Safety
    ///
    /// As for `bytes`; the name must not be used afterwards.
    pub(crate) unsafe fn put(self) {
        // SAFETY: Ours to put.
        unsafe { bindings::putname(self.0) };
    }
}

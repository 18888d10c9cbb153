// SPDX-License-Identifier: GPL-2.0
//! What the module's init fills once in the module's own memory, which goes with the module. A static that owned an allocation would keep it for ever: nobody drops
//! statics when a module is unloaded.

use core::cell::UnsafeCell;

use kernel::prelude::*;
use kernel::sync::SetOnce;

/// A value too large to be moved on the stack.
pub(crate) struct Filled<T> {
    begun: SetOnce<()>,
    done: SetOnce<()>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is written by the one who has populated `begun`, and read by others only after that one has populated `done`.
unsafe impl<T: Send + Sync> Sync for Filled<T> {}

impl<T> Filled<T> {
    /// Holds `value`, which nobody sees before it has been filled.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            begun: SetOnce::new(),
            done: SetOnce::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Lets `fill` fill it; once.
    ///
    /// # Errors
    ///
    /// That of `fill`, after which it stays empty for good, and `EBUSY` if it was tried before.
    pub(crate) fn fill(&self, fill: impl FnOnce(&mut T) -> Result) -> Result {
        if !self.begun.populate(()) {
            return Err(EBUSY);
        }
        // SAFETY: Only one caller ever populates `begun`, and `get` gives nothing out before `done`.
        fill(unsafe { &mut *self.value.get() })?;
        self.done.populate(());
        Ok(())
    }

    /// The value, if it has been filled.
    pub(crate) fn get(&self) -> Option<&T> {
        self.done.as_ref()?;
        // SAFETY: `done` was populated after the last write.
        Some(unsafe { &*self.value.get() })
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Whom a layer is pushed on, and when.

use uapi::control::{RESTRICT_AT_EXEC, RESTRICT_TSYNC};

/// Whom a layer is pushed on, and when it takes hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// On the calling thread, now.
    #[default]
    Thread,
    /// On all threads of the process or on none, now.
    Process,
    /// On the calling thread, once its next exec has succeeded.
    NextExec,
}

impl Reach {
    /// The flags of [`uapi::control::RestrictSelf`].
    pub(crate) const fn flags(self) -> u32 {
        match self {
            Reach::Thread => 0,
            Reach::Process => RESTRICT_TSYNC,
            Reach::NextExec => RESTRICT_AT_EXEC,
        }
    }
}

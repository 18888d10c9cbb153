// SPDX-License-Identifier: GPL-2.0
//! Scopes: whom a task under a layer may reach by other ways than files.
//!
//! A layer with a scope keeps its tasks from acting on tasks that are less confined: the task that is acted on must have this layer and all
//! layers that were there before it. Tracing is scoped always. The model is `LANDLOCK_SCOPE_*` of `include/uapi/linux/landlock.h`.

use core::ops::BitOr;

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// Nothing is scoped.
    pub const NONE: Scopes = Scopes(0);
    /// Signals, also those that a descriptor sends to its owner (`F_SETOWN`).
    pub const SIGNAL: Scopes = Scopes(1);
    /// Connecting and sending to UNIX sockets with an abstract address.
    pub const ABSTRACT: Scopes = Scopes(2);

    /// Names in the policy language.
    pub const NAMES: &'static [(&'static str, Scopes)] =
        &[("signal", Scopes::SIGNAL), ("abstract", Scopes::ABSTRACT)];

    /// The set with these bits, or `None` if one has no meaning.
    pub const fn from_bits(bits: u32) -> Option<Scopes> {
        if bits & !(Scopes::SIGNAL.0 | Scopes::ABSTRACT.0) == 0 {
            Some(Scopes(bits))
        } else {
            None
        }
    }

    /// The bits, as they stand in an image.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set has something in common with `other`.
    pub const fn intersects(self, other: Scopes) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Scopes {
    type Output = Scopes;

    fn bitor(self, other: Scopes) -> Scopes {
        Scopes(self.0 | other.0)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Rights at a path, as bits of the value that the automaton gives to it.

use super::super::ast::Verb;

/// Reading, listing, everything that changes nothing.
pub(crate) const READ: u32 = 1;
/// Changing it. Never without [`READ`] and [`CONNECT`].
pub(crate) const WRITE: u32 = 1 << 1;
/// Running it. Never without [`READ`].
pub(crate) const EXEC: u32 = 1 << 2;
/// Connecting to it. Never without [`READ`].
pub(crate) const CONNECT: u32 = 1 << 3;
/// It is on the way to a place: it may be looked up.
pub(crate) const WAY: u32 = 1 << 4;
/// Its name may be made, removed and changed: [`WRITE`] here and in its directory.
pub(crate) const NAME: u32 = 1 << 5;
/// Refused with EACCES, whatever else is granted.
pub(crate) const DENY: u32 = 1 << 6;
/// Refused with ENOENT.
pub(crate) const HIDE: u32 = 1 << 7;

/// Rights that a place can give.
pub(crate) const GRANTS: u32 = READ | WRITE | EXEC | CONNECT;

/// Whether a table says anything about the path.
pub(crate) const DECIDED: u32 = READ | DENY | HIDE;

/// In one of two tables, instead of [`NAME`]: it gives [`WRITE`] to the directory of the path.
pub(crate) const INSIDE: u32 = 1 << 8;
/// In the first of two tables: it says nothing about the directory of the path, so that the second one does.
pub(crate) const LOOSE: u32 = 1 << 9;

/// From this bit on stands the number of the state behind a slash.
pub(crate) const STATE_SHIFT: u32 = 10;

/// The rights of a statement.
pub(crate) const fn of(verb: Verb) -> u32 {
    match verb {
        Verb::Read => READ,
        Verb::Write => READ | WRITE | CONNECT,
        Verb::Exec => READ | EXEC,
        Verb::Connect => READ | CONNECT,
        Verb::Deny => DENY,
        Verb::Hidden => HIDE,
    }
}

const _: () = {
    // Bits that a table can set, and the number above them, do not meet.
    assert!((GRANTS | WAY | NAME | DENY | HIDE | INSIDE | LOOSE) >> STATE_SHIFT == 0);
    assert!(DECIDED & (WAY | NAME | INSIDE | LOOSE) == 0);
};

// SPDX-License-Identifier: GPL-2.0
//! The block `paths { ... }`: what a task may do with files, said once and expanded to programs of all events that have to do with it.
//!
//! These are its laws; `docs/language.md` explains them to users, `tests/lang_paths` holds a second implementation that the programs are compared with.
//!
//! 1. A path has at most one *place*. `deny` and `hidden` win, in the order in which they are written; then grants by pattern, in that order; then the
//!    deepest literal. A place covers what it names and everything below it. All grants of the same literal (or of the same pattern) are one place,
//!    with the rights of all of them.
//! 2. Rights are read, write (with read and connect), exec (with read) and connect (with read).
//! 3. To make, remove or rename a name takes the right to write at that name *and* at the directory it is in. So a granted tree cannot be
//!    removed itself, and a read-only place inside a writable one can neither be removed nor put in its place.
//! 4. Names give no rights: what gets another name by rename, exchange or link has no more rights there than under the name it had. What differs
//!    among places that can be written is only `exec`. A directory that is renamed keeps, for everything that can lie below it, exactly the rights.
//! 5. The way to a granted place may be looked up, but not listed.
//! 6. Nothing changes what paths mean, or leads around them: mounts, roots, new device nodes.
//!
//! The fourth law holds for all paths below a directory at once because the automaton says so: after a path and a slash it is in some state, and
//! the states of the *smallest* automaton are the same if and only if every continuation has the same rights. The number of that state
//! is part of the value that a program sees.

use std::prelude::rust_2021::*;

use super::codegen::Checked;
use super::source::Span;

mod expand;
pub(crate) mod place;
pub(crate) mod rights;
mod table;

pub(crate) use expand::{expand, offset, EACCES, ENOENT, EPERM, EXDEV};
use place::Place;

/// A `paths` block whose names are resolved.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The word `paths`, for messages about the block as a whole.
    pub(crate) head: Span,
    /// All places; the first that covers a path decides.
    pub(crate) places: Vec<Place>,
    /// The statements, for messages.
    pub(crate) statements: Vec<Stated>,
    /// What happens where nothing is granted.
    pub(crate) default: Checked,
    /// Whether what nothing grants is as if absent.
    pub(crate) hides: bool,
    pub(crate) laws: Laws,
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    pub(crate) rule: u32,
    pub(crate) rights: u32,
    pub(crate) span: Span,
}

/// Rules, as the map knows them, for what the block decides by no statement of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Laws {
    pub(crate) internal: u32,
    pub(crate) code: u32,
    pub(crate) mounts: u32,
    pub(crate) devices: u32,
    pub(crate) stat: u32,
    pub(crate) names: u32,
    pub(crate) steps: u32,
    pub(crate) other: u32,
}

impl Laws {
    /// Their texts, in the order of the fields.
    pub(crate) const TEXTS: [&'static str; 8] = [
        "paths: allow objects that no path leads to: pipes, sockets, memfds",
        "paths: deny EACCES code that no path leads to",
        "paths: deny EPERM changes of mounts and roots",
        "paths: deny EPERM new devices",
        "paths: allow asking an object about itself: the name was judged when it was looked up",
        "paths: deny EXDEV names that would give rights",
        "paths: allow steps to what may be looked up",
        "paths: allow what nothing refuses here",
    ];

    pub(crate) fn new(rules: [u32; 8]) -> Laws {
        let [internal, code, mounts, devices, stat, names, steps, other] = rules;
        Laws {
            internal,
            code,
            mounts,
            devices,
            stat,
            names,
            steps,
            other,
        }
    }
}

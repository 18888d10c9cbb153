// SPDX-License-Identifier: GPL-2.0
//! Where a result goes: into a file, or to standard output.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::failure::Failure;

/// What is written; it decides whether a terminal is a place for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes that would spoil a terminal.
    Binary,
    /// Lines for people.
    Text,
}

/// Writes `bytes` to `file`, or to standard output without one.
///
/// # Errors
///
/// The file cannot be written, or a terminal would get binary data; `instead` then says what else can be done.
pub(crate) fn write(
    bytes: &[u8],
    form: Form,
    file: Option<&Path>,
    instead: &str,
) -> Result<(), Failure> {
    match file {
        Some(path) => fs::write(path, bytes)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
        None if form == Form::Binary && io::stdout().is_terminal() => {
            Err(Failure::new("not writing binary data to a terminal").help(instead))
        }
        None => io::stdout()
            .write_all(bytes)
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}"))),
    }
}

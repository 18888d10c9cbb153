// SPDX-License-Identifier: GPL-2.0
//! Output for programs: one JSON value, indented, on standard output.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints `value` and a newline.
pub(crate) fn print(value: &impl Serialize) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::new(format!("cannot write to standard output: {error}"));
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    io::stdout().write_all(&text).map_err(failed)
}

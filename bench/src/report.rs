// SPDX-License-Identifier: GPL-2.0
//! What leaves the guest: one line a figure.

use std::io::{self, Write as _};

use serde_json::json;

use crate::sys;

/// Reports a figure: its name, and its value in instructions (or bytes, for figures of memory).
pub(crate) fn figure(name: &str, value: f64) -> io::Result<()> {
    // Hundredths: what is finer comes from the length of a round.
    let value = (value * 100.0).round() / 100.0;
    say(
        "bench",
        &json!({ "figure": name, "value": value }).to_string(),
    )
}

/// Reports what is being done now.
pub(crate) fn now(what: &str) -> io::Result<()> {
    say("bench", &json!({ "now": what }).to_string())
}

fn say(verb: &str, text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("@@evf {verb} {text}\n").as_bytes())?;
    out.flush()?;
    sys::drain();
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0
//! Threads, children, other programs and io_uring: all judged like a plain open.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Expect, Show};
use crate::attempt::{Act, Attempt};
use crate::cell::{Cell, Seen, in_child, note};
use crate::judge::decide;
use crate::stage::{self, NOTES, PIT};
use crate::way::{self, EarlyRings, Way};

/// Opens an allowed and a denied name in every way there is.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let policy = show.policy("sandbox-uring.evf")?;
    let cell = Cell::load(&[&policy])?;
    let allowed = Attempt::new(Act::Open, NOTES)?;
    let denied = Attempt::new(Act::Open, PIT)?;
    let tries: Vec<(Way, &Attempt, Expect)> = way::ALL
        .into_iter()
        .flat_map(|way| {
            [
                (way, &allowed, Expect::Works),
                (way, &denied, Expect::Refused),
            ]
        })
        .collect();
    let bare = try_all(None, &tries)?;
    let judged = try_all(Some(&cell), &tries)?;
    show.report.say(
        "Policy sandbox-uring.evf: the same, with io_uring opted in. An early ring was made, and its threads started,\n\
         before the filter was attached.",
    )?;
    show.report.head()?;
    for (index, (way, attempt, expect)) in tries.iter().enumerate() {
        let ruling = decide(&[&policy], &way.questions(attempt));
        let seen = (bare[index], judged[index]);
        show.attempt(way.name(), &attempt.path, *expect, seen, &ruling)?;
    }
    show.report.legend()?;
    Ok(())
}

/// Makes all tries in one child that is put under `cell` after its early rings have been made.
fn try_all(cell: Option<&Cell>, tries: &[(Way, &Attempt, Expect)]) -> Result<Vec<Seen>> {
    let me = Path::new(stage::PROBE);
    in_child(None, tries.len(), |out| {
        let mut rings = EarlyRings::new().context("io_uring")?;
        if let Some(cell) = cell {
            cell.enter()?;
        }
        for (index, (way, attempt, _)) in tries.iter().enumerate() {
            out.post(note(index, way.open(attempt.name(), &mut rings, me)))?;
        }
        Ok(())
    })
}

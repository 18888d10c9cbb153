// SPDX-License-Identifier: GPL-2.0
//! Ingo Molnar's sandbox of 2011: files under three trees and no others, no "..", no new links.

use anyhow::Result;

use super::{Expect, Show};
use crate::attempt::{Act, Attempt};
use crate::cell::{Cell, perform};
use crate::judge::decide;
use crate::stage;

const ATTEMPTS: [(Act, &str, Expect); 20] = [
    (Act::Open, stage::NOTES, Expect::Works),
    (Act::Stat, stage::HOME, Expect::Works),
    (Act::Create, "/home/sandbox/new.txt", Expect::Works),
    (Act::Mkdir, "/home/sandbox/new.d", Expect::Works),
    (Act::Open, "/lib/x86_64-linux-gnu/libc.so.6", Expect::Works),
    (
        Act::Open,
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        Expect::Works,
    ),
    (Act::Open, "/etc/shadow", Expect::RefusedAnyway),
    (Act::Stat, "/etc/shadow", Expect::Refused),
    (Act::Open, "/etc/passwd", Expect::Refused),
    (Act::Open, stage::PIT, Expect::Refused),
    // Under means whole components: a longer name of the same beginning is another tree.
    (Act::Open, stage::BESIDE, Expect::Refused),
    (Act::Open, "/home/sandbox/../sandpit/door", Expect::Refused),
    (Act::Open, "/lib/../../etc/passwd", Expect::Refused),
    // ".." is refused even where it would come back inside.
    (Act::Open, "/home/sandbox/../sandbox/door", Expect::Refused),
    (Act::Open, "../sandpit/door", Expect::Refused),
    (Act::Open, "/", Expect::Refused),
    (Act::Symlink, "/home/sandbox/exit", Expect::Refused),
    (Act::Link, "/home/sandbox/twin", Expect::Refused),
    (Act::Stat, "/home", Expect::Refused),
    (Act::Open, "/proc/self/root/etc/passwd", Expect::Refused),
];

/// Tries each name without a filter and under the sandbox.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let policy = show.policy("sandbox.evf")?;
    show.report.say(
        "Policy sandbox.evf. \"bare\" is what the same user gets without a filter, \"verdict\" what the kernel\n\
         answered under it; the rule is found by judging the same record in user space, and must agree.",
    )?;
    let cell = Cell::load(&[&policy])?;
    let attempts = ATTEMPTS
        .iter()
        .map(|&(act, path, _)| Attempt::new(act, path))
        .collect::<Result<Vec<_>>>()?;
    let bare = perform(None, &attempts)?;
    let judged = perform(Some(&cell), &attempts)?;
    show.report.head()?;
    for (index, (attempt, (_, _, expect))) in attempts.iter().zip(ATTEMPTS).enumerate() {
        let ruling = decide(&[&policy], &attempt.questions());
        let seen = (bare[index], judged[index]);
        show.attempt(attempt.act.name(), &attempt.path, expect, seen, &ruling)?;
    }
    show.report.legend()?;
    Ok(())
}

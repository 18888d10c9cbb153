// SPDX-License-Identifier: GPL-2.0
//! The race, run against nobody, against a supervisor in user space, and against the kernel's filter.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;

use super::Show;
use crate::cell::Cell;
use crate::judge::{Policy, Question, decide, refusal};
use crate::race::{self, Bound, Files, Identity, Names, Supervision, Tally};
use crate::report::{race_head, race_line};
use crate::stage::{DOOR, PIT};
use crate::sys::child;

/// The race against the supervisor ends early after this time, with the count that it has: beaten is beaten.
const PATIENCE: Duration = Duration::from_secs(40);

/// The other races have to make all their opens, on the slowest machine.
const LONG: Duration = Duration::from_secs(600);

/// Progress of the long race is told after so many opens.
const PROGRESS: u64 = 20_000;

/// Runs the three races and compares them.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let policy = show.policy("sandbox.evf")?;
    let names = Names::new(DOOR, PIT).context("the two names do not lie in one word")?;
    let files = Files {
        allowed: identity(DOOR)?,
        denied: identity(PIT)?,
    };
    explain(show, &policy)?;

    let start = Instant::now();
    let bare = race(show, None, &names, &files, show.fewer, "no filter")?;
    let bare_time = start.elapsed();

    let start = Instant::now();
    let bound = bound(show.fewer, PATIENCE);
    let judge =
        |name: &[u8]| refusal(policy.verdict(&open_question(name))).map(Errno::raw_os_error);
    let supervised = race::supervise(&names, &files, &bound, judge)?;
    let supervised_time = start.elapsed();

    let cell = Cell::load(&[&policy])?;
    let start = Instant::now();
    let judged = race(show, Some(&cell), &names, &files, show.opens, "evfilter")?;
    let judged_time = start.elapsed();

    show.report.say(&race_head())?;
    let line = race_line("nobody", &bare, bare_time);
    show.report.check(is_open(&bare, show.fewer), &line)?;
    let line = race_line(
        "a supervisor in user space",
        &supervised.tally,
        supervised_time,
    );
    show.report.check(is_beaten(&supervised), &line)?;
    let line = race_line("evfilter, in the kernel", &judged, judged_time);
    show.report.check(is_unbeaten(&judged, show.opens), &line)?;
    conclude(show, &supervised, &judged)
}

fn identity(path: &str) -> Result<Identity> {
    let file = File::open(path).with_context(|| path.to_owned())?;
    Ok(Identity::of(file)?)
}

fn bound(opens: u64, time: Duration) -> Bound {
    Bound {
        opens,
        time,
        progress: PROGRESS.min(opens.div_ceil(10)),
    }
}

fn explain(show: &mut Show, policy: &Policy) -> Result<()> {
    let rule = |path: &str| decide(&[policy], &[open_question(path.as_bytes())]).rule;
    let text = format!(
        "Both files can be read by this user; their names differ in one word, which a thread swaps all the time.\n\
         allowed  {DOOR}   {}\n\
         denied   {PIT}   {}\n\
         The supervisor judges by the same policy: seccomp stops the call, the supervisor reads the name from\n\
         the task's memory, judges it, and lets the call continue or refuses it.",
        rule(DOOR),
        rule(PIT),
    );
    show.report.say(&text)?;
    Ok(())
}

fn open_question(name: &[u8]) -> Question {
    let args = [
        libc::AT_FDCWD as u64,
        0,
        crate::sys::raw::OPEN_FLAGS as u64,
        0,
        0,
        0,
    ];
    Question::name(libc::SYS_openat as i32, args, name)
}

/// Runs the race in a child, under `cell` or under nothing, and tells its progress.
fn race(
    show: &mut Show,
    cell: Option<&Cell>,
    names: &Names,
    files: &Files,
    opens: u64,
    who: &str,
) -> Result<Tally> {
    let bound = bound(opens, LONG);
    let mut child = child::spawn(|out| {
        if let Some(cell) = cell {
            cell.enter()?;
        }
        race::run(names, files, &bound, out)
    })
    .context("forking the racing process")?;
    let mut last = None;
    while let Some(note) = child
        .next_note()
        .context("listening to the racing process")?
    {
        let tally = Tally::from_note(note);
        if opens > PROGRESS && last != Some(tally) {
            show.report.say(&format!(
                "     {who}: {:>6} of {opens} opens, {} refused, denied file obtained {} times",
                tally.attempts, tally.refused, tally.denied
            ))?;
        }
        last = Some(tally);
    }
    let end = child.finish()?;
    if !end.is_clean() {
        bail!("the racing process ({who}): {end}");
    }
    let tally = last.context("the racing process said nothing")?;
    ensure!(
        tally.adds_up(),
        "the books of the race do not add up: {tally:?}"
    );
    Ok(tally)
}

/// Without a defender both files are had: the race is one, and the denied file is there to be had.
fn is_open(tally: &Tally, opens: u64) -> bool {
    tally.attempts == opens
        && tally.allowed > 0
        && tally.denied > 0
        && tally.refused == 0
        && tally.other == 0
}

/// The supervisor did its work, judging each open, and the denied file was had all the same.
fn is_beaten(supervision: &Supervision) -> bool {
    let tally = &supervision.tally;
    // What it let through became one file or the other; what it refused was refused.
    let judged = supervision.let_through == tally.allowed + tally.denied
        && supervision.refused == tally.refused;
    judged && tally.denied > 0 && tally.refused > 0 && tally.other == 0
}

/// All opens were made, both names were seen, each got its due, and the denied file was never had.
fn is_unbeaten(tally: &Tally, opens: u64) -> bool {
    tally.attempts == opens
        && tally.allowed > 0
        && tally.refused > 0
        && tally.denied == 0
        && tally.other == 0
}

fn conclude(show: &mut Show, supervised: &Supervision, judged: &Tally) -> Result<()> {
    let tally = &supervised.tally;
    show.report.say(&format!(
        "The supervisor read an allowed name {} times; the kernel then opened the denied file {} times of these.\n\
         The filter judges the kernel's own copy of the name: in {} opens the denied file was obtained {} times.",
        supervised.let_through, tally.denied, judged.attempts, judged.denied
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WON: Tally = Tally {
        attempts: 100,
        allowed: 50,
        denied: 0,
        refused: 50,
        other: 0,
    };

    #[test]
    fn the_filter_is_unbeaten_only_if_the_race_was_one() {
        assert!(is_unbeaten(&WON, 100));
        assert!(!is_unbeaten(&WON, 200));
        for broken in [
            Tally {
                denied: 1,
                refused: 49,
                ..WON
            },
            Tally {
                allowed: 0,
                refused: 100,
                ..WON
            },
            Tally {
                allowed: 100,
                refused: 0,
                ..WON
            },
            Tally {
                other: 1,
                refused: 49,
                ..WON
            },
        ] {
            assert!(broken.adds_up());
            assert!(!is_unbeaten(&broken, 100), "{broken:?}");
        }
    }

    #[test]
    fn the_supervisor_is_beaten_only_by_the_denied_file() {
        let beaten = Supervision {
            tally: Tally {
                allowed: 30,
                denied: 20,
                ..WON
            },
            let_through: 50,
            refused: 50,
        };
        assert!(is_beaten(&beaten));
        let unbeaten = Supervision {
            tally: WON,
            ..beaten
        };
        assert!(!is_beaten(&unbeaten));
        // It let everything pass: that is no supervisor.
        let idle = Supervision {
            tally: Tally {
                allowed: 50,
                denied: 50,
                refused: 0,
                ..WON
            },
            let_through: 100,
            refused: 0,
        };
        assert!(!is_beaten(&idle));
        // Opens that it never saw.
        let blind = Supervision {
            let_through: 40,
            ..beaten
        };
        assert!(!is_beaten(&blind));
    }

    #[test]
    fn the_race_without_a_defender_must_be_a_race() {
        let open = Tally {
            denied: 50,
            refused: 0,
            ..WON
        };
        assert!(is_open(&open, 100));
        assert!(!is_open(&WON, 100));
        assert!(!is_open(
            &Tally {
                allowed: 100,
                denied: 0,
                refused: 0,
                ..WON
            },
            100
        ));
    }
}

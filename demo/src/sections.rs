// SPDX-License-Identifier: GPL-2.0
//! The sections of the demonstration, in the order in which they are shown.

mod identity;
mod narrow;
mod programs;
mod races;
mod sandbox;
mod ways;

use std::io::Stdout;
use std::path::PathBuf;

use anyhow::Result;
use rustix::io::Errno;

use crate::cell::Seen;
use crate::judge::{Policy, Ruling};
use crate::report::{Report, Row, result_name};

/// What a section needs: where to print, where the policies are, how long the races are.
pub(crate) struct Show {
    /// Where everything is printed and booked.
    pub(crate) report: Report<Stdout>,
    /// The directory of the policies.
    pub(crate) policies: PathBuf,
    /// The `evf` command.
    pub(crate) evf: PathBuf,
    /// Opens of the race against the kernel's filter.
    pub(crate) opens: u64,
    /// Opens of the races against the other two.
    pub(crate) fewer: u64,
}

/// One section.
pub(crate) struct Section {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// What it shows.
    pub(crate) title: &'static str,
    run: fn(&mut Show) -> Result<()>,
}

/// All sections.
pub(crate) const ALL: [Section; 6] = [
    Section {
        number: 1,
        title: "An ordinary user, and the module",
        run: identity::run,
    },
    Section {
        number: 2,
        title: "The sandbox: which names it lets pass",
        run: sandbox::run,
    },
    Section {
        number: 3,
        title: "A child narrows further, and cannot widen or drop a layer",
        run: narrow::run,
    },
    Section {
        number: 4,
        title: "Whatever way the open takes, it is judged the same",
        run: ways::run,
    },
    Section {
        number: 5,
        title: "The race: a thread swaps the name while it is being opened",
        run: races::run,
    },
    Section {
        number: 6,
        title: "Unmodified programs at work inside a policy",
        run: programs::run,
    },
];

impl Section {
    /// Runs it. What keeps it from running is booked as a failure.
    ///
    /// # Errors
    ///
    /// If printing fails.
    pub(crate) fn show(&self, show: &mut Show) -> std::io::Result<()> {
        show.report.section(self.number, self.title)?;
        match (self.run)(show) {
            Ok(()) => Ok(()),
            Err(error) => {
                // A compiler's message has many lines; the check names the section, the lines follow.
                let text = format!("{error:#}");
                let first = text.lines().next().unwrap_or_default();
                show.report
                    .check(false, &format!("could not go on: {first}"))?;
                let rest: Vec<&str> = text.lines().skip(1).collect();
                show.report.say(&rest.join("\n"))
            }
        }
    }
}

/// What an attempt has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The policy allows it and it succeeds, as it does without a filter.
    Works,
    /// The policy refuses it, though it succeeds without a filter.
    Refused,
    /// The policy refuses it, and so does the file's mode.
    RefusedAnyway,
}

impl Expect {
    /// Whether it came so: what the kernel answered bare and under the filter, and what the policy says.
    pub(crate) fn holds(self, bare: Seen, judged: Seen, ruling: &Ruling) -> bool {
        let (Some(bare), Some(judged)) = (bare, judged) else {
            return false;
        };
        let intended = match self {
            Expect::Works => ruling.refusal().is_none() && bare == Ok(()),
            Expect::Refused => ruling.refusal().is_some() && bare == Ok(()),
            Expect::RefusedAnyway => ruling.refusal().is_some() && bare == Err(Errno::ACCESS),
        };
        intended && ruling.agrees(judged, bare)
    }
}

impl Show {
    /// Compiles the policy of that file name.
    pub(crate) fn policy(&self, file: &str) -> Result<Policy> {
        Policy::read(&self.policies.join(file))
    }

    /// Prints and books one trick: a call that is no open, and of which it is known beforehand what it comes to `bare`.
    pub(crate) fn trick(
        &mut self,
        what: &str,
        on: &str,
        (bare, judged): (Result<(), Errno>, Seen),
        ruling: &Ruling,
    ) -> std::io::Result<()> {
        self.report.row(&Row {
            held: judged.is_some_and(|judged| ruling.agrees(judged, bare)),
            what,
            path: on,
            bare: &result_name(bare),
            judged: &word(judged),
            rule: &ruling.rule,
        })
    }

    /// Prints and books one attempt.
    pub(crate) fn attempt(
        &mut self,
        what: &str,
        path: &str,
        expect: Expect,
        (bare, judged): (Seen, Seen),
        ruling: &Ruling,
    ) -> std::io::Result<()> {
        let held = expect.holds(bare, judged, ruling);
        let rule = match judged {
            Some(judged) if !held && !ruling.agrees(judged, bare.unwrap_or(judged)) => {
                format!("DISAGREES: {}", ruling.rule)
            }
            _ => ruling.rule.clone(),
        };
        self.report.row(&Row {
            held,
            what,
            path,
            bare: &word(bare),
            judged: &word(judged),
            rule: &rule,
        })
    }
}

fn word(seen: Seen) -> String {
    seen.map_or_else(|| "(none)".to_owned(), result_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use filters::verdict::Verdict;

    fn ruling(verdict: Verdict) -> Ruling {
        Ruling {
            verdict,
            rule: String::new(),
        }
    }

    const OK: Seen = Some(Ok(()));
    const EACCES: Seen = Some(Err(Errno::ACCESS));
    const EPERM: Seen = Some(Err(Errno::PERM));

    #[test]
    fn kernel_policy_and_intent_must_all_say_the_same() {
        let allow = ruling(Verdict::ALLOW);
        let deny = ruling(Verdict::errno(libc::EACCES as u16));
        assert!(Expect::Works.holds(OK, OK, &allow));
        assert!(Expect::Refused.holds(OK, EACCES, &deny));
        assert!(Expect::RefusedAnyway.holds(EACCES, EACCES, &deny));
        // The kernel is weaker or stronger than the policy, or refuses with another errno.
        assert!(!Expect::Refused.holds(OK, OK, &deny));
        assert!(!Expect::Works.holds(OK, EACCES, &allow));
        assert!(!Expect::Refused.holds(OK, EPERM, &deny));
        // The policy is not the one that was meant.
        assert!(!Expect::Works.holds(OK, EACCES, &deny));
        assert!(!Expect::Refused.holds(OK, OK, &allow));
        // The control group did not do what makes the attempt a proof.
        assert!(!Expect::Works.holds(EACCES, EACCES, &allow));
        assert!(!Expect::Refused.holds(EACCES, EACCES, &deny));
        // Somebody did not live to tell.
        assert!(!Expect::Works.holds(None, OK, &allow));
        assert!(!Expect::Refused.holds(OK, None, &deny));
    }

    #[test]
    fn the_sections_are_numbered_from_one() {
        let numbers: Vec<u32> = ALL.iter().map(|section| section.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }
}

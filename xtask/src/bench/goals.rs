// SPDX-License-Identifier: GPL-2.0

//! Goals: what evfilter must not cost more than, from `bench/goals.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::figures::Figures;

/// One goal. Which of the optional fields are there says what is compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) case: String,
    /// The figure.
    pub(crate) figure: String,
    /// The most that it may cost, or, with `times_of` and `per_byte_since`, the most that the quotient may be.
    limit: Option<f64>,
    /// The cost is divided by that of this figure.
    times_of: Option<String>,
    /// What it costs more than this figure is divided by how many bytes longer its name is: `open-160b` and `open-20b`.
    per_byte_since: Option<String>,
    /// The cost must be below that of this figure.
    below: Option<String>,
    /// Why it is missed, and what it would take to meet it. Only for a goal that is missed.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    goal: Vec<Goal>,
}

/// How a goal was met, or missed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// What was measured, for people.
    pub(crate) measured: String,
    /// What it may be, for people.
    pub(crate) wanted: String,
    pub(crate) met: bool,
}

/// Reads the goals.
pub(crate) fn read(path: &Path) -> Result<Vec<Goal>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Goal>> {
    let file: File = toml::from_str(text).context("no goals")?;
    for goal in &file.goal {
        let quotients = [&goal.times_of, &goal.per_byte_since].map(Option::is_some);
        let shape = (goal.limit.is_some(), quotients, goal.below.is_some());
        if !matches!(
            shape,
            (true, [false, _] | [true, false], false) | (false, [false, false], true)
        ) {
            bail!(
                "the goal {:?} needs a limit, with one of times_of and per_byte_since at most, or `below`",
                goal.case
            );
        }
    }
    Ok(file.goal)
}

impl Goal {
    /// Compares with what was measured; `None` if that was not measured.
    pub(crate) fn outcome(&self, figures: &Figures) -> Option<Outcome> {
        let cost = figures.cost(&self.figure)?;
        if let Some(other) = &self.below {
            let other_cost = figures.cost(other)?;
            return Some(Outcome {
                measured: format!("{cost:.0}"),
                wanted: format!("below {other_cost:.0} ({other})"),
                met: cost < other_cost,
            });
        }
        let limit = self.limit?;
        let (value, measured, wanted) = if let Some(other) = &self.times_of {
            let value = cost / figures.cost(other)?;
            (
                value,
                format!("{value:.2}x"),
                format!("at most {limit}x of {other}"),
            )
        } else if let Some(other) = &self.per_byte_since {
            let bytes = bytes(&self.figure)? - bytes(other)?;
            let value = (cost - figures.cost(other)?) / bytes;
            (
                value,
                format!("{value:.2} a byte"),
                format!("at most {limit} a byte"),
            )
        } else {
            (cost, format!("{cost:+.0}"), format!("at most {limit:+}"))
        };
        Some(Outcome {
            measured,
            wanted,
            // Figures are rounded to hundredths.
            met: value <= limit + 0.005,
        })
    }
}

/// The length of the name in a deed: `open-20b evfilter/name-3`.
fn bytes(figure: &str) -> Option<f64> {
    let (deed, _) = figure.split_once(' ')?;
    deed.rsplit_once('-')?.1.strip_suffix('b')?.parse().ok()
}

/// What is wrong with the goals' reasons: a goal missed without one, or met with one. If everything was measured (`whole`), also a goal of which nothing was.
pub(crate) fn faults(goals: &[Goal], figures: &Figures, whole: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for goal in goals {
        let Some(outcome) = goal.outcome(figures) else {
            if whole {
                faults.push(format!(
                    "goal not measured: {} ({})",
                    goal.case, goal.figure
                ));
            }
            continue;
        };
        let Outcome {
            measured,
            wanted,
            met,
        } = outcome;
        match (met, &goal.reason) {
            (false, None) => faults.push(format!(
                "goal missed without a reason in bench/goals.toml: {} ({}): {measured}, wanted {wanted}",
                goal.case, goal.figure
            )),
            (true, Some(_)) => faults.push(format!(
                "goal met, but bench/goals.toml still gives a reason for missing it: {} ({}): {measured}",
                goal.case, goal.figure
            )),
            _ => {}
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::figures;

    fn goal(rest: &str) -> Goal {
        let text = format!("[[goal]]\ncase = \"c\"\nfigure = \"open-40b evfilter/a\"\n{rest}");
        parse(&text).expect("a goal").remove(0)
    }

    fn measured() -> Figures {
        figures(&[
            ("open-40b none", 1000.0),
            ("open-20b none", 900.0),
            ("open-40b evfilter/a", 1300.0),
            ("open-20b evfilter/a", 1100.0),
            ("open-40b landlock/1", 1500.0),
        ])
    }

    fn met(rest: &str) -> bool {
        goal(rest).outcome(&measured()).expect("measured").met
    }

    #[test]
    fn each_kind_of_goal_is_met_up_to_its_limit() {
        assert!(met("limit = 300") && !met("limit = 299"));
        // (300 - 200) / 20 bytes.
        assert!(met("limit = 5\nper_byte_since = \"open-20b evfilter/a\""));
        assert!(!met(
            "limit = 4.9\nper_byte_since = \"open-20b evfilter/a\""
        ));
        // 300 / 200.
        assert!(met("limit = 1.5\ntimes_of = \"open-20b evfilter/a\""));
        assert!(!met("limit = 1.4\ntimes_of = \"open-20b evfilter/a\""));
        assert!(met("below = \"open-40b landlock/1\""));
        assert!(!met("below = \"open-40b evfilter/a\""));
    }

    #[test]
    fn a_goal_that_was_not_measured_has_no_outcome() {
        let goal = goal("limit = 1");
        assert_eq!(goal.outcome(&Figures::default()), None);
        assert!(faults(std::slice::from_ref(&goal), &Figures::default(), false).is_empty());
        // Of a whole run it is a name that does not exist.
        assert_eq!(faults(&[goal], &Figures::default(), true).len(), 1);
    }

    #[test]
    fn a_missed_goal_needs_a_reason_and_a_met_one_must_have_none() {
        let count = |rest: &str| faults(&[goal(rest)], &measured(), true).len();
        assert_eq!(count("limit = 300"), 0);
        assert_eq!(count("limit = 200\nreason = \"slow\""), 0);
        assert_eq!(count("limit = 200"), 1);
        assert_eq!(count("limit = 300\nreason = \"slow\""), 1);
    }

    #[test]
    fn goals_that_compare_nothing_or_two_things_are_refused() {
        for wrong in [
            "",
            "limit = 1\nbelow = \"a b\"",
            "below = \"a b\"\ntimes_of = \"a b\"",
            "limit = 1\ntimes_of = \"a b\"\nper_byte_since = \"a b\"",
            "limit = 1\nlmit = 2",
        ] {
            let text = format!("[[goal]]\ncase = \"c\"\nfigure = \"a b\"\n{wrong}");
            assert!(parse(&text).is_err(), "{wrong}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The budget: what evfilter may cost, figure by figure, from `bench/budget.json`. It keeps what was reached.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::figures::{Figures, NOTHING};
use crate::cache;

/// Share by which a figure may exceed its budget.
const MARGIN: f64 = 0.02;
/// Instructions by which it may at least.
const SLACK: f64 = 4.0;
/// The same for deeds that make processes or threads, as a share of what they cost without any filter: slabs, page tables and the
/// scheduler do not come out alike in every run.
const UNSTEADY_SLACK: f64 = 0.01;
/// The same for threads: a thread whose kernel stack does not come from the store of each processor costs several thousand more, and whether any does in the
/// time that is measured depends on when a grace period ends. Forks, which pass the same hooks, tell exactly.
const THREAD_SLACK: f64 = 0.10;
/// The same for whole programs.
const PROGRAM_SLACK: f64 = 0.05;
/// Bytes by which memory may.
const MEMORY_SLACK: f64 = 1024.0;
/// Deeds that repeat exactly.
const STEADY: [&str; 7] = [
    "getppid", "open", "stat", "rename", "read", "write", "setup",
];
/// Deeds that make processes. Beside them there are threads and whole programs.
const UNSTEADY: [&str; 3] = ["fork", "vfork", "exec"];
/// Settings whose figures have a budget. Those of the peers are the kernel's affair.
const OURS: [&str; 3] = ["evfilter", "bystander", "loaded"];

/// A budget. Costs are as [`Figures::cost`] gives them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// The kernel that it was taken from.
    pub(crate) kernel: String,
    figures: BTreeMap<String, f64>,
}

impl Budget {
    /// The budget that `figures` just meet.
    pub(crate) fn of(figures: &Figures) -> Self {
        let ours = figures.names().filter(|name| is_ours(name));
        Self {
            kernel: figures.kernel.clone(),
            figures: ours
                .filter_map(|name| Some((name.to_owned(), hundredths(figures.cost(name)?))))
                .collect(),
        }
    }

    /// Reads what [`Budget::write`] has written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "read {}; `cargo xtask bench --budget` makes it",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{}: no budget", path.display()))
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the budget as JSON")?;
        cache::write_atomically(path, text + "\n")
    }

    /// Figures that exceed the budget, and figures without one. If everything was measured (`whole`), also budgets without a figure.
    pub(crate) fn faults(&self, figures: &Figures, whole: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for name in figures.names().filter(|name| is_ours(name)) {
            let Some(cost) = figures.cost(name) else {
                faults.push(format!(
                    "{name}: no figure without a filter to compare with"
                ));
                continue;
            };
            match self.figures.get(name) {
                Some(&budget) if cost > budget + allowance(name, budget, figures) => {
                    faults.push(format!(
                        "over budget: {name}: {cost:.0}, budget {budget:.0}"
                    ));
                }
                Some(_) => {}
                None => faults.push(format!("no budget for {name} ({cost:.0})")),
            }
        }
        if whole {
            let missing = self
                .figures
                .keys()
                .filter(|name| figures.get(name).is_none());
            faults.extend(missing.map(|name| format!("not measured, but in the budget: {name}")));
        }
        faults
    }

    /// How many figures are so far below their budget that it should be lowered.
    pub(crate) fn roomy(&self, figures: &Figures) -> usize {
        let below = |name: &str, budget: f64| {
            let cost = figures.cost(name);
            cost.is_some_and(|cost| cost < budget - allowance(name, budget, figures))
        };
        self.figures
            .iter()
            .filter(|(name, budget)| below(name, **budget))
            .count()
    }
}

fn is_ours(name: &str) -> bool {
    let setting = name.split_once(' ').map_or("", |(_, setting)| setting);
    let system = setting.split('/').next().unwrap_or_default();
    OURS.iter()
        .any(|ours| system == *ours || system.strip_prefix(ours) == Some("-text"))
}

/// By how much a figure may exceed its budget.
fn allowance(name: &str, budget: f64, figures: &Figures) -> f64 {
    let deed = name.split(' ').next().unwrap_or_default();
    let slack = if deed == "memory" {
        MEMORY_SLACK
    } else if STEADY.contains(&deed) || deed.starts_with("open-") {
        SLACK
    } else {
        let whole = figures.get(&format!("{deed} {NOTHING}"));
        let share = match deed {
            "thread" => THREAD_SLACK,
            _ if UNSTEADY.contains(&deed) => UNSTEADY_SLACK,
            _ => PROGRAM_SLACK,
        };
        whole.unwrap_or(0.0) * share
    };
    (budget.abs() * MARGIN).max(slack)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::figures;

    fn measured(open: f64, vfork: f64) -> Figures {
        figures(&[
            ("open none", 5000.0),
            ("vfork none", 80_000.0),
            ("open seccomp/all", 5246.0),
            ("open evfilter/all", 5000.0 + open),
            ("vfork evfilter/all", 80_000.0 + vfork),
        ])
    }

    #[test]
    fn figures_may_exceed_their_budget_by_the_margin_and_no_more() {
        let budget = Budget::of(&measured(1000.0, 200.0));
        let count = |open, vfork| budget.faults(&measured(open, vfork), true).len();
        assert_eq!(count(1000.0, 200.0), 0);
        assert_eq!(count(1020.0, 1000.0), 0);
        assert_eq!(count(1021.0, 200.0), 1);
        assert_eq!(count(1000.0, 1001.0), 1);
        // Cheaper is never a fault.
        assert_eq!(count(0.0, -500.0), 0);
        assert_eq!(budget.roomy(&measured(979.0, 200.0)), 1);
        assert_eq!(budget.roomy(&measured(981.0, 200.0)), 0);
    }

    #[test]
    fn whole_programs_may_differ_more_than_processes_do() {
        let run = |added: f64| {
            figures(&[
                ("gcc none", 100_000.0),
                ("gcc evfilter/all", 100_000.0 + added),
            ])
        };
        let budget = Budget::of(&run(1000.0));
        assert!(budget.faults(&run(6000.0), true).is_empty());
        assert_eq!(budget.faults(&run(6001.0), true).len(), 1);
    }

    #[test]
    fn threads_may_waver_by_a_stack_and_forks_may_not() {
        let run = |deed: &str, added: f64| {
            let (without, with) = (format!("{deed} none"), format!("{deed} evfilter/all"));
            figures(&[(&*without, 100_000.0), (&*with, 100_000.0 + added)])
        };
        for (deed, slack) in [("thread", 10_000.0), ("fork", 1000.0)] {
            let budget = Budget::of(&run(deed, 500.0));
            assert!(budget.faults(&run(deed, 500.0 + slack), true).is_empty());
            assert_eq!(budget.faults(&run(deed, 501.0 + slack), true).len(), 1);
        }
    }

    #[test]
    fn small_figures_have_a_slack_of_a_few_instructions() {
        let budget = Budget::of(&measured(0.0, 0.0));
        assert!(budget.faults(&measured(4.0, 0.0), true).is_empty());
        assert_eq!(budget.faults(&measured(5.0, 0.0), true).len(), 1);
    }

    #[test]
    fn peers_have_no_budget_and_everything_of_ours_has() {
        let budget = Budget::of(&measured(1.0, 1.0));
        assert_eq!(budget.figures.len(), 2);
        let more = figures(&[("open none", 1.0), ("open evfilter/new", 2.0)]);
        assert_eq!(budget.faults(&more, false).len(), 1);
        // Two are in the budget and were not measured.
        assert_eq!(budget.faults(&more, true).len(), 3);
        assert!(is_ours("setup evfilter-text/numbers") && is_ours("open loaded"));
        assert!(!is_ours("setup libseccomp/numbers") && !is_ours("open none"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("budget.json");
        let budget = Budget::of(&measured(12.0, 34.0));
        budget.write(&path).expect("written");
        assert_eq!(Budget::read(&path).expect("read"), budget);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the in-guest tests said, put together from the protocol lines, and what is wrong with it.

use std::time::Duration;

use crate::console::Line;

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// This guest cannot run it, and why.
    Skipped(String),
    /// It began and never ended: the guest went down under it.
    Unfinished,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// `suite::test`.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
    /// Detail lines it printed.
    pub(crate) out: Vec<String>,
}

impl Case {
    /// The part of the name before the first `::`.
    pub(crate) fn suite(&self) -> &str {
        self.name.split_once("::").map_or("", |(suite, _)| suite)
    }

    /// Whether it counts as a failure.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.verdict, Verdict::Failed | Verdict::Unfinished)
    }
}

/// All tests of one run, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    plan: Option<u32>,
    cases: Vec<Case>,
    done: Option<(u32, u32, u32)>,
    disorder: Vec<String>,
}

impl Results {
    /// Takes in one line of the console.
    pub(crate) fn take(&mut self, line: &Line<'_>) {
        match *line {
            Line::Plan(count) => match self.plan {
                None => self.plan = Some(count),
                Some(_) => self.disorder.push("the runner planned twice".to_owned()),
            },
            Line::Start(name) => self.cases.push(Case {
                name: name.to_owned(),
                verdict: Verdict::Unfinished,
                took: Duration::ZERO,
                out: Vec::new(),
            }),
            Line::Out(text) => match self.cases.last_mut() {
                Some(case) => case.out.push(text.to_owned()),
                None => self
                    .disorder
                    .push(format!("output before the first test: {text}")),
            },
            Line::Pass(name, millis) => self.end(name, Verdict::Passed, millis),
            Line::Fail(name, millis) => self.end(name, Verdict::Failed, millis),
            Line::Skip(name, reason) => self.end(name, Verdict::Skipped(reason.to_owned()), 0),
            Line::Done {
                passed,
                failed,
                skipped,
            } => self.done = Some((passed, failed, skipped)),
            Line::Exit(_)
            | Line::Bench(_)
            | Line::Coverage(_)
            | Line::Garbled(_)
            | Line::Splat(_)
            | Line::Race(_)
            | Line::Init
            | Line::Text(_) => {}
        }
    }

    fn end(&mut self, name: &str, verdict: Verdict, millis: u64) {
        let running = self
            .cases
            .last_mut()
            .filter(|case| case.name == name && case.verdict == Verdict::Unfinished);
        match (running, &verdict) {
            (Some(case), _) => {
                case.verdict = verdict;
                case.took = Duration::from_millis(millis);
            }
            // A test can be skipped before it begins.
            (None, Verdict::Skipped(_)) => {
                self.cases.push(Case {
                    name: name.to_owned(),
                    verdict,
                    took: Duration::ZERO,
                    out: Vec::new(),
                });
            }
            (None, _) => self
                .disorder
                .push(format!("{name} ended without having begun")),
        }
    }

    /// The tests so far.
    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// How many tests the runner announced.
    pub(crate) fn planned(&self) -> Option<u32> {
        self.plan
    }

    /// The counts of (passed, failed, skipped) tests.
    pub(crate) fn counts(&self) -> (u32, u32, u32) {
        let count = |wanted: fn(&Case) -> bool| {
            u32::try_from(self.cases.iter().filter(|case| wanted(case)).count()).unwrap_or(u32::MAX)
        };
        (
            count(|case| case.verdict == Verdict::Passed),
            count(Case::is_failure),
            count(|case| matches!(case.verdict, Verdict::Skipped(_))),
        )
    }

    /// Where the account does not add up. Empty for a run that was complete, whatever its tests said.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.disorder.clone();
        let (passed, failed, skipped) = self.counts();
        match self.plan {
            None => faults.push("the test runner did not begin (no plan line)".to_owned()),
            Some(0) => faults.push("the test runner planned no test at all".to_owned()),
            Some(plan) if plan != passed + failed + skipped => {
                faults.push(format!(
                    "{plan} tests were planned, {} ran",
                    passed + failed + skipped
                ));
            }
            Some(_) => {}
        }
        match self.done {
            None => faults.push("the test runner did not finish (no done line)".to_owned()),
            Some(said) if said != (passed, failed, skipped) => faults.push(format!(
                "the test runner counted {} passed, {} failed, {} skipped; its lines say {passed}, {failed}, {skipped}",
                said.0, said.1, said.2
            )),
            Some(_) => {}
        }
        faults
    }

    /// Adds what is wrong with the run as a whole as one more failed test, so that it counts wherever tests count.
    pub(crate) fn add_fault(&mut self, text: &str, took: Duration) {
        self.cases.push(Case {
            name: "guest::run_is_sound".to_owned(),
            verdict: Verdict::Failed,
            took,
            out: text.lines().map(str::to_owned).collect(),
        });
    }

    /// The closing line: `N passed, N failed`, and how many were skipped, if any.
    pub(crate) fn closing(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        closing(passed, failed, skipped)
    }
}

/// The closing line of everything that counts.
pub(crate) fn closing(passed: u32, failed: u32, skipped: u32) -> String {
    let skipped = if skipped == 0 {
        String::new()
    } else {
        format!(", {skipped} skipped")
    };
    format!("{passed} passed, {failed} failed{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console;

    fn results(text: &str) -> Results {
        let mut results = Results::default();
        text.lines()
            .for_each(|line| results.take(&console::read(line)));
        results
    }

    const GOOD: &str = "@@evf plan 3\n@@evf start a::x\n@@evf out why\n@@evf fail a::x 5\n@@evf start a::y\n@@evf ok a::y 7\n\
        @@evf skip b::z no ia32\n@@evf done passed=1 failed=1 skipped=1\n";

    #[test]
    fn complete_run_adds_up() {
        let results = results(GOOD);
        assert!(results.faults().is_empty(), "{:?}", results.faults());
        assert_eq!(results.closing(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(results.cases()[0].out, ["why"]);
        assert_eq!(
            (results.cases()[1].took, results.cases()[1].suite()),
            (Duration::from_millis(7), "a")
        );
    }

    #[test]
    fn test_that_took_the_guest_down_is_a_failure() {
        let results =
            results("@@evf plan 2\n@@evf start a::x\n@@evf ok a::x 1\n@@evf start a::y\n");
        assert_eq!(results.closing(), "1 passed, 1 failed");
        assert_eq!(results.cases()[1].verdict, Verdict::Unfinished);
        assert!(
            results
                .faults()
                .iter()
                .any(|fault| fault.contains("did not finish"))
        );
    }

    #[test]
    fn accounts_that_do_not_add_up_are_faults() {
        for (from, to, expected) in [
            ("plan 3", "plan 4", "4 tests were planned, 3 ran"),
            ("passed=1 failed=1", "passed=2 failed=0", "counted 2 passed"),
            ("@@evf plan 3\n", "", "did not begin"),
            ("@@evf start a::y\n", "", "a::y ended without having begun"),
            (
                "@@evf plan 3\n",
                "@@evf plan 3\n@@evf plan 3\n",
                "planned twice",
            ),
        ] {
            let faults = results(&GOOD.replace(from, to)).faults().join("; ");
            assert!(faults.contains(expected), "{expected}: {faults}");
        }
        assert!(
            results("@@evf plan 0\n@@evf done passed=0 failed=0 skipped=0\n").faults()[0]
                .contains("no test at all")
        );
    }

    #[test]
    fn fault_of_the_run_counts_as_a_failure() {
        let mut results = results(GOOD);
        results.add_fault("a splat\nsecond line", Duration::from_secs(1));
        assert_eq!(results.closing(), "1 passed, 2 failed, 1 skipped");
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The results of the in-guest tests as JUnit XML, which CI systems read.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use crate::cache;
use crate::results::{Case, Results, Verdict};

/// Writes the report of `results` to `path`.
pub(crate) fn write(results: &Results, took: Duration, path: &Path) -> Result<()> {
    let text = report(results, took)
        .to_string()
        .context("format the JUnit report")?;
    cache::write_atomically(path, text)
}

fn report(results: &Results, took: Duration) -> Report {
    let mut report = Report::new("evfilter");
    report.set_time(took);
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in results.cases() {
        let test = test_case(case);
        match suites
            .iter_mut()
            .find(|suite| suite.name.as_str() == case.suite())
        {
            Some(suite) => {
                suite.add_test_case(test);
            }
            None => {
                let mut suite = TestSuite::new(case.suite());
                suite.add_test_case(test);
                suites.push(suite);
            }
        }
    }
    for suite in &mut suites {
        let time = suite.test_cases.iter().filter_map(|test| test.time).sum();
        suite.set_time(time);
    }
    report.add_test_suites(suites);
    report
}

fn test_case(case: &Case) -> TestCase {
    let text = case.out.join("\n");
    let status = match &case.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => failure("failed", &text),
        Verdict::Unfinished => failure("the guest went down while this test ran", &text),
        Verdict::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
    };
    let mut test = TestCase::new(case.name.as_str(), status);
    test.set_classname(case.suite());
    test.set_time(case.took);
    if case.verdict == Verdict::Passed && !text.is_empty() {
        test.set_system_out(XmlString::new(text));
    }
    test
}

fn failure(message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status.set_description(text);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console;

    #[test]
    fn report_has_every_test_with_its_text_escaped() {
        let mut results = Results::default();
        for line in [
            "@@evf start a::x",
            "@@evf out 1 < 2 & \u{1b}[1m",
            "@@evf fail a::x 1500",
            "@@evf start b::y",
            "@@evf ok b::y 5",
            "@@evf skip b::z no ia32",
            "@@evf start b::w",
        ] {
            results.take(&console::read(line));
        }
        let xml = report(&results, Duration::from_secs(9))
            .to_string()
            .expect("XML");
        for part in [
            r#"tests="4" failures="2""#,
            r#"<testsuite name="a" tests="1""#,
            r#"<testsuite name="b" tests="3""#,
            r#"time="1.500""#,
            "1 &lt; 2 &amp; ",
            "no ia32",
            "went down",
        ] {
            assert!(xml.contains(part), "{part} is not in {xml}");
        }
        assert!(!xml.contains('\u{1b}'));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The table of laws in SECURITY.md names the guest suites that hold each: all of those that have a test with the law's name, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Source};

const TABLE: &str = "SECURITY.md";
const SUITES: &str = "tests/src/suites";
/// What stands in a row before the suites.
const BEFORE: &str = "guest suites ";
/// How many laws there are.
const LAWS: u32 = 8;

/// The rows that do not say what the tests are.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(table) = sources
        .iter()
        .find(|source| source.path == Path::new(TABLE))
    else {
        return Vec::new();
    };
    let row = |law: u32| {
        let start = format!("| {law} ");
        let mut lines = (1..).zip(table.text.lines());
        lines.find(|(_, line)| line.starts_with(&start))
    };
    (1..=LAWS)
        .filter_map(|law| {
            let held = holders(law, sources);
            let Some((line, text)) = row(law) else {
                return Some(Finding::new(table, 0, format!("no row for law {law}")));
            };
            let said = named(text);
            (said != held).then(|| {
                let list = held.iter().map(|suite| format!("`{suite}`"));
                let list = list.collect::<Vec<_>>().join(", ");
                Finding::new(table, line, format!("law {law} has tests in: {list}"))
            })
        })
        .collect()
}

/// The suites with a test that bears the law's name.
fn holders(law: u32, sources: &[Source]) -> BTreeSet<&str> {
    let name = format!("law_{law}_");
    let with_test = sources.iter().filter(|source| source.text.contains(&name));
    with_test
        .filter_map(|source| {
            let inside = source.path.strip_prefix(SUITES).ok()?;
            let suite = inside.components().next()?.as_os_str().to_str()?;
            Some(suite.strip_suffix(".rs").unwrap_or(suite))
        })
        .collect()
}

/// The suites in a row.
fn named(row: &str) -> BTreeSet<&str> {
    let list = row.split_once(BEFORE).map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn findings(row_of_1: &str) -> Vec<String> {
        let mut table = format!("| law | x |\n| 1 a | b | `filters`, guest suites {row_of_1} |\n");
        for law in 2..=LAWS {
            table.push_str(&format!("| {law} a | b | `filters` |\n"));
        }
        let sources = [
            source("tests/src/suites/one.rs", "fn law_1_x() {}"),
            source("tests/src/suites/two/deep.rs", "fn law_1_y() {}"),
            source("tests/src/suites/three.rs", "fn y() {}"),
            source("xtask/src/law.rs", "law_1_"),
            source(TABLE, &table),
        ];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn row_names_the_suites_with_tests_of_the_law() {
        assert!(findings("`two`, `one`").is_empty());
        let expected = ["SECURITY.md:2: law 1 has tests in: `one`, `two`"];
        for wrong in ["`one`", "", "`one`, `two`, `three`"] {
            assert_eq!(findings(wrong), expected, "{wrong}");
        }
    }

    #[test]
    fn law_without_a_row_is_found() {
        let found = check(&[source(TABLE, "")]);
        assert_eq!(found.len(), LAWS as usize);
    }
}

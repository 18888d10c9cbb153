// SPDX-License-Identifier: GPL-2.0

//! Why code is not reached: a committed file, by file and function, since line numbers move.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::lines::Lines;

/// Where a function stands: its file and its name.
pub(crate) type Place = (PathBuf, String);

/// How the reason begins of code that some runs reach.
const BY_CHANCE: &str = "by chance, ";

/// `PATH FUNCTION: REASON`, one a line; blank lines and those that begin with `#` are for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons(BTreeMap<Place, String>);

/// The lines of one function that were not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) place: Place,
    pub(crate) lines: Vec<u32>,
    pub(crate) reason: Option<String>,
}

impl Reasons {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut reasons = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = number + 1;
            let parts = line.split_once(": ").and_then(|(place, reason)| {
                let (path, function) = place.split_once(' ')?;
                Some((path, function, reason.trim()))
            });
            let Some((path, function, reason)) = parts else {
                bail!("line {number}: not PATH FUNCTION: REASON");
            };
            let place = (PathBuf::from(path), function.to_owned());
            if reasons.insert(place, reason.to_owned()).is_some() {
                bail!("line {number}: {path} {function} has a reason already");
            }
        }
        Ok(Self(reasons))
    }

    /// What `lines` leaves unreached, function by function, and the reasons that stand for nothing any more. Those of what may be reached by chance never do.
    pub(crate) fn gaps(&self, lines: &Lines) -> (Vec<Gap>, Vec<Place>) {
        let mut gaps: BTreeMap<Place, Vec<u32>> = BTreeMap::new();
        for (path, file) in &lines.files {
            for (&number, line) in file.iter().filter(|(_, line)| !line.ran) {
                gaps.entry((path.clone(), line.function.clone()))
                    .or_default()
                    .push(number);
            }
        }
        let stale = self
            .0
            .iter()
            .filter(|(place, reason)| !gaps.contains_key(*place) && !reason.starts_with(BY_CHANCE))
            .map(|(place, _)| place.clone())
            .collect();
        let gaps = gaps
            .into_iter()
            .map(|(place, lines)| Gap {
                reason: self.0.get(&place).cloned(),
                place,
                lines,
            })
            .collect();
        (gaps, stale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Line;
    use super::*;

    fn lines(of: &[(u32, &str, bool)]) -> Lines {
        let file = of
            .iter()
            .map(|&(number, function, ran)| {
                let function = function.to_owned();
                (number, Line { function, ran })
            })
            .collect();
        Lines {
            files: [(PathBuf::from("module/a.rs"), file)].into(),
            ..Lines::default()
        }
    }

    #[test]
    fn gaps_have_their_reasons_and_reasons_their_gaps() {
        let reasons = Reasons::parse(
            "# why\n\nmodule/a.rs <A as B>::f: no memory: never here\nmodule/a.rs Gone::g: reached\nmodule/a.rs lucky: by chance, a race\nmodule/b.rs h: no such file\n",
        )
        .expect("reasons");
        let (gaps, stale) = reasons.gaps(&lines(&[
            (1, "<A as B>::f", true),
            (2, "<A as B>::f", false),
            (4, "<A as B>::f", false),
            (5, "Gone::g", true),
            (9, "new", false),
            (11, "lucky", true),
        ]));
        let place = |function: &str| (PathBuf::from("module/a.rs"), function.to_owned());
        assert_eq!(
            gaps,
            [
                Gap {
                    place: place("<A as B>::f"),
                    lines: vec![2, 4],
                    reason: Some("no memory: never here".to_owned())
                },
                Gap {
                    place: place("new"),
                    lines: vec![9],
                    reason: None
                },
            ]
        );
        assert_eq!(
            stale,
            [
                place("Gone::g"),
                (PathBuf::from("module/b.rs"), "h".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_no_reason_is_refused() {
        for text in [
            "module/a.rs f",
            "module/a.rs: no function",
            "module/a.rs f: x\nmodule/a.rs f: y",
        ] {
            assert!(Reasons::parse(text).is_err(), "{text}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What was measured: figures by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cache;

/// The setting that the others are compared with.
pub(crate) const NOTHING: &str = "none";
/// Deeds whose figures are no difference to anything.
const WHOLE: [&str; 2] = ["setup", "memory"];

/// One line of the measuring program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Said {
    Figure { figure: String, value: f64 },
    Now { now: String },
}

/// Figures in the order in which they were measured. A name is deed and setting, `open evfilter/name-10`; a value is instructions, of memory bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// The kernel that was measured.
    pub(crate) kernel: String,
    order: Vec<String>,
    values: BTreeMap<String, f64>,
}

/// The file that figures are kept in.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    kernel: String,
    figures: Vec<(String, f64)>,
}

impl Figures {
    /// No figures yet, of this kernel.
    pub(crate) fn new(kernel: &str) -> Self {
        Self {
            kernel: kernel.to_owned(),
            ..Self::default()
        }
    }

    /// Takes in one line of the measuring program. Gives what is being measured now, if that is what the line says.
    pub(crate) fn take(&mut self, json: &str) -> Result<Option<String>> {
        let said = serde_json::from_str(json).context("no line of the measuring program")?;
        match said {
            Said::Now { now } => Ok(Some(now)),
            Said::Figure { figure, value } => self.add(figure, value).map(|()| None),
        }
    }

    fn add(&mut self, figure: String, value: f64) -> Result<()> {
        if !figure.contains(' ') || !value.is_finite() {
            bail!("{figure:?} is no figure");
        }
        if self.values.insert(figure.clone(), value).is_some() {
            bail!("{figure} was measured twice");
        }
        self.order.push(figure);
        Ok(())
    }

    /// Reads what [`Figures::write`] has written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let kept: Kept = serde_json::from_str(&text)
            .with_context(|| format!("{}: no figures of `cargo xtask bench`", path.display()))?;
        let mut figures = Self::new(&kept.kernel);
        kept.figures
            .into_iter()
            .try_for_each(|(name, value)| figures.add(name, value))?;
        Ok(figures)
    }

    /// Writes all of them as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let kept = Kept {
            kernel: self.kernel.clone(),
            figures: self
                .names()
                .filter_map(|name| Some((name.to_owned(), self.get(name)?)))
                .collect(),
        };
        let text = serde_json::to_string_pretty(&kept).context("figures as JSON")?;
        cache::write_atomically(path, text + "\n")
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Their names, in the order in which they were measured.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// The value of a figure.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// What the setting costs: with it minus without any filter; for what is no difference, the value itself.
    pub(crate) fn cost(&self, name: &str) -> Option<f64> {
        let (deed, _) = name.split_once(' ')?;
        let value = self.get(name)?;
        if WHOLE.contains(&deed) {
            Some(value)
        } else {
            Some(value - self.get(&format!("{deed} {NOTHING}"))?)
        }
    }
}

/// Figures from names and values, for tests.
#[cfg(test)]
pub(crate) fn figures(all: &[(&str, f64)]) -> Figures {
    let mut figures = Figures::new("7.3.4");
    for (name, value) in all {
        figures.add((*name).to_owned(), *value).expect("a figure");
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_figures_and_nothing_else_does() {
        let mut figures = Figures::new("k");
        let now = figures.take(r#"{"now": "seccomp/all"}"#).expect("a line");
        assert_eq!(now.as_deref(), Some("seccomp/all"));
        let open = r#"{"figure": "open none", "value": 5316.0}"#;
        assert!(figures.take(open).expect("a line").is_none());
        assert_eq!((figures.len(), figures.get("open none")), (1, Some(5316.0)));
        for wrong in [
            open,
            "{}",
            r#"{"figure": "open", "value": 1.0}"#,
            r#"{"figure": "a b"}"#,
        ] {
            assert!(figures.take(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cost_is_with_minus_without_but_for_what_has_no_without() {
        let figures = figures(&[
            ("open none", 5000.0),
            ("open landlock/10", 6400.0),
            ("stat landlock/10", 1.0),
            ("setup landlock/10", 77.0),
        ]);
        assert_eq!(figures.cost("open landlock/10"), Some(1400.0));
        assert_eq!(figures.cost("setup landlock/10"), Some(77.0));
        // Nothing to compare with is no cost of zero.
        assert_eq!(figures.cost("stat landlock/10"), None);
        assert_eq!(figures.cost("open seccomp/all"), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("figures.json");
        let kept = figures(&[("open none", 5316.25), ("getppid none", 330.0)]);
        kept.write(&path).expect("written");
        assert_eq!(Figures::read(&path).expect("read"), kept);
        fs::write(&path, "[]").expect("file");
        assert!(Figures::read(&path).is_err());
    }
}

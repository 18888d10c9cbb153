// SPDX-License-Identifier: GPL-2.0

//! What was measured: figures by name.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::report;

/// The setting that the others are compared with.
const NOTHING: &str = "none";

/// One line of the measuring program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Said {
    Figure { figure: String, value: f64 },
    Now { now: String },
}

/// Figures in the order in which they were measured. A name is deed and setting, `open evfilter/name-10`; a value is instructions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    order: Vec<String>,
    values: BTreeMap<String, f64>,
}

impl Figures {
    /// Takes in one line of the measuring program. Gives what is being measured now, if that is what the line says.
    pub(crate) fn take(&mut self, json: &str) -> Result<Option<String>> {
        let said = serde_json::from_str(json).context("no line of the measuring program")?;
        match said {
            Said::Now { now } => Ok(Some(now)),
            Said::Figure { figure, value } => {
                if self.values.insert(figure.clone(), value).is_some() {
                    bail!("{figure} was measured twice");
                }
                self.order.push(figure);
                Ok(None)
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The value of a figure.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// What the setting adds to the deed: with it minus without any filter.
    pub(crate) fn added(&self, name: &str) -> Option<f64> {
        let (deed, _) = name.split_once(' ')?;
        Some(self.get(name)? - self.get(&format!("{deed} {NOTHING}"))?)
    }

    /// One row a setting, one column a deed: what the setting adds; the row of no filter has the whole cost.
    pub(crate) fn table(&self) -> String {
        let (mut deeds, mut settings) = (Vec::new(), Vec::new());
        for (deed, setting) in self.order.iter().filter_map(|name| name.split_once(' ')) {
            if !deeds.contains(&deed) {
                deeds.push(deed);
            }
            if !settings.contains(&setting) {
                settings.push(setting);
            }
        }
        let cell = |deed: &str, setting: &str| {
            let name = format!("{deed} {setting}");
            if setting == NOTHING {
                self.get(&name).map(|value| format!("{value:.0}"))
            } else {
                self.added(&name).map(|value| format!("{value:+.0}"))
            }
        };
        let rows: Vec<Vec<String>> = settings
            .iter()
            .map(|&setting| {
                let cells = deeds
                    .iter()
                    .map(|deed| cell(deed, setting).unwrap_or_default());
                [setting.to_owned()].into_iter().chain(cells).collect()
            })
            .collect();
        let header: Vec<&str> = ["instructions"].into_iter().chain(deeds).collect();
        report::table(&header, &rows, true)
    }
}

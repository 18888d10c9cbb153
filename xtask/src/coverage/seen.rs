// SPDX-License-Identifier: GPL-2.0

//! What the collector in the guest has to say: which places of the module's text have run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

/// A region of a loaded module that holds code: what stays, and what is freed once it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Region {
    /// As long as the module is loaded.
    Text,
    /// Until its start has ended.
    Init,
}

impl Region {
    fn from_name(name: &str) -> Result<Self> {
        match name {
            "text" => Ok(Self::Text),
            "init" => Ok(Self::Init),
            _ => bail!("the collector speaks of an unknown region {name:?}"),
        }
    }
}

/// The collector's report, line by line as the console had them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report(String);

impl Report {
    /// Takes in one line.
    pub(crate) fn take(&mut self, line: &str) {
        let _ = writeln!(self.0, "{line}");
    }

    /// Everything it said.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The places that ran: the addresses to which their calls of the collector return, as offsets.
    pub(crate) fn places(&self) -> Result<BTreeSet<(Region, u64)>> {
        let mut places = BTreeSet::new();
        let mut end = None;
        for line in self.0.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let unreadable = || format!("the collector's report has an unreadable line: {line:?}");
            let number = |word: &str| u64::from_str_radix(word, 16).with_context(unreadable);
            match words[..] {
                ["region", name, _size] => {
                    Region::from_name(name)?;
                }
                ["seen", name, ref offsets @ ..] => {
                    let region = Region::from_name(name)?;
                    for offset in offsets {
                        places.insert((region, number(offset)?));
                    }
                }
                ["end", count, strays] => end = Some((number(count)?, number(strays)?)),
                _ => bail!(unreadable()),
            }
        }
        let Some((count, strays)) = end else {
            bail!("the collector's report is missing or has no end; see the console");
        };
        if count != places.len() as u64 {
            bail!(
                "the collector saw {count} places, but {} arrived: lines of the console were lost",
                places.len()
            );
        }
        if strays != 0 {
            bail!("the collector was called {strays} times from outside of the module's text");
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(lines: &[&str]) -> Result<BTreeSet<(Region, u64)>> {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.take(line));
        report.places()
    }

    #[test]
    fn places_of_both_regions_are_read() {
        let found = places(&[
            "region text 1000",
            "seen text 10 ff",
            "seen text 1a2",
            "region init 80",
            "seen init 10",
            "end 4 0",
        ]);
        assert_eq!(
            found.expect("places").into_iter().collect::<Vec<_>>(),
            [
                (Region::Text, 0x10),
                (Region::Text, 0xff),
                (Region::Text, 0x1a2),
                (Region::Init, 0x10)
            ]
        );
    }

    #[test]
    fn what_was_lost_on_the_way_is_noticed() {
        for (lines, complaint) in [
            (&[][..], "no end"),
            (&["seen text 10"], "no end"),
            (&["seen text 10", "end 2 0"], "lost"),
            (&["seen text 10 1[", "end 2 0"], "unreadable"),
            (&["seen data 10", "end 1 0"], "unknown region"),
            (&["seen text 10", "end 1 3"], "3 times"),
        ] {
            let error = places(lines).expect_err(complaint);
            assert!(format!("{error:#}").contains(complaint), "{error:#}");
        }
    }
}

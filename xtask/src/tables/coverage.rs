// SPDX-License-Identifier: GPL-2.0

//! Which events see a system call: `coverage/*.toml`, held against the calls that a kernel has.
//!
//! The files classify each call by what the kernel's source says it does. Keys of `[[calls]]` (system calls) and `[[operations]]` (of io_uring):
//!
//! - `names`: the calls, which all have the same events.
//! - `seen`: events besides `syscall.enter` and `vfs.pick`: `vfs.getname`, `vfs.walk`, `fd.receive`.
//! - `pick`: the actions with which `vfs.pick` sees them.
//! - `scope`: the rules about other tasks that they are under: `signal`, `abstract`, and `tracing`, which is always in force.
//! - `none`: why no event sees them. `descriptor`: they act on what a descriptor leads to already. `object`: on nothing outside of the task that has a
//!   name (memory, time, identity). `limit`: see `limit`. `absent`: the kernel has a number but no function.
//! - `limit`: a sentence about what they can be used for without an event that sees it.
//!
//! A call that the kernel's table lists without a function is not classified: it is absent by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::calls;

/// The generated table, below the place of all tables.
pub(super) const PATH: &str = "coverage.tbl";
/// What a person decides, in the checkout.
const CLASSES: &str = "xtask/src/tables/coverage";
/// Where a kernel's source enumerates the operations of io_uring.
const OPERATIONS: &str = "include/uapi/linux/io_uring.h";
/// The line of the table that names the kernel.
const RELEASE: &str = "linux ";

/// A file of `coverage/`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    calls: Vec<Class>,
    #[serde(default)]
    operations: Vec<Class>,
}

/// Calls that are seen alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    names: Vec<String>,
    #[serde(default)]
    seen: Vec<String>,
    #[serde(default)]
    pick: Vec<String>,
    #[serde(default)]
    scope: Vec<String>,
    none: Option<Unseen>,
    limit: Option<String>,
}

/// Why no event sees a call.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Unseen {
    Descriptor,
    Object,
    Limit,
    Absent,
}

impl Unseen {
    fn name(self) -> &'static str {
        match self {
            Self::Descriptor => "descriptor",
            Self::Object => "object",
            Self::Limit => "limit",
            Self::Absent => "absent",
        }
    }
}

impl Class {
    /// What is wrong with it by itself.
    fn fault(&self) -> Option<&'static str> {
        let seen = !(self.seen.is_empty() && self.pick.is_empty() && self.scope.is_empty());
        let text = self.limit.as_deref().unwrap_or("x");
        if self.names.is_empty() {
            Some("a class without names")
        } else if seen == self.none.is_some() {
            Some("either events see it, or `none` says why not")
        } else if self.none == Some(Unseen::Limit) && self.limit.is_none() {
            Some("none = \"limit\" needs the sentence `limit`")
        } else if text.is_empty() || text.contains(['\n', '|']) {
            Some("`limit` is one line of text without |")
        } else {
            None
        }
    }

    /// Its words in the table.
    fn words(&self) -> String {
        let mut words = self.seen.clone();
        for (key, list) in [("vfs.pick", &self.pick), ("scope", &self.scope)] {
            if !list.is_empty() {
                words.push(format!("{key}={}", list.join(",")));
            }
        }
        words.extend(self.none.map(|why| format!("none={}", why.name())));
        let limit = self.limit.as_deref();
        words.join(" ") + &limit.map_or(String::new(), |text| format!(" | {text}"))
    }
}

/// The classes of calls and operations, by name.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    calls: BTreeMap<String, Class>,
    operations: BTreeMap<String, Class>,
}

impl Classes {
    /// Reads the files of the checkout.
    pub(crate) fn read(repo: &Path) -> Result<Self> {
        let dir = repo.join(CLASSES);
        let entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry
                .with_context(|| format!("read {}", dir.display()))?
                .path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
        }
        files.sort();
        let mut classes = Self::default();
        for file in files {
            let text =
                fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            classes
                .add(&text)
                .with_context(|| file.display().to_string())?;
        }
        Ok(classes)
    }

    fn add(&mut self, text: &str) -> Result<()> {
        let spec: Spec = toml::from_str(text)?;
        for (list, into) in [
            (spec.calls, &mut self.calls),
            (spec.operations, &mut self.operations),
        ] {
            for class in list {
                if let Some(fault) = class.fault() {
                    bail!("{}: {fault}", class.names.join(", "));
                }
                for name in &class.names {
                    if into.insert(name.clone(), class.clone()).is_some() {
                        bail!("{name} is classified twice");
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the classes and a kernel differ: one line for each call.
    pub(crate) fn differences(&self, kernel: &Surface) -> Vec<String> {
        let implemented: BTreeMap<&str, String> = kernel
            .calls
            .iter()
            .map(|(name, arches)| (name.as_str(), listed(arches, true)))
            .filter(|(_, arches)| !arches.is_empty())
            .collect();
        let mut lines = Vec::new();
        for (name, arches) in &implemented {
            if !self.calls.contains_key(*name) {
                let arches = arches.replace(',', ", ");
                lines.push(format!("system call {name} ({arches}): not classified"));
            }
        }
        for name in self.calls.keys() {
            if !implemented.contains_key(name.as_str()) {
                lines.push(format!(
                    "system call {name}: classified, but this kernel has none"
                ));
            }
        }
        let operations: BTreeSet<&str> = kernel.operations.iter().map(String::as_str).collect();
        for name in &operations {
            if !self.operations.contains_key(*name) {
                lines.push(format!("operation {name} of io_uring: not classified"));
            }
        }
        for name in self.operations.keys() {
            if !operations.contains(name.as_str()) {
                lines.push(format!(
                    "operation {name} of io_uring: classified, but this kernel has none"
                ));
            }
        }
        lines
    }

    /// The table for a kernel.
    ///
    /// # Errors
    ///
    /// Names each call in which the classes and the kernel differ.
    pub(super) fn table(&self, kernel: &Surface, release: &str) -> Result<String> {
        let differences = self.differences(kernel);
        if !differences.is_empty() {
            bail!(
                "{CLASSES} does not fit Linux {release}\n{}",
                differences.join("\n")
            );
        }
        let mut text = format!(
            "# SPDX-License-Identifier: GPL-2.0\n\
             # Which events see a system call or an operation of io_uring, besides syscall.enter, which sees every system call.\n\
             # A line: name, where it is (or its number), events, vfs.pick=ACTIONS, scope=SCOPES, or none=REASON; after | what no event sees.\n\
             # Source: {CLASSES}, for the calls of the kernel named below. Made by `cargo xtask tables`.\n\
             {RELEASE}{release}\n\n[calls]\n"
        );
        for (name, arches) in &kernel.calls {
            let (here, absent) = (listed(arches, true), listed(arches, false));
            if let Some(class) = self.calls.get(name).filter(|_| !here.is_empty()) {
                writeln!(text, "{name} {here} {}", class.words()).context("format")?;
            }
            if !absent.is_empty() {
                let why = Unseen::Absent.name();
                writeln!(text, "{name} {absent} none={why}").context("format")?;
            }
        }
        text.push_str("\n[operations]\n");
        for (number, name) in kernel.operations.iter().enumerate() {
            let class = self.operations.get(name).context("classified")?;
            writeln!(text, "{name} {number} {}", class.words()).context("format")?;
        }
        Ok(text)
    }
}

/// The architectures on which a call is implemented, or has a number only.
fn listed(arches: &[(&'static str, bool)], implemented: bool) -> String {
    let arches: Vec<&str> = arches
        .iter()
        .filter(|(_, there)| *there == implemented)
        .map(|(arch, _)| *arch)
        .collect();
    arches.join(",")
}

/// What a kernel can be asked for.
#[derive(Debug, Default)]
pub(crate) struct Surface {
    /// System calls by name: where each has a number, and whether there is a function behind it.
    calls: BTreeMap<String, Vec<(&'static str, bool)>>,
    /// Operations of io_uring, by number.
    operations: Vec<String>,
}

impl Surface {
    /// Reads a kernel's source.
    pub(crate) fn read(source: &Path) -> Result<Self> {
        let read = |path: &str| {
            let path = source.join(path);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let mut surface = Self::default();
        for arch in calls::ARCHES {
            let table = read(&format!("arch/x86/entry/syscalls/{}", arch.source))?;
            for (name, implemented) in arch.listed(&table) {
                surface
                    .calls
                    .entry(name.to_owned())
                    .or_default()
                    .push((arch.name, implemented));
            }
        }
        surface.operations = operations(&read(OPERATIONS)?)?;
        if surface.calls.is_empty() {
            bail!("{}: no system calls", source.display());
        }
        Ok(surface)
    }

    /// How many system calls and operations there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.calls.len(), self.operations.len())
    }
}

/// The constants of `enum io_uring_op` without their prefix, in order; its last one is no operation.
fn operations(header: &str) -> Result<Vec<String>> {
    let (_, rest) = header
        .split_once("enum io_uring_op {")
        .with_context(|| format!("{OPERATIONS}: no enum io_uring_op"))?;
    let mut names = Vec::new();
    for line in rest.lines() {
        let word = line.trim().trim_end_matches(',');
        let Some(name) = word.strip_prefix("IORING_OP_") else {
            if word.starts_with('}') {
                break;
            }
            continue;
        };
        if name == "LAST" {
            return Ok(names);
        }
        if !name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        {
            bail!("{OPERATIONS}: {line:?} is no operation with the next number");
        }
        names.push(name.to_owned());
    }
    bail!("{OPERATIONS}: enum io_uring_op does not end with IORING_OP_LAST")
}

/// A table without what differs from kernel to kernel though the calls are the same.
pub(crate) fn body(table: &str) -> String {
    table
        .lines()
        .filter(|line| !(line.starts_with('#') || line.starts_with(RELEASE)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;

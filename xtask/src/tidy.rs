// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask tidy`: the rules of the tree that no compiler checks.
//!
//! Each rule is a function from a file (or all of them) to findings, in a file of its own kind below `tidy/`.

mod edges;
mod laws;
mod scan;
mod text;
mod unsafety;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// Directories no rule looks into, wherever they are.
const SKIPPED: [&str; 3] = ["target", ".git", "proptest-regressions"];
/// What fuzzing found.
const SEEDS: [&str; 2] = ["fuzz/corpus", "fuzz/artifacts"];

/// A file of the checkout.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the checkout.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    fn extension(&self) -> &str {
        self.path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or("")
    }

    fn name(&self) -> &str {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("")
    }

    fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Whether people write and read it as source.
    fn is_source(&self) -> bool {
        matches!(
            self.extension(),
            "rs" | "c" | "h" | "S" | "toml" | "sh"
        ) || matches!(self.name(), "Kbuild" | "Makefile")
            // Elsewhere a policy is the input of a test, flaws and all.
            || (self.extension() == "evf" && self.path.starts_with("policies"))
            || self.path == Path::new(".ci/run")
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: PathBuf,
    /// Line number, from 1; 0 for the file as a whole.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Finding {
    fn new(source: &Source, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: source.path.clone(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.text),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.text),
        }
    }
}

/// Every rule over the whole checkout.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut sources = Vec::new();
    collect(workspace.repo(), Path::new(""), &mut sources)?;
    let mut findings: Vec<Finding> = sources.iter().flat_map(one).collect();
    findings.extend(edges::crates(&sources));
    findings.extend(edges::module(&sources));
    findings.extend(laws::check(&sources));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}

/// Every rule that looks at one file at a time.
fn one(source: &Source) -> Vec<Finding> {
    let mut findings = text::check(source);
    if source.is_rust() {
        findings.extend(unsafety::check(source));
    }
    findings
}

/// The text files of the checkout.
fn collect(repo: &Path, inner: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let dir = repo.join(inner);
    for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        let (path, name) = (inner.join(entry.file_name()), entry.file_name());
        let kind = entry
            .file_type()
            .with_context(|| format!("read {}", path.display()))?;
        if kind.is_dir() {
            let skipped = SKIPPED.iter().any(|skipped| name == *skipped)
                || SEEDS.iter().any(|seeds| path == Path::new(seeds));
            if !skipped {
                collect(repo, &path, sources)?;
            }
        } else if kind.is_file() && name != "Cargo.lock" {
            let bytes =
                fs::read(repo.join(&path)).with_context(|| format!("read {}", path.display()))?;
            // Rules are about text; a picture or a fuzzer's seed has none.
            if let Ok(text) = String::from_utf8(bytes) {
                sources.push(Source { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source {
        path: PathBuf::from(path),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_file_and_line() {
        let source = source("a/b.rs", "");
        assert_eq!(Finding::new(&source, 3, "bad").to_string(), "a/b.rs:3: bad");
        assert_eq!(Finding::new(&source, 0, "bad").to_string(), "a/b.rs: bad");
    }

    #[test]
    fn build_output_and_lock_file_are_not_looked_at() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for path in [
            "target/x.rs",
            "a/target/x.rs",
            "fuzz/corpus/x.rs",
            "a/b.rs",
            "a/coverage/b.rs",
            ".ci/run",
            "Cargo.lock",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
            fs::write(path, "x").expect("file");
        }
        let mut sources = Vec::new();
        collect(dir.path(), Path::new(""), &mut sources).expect("sources");
        let mut paths: Vec<_> = sources
            .iter()
            .map(|source| source.path.display().to_string())
            .collect();
        paths.sort();
        assert_eq!(paths, [".ci/run", "a/b.rs", "a/coverage/b.rs"]);
    }
}

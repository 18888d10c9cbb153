// SPDX-License-Identifier: GPL-2.0

//! The checkout: where it is, where its build output goes, and cargo run in it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::exec;

/// The checkout xtask was built from.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    repo: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout by xtask's own manifest, so that it works in every subdirectory.
    pub(crate) fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let repo = manifest
            .parent()
            .with_context(|| format!("{} has no parent", manifest.display()))?
            .to_owned();
        if !repo.join("qemu/kernels.toml").exists() {
            bail!(
                "{} is not a checkout of evfilter any more; run this through `cargo xtask` inside one",
                repo.display()
            );
        }
        let repo = repo
            .canonicalize()
            .with_context(|| format!("{}", repo.display()))?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            // Cargo takes a relative one from where it was called.
            Some(dir) => std::path::absolute(&dir)
                .with_context(|| format!("CARGO_TARGET_DIR={}", dir.display()))?,
            None => repo.join("target"),
        };
        let out = target.join("evfilter");
        fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
        let text = out.to_string_lossy();
        if text.contains([' ', '\t', '\n', ':', '#', '$', '\'', '"'])
            || repo
                .to_string_lossy()
                .contains([' ', '\t', '\n', ':', '#', '$', '\'', '"'])
        {
            bail!(
                "{text:?} or the checkout {repo:?} has a blank, colon, quote, # or $ in its name, which kernel builds do not support"
            );
        }
        Ok(Self { repo, target })
    }

    /// The checkout.
    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where everything that is not cargo's goes.
    pub(crate) fn out(&self) -> PathBuf {
        self.target.join("evfilter")
    }

    /// Where the log of a step called `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.out().join("log").join(format!("{name}.log"))
    }

    /// Keeps two runs in one checkout from building over each other.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.out().join("lock");
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "another cargo xtask is building in {}; waiting for it",
                    self.out().display()
                );
                file.lock()
                    .with_context(|| format!("lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        Ok(file)
    }

    /// Cargo, run at the top of the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(&self.repo)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never");
        command
    }

    /// What cargo knows of the workspace and its dependencies, as JSON.
    pub(crate) fn metadata(&self) -> Result<String> {
        let ask = |more: &[&str]| {
            exec::output(
                self.cargo()
                    .args(["metadata", "--locked", "--format-version=1"])
                    .args(more),
            )
        };
        // Without --offline cargo may look at the network for what it already has.
        ask(&["--offline"]).or_else(|_| ask(&[]))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `evfilter.ko`: Kbuild, run in the build root against the stock kernel or on the host against the user's own tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::buildroot::Root;
use crate::cache;
use crate::debug::DebugKernel;
use crate::exec;
use crate::kernel::Kernel;
use crate::setup::Kit;
use crate::tree;
use crate::workspace::Workspace;

/// The bought crates that `filters`, as part of the module, is built from.
const CRATES: [&str; 4] = ["heapless", "hash32", "byteorder", "stable_deref_trait"];

/// What the module is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be used: as the kernel's own build does.
    Use,
    /// Extra warnings (W=1).
    Warnings,
    /// Extra warnings and clippy (CLIPPY=1).
    Clippy,
    /// Instrumented, so that its collector learns which blocks run (COVERAGE=1).
    Coverage,
}

impl Purpose {
    /// The suffix of everything a build of this kind leaves behind.
    fn suffix(self) -> &'static str {
        match self {
            Self::Use => "",
            Self::Warnings => "-w1",
            Self::Clippy => "-clippy",
            Self::Coverage => "-coverage",
        }
    }

    /// The name of its log.
    pub(crate) fn log(self) -> &'static str {
        match self {
            Self::Use => "module",
            Self::Warnings => "module-w1",
            Self::Clippy => "module-clippy",
            Self::Coverage => "module-coverage",
        }
    }
}

/// The user's own kernel tree (`--kdir`).
#[derive(Clone, Debug)]
pub(crate) struct OwnTree {
    dir: PathBuf,
    config: String,
    release: String,
}

impl OwnTree {
    /// Checks that the tree is configured for Rust and built.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let dir = dir
            .canonicalize()
            .with_context(|| format!("--kdir {}", dir.display()))?;
        let read = |name: &str, advice: &str| {
            fs::read_to_string(dir.join(name))
                .with_context(|| format!("--kdir {}: no {name}; {advice}", dir.display()))
        };
        let config = read(".config", "configure the tree first (make menuconfig)")?;
        Kernel::check_config(&config, &format!("--kdir {}", dir.display()))?;
        let release = read("include/config/kernel.release", "build it first (make)")?
            .trim()
            .to_owned();
        let tree = Self {
            config,
            release,
            dir,
        };
        for (file, advice) in [
            (tree.image(), "build it first (make bzImage)"),
            (tree.dir.join("Module.symvers"), "build it first (make)"),
        ] {
            if !file.exists() {
                bail!("--kdir: no {}; {advice}", file.display());
            }
        }
        Ok(tree)
    }

    /// The kernel it boots.
    pub(crate) fn image(&self) -> PathBuf {
        self.dir.join("arch/x86/boot/bzImage")
    }

    /// `uname -r`.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    fn llvm(&self) -> bool {
        self.config
            .lines()
            .any(|line| line == "CONFIG_CC_IS_CLANG=y")
    }

    fn make(&self) -> Result<Command> {
        // Not RUSTC: cargo would build this very program with it.
        let rustc = std::env::var("KERNEL_RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let option = "CONFIG_RUSTC_VERSION_TEXT";
        let wanted = Kernel::config_text(&self.config, option)
            .with_context(|| format!("{}: no {option}", self.dir.display()))?;
        let got = exec::output(Command::new(&rustc).arg("--version").current_dir(&self.dir))?;
        let got = got.trim();
        if got != wanted {
            bail!(
                "--kdir: {rustc} is {got:?}, but the tree in {} was configured with {wanted:?}; name that compiler in the environment, KERNEL_RUSTC=PATH",
                self.dir.display()
            );
        }
        let mut make = Command::new("make");
        make.arg("-C").arg(&self.dir).arg(format!("RUSTC={rustc}"));
        if self.llvm() {
            make.arg("LLVM=1");
        }
        // Cargo's own settings must not reach the kernel's rustc.
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "MAKEFLAGS",
            "MFLAGS",
            "CARGO_MAKEFLAGS",
        ] {
            make.env_remove(name);
        }
        Ok(make)
    }
}

/// What the module is built against.
#[derive(Clone, Debug)]
pub(crate) enum Target<'a> {
    /// The stock kernel of the cache.
    Stock(&'a Kit),
    /// A debug kernel of the cache.
    Debug(&'a DebugKernel),
    /// The user's own.
    Own(&'a OwnTree),
}

impl Target<'_> {
    /// The kernel to boot.
    pub(crate) fn image(&self) -> PathBuf {
        match self {
            Self::Stock(kit) => kit.image(),
            Self::Debug(kernel) => kernel.image(),
            Self::Own(tree) => tree.image(),
        }
    }

    /// A name for everything made for this kernel.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Stock(kit) => kit.kernel.key(),
            Self::Debug(kernel) => kernel.key().to_owned(),
            Self::Own(tree) => format!("own-{}", tree.release()),
        }
    }

    /// `uname -r`.
    pub(crate) fn release(&self) -> &str {
        match self {
            Self::Stock(kit) => &kit.kernel.release,
            Self::Debug(kernel) => kernel.release(),
            Self::Own(tree) => tree.release(),
        }
    }

    /// The root in which it is built against; none for the user's own, which is built against on the host.
    pub(crate) fn root(&self) -> Option<Root> {
        match self {
            Self::Stock(kit) => Some(kit.root()),
            Self::Debug(kernel) => Some(kernel.root().clone()),
            Self::Own(_) => None,
        }
    }

    /// The make command, with the directories it needs visible to it.
    fn make(&self, workspace: &Workspace, out: &Path, words: Vec<String>) -> Result<Command> {
        match self {
            Self::Stock(kit) => {
                let config = kit.config();
                let config = fs::read_to_string(&config)
                    .with_context(|| format!("read {}", config.display()))?;
                kit.root()
                    .inside("make")
                    .args(["-C".to_owned(), kit.tree().display().to_string()])
                    .args(tree::make_words(&tree::c_compiler(&config)?, &kit.kernel))
                    .args(words)
                    .bind(&kit.source())
                    .bind(&kit.tree())
                    .bind(workspace.repo())
                    .bind(out)
                    .command()
            }
            Self::Debug(kernel) => kernel
                .make()
                .args(words)
                .bind(workspace.repo())
                .bind(out)
                .command(),
            Self::Own(tree) => {
                let mut make = tree.make()?;
                make.args(words);
                Ok(make)
            }
        }
    }
}

/// Builds the module and gives the file and the compiler's warnings. `note` hears each line of the build.
pub(crate) fn build(
    target: &Target<'_>,
    workspace: &Workspace,
    purpose: Purpose,
    note: impl FnMut(&str),
) -> Result<(PathBuf, Vec<String>)> {
    let out = out(target, workspace, purpose.suffix());
    let objects = out.join("objects");
    if matches!(purpose, Purpose::Warnings | Purpose::Clippy) {
        // Only what is compiled is checked.
        cache::remove_tree(&objects).with_context(|| format!("remove {}", objects.display()))?;
    }
    fs::create_dir_all(&objects).with_context(|| format!("create {}", objects.display()))?;
    let crates = stage_crates(workspace, &out.join("crates"))?;
    let mut words = vec![format!("CRATES={}", crates.display())];
    match purpose {
        Purpose::Use => {}
        Purpose::Warnings => words.push("W=1".to_owned()),
        Purpose::Clippy => words.extend(["W=1".to_owned(), "CLIPPY=1".to_owned()]),
        Purpose::Coverage => {
            let symbols = out.join(COLLECTOR).join("Module.symvers");
            words.push("COVERAGE=1".to_owned());
            words.push(format!("KBUILD_EXTRA_SYMBOLS={}", symbols.display()));
        }
    }
    let job = Job {
        source: "module",
        name: "evfilter.ko",
        objects,
        out,
        words,
        log: workspace.log(purpose.log()),
    };
    job.run(target, workspace, note).context("build the module")
}

/// Builds the module that a module for [`Purpose::Coverage`] reports to, before that one.
pub(crate) fn build_collector(
    target: &Target<'_>,
    workspace: &Workspace,
    note: impl FnMut(&str),
) -> Result<(PathBuf, Vec<String>)> {
    let out = out(target, workspace, Purpose::Coverage.suffix());
    let objects = out.join(COLLECTOR);
    fs::create_dir_all(&objects).with_context(|| format!("create {}", objects.display()))?;
    let job = Job {
        source: "tests/collector",
        name: "evf_coverage.ko",
        objects,
        out,
        words: Vec::new(),
        log: workspace.log("collector"),
    };
    job.run(target, workspace, note)
        .context("build the collector")
}

/// Where the collector is made, beside the module that reports to it.
const COLLECTOR: &str = "collector";

/// Where a build for `target` leaves everything.
fn out(target: &Target<'_>, workspace: &Workspace, suffix: &str) -> PathBuf {
    workspace
        .out()
        .join("module")
        .join(format!("{}{suffix}", target.key()))
}

/// One run of Kbuild.
struct Job {
    /// The directory with the Kbuild, in the checkout.
    source: &'static str,
    /// The module it makes.
    name: &'static str,
    /// Where its objects go; it is there already, in `out`, all of which the compilers see.
    objects: PathBuf,
    out: PathBuf,
    words: Vec<String>,
    log: PathBuf,
}

impl Job {
    fn run(
        self,
        target: &Target<'_>,
        workspace: &Workspace,
        mut note: impl FnMut(&str),
    ) -> Result<(PathBuf, Vec<String>)> {
        let dir = workspace.repo().join(self.source);
        if !dir.join("Kbuild").exists() && !dir.join("Makefile").exists() {
            bail!("{}: neither Kbuild nor Makefile there", dir.display());
        }
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut words = vec![
            format!("M={}", dir.display()),
            format!("MO={}", self.objects.display()),
            format!("-j{jobs}"),
            "modules".to_owned(),
        ];
        words.extend(self.words);
        let mut warnings = Vec::new();
        let mut make = target.make(workspace, &self.out, words)?;
        exec::run_with(&mut make, &self.log, |line| {
            if is_warning(line) {
                warnings.push(line.to_owned());
            }
            note(line);
        })?;
        let module = self.objects.join(self.name);
        if !module.exists() {
            bail!(
                "the build succeeded but made no {}; see {}",
                module.display(),
                self.log.display()
            );
        }
        Ok((module, warnings))
    }
}

/// The command that lets the kernel describe its crates and the module's root, the file it writes, and the directory
/// of the bought crates.
pub(crate) fn rust_analyzer(
    target: &Target<'_>,
    workspace: &Workspace,
) -> Result<(Command, PathBuf, PathBuf)> {
    let out = workspace
        .out()
        .join("module")
        .join(format!("{}-analyzer", target.key()));
    let objects = out.join("objects");
    fs::create_dir_all(&objects).with_context(|| format!("create {}", objects.display()))?;
    let crates = stage_crates(workspace, &out.join("crates"))?;
    let words = vec![
        format!("M={}", workspace.repo().join("module").display()),
        format!("MO={}", objects.display()),
        format!("CRATES={}", crates.display()),
        "rust-analyzer".to_owned(),
    ];
    Ok((
        target.make(workspace, &out, words)?,
        objects.join("rust-project.json"),
        crates,
    ))
}

/// Whether a line of a build is a diagnostic of rustc, gcc, objtool, modpost or make.
fn is_warning(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    // The headers package was made from a full build; an out-of-tree build cannot see vmlinux and says so.
    let expected = lower.contains("skipping btf generation");
    !expected
        && (lower.starts_with("warning:")
            || lower.starts_with("warning[")
            || lower.contains(": warning:")
            || lower.contains("objtool: "))
}

/// Copies the sources named by [`CRATES`] from where cargo has them to `into`, one directory each without a version.
fn stage_crates(workspace: &Workspace, into: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        manifest_path: PathBuf,
    }
    let metadata: Metadata = serde_json::from_str(&workspace.metadata()?)
        .context("read the output of cargo metadata")?;
    for name in CRATES {
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name == name)
            .with_context(|| {
                format!("the module needs the crate {name}, which Cargo.lock does not have")
            })?;
        let from = package
            .manifest_path
            .parent()
            .with_context(|| format!("{name}: manifest without a directory"))?;
        let to = into.join(name);
        let stamp = to.join(".evf-version");
        if fs::read_to_string(&stamp).is_ok_and(|version| version == package.version) {
            continue;
        }
        cache::remove_tree(&to).with_context(|| format!("remove {}", to.display()))?;
        copy_tree(from, &to)
            .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        fs::write(&stamp, &package.version)
            .with_context(|| format!("write {}", stamp.display()))?;
    }
    Ok(into.to_owned())
}

/// Copies a directory tree of plain files.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?
        } else {
            fs::copy(entry.path(), to).map(|_| ())?
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_every_tool_are_seen() {
        for line in [
            "warning: unused variable: `x`",
            "/m/shim.c:3:5: warning: unused variable 'x' [-Wunused-variable]",
            "WARNING: modpost: missing MODULE_DESCRIPTION()",
            "evfilter.o: warning: objtool: f+0x1: unreachable instruction",
        ] {
            assert!(is_warning(line), "{line}");
        }
        for line in [
            "  RUSTC [M] warnings.o",
            "Skipping BTF generation for evfilter.ko due to unavailability of vmlinux",
        ] {
            assert!(!is_warning(line), "{line}");
        }
    }

    #[test]
    fn own_tree_says_what_is_missing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let open = || {
            format!(
                "{:#}",
                OwnTree::open(dir.path())
                    .map(|_| ())
                    .expect_err("incomplete")
            )
        };
        assert!(open().contains("no .config"));
        fs::write(dir.path().join(".config"), "CONFIG_CC_IS_CLANG=y\n").expect("file");
        assert!(open().contains("CONFIG_RUST is not set"));
        fs::write(
            dir.path().join(".config"),
            "CONFIG_CC_IS_CLANG=y\nCONFIG_RUST=y\n",
        )
        .expect("file");
        assert!(open().contains("kernel.release"));
        fs::create_dir_all(dir.path().join("include/config")).expect("directory");
        fs::write(
            dir.path().join("include/config/kernel.release"),
            "7.3.0-own\n",
        )
        .expect("file");
        assert!(open().contains("bzImage"));
        fs::create_dir_all(dir.path().join("arch/x86/boot")).expect("directory");
        fs::write(dir.path().join("arch/x86/boot/bzImage"), "").expect("file");
        assert!(open().contains("Module.symvers"));
        fs::write(dir.path().join("Module.symvers"), "").expect("file");
        let tree = OwnTree::open(dir.path()).expect("complete");
        assert!(tree.llvm() && tree.release() == "7.3.0-own");
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The debug kernel: the stock kernel's source under `qemu/debug.config`, built once and kept in the cache.
//!
//! Rust under KASAN needs a kernel that clang has built, so it has a build root of its own ([`Kit::clang_root`]). A build that was interrupted
//! goes on where it was; one of another configuration rebuilds what that changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::buildroot::{Inside, Root};
use crate::cache::Lock;
use crate::exec;
use crate::kernel::Kernel;
use crate::progress::Step;
use crate::setup::Kit;
use crate::workspace::Workspace;

/// Raised when the same configuration is built in another way.
const RECIPE: &str = "1";
/// The stock kernel's compiler leaves `do_getname` a function, clang would put it into the two that io_uring calls. There the module could not
/// hook it, and would refuse this kernel.
const WORDS: [&str; 1] = ["CFLAGS_namei.o=-finline-hint-functions"];
/// The changes to the stock configuration.
const FRAGMENT: &str = "qemu/debug.config";
/// Its name in the cache.
pub(crate) const PART: &str = "debug";
/// How many unheeded lines of the fragment an error lists.
const LISTED: usize = 20;

/// The debug kernel, built.
#[derive(Debug)]
pub(crate) struct DebugKernel {
    source: PathBuf,
    tree: PathBuf,
    root: Root,
    llvm: String,
    release: String,
    key: String,
    /// Nobody builds it anew while it is used.
    _kept: Lock,
}

impl DebugKernel {
    /// Builds it, unless the cache has it as the checkout's fragment describes it.
    pub(crate) fn ensure(workspace: &Workspace, kit: &Kit) -> Result<Self> {
        let path = workspace.repo().join(FRAGMENT);
        let fragment =
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let stock = kit.config();
        let stock =
            fs::read_to_string(&stock).with_context(|| format!("read {}", stock.display()))?;
        let name = kit.name(PART);
        let llvm = llvm(&stock)?;
        let recipe = format!(
            "evfilter {RECIPE} debug {} LLVM {llvm} {}\n{fragment}",
            kit.kernel.version,
            WORDS.join(" ")
        );
        let (cache, lock) = (kit.cache(), kit.name("debug.lock"));
        let mut kept = cache.lock_shared_at(&lock)?;
        while !cache.has(&name, &recipe) {
            drop(kept);
            let alone = cache.lock_exclusive_at(&lock)?;
            let tree = cache.path(&name);
            cache
                .entry_in_place(&alone, &name, &recipe, |tree| {
                    build(
                        kit,
                        tree,
                        &llvm,
                        &configuration(&stock, &fragment),
                        &fragment,
                    )
                })
                .with_context(|| {
                format!(
                    "the debug kernel in {0}; what an earlier build has left there is used again: if it is broken, remove {0}",
                    tree.display()
                )
            })?;
            drop(alone);
            kept = cache.lock_shared_at(&lock)?;
        }
        let tree = cache.path(&name);
        let release = tree.join("include/config/kernel.release");
        let release = fs::read_to_string(&release)
            .with_context(|| format!("read {}", release.display()))?
            .trim()
            .to_owned();
        Ok(Self {
            source: kit.source(),
            tree,
            root: kit.clang_root(),
            llvm,
            release,
            key: format!("{}-debug", kit.kernel.key()),
            _kept: kept,
        })
    }

    /// The kernel it boots.
    pub(crate) fn image(&self) -> PathBuf {
        self.tree.join("arch/x86/boot/bzImage")
    }

    /// `uname -r`.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// A name for everything made for it.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The root whose compilers have built it.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// make, in its tree.
    pub(crate) fn make(&self) -> Inside {
        make(&self.root, &self.tree, &self.llvm)
            .bind(&self.source)
            .bind(&self.tree)
    }
}

/// The version of LLVM that the kernel's rustc has: clang of the same works on the same code.
pub(crate) fn llvm(config: &str) -> Result<String> {
    const OPTION: &str = "CONFIG_RUSTC_LLVM_MAJOR_VERSION=";
    config
        .lines()
        .find_map(|line| line.strip_prefix(OPTION))
        .map(str::to_owned)
        .with_context(|| format!("the kernel configuration has no {OPTION}"))
}

/// The packages that the debug kernel's build root has besides those of the stock kernel's.
pub(crate) fn packages(config: &str) -> Result<[String; 3]> {
    let version = llvm(config)?;
    Ok(["clang", "lld", "llvm"].map(|name| format!("{name}-{version}")))
}

fn make(root: &Root, dir: &Path, llvm: &str) -> Inside {
    root.inside("make").args([
        "-C".to_owned(),
        dir.display().to_string(),
        format!("LLVM=-{llvm}"),
    ])
}

/// The stock configuration without its modules, then the fragment: of two lines for one option the later holds.
fn configuration(stock: &str, fragment: &str) -> String {
    let mut text = String::new();
    for line in stock.lines() {
        match line.strip_suffix("=m") {
            Some(option) => text.push_str(&format!("# {option} is not set\n")),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text + fragment
}

/// The lines of the fragment that do not hold in `config`.
fn unheeded<'a>(fragment: &'a str, config: &str) -> Vec<&'a str> {
    let has = |line: &str| config.lines().any(|known| known == line);
    let is_set = |option: &str| {
        let mut known = config.lines().filter_map(|line| line.split_once('='));
        known.any(|(name, _)| name == option)
    };
    fragment
        .lines()
        .filter(|line| {
            let off = line
                .strip_prefix("# ")
                .and_then(|line| line.strip_suffix(" is not set"));
            match off {
                Some(option) => is_set(option),
                None => line.starts_with("CONFIG_") && !has(line),
            }
        })
        .collect()
}

fn build(kit: &Kit, tree: &Path, llvm: &str, config: &str, fragment: &str) -> Result<()> {
    let (source, root) = (kit.source(), kit.clang_root());
    let run = |targets: &[&str], log: &str, step: &mut Step| {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = make(&root, &source, llvm)
            .args([format!("O={}", tree.display()), format!("-j{jobs}")])
            .args(WORDS)
            .args(targets.iter().copied())
            .bind(&source)
            .bind(tree)
            .command()?;
        let mut lines = 0_u32;
        exec::run_with(&mut command, &kit.cache().log(log), |line| {
            lines += 1;
            step.say(&format!("{lines} steps, {}", line.trim()));
        })
    };
    let mut step = Step::new(1, 2, "configuration of the debug kernel");
    let path = tree.join(".config");
    fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
    run(&["olddefconfig"], "debug-config", &mut step)?;
    let made = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Kernel::check_config(
        &made,
        "the debug kernel (its root's Rust tools do not satisfy the kernel)",
    )?;
    let unheeded = unheeded(fragment, &made);
    if !unheeded.is_empty() {
        bail!(
            "this kernel does not take all of {FRAGMENT}, for want of something else or because the option has another name by now:\n  {}",
            unheeded
                .iter()
                .take(LISTED)
                .copied()
                .collect::<Vec<_>>()
                .join("\n  ")
        );
    }
    step.done("");
    let mut step = Step::new(2, 2, "debug kernel, once");
    run(&["bzImage", "modules"], "debug-build", &mut step)?;
    step.done("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str =
        "CONFIG_A=y\nCONFIG_B=m\nCONFIG_RUSTC_LLVM_MAJOR_VERSION=19\n# CONFIG_C is not set\n";

    #[test]
    fn modules_are_left_out_and_the_fragment_comes_last() {
        assert_eq!(
            configuration(STOCK, "CONFIG_B=y\n"),
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_RUSTC_LLVM_MAJOR_VERSION=19\n# CONFIG_C is not set\nCONFIG_B=y\n"
        );
    }

    #[test]
    fn option_that_the_kernel_did_not_take_is_found() {
        let fragment = "# a comment\nCONFIG_A=y\nCONFIG_N=8\n# CONFIG_OFF is not set\n# CONFIG_ABSENT is not set\nCONFIG_D=y\n";
        assert_eq!(
            unheeded(
                fragment,
                "CONFIG_A=y\nCONFIG_N=64\nCONFIG_OFF=y\n# CONFIG_D is not set\nCONFIG_AB=y\n"
            ),
            ["CONFIG_N=8", "# CONFIG_OFF is not set", "CONFIG_D=y"]
        );
    }

    #[test]
    fn clang_is_of_the_version_that_rustc_has() {
        assert_eq!(
            packages(STOCK).expect("packages"),
            ["clang-19", "lld-19", "llvm-19"]
        );
        assert!(llvm("").is_err());
    }

    #[test]
    fn fragment_in_the_checkout_asks_for_what_it_promises() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the checkout");
        let fragment = fs::read_to_string(repo.join(FRAGMENT)).expect(FRAGMENT);
        for option in [
            "KASAN",
            "PROVE_LOCKING",
            "PROVE_RCU",
            "DEBUG_ATOMIC_SLEEP",
            "DEBUG_OBJECTS",
            "DEBUG_KMEMLEAK",
            "UBSAN",
            "FAILSLAB",
            "RUST_DEBUG_ASSERTIONS",
        ] {
            assert!(
                fragment.contains(&format!("\nCONFIG_{option}=y\n")),
                "{option}"
            );
        }
    }
}

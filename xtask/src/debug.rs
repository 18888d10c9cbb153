// SPDX-License-Identifier: GPL-2.0

//! The debug kernels: the stock kernel's source under `qemu/debug.config` and what follows it, built once each and kept in the cache.
//!
//! Rust under KASAN needs a kernel that clang has built, so they have a build root of their own ([`Kit::clang_root`]). A build that was interrupted
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
/// What makes a debug kernel of the stock one.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Its name in the cache.
    pub(crate) part: &'static str,
    /// The changes to the stock configuration, in files of the checkout: of two lines for one option the later holds.
    fragments: &'static [&'static str],
    /// Words for make when the module is built.
    module: &'static [&'static str],
    /// Whether rustc must know of its target that code for it can be watched for races. The kernel's own description of the target does not say
    /// so, because nobody has tried the kernel's crates with it; the module's code alone is watched here.
    races: bool,
}

/// Watches memory, locks, contexts and counts, and fails allocations when asked.
pub(crate) const KASAN: Recipe = Recipe {
    part: "debug",
    fragments: &["qemu/debug.config"],
    module: &[],
    races: false,
};
/// Watches for data races. What clang is told by the kernel, rustc is told here.
pub(crate) const KCSAN: Recipe = Recipe {
    part: "kcsan",
    fragments: &["qemu/debug.config", "qemu/kcsan.config"],
    module: &[
        "KRUSTFLAGS=-Zsanitizer=thread -Cllvm-args=-tsan-distinguish-volatile=1 -Cllvm-args=-tsan-compound-read-before-write=1 -Cllvm-args=-tsan-instrument-func-entry-exit=0",
    ],
    races: true,
};
/// What describes the target to rustc, in the kernel's source.
const TARGET: &str = "scripts/generate_rust_target.rs";
/// How many unheeded lines of the fragment an error lists.
const LISTED: usize = 20;

impl Recipe {
    /// All its fragments, one after the other.
    fn fragment(&self, repo: &Path) -> Result<String> {
        let read = |file: &&str| {
            let path = repo.join(file);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        self.fragments.iter().map(read).collect()
    }
}

/// A debug kernel, built.
#[derive(Debug)]
pub(crate) struct DebugKernel {
    recipe: &'static Recipe,
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
    /// Builds it, unless the cache has it as the checkout's fragments describe it.
    pub(crate) fn ensure(
        workspace: &Workspace,
        kit: &Kit,
        recipe: &'static Recipe,
    ) -> Result<Self> {
        let fragment = recipe.fragment(workspace.repo())?;
        let stock = kit.config();
        let stock =
            fs::read_to_string(&stock).with_context(|| format!("read {}", stock.display()))?;
        let name = kit.name(recipe.part);
        let llvm = llvm(&stock)?;
        let stamp = format!(
            "evfilter {RECIPE} {} {} LLVM {llvm} {}\n{fragment}",
            recipe.part,
            kit.kernel.version,
            WORDS.join(" ")
        );
        let (cache, lock) = (kit.cache(), kit.name(&format!("{}.lock", recipe.part)));
        let mut kept = cache.lock_shared_at(&lock)?;
        while !cache.has(&name, &stamp) {
            drop(kept);
            let alone = cache.lock_exclusive_at(&lock)?;
            let tree = cache.path(&name);
            cache
                .entry_in_place(&alone, &name, &stamp, |tree| {
                    Build { kit, recipe, tree, llvm: &llvm }
                        .run(&configuration(&stock, &fragment), &fragment)
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
            recipe,
            source: kit.source(),
            tree,
            root: kit.clang_root(),
            llvm,
            release,
            key: format!("{}-{}", kit.kernel.key(), recipe.part),
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

    /// make of a module, in its tree.
    pub(crate) fn make(&self) -> Inside {
        make(&self.root, &self.tree, &self.llvm)
            .args(self.recipe.module.iter().copied())
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

/// The option that a line of a configuration is about.
fn option(line: &str) -> Option<&str> {
    match line.strip_prefix("# ") {
        Some(off) => off.strip_suffix(" is not set"),
        None => line.split_once('=').map(|(option, _)| option),
    }
}

/// The lines of the fragment that do not hold in `config`; a line does not count if a later one is about the same option.
fn unheeded<'a>(fragment: &'a str, config: &str) -> Vec<&'a str> {
    let has = |line: &str| config.lines().any(|known| known == line);
    let is_set = |option: &str| {
        let mut known = config.lines().filter_map(|line| line.split_once('='));
        known.any(|(name, _)| name == option)
    };
    let lines: Vec<(&str, &str)> = fragment
        .lines()
        .filter_map(|line| Some((option(line)?, line)))
        .collect();
    let last = |(at, (option, _)): &(usize, &(&str, &str))| {
        lines[at + 1..].iter().all(|(later, _)| later != option)
    };
    lines
        .iter()
        .enumerate()
        .filter(last)
        .map(|(_, line)| *line)
        .filter(|(option, line)| match line.starts_with('#') {
            true => is_set(option),
            false => !has(line),
        })
        .map(|(_, line)| line)
        .collect()
}

/// One build of a debug kernel.
struct Build<'a> {
    kit: &'a Kit,
    recipe: &'static Recipe,
    tree: &'a Path,
    llvm: &'a str,
}

impl Build<'_> {
    fn run(&self, config: &str, fragment: &str) -> Result<()> {
        let mut step = Step::new(1, 2, "configuration of the debug kernel");
        let path = self.tree.join(".config");
        fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
        self.make(&["olddefconfig"], "config", &mut step)?;
        let made = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Kernel::check_config(
            &made,
            "the debug kernel (its root's Rust tools do not satisfy the kernel)",
        )?;
        let unheeded = unheeded(fragment, &made);
        if !unheeded.is_empty() {
            bail!(
                "this kernel does not take all of {}, for want of something else or because the option has another name by now:\n  {}",
                self.recipe.fragments.join(" and "),
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
        self.make(&["bzImage", "modules"], "build", &mut step)?;
        step.done("");
        Ok(())
    }

    fn make(&self, targets: &[&str], log: &str, step: &mut Step) -> Result<()> {
        let source = self.kit.source();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut inside = make(&self.kit.clang_root(), &source, self.llvm)
            .args([format!("O={}", self.tree.display()), format!("-j{jobs}")])
            .args(WORDS)
            .args(targets.iter().copied())
            .bind(&source)
            .bind(self.tree);
        if self.recipe.races {
            inside = inside.bind_at(&self.target()?, &source.join(TARGET));
        }
        let log = format!("{}-{log}", self.recipe.part);
        let mut lines = 0_u32;
        exec::run_with(
            &mut inside.command()?,
            &self.kit.cache().log(&log),
            |line| {
                lines += 1;
                step.say(&format!("{lines} steps, {}", line.trim()));
            },
        )
    }

    /// The kernel's description of the target, with the sanitizer that finds races.
    fn target(&self) -> Result<PathBuf> {
        let path = self.kit.source().join(TARGET);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let changed = with_races(&text)
            .with_context(|| format!("{}: no sanitizers are named there", path.display()))?;
        let place = self.tree.join(".evf-rust-target.rs");
        // The same text keeps its time: make would build all Rust code anew.
        if fs::read_to_string(&place).is_ok_and(|text| text == changed) {
            return Ok(place);
        }
        fs::write(&place, changed).with_context(|| format!("write {}", place.display()))?;
        Ok(place)
    }
}

/// The program that describes the x86-64 target, made to name one sanitizer more.
fn with_races(program: &str) -> Option<String> {
    const KNOWN: &str = "[\"kcfi\", \"kernel-address\"]";
    let (x86, others) = program.split_once(KNOWN)?;
    Some(format!(
        "{x86}[\"kcfi\", \"kernel-address\", \"thread\"]{others}"
    ))
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
    fn of_two_lines_for_one_option_the_later_counts() {
        let fragment = "CONFIG_A=y\n# CONFIG_B is not set\n# CONFIG_A is not set\nCONFIG_B=2\n";
        assert!(unheeded(fragment, "# CONFIG_A is not set\nCONFIG_B=2\n").is_empty());
        assert_eq!(
            unheeded(fragment, "CONFIG_A=y\n"),
            ["# CONFIG_A is not set", "CONFIG_B=2"]
        );
    }

    #[test]
    fn target_gets_the_sanitizer_for_races() {
        let program = "ts.push(\"supported-sanitizers\", [\"kcfi\", \"kernel-address\"]);";
        assert_eq!(
            with_races(program).as_deref(),
            Some("ts.push(\"supported-sanitizers\", [\"kcfi\", \"kernel-address\", \"thread\"]);")
        );
        assert_eq!(with_races("ts.push"), None);
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
        let races = KCSAN.fragment(repo).expect("fragments");
        assert!(races.contains("\nCONFIG_KCSAN=y\n"));
        let fragment = KASAN.fragment(repo).expect("fragments");
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

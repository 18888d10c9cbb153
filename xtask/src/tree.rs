// SPDX-License-Identifier: GPL-2.0

//! The kernel tree modules are built against: the stock configuration, prepared with the stock compilers.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::buildroot::Root;
use crate::exec;
use crate::kernel::Kernel;
use crate::progress::Step;
use crate::setup::Kit;

/// The C compiler a kernel was built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CCompiler {
    /// Its command, `x86_64-linux-gnu-gcc-14`.
    pub(crate) command: String,
    /// The command that builds the tools of the kernel build itself, and the package that has both: `gcc-14`.
    pub(crate) package: String,
}

/// Reads from a stock configuration which C compiler is needed.
pub(crate) fn c_compiler(config: &str) -> Result<CCompiler> {
    const OPTION: &str = "CONFIG_CC_VERSION_TEXT";
    let text = Kernel::config_text(config, OPTION)
        .with_context(|| format!("the kernel configuration has no {OPTION}"))?;
    let command = text.split(' ').next().unwrap_or_default();
    match command.strip_prefix("x86_64-linux-gnu-") {
        Some(package) if package.starts_with("gcc-") => Ok(CCompiler {
            command: command.to_owned(),
            package: package.to_owned(),
        }),
        _ => bail!("the kernel was built by {text:?}; only Debian's gcc for x86_64 is known here"),
    }
}

/// Refuses a root whose compilers are not the ones that built the kernel: a module built by another rustc does not
/// link against the kernel's Rust crates, and one built by another gcc may differ in layout.
pub(crate) fn check_compilers(root: &Root, config: &str, compiler: &CCompiler) -> Result<()> {
    for (option, program) in [
        ("CONFIG_RUSTC_VERSION_TEXT", "rustc"),
        ("CONFIG_CC_VERSION_TEXT", compiler.command.as_str()),
    ] {
        let wanted = Kernel::config_text(config, option)
            .with_context(|| format!("the kernel configuration has no {option}"))?;
        let got = root.version_line(program)?;
        if got != wanted {
            bail!(
                "the build root's {program} is {got:?}, but the kernel was built by {wanted:?} ({option}); the two must be equal. \
                 If the suites have just been updated, try again with `cargo xtask setup --update`"
            );
        }
    }
    Ok(())
}

/// The words every make needs to treat the tree as the stock build did.
pub(crate) fn make_words(compiler: &CCompiler, kernel: &Kernel) -> Vec<String> {
    vec![
        format!("CC={}", compiler.command),
        format!("HOSTCC={}", compiler.package),
        format!("KERNELRELEASE={}", kernel.release),
    ]
}

/// Prepares the tree in the empty directory `new`, under the name it will have when it is done: kernel builds
/// remember absolute paths.
pub(crate) fn prepare(kit: &Kit, new: &Path, compiler: &CCompiler, step: &mut Step) -> Result<()> {
    let (source, place) = (kit.source(), kit.tree());
    let config = kit.config();
    fs::copy(&config, new.join(".config")).with_context(|| format!("copy {}", config.display()))?;
    let make = |target: &[&str]| {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        kit.root()
            .inside("make")
            .args([
                "-C".to_owned(),
                source.display().to_string(),
                format!("O={}", place.display()),
                format!("-j{jobs}"),
            ])
            .args(make_words(compiler, &kit.kernel))
            .args(target.iter().copied())
            .bind(&source)
            .bind_at(new, &place)
            .command()
    };
    let mut lines = 0_u32;
    for (target, log) in [
        (&["olddefconfig"][..], "tree-config"),
        (&["prepare", "modules_prepare"], "tree-prepare"),
    ] {
        exec::run_with(&mut make(target)?, &kit.cache().log(log), |line| {
            lines += 1;
            step.say(&format!("{lines} steps, {}", line.trim()));
        })
        .with_context(|| format!("prepare the tree of kernel {}", kit.kernel.release))?;
    }
    let prepared =
        fs::read_to_string(new.join(".config")).context("read the prepared configuration")?;
    Kernel::check_config(
        &prepared,
        "the prepared tree (the build root's Rust tools do not satisfy the kernel)",
    )?;
    let symbols = config.with_file_name("Module.symvers");
    fs::copy(&symbols, new.join("Module.symvers"))
        .with_context(|| format!("copy {}", symbols.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_is_read_from_the_configuration() {
        let config =
            "CONFIG_CC_VERSION_TEXT=\"x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0\"\n";
        assert_eq!(
            c_compiler(config).expect("gcc"),
            CCompiler {
                command: "x86_64-linux-gnu-gcc-14".to_owned(),
                package: "gcc-14".to_owned()
            }
        );
        assert!(c_compiler("CONFIG_CC_VERSION_TEXT=\"clang version 19\"\n").is_err());
        assert!(
            c_compiler("")
                .expect_err("nothing")
                .to_string()
                .contains("CONFIG_CC_VERSION_TEXT")
        );
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask tables`: the policy language's tables, made from what they describe.
//!
//! Numbers and arguments of system calls come from the kernel's source, names of values from its headers and those of the C library as the
//! compiler reads them, sets of calls from systemd. What a person decides is beside this file (`tables/constants/*.toml`: which names make a
//! group; `tables/coverage/*.toml`: which events see a call) or in `filters/src/lang/args.tbl` (which group an argument takes its values from).

mod c_source;
mod calls;
mod constants;
pub(crate) mod coverage;
mod systemd;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::cache::{self, Cache};
use crate::debian::{self, Apt, Mirror};
use crate::exec;
use crate::kernel::Known;
use crate::progress::Step;
use crate::setup::{self, Kit, Wish};
use crate::tree;
use crate::workspace::Workspace;

/// Where the tables lie in the checkout.
const PLACE: &str = "filters/src/lang";
const STEPS: usize = 4;

/// What `tables` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct TablesArgs {
    /// Write nothing; name the tables that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
}

/// A table: its path below [`PLACE`] and its text.
struct Table {
    path: &'static str,
    text: String,
}

/// A directory that goes when the work in it is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(cache: &Cache) -> Result<Self> {
        let path = cache
            .path("tmp")
            .join(format!("tables-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = cache::remove_tree(&self.0) {
            eprintln!("warning: {} is left behind: {error}", self.0.display());
        }
    }
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &TablesArgs) -> Result<ExitCode> {
    let (kit, _kept) = setup::ensure(workspace.repo(), cache, Wish::default())?;
    let scratch = Scratch::new(cache)?;
    let tables = make(workspace, cache, &kit, &scratch.0)?;
    let place = workspace.repo().join(PLACE);
    let differing: Vec<&Table> = tables
        .iter()
        .filter(|table| {
            fs::read_to_string(place.join(table.path)).ok().as_deref() != Some(&table.text)
        })
        .collect();
    for table in &differing {
        println!("{PLACE}/{}", table.path);
        if !args.check {
            cache::write_atomically(&place.join(table.path), &table.text)?;
        }
    }
    let count = differing.len();
    match (args.check, count) {
        (_, 0) => println!("all {} tables are what their sources say", tables.len()),
        (true, _) => {
            println!("{count} tables differ; cargo xtask tables writes them anew");
            return Ok(ExitCode::FAILURE);
        }
        (false, _) => println!("{count} tables were written"),
    }
    Ok(ExitCode::SUCCESS)
}

fn make(workspace: &Workspace, cache: &Cache, kit: &Kit, scratch: &Path) -> Result<Vec<Table>> {
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let config = read(&kit.config())?;
    let release = release(&read(&kit.source().join("Makefile"))?)?;

    let step = Step::new(1, STEPS, "system calls");
    let definitions = c_source::Definitions::read(&kit.source(), &config)?;
    let mut tables = Vec::new();
    let mut known = BTreeSet::new();
    let mut unresolved = BTreeSet::new();
    for arch in calls::ARCHES {
        let path = kit
            .source()
            .join("arch/x86/entry/syscalls")
            .join(arch.source);
        let made = calls::table(arch, &release, &read(&path)?, &definitions)?;
        known.extend(made.names);
        unresolved.extend(made.unresolved);
        tables.push(Table {
            path: arch.path,
            text: made.text,
        });
    }
    tables.push(Table {
        path: coverage::PATH,
        text: coverage::Classes::read(workspace.repo())?
            .table(&coverage::Surface::read(&kit.source())?, &release)?,
    });
    step.done(&format!("{} names", known.len()));
    if !unresolved.is_empty() {
        let list: Vec<String> = unresolved.into_iter().collect();
        eprintln!(
            "without arguments, because the source has no definition: {}",
            list.join(" ")
        );
    }

    let step = Step::new(2, STEPS, "the kernel's headers");
    let compiler = tree::c_compiler(&config)?;
    let headers = scratch.join("usr/include");
    let mut make = kit
        .root()
        .inside("make")
        .args([
            "-C".to_owned(),
            kit.source().display().to_string(),
            format!("O={}", scratch.join("o").display()),
            format!("HOSTCC={}", compiler.package),
            format!("INSTALL_HDR_PATH={}", scratch.join("usr").display()),
            "headers_install".to_owned(),
        ])
        .bind(&kit.source())
        .bind(scratch)
        .command()?;
    exec::run(&mut make, &cache.log("tables-headers"))
        .context("install the kernel's headers into a scratch directory")?;
    step.done("");

    let step = Step::new(3, STEPS, "names of values");
    let groups = constants::groups(&workspace.repo().join("xtask/src/tables/constants"))?;
    let compile = constants::Compiler {
        root: kit.root(),
        gcc: &compiler.package,
        headers: &headers,
        scratch,
    };
    tables.push(Table {
        path: "constants.tbl",
        text: compile.constants(&groups, &release)?,
    });
    tables.push(Table {
        path: "errno.tbl",
        text: compile.errnos(&release)?,
    });
    step.done(&format!("{} groups", groups.len()));

    let mut step = Step::new(4, STEPS, "systemd's groups");
    let apt = Apt::new(
        cache,
        &Mirror::of_host()?,
        &Known::read(workspace.repo())?.suites(),
    )?;
    apt.update()?;
    let packages = ["systemd".to_owned(), "libsystemd-shared".to_owned()];
    let debs = apt.download(&packages, &mut step)?;
    let unpacked = scratch.join("systemd");
    for deb in &debs {
        debian::unpack(deb, &unpacked, &cache.log("tables-systemd"))?;
    }
    let version = systemd::version(debs.first().map(PathBuf::as_path))?;
    apt.clean()?;
    let listing = systemd::listing(&kit.root(), &unpacked)?;
    tables.push(Table {
        path: "sets/systemd.evf",
        text: systemd::sets(&listing, &version, &known)?,
    });
    step.done(&version);
    Ok(tables)
}

/// Whether every call of the kernel whose source this is has been classified, and the table in the checkout says what the classes say; how many there are.
///
/// # Errors
///
/// Names each call in which they differ.
pub(crate) fn check_coverage(repo: &Path, source: &Path) -> Result<String> {
    let makefile = source.join("Makefile");
    let makefile =
        fs::read_to_string(&makefile).with_context(|| format!("read {}", makefile.display()))?;
    let surface = coverage::Surface::read(source)?;
    let fresh = coverage::Classes::read(repo)?.table(&surface, &release(&makefile)?)?;
    let path = repo.join(PLACE).join(coverage::PATH);
    let table = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    if coverage::body(&fresh) != coverage::body(&table) {
        bail!(
            "{PLACE}/{} is not what its classes say; cargo xtask tables writes it anew",
            coverage::PATH
        );
    }
    let (calls, operations) = surface.counts();
    Ok(format!("{calls} calls, {operations} operations"))
}

/// The release that the kernel's Makefile names: `7.3.4`.
fn release(makefile: &str) -> Result<String> {
    let value = |name: &str| {
        let line = makefile.lines().find_map(|line| {
            line.strip_prefix(name)?
                .trim_start()
                .strip_prefix('=')
                .map(str::trim)
        });
        line.with_context(|| format!("the kernel's Makefile has no {name}"))
    };
    Ok(format!(
        "{}.{}.{}",
        value("VERSION")?,
        value("PATCHLEVEL")?,
        value("SUBLEVEL")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_is_read_from_the_makefile() {
        let makefile = "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n";
        assert_eq!(release(makefile).expect("a release"), "7.3.4");
        assert!(release("VERSION = 7\n").is_err());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask doctor`: what was resolved and made, how large it is, and what is missing with the command that
//! provides it.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use indicatif::HumanBytes;

use crate::buildroot;
use crate::cache::{self, Cache};
use crate::debian::Mirror;
use crate::exec;
use crate::kernel::Kernel;
use crate::qemu::Qemu;
use crate::report;
use crate::setup::Kit;
use crate::tree;
use crate::workspace::Workspace;

/// Programs of the host, what they are for, and the package that has them.
const TOOLS: [(&str, &str, &str); 6] = [
    ("cargo", "builds the programs", "rustup (or cargo)"),
    ("cc", "links them", "gcc"),
    ("apt-get", "downloads packages", "apt"),
    ("dpkg-deb", "unpacks packages", "dpkg"),
    ("perl", "runs mmdebstrap", "perl"),
    ("unshare", "enters the build root", "util-linux"),
];

/// What was found, and how to get what was not.
#[derive(Default)]
struct Findings {
    rows: Vec<Vec<String>>,
    missing: Vec<String>,
}

impl Findings {
    fn good(&mut self, what: &str, value: impl Into<String>) {
        self.rows.push(vec![what.to_owned(), value.into()]);
    }

    fn missing(&mut self, what: &str, value: impl Into<String>, advice: impl Into<String>) {
        self.rows
            .push(vec![what.to_owned(), format!("MISSING: {}", value.into())]);
        self.missing.push(format!("{what}: {}", advice.into()));
    }
}

/// Runs the verb; its status is 1 if something is missing.
pub(crate) fn run(workspace: &Workspace, cache: &Cache) -> Result<ExitCode> {
    let mut found = Findings::default();
    host(&mut found);
    let _lock = cache.lock_shared()?;
    let kit = Kit::recorded(cache)?;
    let root = match &kit {
        Some(kit) => kit_rows(kit, &mut found),
        None => {
            found.missing("kernel", "nothing was set up yet", "cargo xtask setup");
            false
        }
    };
    let root = kit.as_ref().filter(|_| root).map(Kit::root);
    match Qemu::find(root.as_ref()) {
        Ok(qemu) => found.good(
            "qemu",
            format!("{} ({})", qemu.version()?, qemu.place().display()),
        ),
        Err(_) => found.missing(
            "qemu",
            "neither on PATH nor in the build root",
            "cargo xtask setup",
        ),
    }
    let kvm = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    found.good(
        "kvm",
        match kvm {
            Ok(_) => {
                "/dev/kvm opens; whether it can run a guest shows only in a boot (--accel auto)"
                    .to_owned()
            }
            Err(error) => format!("not usable ({error}); tcg works without"),
        },
    );
    found.good(
        "cache",
        format!(
            "{} ({})",
            cache.root().display(),
            HumanBytes(cache::size(cache.root()))
        ),
    );
    found.good(
        "output",
        format!(
            "{} ({})",
            workspace.out().display(),
            HumanBytes(cache::size(&workspace.out()))
        ),
    );

    println!("{}", report::table(&["what", "found"], &found.rows, false));
    if found.missing.is_empty() {
        println!("nothing is missing");
        return Ok(ExitCode::SUCCESS);
    }
    println!("to get what is missing:");
    for line in &found.missing {
        println!("  {line}");
    }
    Ok(ExitCode::FAILURE)
}

fn host(found: &mut Findings) {
    for (tool, purpose, package) in TOOLS {
        match exec::find_program(tool) {
            Some(path) => found.good(tool, path.display().to_string()),
            None => found.missing(tool, purpose, install(package)),
        }
    }
    match Mirror::of_host() {
        Ok(mirror) => found.good("mirror", mirror.uri),
        Err(error) => found.missing("mirror", "no Debian mirror is known", format!("{error:#}")),
    }
    match buildroot::check_entry() {
        Ok(()) if buildroot::is_root() => found.good("namespaces", "mounts as root"),
        Ok(()) => found.good("namespaces", "user namespaces work"),
        Err(error) => found.missing(
            "namespaces",
            "the build root cannot be entered",
            format!("{error:#}"),
        ),
    }
    match exec::output(Command::new("rustc").arg("--version")) {
        Ok(version) => found.good("host rustc", version.trim()),
        Err(error) => found.missing("host rustc", "builds the programs", format!("{error:#}")),
    }
}

/// The command that installs a package of the host.
fn install(package: &str) -> String {
    let sudo = if buildroot::is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install {package}")
}

/// Rows of the recorded kernel; whether its root is there.
fn kit_rows(kit: &Kit, found: &mut Findings) -> bool {
    let kernel = &kit.kernel;
    found.good(
        "kernel",
        format!(
            "{} (Debian {}, packages {}, {}, {})",
            kernel.release, kernel.version, kernel.image, kernel.headers, kernel.source
        ),
    );
    let tested = if kernel.tested {
        "listed in qemu/kernels.toml"
    } else {
        "UNTESTED: not listed in qemu/kernels.toml"
    };
    found.good("series", format!("{}, {tested}", kernel.series));
    let mut root = false;
    for (part, path, there) in kit.parts() {
        if there {
            root |= part == "root";
            found.good(
                &format!("cache: {part}"),
                format!("{} ({})", path.display(), HumanBytes(cache::size(&path))),
            );
        } else {
            found.missing(
                &format!("cache: {part}"),
                path.display().to_string(),
                "cargo xtask setup",
            );
        }
    }
    for (part, path) in kit.debug_parts() {
        found.good(
            &format!("cache: {part}"),
            format!("{} ({})", path.display(), HumanBytes(cache::size(&path))),
        );
    }
    if root {
        compilers(kit, &kit.config(), found);
    }
    root
}

fn compilers(kit: &Kit, config: &Path, found: &mut Findings) {
    let Ok(config) = std::fs::read_to_string(config) else {
        return;
    };
    let Ok(compiler) = tree::c_compiler(&config) else {
        return;
    };
    for (option, program) in [
        ("CONFIG_RUSTC_VERSION_TEXT", "rustc"),
        ("CONFIG_CC_VERSION_TEXT", compiler.command.as_str()),
    ] {
        let wanted = Kernel::config_text(&config, option).unwrap_or_default();
        match kit.root().version_line(program) {
            Ok(got) if got == wanted => found.good(&format!("kernel's {program}"), got),
            Ok(got) => found.missing(
                &format!("kernel's {program}"),
                format!("{got:?} is not {wanted:?}"),
                "cargo xtask setup --update",
            ),
            Err(error) => found.missing(
                &format!("kernel's {program}"),
                format!("{error:#}"),
                "cargo xtask setup --update",
            ),
        }
    }
}

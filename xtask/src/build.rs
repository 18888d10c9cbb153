// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask build`: the module and every program of the guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::cache::Cache;
use crate::chosen::Chosen;
use crate::exec;
use crate::guest::Overlay;
use crate::module::{self, Purpose, Target};
use crate::progress::Step;
use crate::run::BuildArgs;
use crate::setup::Kit;
use crate::workspace::Workspace;

/// The only target a host toolchain is sure to have; linked statically it runs in any guest.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// `(package, binary, place in the guest)`.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("guest-init", "guest-init", "init"),
    ("cli", "evf", "usr/bin/evf"),
    ("guest-tests", "evf-tests", "usr/bin/evf-tests"),
    ("guest-tests", "evf-escapes", "usr/bin/evf-escapes"),
    ("demo", "evf-demo", "usr/bin/evf-demo"),
    ("bench", "evf-bench", "usr/bin/evf-bench"),
];

/// How much is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The module and all programs.
    All,
    /// The module, `/init` and the measuring program. The module is in the guest, but not loaded: that is the program's affair.
    Bench,
    /// The module and `/init`: the shortest way to a guest when only the module changed.
    Bare,
}

impl Scope {
    /// How many steps the user-space part takes.
    fn steps(self) -> usize {
        match self {
            Self::All | Self::Bench => 2,
            Self::Bare => 1,
        }
    }
}

/// Builds everything that `scope` names and gives the guest's own part, still without a command.
pub(crate) fn build(
    kit: &Kit,
    target: &Target<'_>,
    workspace: &Workspace,
    scope: Scope,
) -> Result<Overlay> {
    let steps = scope.steps() + 1;
    let mut overlay = user_space(kit, workspace, scope, steps)?;
    let mut step = Step::new(steps, steps, "evfilter.ko");
    let (module, warnings) = module::build(target, workspace, Purpose::Use, |line| {
        step.say(line.trim())
    })?;
    step.done(&format!("for {}", target.release()));
    for warning in warnings {
        eprintln!("{warning}");
    }
    match scope {
        Scope::Bench => overlay.kernel_modules.push(module),
        Scope::All | Scope::Bare => overlay.module = Some(module),
    }
    Ok(overlay)
}

/// [`build`] with an instrumented module, and the collector that it reports to.
pub(crate) fn build_counted(
    kit: &Kit,
    target: &Target<'_>,
    workspace: &Workspace,
) -> Result<Overlay> {
    let steps = Scope::All.steps() + 2;
    let mut overlay = user_space(kit, workspace, Scope::All, steps)?;
    let mut step = Step::new(steps - 1, steps, "evf_coverage.ko");
    let (collector, mut warnings) =
        module::build_collector(target, workspace, |line| step.say(line.trim()))?;
    step.done("");
    let mut step = Step::new(steps, steps, "evfilter.ko, instrumented");
    let (module, more) = module::build(target, workspace, Purpose::Coverage, |line| {
        step.say(line.trim());
    })?;
    step.done(&format!("for {}", target.release()));
    warnings.extend(more);
    for warning in warnings {
        eprintln!("{warning}");
    }
    overlay.collector = Some(collector);
    overlay.module = Some(module);
    Ok(overlay)
}

/// [`build`] for a guest that loads no module, or one that was built elsewhere.
pub(crate) fn without_module(kit: &Kit, workspace: &Workspace, scope: Scope) -> Result<Overlay> {
    user_space(kit, workspace, scope, scope.steps())
}

/// A guest that can only boot.
pub(crate) fn init_only(workspace: &Workspace) -> Result<Overlay> {
    let mut step = Step::new(1, 1, "guest init");
    let overlay = Overlay {
        programs: programs(workspace, Scope::Bare, &mut step)?,
        ..Overlay::default()
    };
    step.done("");
    Ok(overlay)
}

/// The test runner, which can list its tests on the host.
pub(crate) fn test_runner(workspace: &Workspace) -> Result<PathBuf> {
    let mut step = Step::new(1, 1, "test runner");
    let mut built = some_programs(workspace, &PROGRAMS[2..3], &[], &mut step)?;
    step.done("");
    built
        .pop()
        .map(|(_, file)| file)
        .context("the test runner was not built")
}

/// Runs `cargo xtask build`.
pub(crate) fn verb(
    workspace: &Workspace,
    cache: &Cache,
    args: &BuildArgs,
    bare: bool,
) -> Result<ExitCode> {
    let chosen = Chosen::new(workspace, cache, args)?;
    let _lock = workspace.lock()?;
    let overlay = build(
        &chosen.kit,
        &chosen.target(),
        workspace,
        if bare { Scope::Bare } else { Scope::All },
    )?;
    for file in overlay
        .module
        .iter()
        .chain(overlay.programs.iter().map(|(_, file)| file))
    {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn user_space(kit: &Kit, workspace: &Workspace, scope: Scope, steps: usize) -> Result<Overlay> {
    let mut step = Step::new(1, steps, "guest programs");
    let mut overlay = Overlay {
        programs: programs(workspace, scope, &mut step)?,
        ..Overlay::default()
    };
    step.done("");
    if scope == Scope::Bench {
        let step = Step::new(2, steps, "libseccomp's part");
        overlay.programs.extend(libseccomp(kit, workspace)?);
        step.done("");
    }
    if scope == Scope::All {
        let mut step = Step::new(2, steps, "C examples");
        overlay
            .programs
            .extend(c_examples(kit, workspace, &mut step)?);
        overlay.policies = Some(workspace.repo().join("policies"));
        overlay.kernel_modules = kit.modules();
        step.done("");
    }
    Ok(overlay)
}

/// Cargo for static guest programs.
fn cargo(workspace: &Workspace) -> std::process::Command {
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--release", "--locked", "--target", TRIPLE])
        // Replaces whatever the user has set: a guest program linked to the host's libraries would not start.
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

fn programs(
    workspace: &Workspace,
    scope: Scope,
    step: &mut Step,
) -> Result<Vec<(String, PathBuf)>> {
    match scope {
        // The library itself as well: the C examples link to it.
        Scope::All => some_programs(workspace, &PROGRAMS, &["--package", "client"], step),
        Scope::Bench => {
            let wanted = PROGRAMS.map(|program| {
                ["guest-init", "bench"]
                    .contains(&program.0)
                    .then_some(program)
            });
            let wanted: Vec<_> = wanted.into_iter().flatten().collect();
            some_programs(workspace, &wanted, &[], step)
        }
        Scope::Bare => some_programs(workspace, &PROGRAMS[..1], &[], step),
    }
}

fn some_programs(
    workspace: &Workspace,
    wanted: &[(&str, &str, &str)],
    more: &[&str],
    step: &mut Step,
) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = cargo(workspace);
    for (package, _, _) in wanted {
        cargo.args(["--package", package]);
    }
    cargo.args(more);
    exec::run_with(&mut cargo, &workspace.log("programs"), |line| {
        step.say(line.trim())
    })
    .context("build the guest programs")?;
    let dir = workspace.target().join(TRIPLE).join("release");
    wanted
        .iter()
        .map(|(package, binary, place)| {
            let file = dir.join(binary);
            if !file.exists() {
                bail!(
                    "package {package} built no binary {binary} ({} is missing)",
                    file.display()
                );
            }
            Ok(((*place).to_owned(), file))
        })
        .collect()
}

/// Examples that can also be built without any library, for `evf run --strict`: a C library's start-up makes calls that the strict filter does not allow.
const FREESTANDING: [&str; 1] = ["worker"];

/// Compiles `client/examples/*.c` against the C API, in the build root, as `/usr/bin/evf-c-NAME`, and the freestanding ones as `/usr/bin/evf-NAME` too.
fn c_examples(kit: &Kit, workspace: &Workspace, step: &mut Step) -> Result<Vec<(String, PathBuf)>> {
    let library = workspace
        .target()
        .join(TRIPLE)
        .join("release/libevfilter.a");
    if !library.exists() {
        bail!("package client built no {}", library.display());
    }
    let client = workspace.repo().join("client");
    let examples = client.join("examples");
    let out = workspace.out().join("c");
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let mut sources: Vec<PathBuf> = fs::read_dir(&examples)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .with_context(|| format!("read {}", examples.display()))?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    if sources.is_empty() {
        bail!("{}: no C example there", examples.display());
    }
    let mut programs = Vec::new();
    for source in sources {
        let stem = source
            .file_stem()
            .and_then(|stem| stem.to_str())
            .with_context(|| format!("{}: not UTF-8", source.display()))?;
        step.say(stem);
        let include = format!("-I{}", client.join("include").display());
        let library = library.display().to_string();
        let hosted = [&include, &library, "-lpthread", "-lm", "-ldl"];
        let mut ways = vec![(format!("evf-c-{stem}"), &hosted[..])];
        if FREESTANDING.contains(&stem) {
            let alone = &["-nostdlib", "-ffreestanding", "-fno-stack-protector"];
            ways.push((format!("evf-{stem}"), alone));
        }
        for (name, options) in ways {
            let program = out.join(&name);
            compile(
                kit,
                workspace,
                &source,
                &program,
                &[&["-static"], options].concat(),
            )?;
            programs.push((format!("usr/bin/{name}"), program));
        }
    }
    Ok(programs)
}

/// Where Debian's libraries lie.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Compiles the part of the measuring program that opens libseccomp, which a static program cannot. It runs on the guest's C library, which is the
/// build root's. The library comes along: every Debian system with apt has it, as the build root does, but the guest does without apt.
fn libseccomp(kit: &Kit, workspace: &Workspace) -> Result<Vec<(String, PathBuf)>> {
    let out = workspace.out().join("c");
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let program = out.join("evf-bench-libseccomp");
    let source = workspace.repo().join("bench/src/libseccomp.c");
    compile(kit, workspace, &source, &program, &["-ldl"])?;
    let library = format!("{LIBRARIES}/libseccomp.so.2");
    let file = kit.root().dir().join(&library);
    Ok(vec![
        ("usr/bin/evf-bench-libseccomp".to_owned(), program),
        (library, file),
    ])
}

/// Compiles one file to a program; `options` come behind the file, where libraries must stand.
fn compile(
    kit: &Kit,
    workspace: &Workspace,
    source: &Path,
    program: &Path,
    options: &[&str],
) -> Result<()> {
    let config = fs::read_to_string(kit.config())
        .with_context(|| format!("read {}", kit.config().display()))?;
    let compiler = crate::tree::c_compiler(&config)?.command;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let mut gcc = kit
        .root()
        .inside(&compiler)
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11"])
        .arg(source.display().to_string())
        .args(options.iter().copied())
        .arg("-o")
        .arg(program.display().to_string())
        .bind(workspace.repo())
        .bind(workspace.target())
        .command()?;
    exec::run(&mut gcc, &workspace.log(&name))
        .with_context(|| format!("compile {}", source.display()))
}

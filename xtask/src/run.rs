// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask run -- COMMAND`: boots, loads the module, runs one command, exits with its status. The way every verb
//! that boots prepares its guest is here as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::boot::{self, Limits, Outcome};
use crate::build::{self, Scope};
use crate::cache::{self, Cache};
use crate::chosen::Chosen;
use crate::console::Line;
use crate::exec;
use crate::flavour::Flavour;
use crate::guest::Overlay;
use crate::module::Target;
use crate::qemu::{Accel, Machine, Qemu};
use crate::workspace::Workspace;

/// Options of every verb that builds.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    /// Build against this configured and built kernel tree, and boot its bzImage, instead of Debian's stock kernel; the tree's
    /// Rust compiler is `rustc`, or what KERNEL_RUSTC names
    #[arg(long, value_name = "PATH")]
    pub(crate) kdir: Option<PathBuf>,
    /// Which kernel of the cache to build against and boot
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "stock",
        conflicts_with = "kdir"
    )]
    pub(crate) kernel: Flavour,
}

/// Options of every verb that boots.
#[derive(Args, Clone, Debug)]
pub(crate) struct BootArgs {
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// How the guest is executed: in software (tcg), by the hardware (kvm), or by the hardware if a probe boot works (auto)
    #[arg(long, value_name = "HOW", default_value = "tcg")]
    pub(crate) accel: Accel,
    /// Words to append to the kernel command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(crate) append: String,
}

/// Options of `cargo xtask run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    boot: BootArgs,
    /// Leave evf, the tests and the demo out: the quickest way when only the module changes
    #[arg(long)]
    bare: bool,
    /// Load this module instead of the one built from the checkout
    #[arg(long, value_name = "FILE", conflicts_with = "no_module")]
    ko: Option<PathBuf>,
    /// Neither build nor load the module
    #[arg(long)]
    no_module: bool,
    /// Give the guest up after so many seconds
    #[arg(long, value_name = "S", default_value_t = 600)]
    timeout: u64,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

/// Everything a boot needs but the command.
#[derive(Debug)]
pub(crate) struct Prepared {
    chosen: Chosen,
    qemu: Qemu,
    accel: Accel,
    append: String,
    workspace: Workspace,
}

/// Where a guest's initramfs lies while it runs.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it costs space, no more; the next run of this process id replaces it.
        let _ = cache::remove_tree(&self.0);
    }
}

impl Prepared {
    /// Fills the cache where needed and finds QEMU and what `--accel` means here.
    pub(crate) fn new(workspace: &Workspace, cache: &Cache, args: &BootArgs) -> Result<Self> {
        let chosen = Chosen::new(workspace, cache, &args.build)?;
        let qemu = Qemu::find(Some(&chosen.kit.root()))?;
        let mut prepared = Self {
            chosen,
            qemu,
            accel: Accel::Tcg,
            append: args.append.clone(),
            workspace: workspace.clone(),
        };
        prepared.accel = prepared.choose_accel(cache, args.accel)?;
        Ok(prepared)
    }

    /// What is built against and booted.
    pub(crate) fn target(&self) -> Target<'_> {
        self.chosen.target()
    }

    /// Which of the cache's kernels it is; the user's own counts as the stock one.
    pub(crate) fn flavour(&self) -> Flavour {
        self.chosen.flavour
    }

    /// What must be said of an untested kernel; nothing of the user's own.
    pub(crate) fn warning(&self) -> Option<String> {
        self.chosen
            .own
            .is_none()
            .then(|| self.chosen.kit.kernel.warning())
            .flatten()
    }

    /// Builds the guest's own part.
    pub(crate) fn build(&self, scope: Scope) -> Result<Overlay> {
        let _lock = self.workspace.lock()?;
        build::build(&self.chosen.kit, &self.target(), &self.workspace, scope)
    }

    /// Builds the guest's own part with an instrumented module.
    pub(crate) fn build_counted(&self) -> Result<Overlay> {
        let _lock = self.workspace.lock()?;
        build::build_counted(&self.chosen.kit, &self.target(), &self.workspace)
    }

    fn choose_accel(&self, cache: &Cache, wanted: Accel) -> Result<Accel> {
        if matches!(wanted, Accel::Tcg | Accel::Counting) {
            return Ok(wanted);
        }
        let mut overlay = self.init_only()?;
        overlay.command = vec!["/bin/busybox".to_owned(), "true".to_owned()];
        let (machine, _scratch) = self.machine(&overlay, "", false)?;
        self.qemu
            .choose(wanted, cache, &self.target().key(), &machine)
    }

    /// A guest without the module and without any of the programs.
    fn init_only(&self) -> Result<Overlay> {
        let _lock = self.workspace.lock()?;
        build::init_only(&self.workspace)
    }

    fn machine(
        &self,
        overlay: &Overlay,
        append: &str,
        interactive: bool,
    ) -> Result<(Machine, Scratch)> {
        let scratch = self
            .workspace
            .out()
            .join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        let scratch = Scratch(scratch);
        let initrd = scratch.0.join("initrd");
        overlay.write(&self.chosen.kit.guest(), &initrd)?;
        let flavour = self.flavour();
        let append = [append, flavour.append(), &self.append]
            .map(str::trim)
            .join(" ")
            .trim()
            .to_owned();
        Ok((
            Machine {
                kernel: self.target().image(),
                initrd,
                append,
                memory: flavour.memory(),
                interactive,
            },
            scratch,
        ))
    }

    /// Boots the guest and follows it to its end.
    ///
    /// QEMU sometimes loses the wake-up of the second CPU when the host is busy, and the kernel then waits for it for ever, long before anything of
    /// ours is loaded. Such a boot is tried once more, and the output says so.
    pub(crate) fn boot(
        &self,
        overlay: &Overlay,
        limits: Limits,
        mut line: impl FnMut(&Line<'_>, &str),
    ) -> Result<Outcome> {
        // An oops ends the run at once instead of leaving a guest that hangs.
        let (machine, _scratch) = self.machine(overlay, "oops=panic", false)?;
        let mut attempt = |log: &Path| {
            let command = self.qemu.command(&machine, self.accel)?;
            boot::follow(
                command,
                log,
                limits.times(self.flavour().slowness()),
                &mut line,
            )
        };
        let log = console_log(&self.workspace);
        let outcome = attempt(&log)?;
        if !outcome.hung_before_init() {
            return Ok(outcome);
        }
        eprintln!(
            "the kernel hung before user space began; booting it once more (console of the first boot: {})",
            log.display()
        );
        attempt(&log.with_extension("second.log"))
    }

    /// Boots the guest on this terminal, until it goes off.
    pub(crate) fn boot_interactive(&self, overlay: &Overlay) -> Result<()> {
        let (machine, _scratch) = self.machine(overlay, "", true)?;
        let mut command = self.qemu.command(&machine, self.accel)?;
        if exec::verbose() {
            eprintln!("$ {}", exec::display(&command));
        }
        let status = command.status().context("start QEMU")?;
        if !status.success() {
            bail!("QEMU ended with {status}");
        }
        Ok(())
    }
}

/// A new name for the console log of this run.
fn console_log(workspace: &Workspace) -> PathBuf {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    workspace
        .out()
        .join(format!("console-{seconds}-{}.log", std::process::id()))
}

/// Prints what the guest's user space says, as it says it; with `-v` the kernel's boot messages too.
pub(crate) fn echo() -> impl FnMut(&Line<'_>, &str) {
    let mut user_space = exec::verbose();
    move |line, text| match line {
        Line::Init => user_space = true,
        Line::Exit(_) => {}
        _ if user_space => println!("{text}"),
        _ => {}
    }
}

/// Turns an outcome into an exit status: the command's own if the run was sound.
pub(crate) fn verdict(outcome: &Outcome) -> Result<ExitCode> {
    if !outcome.faults().is_empty() {
        bail!(outcome.report());
    }
    let status = outcome
        .exit
        .context("a run without faults has a sentinel")?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &RunArgs) -> Result<ExitCode> {
    let ko = args.ko.as_deref().map(absolute).transpose()?;
    let prepared = Prepared::new(workspace, cache, &args.boot)?;
    let scope = if args.bare { Scope::Bare } else { Scope::All };
    let mut overlay = match (&ko, args.no_module) {
        (None, false) => prepared.build(scope)?,
        (Some(_), _) | (None, true) => {
            let _lock = workspace.lock()?;
            build::without_module(&prepared.chosen.kit, workspace, scope)?
        }
    };
    if let Some(ko) = ko {
        overlay.module = Some(ko);
    }
    overlay.command.clone_from(&args.command);
    let total = Duration::from_secs(args.timeout);
    let outcome = prepared.boot(&overlay, Limits::new(total, total), echo())?;
    if exec::verbose() {
        eprintln!(
            "guest: init after {:?}, off after {:?}; console: {}",
            outcome.to_init,
            outcome.took,
            outcome.log.display()
        );
    }
    verdict(&outcome)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| path.display().to_string())
}

// SPDX-License-Identifier: GPL-2.0

//! The virtual machine: which QEMU, how it is accelerated, and its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::buildroot::Root;
use crate::cache::{self, Cache};
use crate::exec;

const PROGRAM: &str = "qemu-system-x86_64";
/// One instruction is one nanosecond of the guest's time, sleep takes no time at all; the date and what the guest takes for randomness are always the same.
const COUNTING: [&str; 12] = [
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off",
    "-cpu",
    "max",
    "-smp",
    "1",
    "-rtc",
    "base=2026-01-01,clock=vm",
    "-seed",
    "1",
];
/// A probe boot under kvm that is not up by then never will be.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// How the guest's instructions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// Software emulation: works everywhere.
    Tcg,
    /// The host's hardware virtualisation, without a check that it works.
    Kvm,
    /// kvm if a probe boot of this kernel comes up under it, else tcg.
    Auto,
    /// Software emulation of one processor whose clock counts executed instructions, and which meets no chance: what is measured repeats.
    #[value(skip)]
    Counting,
}

/// A QEMU that can be started.
#[derive(Clone, Debug)]
pub(crate) enum Qemu {
    /// The host's.
    Host(PathBuf),
    /// The build root's, run inside it.
    Root(Root),
}

/// What to boot.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// bzImage.
    pub(crate) kernel: PathBuf,
    /// cpio archives, one after another.
    pub(crate) initrd: PathBuf,
    /// The size of its memory, as QEMU reads it.
    pub(crate) memory: &'static str,
    /// Appended to the kernel command line.
    pub(crate) append: String,
    /// Whether the guest's console is this terminal, with QEMU's escape key (Ctrl-A), rather than plain stdout.
    pub(crate) interactive: bool,
}

impl Qemu {
    /// The host's QEMU, else the one in `root`.
    pub(crate) fn find(root: Option<&Root>) -> Result<Self> {
        if let Some(path) = exec::find_program(PROGRAM) {
            return Ok(Self::Host(path));
        }
        match root {
            Some(root) if root.dir().join("usr/bin").join(PROGRAM).exists() => {
                Ok(Self::Root(root.clone()))
            }
            _ => bail!(
                "no {PROGRAM} on PATH nor in the build root; `cargo xtask setup` provides one, or install the package qemu-system-x86"
            ),
        }
    }

    /// Its path, for people.
    pub(crate) fn place(&self) -> PathBuf {
        match self {
            Self::Host(path) => path.clone(),
            Self::Root(root) => root.dir().join("usr/bin").join(PROGRAM),
        }
    }

    /// `QEMU emulator version ...`.
    pub(crate) fn version(&self) -> Result<String> {
        match self {
            Self::Host(path) => {
                let text = exec::output(Command::new(path).arg("--version"))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
            Self::Root(root) => root.version_line(PROGRAM),
        }
    }

    /// The command that boots `machine`. `accel` is resolved by now: `Auto` counts as `Tcg`.
    pub(crate) fn command(&self, machine: &Machine, accel: Accel) -> Result<Command> {
        let accel: &[&str] = match accel {
            Accel::Kvm => &["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            Accel::Tcg | Accel::Auto => &["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
            Accel::Counting => &COUNTING,
        };
        let mut args: Vec<String> = accel.iter().map(|&word| word.to_owned()).collect();
        args.extend(
            [
                "-m",
                machine.memory,
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
            ]
            .map(str::to_owned),
        );
        let serial = if machine.interactive {
            ["-serial", "mon:stdio"]
        } else {
            ["-serial", "stdio"]
        };
        args.extend(serial.map(str::to_owned));
        args.extend(["-kernel".to_owned(), machine.kernel.display().to_string()]);
        args.extend(["-initrd".to_owned(), machine.initrd.display().to_string()]);
        args.extend(["-append".to_owned(), command_line(&machine.append)]);
        match self {
            Self::Host(path) => {
                let mut command = Command::new(path);
                command.args(args);
                Ok(command)
            }
            Self::Root(root) => {
                let mut inside = root.inside(PROGRAM).args(args);
                for file in [&machine.kernel, &machine.initrd] {
                    inside = inside.bind(
                        file.parent()
                            .context("the kernel and its initramfs lie in directories")?,
                    );
                }
                inside.command()
            }
        }
    }

    /// Decides what `wanted` means here for `machine`, a guest that powers itself off. The outcome of a probe boot is
    /// kept in the cache for this kernel and this QEMU.
    pub(crate) fn choose(
        &self,
        wanted: Accel,
        cache: &Cache,
        key: &str,
        machine: &Machine,
    ) -> Result<Accel> {
        match wanted {
            Accel::Tcg | Accel::Counting => return Ok(wanted),
            Accel::Kvm => {
                fs::File::options().read(true).write(true).open("/dev/kvm").context(
                    "--accel kvm: /dev/kvm cannot be opened; use --accel tcg, or give this user access to the device (group kvm)",
                )?;
                return Ok(Accel::Kvm);
            }
            Accel::Auto => {}
        }
        if fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err()
        {
            return Ok(Accel::Tcg);
        }
        let record = cache.path(&format!("probe/{key}"));
        let stamp = format!("{} {}", self.version()?, std::env::consts::ARCH);
        if let Ok(text) = fs::read_to_string(&record)
            && let Some(outcome) = text.strip_prefix(&format!("{stamp}\n"))
        {
            return Ok(if outcome.trim() == "kvm" {
                Accel::Kvm
            } else {
                Accel::Tcg
            });
        }
        eprintln!(
            "--accel auto: probing kvm with a boot of this kernel, at most {} s",
            PROBE_LIMIT.as_secs()
        );
        let works = self.probe(machine, &cache.log("kvm-probe"))?;
        let (accel, word) = if works {
            (Accel::Kvm, "kvm")
        } else {
            (Accel::Tcg, "tcg")
        };
        eprintln!(
            "--accel auto: {}",
            if works {
                "kvm works"
            } else {
                "the guest did not come up under kvm; using tcg"
            }
        );
        if let Some(dir) = record.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        cache::write_atomically(&record, format!("{stamp}\n{word}\n"))?;
        Ok(accel)
    }

    /// Whether `machine` runs to its sentinel under kvm within the limit.
    fn probe(&self, machine: &Machine, log: &Path) -> Result<bool> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let out = fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let errors = out.try_clone().context("duplicate the log's descriptor")?;
        let mut command = self.command(machine, Accel::Kvm)?;
        let mut child = command
            .stdin(std::process::Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .context("start QEMU for the kvm probe")?;
        let began = Instant::now();
        loop {
            let ended = child.try_wait().context("wait for QEMU")?.is_some();
            if ended || began.elapsed() > PROBE_LIMIT {
                if !ended {
                    child.kill().context("end the kvm probe")?;
                    child.wait().context("wait for QEMU")?;
                }
                let console = fs::read(log).with_context(|| format!("read {}", log.display()))?;
                return Ok(String::from_utf8_lossy(&console).contains("@@evf exit 0"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The kernel command line: the vsyscall page of old, which calls must not get around a policy by, serial console, a panic that ends the run, and thresholds that fit emulation.
fn command_line(append: &str) -> String {
    let fixed = "console=ttyS0 rdinit=/init panic=-1 loglevel=7 printk.time=1 rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=30 vsyscall=emulate";
    if append.is_empty() {
        fixed.to_owned()
    } else {
        format!("{fixed} {append}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_of_the_machine_is_complete() {
        let machine = Machine {
            kernel: PathBuf::from("/k/vmlinuz"),
            initrd: PathBuf::from("/i/initrd"),
            append: "oops=panic".to_owned(),
            memory: "2G",
            interactive: false,
        };
        let qemu = Qemu::Host(PathBuf::from("/bin/qemu"));
        let shown = exec::display(&qemu.command(&machine, Accel::Tcg).expect("command"));
        for part in [
            "tcg,thread=multi -cpu max",
            "-serial stdio",
            "-m 2G",
            "-no-reboot",
            "-kernel /k/vmlinuz",
            "panic=-1",
            "oops=panic'",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let machine = Machine {
            interactive: true,
            ..machine
        };
        let shown = exec::display(&qemu.command(&machine, Accel::Kvm).expect("command"));
        assert!(
            shown.contains("-accel kvm -cpu host") && shown.contains("mon:stdio"),
            "{shown}"
        );
    }
}

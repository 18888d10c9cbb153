// SPDX-License-Identifier: GPL-2.0

//! Debian roots made by mmdebstrap, and commands run inside them.
//!
//! Packages are extracted, not installed: no maintainer script runs, so neither root nor a range of subordinate ids is
//! needed to make a root, and the cache stays removable by its owner. To run something inside, a mount namespace is
//! enough for root; an ordinary user gets a user namespace with one id. Directories of the host appear inside under
//! their own paths, so the messages of a compiler name files where the user finds them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::cache::Cache;
use crate::debian::{self, Apt};
use crate::exec;
use crate::progress::Step;

/// What every root needs before anything of its own.
pub(crate) const BASE: [&str; 9] = [
    "base-files",
    "bash",
    "dash",
    "coreutils",
    "libc-bin",
    "gawk",
    "grep",
    "sed",
    "findutils",
];

/// Entering a root: `$1` is the root, then `-b FROM AT` pairs, `--`, the directory to work in, and the command.
/// The mounts die with the namespace.
const ENTER: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
root=$1; shift
for dir in dev proc; do mount --rbind "/$dir" "$root/$dir"; done
while [ "$1" = -b ]; do mount --rbind "$2" "$root$3"; shift 3; done
shift
exec chroot "$root" /usr/bin/env -C "$@"
"#;

/// A Debian root.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    dir: PathBuf,
}

/// How this process may enter a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A mount namespace of its own.
    Mount,
    /// A user namespace in which this user is root, and a mount namespace.
    User,
}

impl Way {
    fn unshare(self) -> Command {
        let mut command = Command::new("unshare");
        if self == Self::User {
            command.arg("--map-root-user");
        }
        command.arg("--mount");
        command
    }

    fn works(self) -> Result<()> {
        // AppArmor can let a user namespace be made and then forbid everything in it: try what is needed.
        let mut command = self.unshare();
        command.args([
            "sh",
            "-ec",
            "PATH=$PATH:/usr/sbin:/sbin; mount --bind /tmp /tmp; exec chroot / true",
        ]);
        exec::output(&mut command).map(|_| ())
    }

    /// Finds out once how roots can be entered here.
    fn find() -> Result<Self> {
        static FOUND: OnceLock<Result<Way, String>> = OnceLock::new();
        FOUND
            .get_or_init(|| {
                let ways: &[Self] = if is_root() { &[Self::Mount, Self::User] } else { &[Self::User] };
                let mut reasons = String::new();
                for way in ways {
                    match way.works() {
                        Ok(()) => return Ok(*way),
                        Err(error) => reasons.push_str(&format!("\n{error:#}")),
                    }
                }
                Err(format!(
                    "cannot enter the build root: it takes root with CAP_SYS_ADMIN, or an ordinary user with user namespaces.\n\
                     To allow user namespaces, one of these, as root:\n\
                     \x20 sysctl kernel.unprivileged_userns_clone=1             (older Debian)\n\
                     \x20 sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)\n\
                     \x20 sysctl user.max_user_namespaces=10000\n\
                     What was tried:{reasons}"
                ))
            })
            .clone()
            .map_err(|text| anyhow!(text))
    }
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Checks, without a root at hand, that one could be entered.
pub(crate) fn check_entry() -> Result<()> {
    Way::find().map(|_| ())
}

/// The suite's own mmdebstrap, unpacked from its package: the same on every host, and nobody has to install it.
pub(crate) fn mmdebstrap(apt: &Apt, into: &Path, step: &mut Step, log: &Path) -> Result<()> {
    let debs = apt.download(&["mmdebstrap".to_owned()], step)?;
    debs.iter()
        .try_for_each(|deb| debian::unpack(deb, into, log))
}

impl Root {
    /// The root that lies at `dir`.
    pub(crate) fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a root of `packages` and what they depend on in the empty directory `dir`.
    pub(crate) fn make(
        dir: &Path,
        cache: &Cache,
        apt: &Apt,
        (mmdebstrap, suite): (&Path, &str),
        packages: &[&str],
        step: &mut Step,
    ) -> Result<Self> {
        let name = dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut command = Command::new(mmdebstrap);
        command
            .args([
                "--variant=extract",
                "--mode=chrootless",
                "--format=directory",
                "--skip=cleanup/apt,check/chrootless",
            ])
            .arg("--aptopt=APT::Install-Recommends \"false\"")
            .arg("--aptopt=Acquire::Languages \"none\"")
            .arg("--aptopt=Acquire::Retries \"3\"")
            .arg(format!("--include={}", packages.join(",")))
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", with_sbin());
        for option in proxies()? {
            command.arg(format!("--aptopt={option}"));
        }
        command.arg(suite).arg(dir).arg(apt.sources());
        let log = cache.log(&format!("mmdebstrap-{name}"));
        debian::while_watching(dir, step, 0, 0, || exec::run(&mut command, &log))
            .with_context(|| format!("make the Debian root {}", dir.display()))?;
        let root = Self::at(dir);
        root.finish(cache, &name)?;
        Ok(root)
    }

    /// Does what the skipped maintainer scripts would have done.
    fn finish(&self, cache: &Cache, name: &str) -> Result<()> {
        for archives in ["var/cache/apt", "var/lib/apt/lists"] {
            let path = self.dir.join(archives);
            crate::cache::remove_tree(&path)
                .with_context(|| format!("remove {}", path.display()))?;
        }
        let awk = self.dir.join("usr/bin/awk");
        if fs::symlink_metadata(&awk).is_err() {
            std::os::unix::fs::symlink("gawk", &awk)
                .with_context(|| format!("link {}", awk.display()))?;
        }
        for dir in ["dev", "proc", "sys", "tmp", "root", "run"] {
            let path = self.dir.join(dir);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        exec::run(
            &mut self.inside("ldconfig").command()?,
            &cache.log(&format!("ldconfig-{name}")),
        )
    }

    /// A program to run inside.
    pub(crate) fn inside(&self, program: &str) -> Inside {
        Inside {
            root: self.clone(),
            binds: Vec::new(),
            words: vec![program.to_owned()],
            env: vec![
                (
                    "PATH".to_owned(),
                    "/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                ),
                ("HOME".to_owned(), "/root".to_owned()),
                ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ],
        }
    }

    /// The first line a program of the root prints for `--version`.
    pub(crate) fn version_line(&self, program: &str) -> Result<String> {
        let text = exec::output(&mut self.inside(program).arg("--version").command()?)?;
        text.lines()
            .next()
            .map(str::to_owned)
            .with_context(|| format!("{program} --version printed nothing"))
    }
}

/// A command inside a root, being put together.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    root: Root,
    binds: Vec<(PathBuf, PathBuf)>,
    words: Vec<String>,
    env: Vec<(String, String)>,
}

impl Inside {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.words.push(arg.into());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.words.extend(args.into_iter().map(Into::into));
        self
    }

    /// Shows a directory of the host inside, under the same path.
    pub(crate) fn bind(self, dir: &Path) -> Self {
        self.bind_at(dir, dir)
    }

    /// Shows the directory `from` of the host inside, at `at`.
    pub(crate) fn bind_at(mut self, from: &Path, at: &Path) -> Self {
        self.binds.push((from.to_owned(), at.to_owned()));
        self
    }

    /// The host command that does it.
    pub(crate) fn command(&self) -> Result<Command> {
        let way = Way::find()?;
        let mut command = way.unshare();
        command
            .args(["sh", "-ec", ENTER, "enter"])
            .arg(&self.root.dir);
        // Outer directories first, or they would hide the inner ones.
        let mut binds = self.binds.clone();
        binds.sort_by_key(|(_, at)| at.components().count());
        for (from, at) in &binds {
            if !from.is_absolute() || !at.is_absolute() {
                bail!(
                    "a bind mount needs absolute paths, not {} at {}",
                    from.display(),
                    at.display()
                );
            }
            let inner = at
                .strip_prefix("/")
                .context("an absolute path begins with /")?;
            let point = self.root.dir.join(inner);
            fs::create_dir_all(&point)
                .with_context(|| format!("create the mount point {}", point.display()))?;
            command.arg("-b").arg(from).arg(at);
        }
        command.args(["--", "/", "-i"]);
        command.args(self.env.iter().map(|(key, value)| format!("{key}={value}")));
        command.args(&self.words);
        Ok(command)
    }
}

/// PATH with the directories that an ordinary user's often lacks, which have chroot and ldconfig.
fn with_sbin() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// The proxy settings of the host's apt, which mmdebstrap's apt does not read by itself.
fn proxies() -> Result<Vec<String>> {
    let dump = exec::output(Command::new("apt-config").arg("dump"))?;
    Ok(dump
        .lines()
        .filter(|line| {
            let key = line
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            ["acquire::http::proxy", "acquire::https::proxy"]
                .iter()
                .any(|proxy| key.starts_with(proxy))
        })
        .filter(|line| !line.ends_with("\"\";"))
        .map(str::to_owned)
        .collect())
}

// SPDX-License-Identifier: GPL-2.0

//! The guest's file system: a Debian part that is made once and kept, and a small part of this checkout's own.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::buildroot::{self, Root};
use crate::cache::{self, Cache};
use crate::cpio::{Archive, Owner, ROOT};
use crate::debian::Apt;
use crate::exec;
use crate::progress::Step;

/// The cached archive's name.
pub(crate) const DEBIAN: &str = "debian.cpio";

/// What the guest has besides the base: programs to confine and tools to look with.
pub(crate) const PACKAGES: [&str; 15] = [
    "busybox-static",
    "git",
    "python3",
    "python3-seccomp",
    "diffutils",
    "gzip",
    "tar",
    "util-linux",
    "mount",
    "procps",
    "hostname",
    "sqlite3",
    "strace",
    "less",
    "make",
];

/// The ordinary user of the guest.
const SANDBOX: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// What nobody reads in a guest. git's Perl scripts would pull in all of Perl.
const TRIMMED: [&str; 17] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/i18n",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/zoneinfo",
    "usr/share/perl",
    "usr/share/perl5",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/x86_64-linux-gnu/perl5",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/systemd",
    "usr/share/gitweb",
    "var/cache",
    "var/lib/dpkg",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/home/sandbox:/bin/bash\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\nsandbox:x:1000:\n";
const SHADOW: &str = "root:*:20000:0:99999:7:::\nsandbox:*:20000:0:99999:7:::\n";
const HOSTS: &str = "127.0.0.1 localhost evfilter\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files\nnetworks: files\nprotocols: files\nservices: files\n";

/// Makes the Debian part in the empty directory `new`.
pub(crate) fn make_debian(
    new: &Path,
    cache: &Cache,
    apt: &Apt,
    mmdebstrap: (&Path, &str),
    step: &mut Step,
) -> Result<()> {
    let tree = new.join("files");
    let mut packages: Vec<&str> = buildroot::BASE.to_vec();
    packages.extend(PACKAGES);
    let root = Root::make(&tree, cache, apt, mmdebstrap, &packages, step)?;
    step.say("compiling Python's library");
    // Python would compile what it imports at each start, which takes long under emulation. Checks by time stamp
    // would fail: an initramfs need not keep them.
    let compile = [
        "-I",
        "-m",
        "compileall",
        "-q",
        "-j0",
        "--invalidation-mode",
        "unchecked-hash",
        "/usr/lib/python3",
        "/usr/lib/python3.13",
    ];
    let python: Vec<String> = compile
        .iter()
        .map(|&word| word.to_owned())
        .filter(|word| !word.starts_with("/usr/lib/") || tree.join(&word[1..]).is_dir())
        .collect();
    exec::run(
        &mut root.inside("python3").args(python).command()?,
        &cache.log("guest-python"),
    )?;

    step.say("packing");
    let file = new.join(DEBIAN);
    let out = fs::File::create(&file).with_context(|| format!("create {}", file.display()))?;
    let mut archive = Archive::new(BufWriter::new(out));
    let own = [
        "etc/passwd",
        "etc/group",
        "etc/shadow",
        "etc/hosts",
        "etc/nsswitch.conf",
    ];
    archive.tree(&tree, &|path| {
        TRIMMED
            .iter()
            .chain(&own)
            .any(|trimmed| path == Path::new(trimmed))
            || path.starts_with("dev")
    })?;
    archive.directory("dev", 0o755, ROOT)?;
    archive.device("dev/console", 0o600, 5, 1)?;
    archive.device("dev/null", 0o666, 1, 3)?;
    for (path, mode, text) in [
        ("etc/passwd", 0o644, PASSWD),
        ("etc/group", 0o644, GROUP),
        ("etc/shadow", 0o640, SHADOW),
        ("etc/hosts", 0o644, HOSTS),
        ("etc/nsswitch.conf", 0o644, NSSWITCH),
        ("etc/hostname", 0o644, "evfilter\n"),
    ] {
        archive.file(path, mode, ROOT, text.as_bytes())?;
    }
    archive.directory("home", 0o755, ROOT)?;
    archive.directory("home/sandbox", 0o755, SANDBOX)?;
    archive
        .finish()?
        .into_inner()
        .context("write the initramfs")?
        .sync_all()
        .context("write the initramfs")?;
    cache::remove_tree(&tree).with_context(|| format!("remove {}", tree.display()))
}

/// What this checkout puts into one guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// `(path in the guest, file on the host)` of executables, `/init` among them.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// The module, loaded before the command runs.
    pub(crate) module: Option<PathBuf>,
    /// Directory whose `.evf` files become `/usr/share/evfilter/policies`.
    pub(crate) policies: Option<PathBuf>,
    /// The command to run, argument by argument.
    pub(crate) command: Vec<String>,
}

impl Overlay {
    /// Writes the whole initramfs: the Debian part at `debian`, then this.
    pub(crate) fn write(&self, debian: &Path, to: &Path) -> Result<()> {
        if self.command.is_empty() || self.command[0].is_empty() {
            bail!("no command to run in the guest");
        }
        if let Some(word) = self.command.iter().find(|word| word.contains('\n')) {
            bail!(
                "the argument {word:?} has a line break, which the guest's command list cannot carry; put it in a script"
            );
        }
        fs::copy(debian, to)
            .with_context(|| format!("copy {} to {}", debian.display(), to.display()))?;
        let mut out = fs::File::options()
            .append(true)
            .open(to)
            .with_context(|| format!("open {}", to.display()))?;
        out.write_all(&self.archive()?)
            .with_context(|| format!("write {}", to.display()))
    }

    fn archive(&self) -> Result<Vec<u8>> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
        let mut archive = Archive::new(Vec::new());
        for dir in [
            "etc",
            "etc/evf",
            "usr",
            "usr/bin",
            "usr/lib",
            "usr/lib/modules",
            "usr/share",
            "usr/share/evfilter",
        ] {
            archive.directory(dir, 0o755, ROOT)?;
        }
        for (path, file) in &self.programs {
            archive.file(path, 0o755, ROOT, &read(file)?)?;
        }
        archive.file(
            "etc/evf/run",
            0o644,
            ROOT,
            (self.command.join("\n") + "\n").as_bytes(),
        )?;
        if let Some(module) = &self.module {
            // /lib is a link to usr/lib in the Debian part.
            archive.file("usr/lib/modules/evfilter.ko", 0o644, ROOT, &read(module)?)?;
            archive.file("etc/evf/module", 0o644, ROOT, b"evfilter\n")?;
        }
        if let Some(policies) = &self.policies {
            archive.directory("usr/share/evfilter/policies", 0o755, ROOT)?;
            archive_policies(&mut archive, policies)?;
        }
        archive.finish()
    }
}

fn archive_policies(archive: &mut Archive<Vec<u8>>, dir: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("read {}", dir.display()))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "evf"))
        .collect();
    files.sort();
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("{}: not UTF-8", file.display()))?;
        let text = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        archive.file(
            &format!("usr/share/evfilter/policies/{name}"),
            0o644,
            ROOT,
            &text,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_follows_the_debian_part_and_carries_command_and_policies() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("debian"), "DEBIAN--").expect("file");
        fs::write(path("a.evf"), "policy a").expect("file");
        fs::write(path("notes.txt"), "not a policy").expect("file");
        let overlay = Overlay {
            programs: vec![("init".to_owned(), path("a.evf"))],
            module: Some(path("debian")),
            policies: Some(dir.path().to_owned()),
            command: vec!["echo".to_owned(), "a b".to_owned()],
        };
        overlay
            .write(&path("debian"), &path("initrd"))
            .expect("initramfs");
        let text = fs::read_to_string(path("initrd")).expect("initramfs");
        assert!(text.starts_with("DEBIAN--070701"));
        assert!(text.contains("echo\na b\n") && text.contains("etc/evf/module"));
        assert!(text.contains("policies/a.evf") && !text.contains("notes.txt"));
    }

    #[test]
    fn line_breaks_in_arguments_are_refused() {
        let overlay = Overlay {
            command: vec!["sh".to_owned(), "a\nb".to_owned()],
            ..Overlay::default()
        };
        let error = overlay
            .write(Path::new("/dev/null"), Path::new("/nonexistent/x"))
            .expect_err("line break");
        assert!(error.to_string().contains("line break"));
    }
}

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
const PACKAGES: [&str; 19] = [
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
    "gcc",
    "libc6-dev",
    "nginx",
    "openssh-client",
];

/// The ordinary user of the guest.
const SANDBOX: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// What nobody reads in a guest. git's Perl scripts would pull in all of Perl; headers of other architectures, and what the compiler
/// needs for anything but compiling C come with their packages.
const TRIMMED: [&str; 33] = [
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
    "usr/lib/git-core/git-daemon",
    "usr/lib/git-core/git-http-backend",
    "usr/lib/git-core/git-http-fetch",
    "usr/lib/git-core/git-http-push",
    "usr/lib/git-core/git-imap-send",
    "usr/lib/git-core/scalar",
    "usr/bin/scalar",
    "usr/lib/linux",
    "usr/include/drm",
    "usr/include/rdma",
    "usr/include/scsi",
    "usr/include/sound",
    "usr/lib/x86_64-linux-gnu/gprofng",
    "usr/sbin/arpd",
    "usr/share/bash-completion",
    "usr/share/common-licenses",
    "var/cache",
    "var/lib/dpkg",
];

/// The same for files whose names carry versions: directory, and how the name begins.
const TRIMMED_FILES: [(&str, &str); 14] = [
    ("usr/bin", "x86_64-linux-gnu-lto-dump"),
    ("usr/bin", "x86_64-linux-gnu-gcov"),
    ("usr/bin", "gprofng"),
    ("usr/bin", "x86_64-linux-gnu-gp-"),
    ("usr/bin", "x86_64-linux-gnu-gprofng"),
    ("usr/libexec/gcc/x86_64-linux-gnu/14", "lto1"),
    ("usr/lib/x86_64-linux-gnu", "libasan."),
    ("usr/lib/x86_64-linux-gnu", "libtsan."),
    ("usr/lib/x86_64-linux-gnu", "libhwasan."),
    ("usr/lib/x86_64-linux-gnu", "liblsan."),
    ("usr/lib/x86_64-linux-gnu", "libubsan."),
    ("usr/lib/x86_64-linux-gnu", "libgprofng."),
    ("usr/lib/x86_64-linux-gnu", "libperl."),
    ("usr/lib/x86_64-linux-gnu", "libdb-"),
];

/// The static libraries that an ordinary, dynamically linked program is linked with; the last three are empty.
const STATIC: [&str; 6] = [
    "libgcc.a",
    "libc_nonshared.a",
    "libssp_nonshared.a",
    "libdl.a",
    "libpthread.a",
    "librt.a",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/home/sandbox:/bin/bash\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\nsandbox:x:1000:\n";
const SHADOW: &str = "root:*:20000:0:99999:7:::\nsandbox:*:20000:0:99999:7:::\n";
const HOSTS: &str = "127.0.0.1 localhost evfilter\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files\nnetworks: files\nprotocols: files\nservices: files\n";

/// What the Debian part is made from: when this changes, it is made again.
pub(crate) fn recipe() -> String {
    let files = TRIMMED_FILES.map(|(dir, name)| format!("{dir}/{name}*"));
    format!(
        "{} without {} {} and static libraries but {}",
        PACKAGES.join(" "),
        TRIMMED.join(" "),
        files.join(" "),
        STATIC.join(" ")
    )
}

/// Whether the file or directory at `path`, relative to the root, stays out of the guest.
fn is_trimmed(path: &Path) -> bool {
    if TRIMMED.iter().any(|trimmed| path == Path::new(trimmed)) {
        return true;
    }
    let (Some(dir), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return false;
    };
    TRIMMED_FILES
        .iter()
        .any(|(place, begin)| dir == Path::new(place) && name.starts_with(begin))
        || (dir.starts_with("usr/lib") && name.ends_with(".a") && !STATIC.contains(&name))
}

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
        own.iter().any(|own| path == Path::new(own)) || path.starts_with("dev") || is_trimmed(path)
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
    /// The module that an instrumented [`module`](Self::module) reports to, loaded before it.
    pub(crate) collector: Option<PathBuf>,
    /// Modules of the kernel's own that tests load themselves, below `/lib/modules`.
    pub(crate) kernel_modules: Vec<PathBuf>,
    /// Directory whose `.evf` files, with those of the directories below, become `/usr/share/evfilter/policies`.
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
        let mut names = String::new();
        for (module, name) in [
            (&self.collector, "evf_coverage"),
            (&self.module, "evfilter"),
        ] {
            if let Some(module) = module {
                // /lib is a link to usr/lib in the Debian part.
                let path = format!("usr/lib/modules/{name}.ko");
                archive.file(&path, 0o644, ROOT, &read(module)?)?;
                names.push_str(name);
                names.push('\n');
            }
        }
        if !names.is_empty() {
            archive.file("etc/evf/modules", 0o644, ROOT, names.as_bytes())?;
        }
        for module in &self.kernel_modules {
            let name = module.file_name().and_then(|name| name.to_str());
            let name = name.with_context(|| format!("{}: not UTF-8", module.display()))?;
            archive.file(
                &format!("usr/lib/modules/{name}"),
                0o644,
                ROOT,
                &read(module)?,
            )?;
        }
        if let Some(policies) = &self.policies {
            archive_policies(&mut archive, policies, "usr/share/evfilter/policies")?;
        }
        archive.finish()
    }
}

/// Adds the policies in `dir` and in the directories below it that have some, as `inside`.
fn archive_policies(archive: &mut Archive<Vec<u8>>, dir: &Path, inside: &str) -> Result<()> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("read {}", dir.display()))?;
    paths.sort();
    let is_policy = |path: &Path| path.extension().is_some_and(|extension| extension == "evf");
    if !paths.iter().any(|path| is_policy(path)) {
        return Ok(());
    }
    archive.directory(inside, 0o755, ROOT)?;
    for path in paths {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("{}: not UTF-8", path.display()))?;
        let inside = format!("{inside}/{name}");
        if path.is_dir() {
            archive_policies(archive, &path, &inside)?;
        } else if is_policy(&path) {
            let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            archive.file(&inside, 0o644, ROOT, &text)?;
        }
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
        fs::create_dir_all(path("more")).expect("directory");
        fs::create_dir_all(path("none")).expect("directory");
        fs::write(path("more/b.evf"), "policy b").expect("file");
        let overlay = Overlay {
            programs: vec![("init".to_owned(), path("a.evf"))],
            module: Some(path("debian")),
            collector: Some(path("debian")),
            kernel_modules: vec![path("debian")],
            policies: Some(dir.path().to_owned()),
            command: vec!["echo".to_owned(), "a b".to_owned()],
        };
        overlay
            .write(&path("debian"), &path("initrd"))
            .expect("initramfs");
        let text = fs::read_to_string(path("initrd")).expect("initramfs");
        assert!(text.starts_with("DEBIAN--070701"));
        assert!(text.contains("echo\na b\n") && text.contains("evf_coverage\nevfilter\n"));
        assert!(text.contains("policies/a.evf") && text.contains("policies/more/b.evf"));
        assert!(!text.contains("notes.txt") && !text.contains("policies/none"));
    }

    #[test]
    fn what_is_trimmed_leaves_a_c_compiler() {
        for path in [
            "usr/share/doc",
            "usr/lib/x86_64-linux-gnu/libc.a",
            "usr/lib/x86_64-linux-gnu/libasan.so.8",
            "usr/libexec/gcc/x86_64-linux-gnu/14/lto1",
            "usr/bin/x86_64-linux-gnu-lto-dump-14",
        ] {
            assert!(is_trimmed(Path::new(path)), "{path}");
        }
        for path in [
            "usr",
            "usr/lib/gcc/x86_64-linux-gnu/14/libgcc.a",
            "usr/lib/x86_64-linux-gnu/libc_nonshared.a",
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            "usr/libexec/gcc/x86_64-linux-gnu/14/cc1",
            "usr/libexec/gcc/x86_64-linux-gnu/14/liblto_plugin.so",
        ] {
            assert!(!is_trimmed(Path::new(path)), "{path}");
        }
        assert!(PACKAGES.iter().all(|package| recipe().contains(package)));
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

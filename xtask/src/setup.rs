// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask setup`: fills the cache with the kernel, the root that builds for it, and the guest's Debian part.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::buildroot::{self, Root};
use crate::cache::{self, Cache, Lock};
use crate::debian::{self, Apt, Mirror};
use crate::debug;
use crate::exec;
use crate::guest;
use crate::kernel::{Kernel, Known};
use crate::progress::Step;
use crate::tree;

/// Raised when a step makes something else from the same inputs, so that old entries are made again.
const RECIPE: &str = "1";
const RECORD: &str = "kernel.json";
const STEPS: usize = 5;

/// Modules of the stock kernel that tests load in the guest: the directory in the kernel's tree, and the name.
const MODULES: [(&str, &str); 1] = [("fs/overlayfs", "overlay")];

/// The part that is the debug kernels' build root, made when it is first asked for.
const CLANG_ROOT: &str = "root-clang";

/// What the build root has besides its base and the kernel's own C compiler.
const BUILD_PACKAGES: [&str; 28] = [
    "diffutils",
    "gzip",
    "bzip2",
    "tar",
    "util-linux",
    "mount",
    "hostname",
    "perl",
    "make",
    "binutils",
    "libc6-dev",
    "rustc",
    "rust-src",
    "rust-clippy",
    "bindgen",
    "flex",
    "bison",
    "bc",
    "libelf-dev",
    "libssl-dev",
    "python3",
    "xz-utils",
    "zstd",
    "kmod",
    "cpio",
    "rsync",
    "pahole",
    "qemu-system-x86",
];

/// The parts of the cache one kernel version needs.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    pub(crate) kernel: Kernel,
    cache: Cache,
}

impl Kit {
    /// A name inside the cache directory of this kernel.
    pub(crate) fn name(&self, part: &str) -> String {
        format!("{}/{part}", self.kernel.key())
    }

    fn place(&self, part: &str) -> PathBuf {
        self.cache.path(&self.name(part))
    }

    /// The build root.
    pub(crate) fn root(&self) -> Root {
        Root::at(self.place("root"))
    }

    /// The build root of the debug kernels.
    pub(crate) fn clang_root(&self) -> Root {
        Root::at(self.place(CLANG_ROOT))
    }

    /// The stock kernel.
    pub(crate) fn image(&self) -> PathBuf {
        self.place("kernel").join("vmlinuz")
    }

    /// The stock kernel's own modules that tests load, compressed as they are.
    pub(crate) fn modules(&self) -> Vec<PathBuf> {
        let place = self.place("kernel");
        MODULES
            .map(|(_, name)| place.join(format!("{name}.ko.xz")))
            .into()
    }

    /// The stock kernel's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.place("kernel").join("config")
    }

    /// The kernel source.
    pub(crate) fn source(&self) -> PathBuf {
        self.place("source")
    }

    /// The tree prepared for building modules.
    pub(crate) fn tree(&self) -> PathBuf {
        self.place("tree")
    }

    /// The guest's Debian part.
    pub(crate) fn guest(&self) -> PathBuf {
        self.place("guest").join(guest::DEBIAN)
    }

    /// The cache all of it lies in.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Every part with its recipe and whether it is there, in the order they are made.
    pub(crate) fn parts(&self) -> Vec<(&'static str, PathBuf, bool)> {
        ["kernel", "source", "root", "tree", "guest"]
            .into_iter()
            .map(|part| {
                (
                    part,
                    self.place(part),
                    self.cache.has(&self.name(part), &self.recipe(part)),
                )
            })
            .collect()
    }

    /// Where the debug kernels and their build root lie, as far as they are there.
    pub(crate) fn debug_parts(&self) -> Vec<(&'static str, PathBuf)> {
        [debug::KASAN.part, debug::KCSAN.part, CLANG_ROOT]
            .map(|part| (part, self.place(part)))
            .into_iter()
            .filter(|(_, place)| place.exists())
            .collect()
    }

    fn has(&self, part: &str) -> bool {
        self.cache.has(&self.name(part), &self.recipe(part))
    }

    fn recipe(&self, part: &str) -> String {
        let inputs = match part {
            "root" => BUILD_PACKAGES.join(" "),
            CLANG_ROOT => format!("{} clang lld llvm", BUILD_PACKAGES.join(" ")),
            "guest" => guest::recipe(),
            "kernel" => MODULES.map(|(_, name)| name).join(" "),
            _ => String::new(),
        };
        format!(
            "evfilter {RECIPE} {part} {} {inputs}\n",
            self.kernel.version
        )
    }

    fn complete(&self, wish: Wish) -> bool {
        self.has("kernel")
            && self.has("root")
            && self.has("guest")
            && (wish.own_kernel || (self.has("source") && self.has("tree")))
            && (!wish.clang || self.has(CLANG_ROOT))
    }

    /// The kit of the kernel that the cache has on record, whole or not.
    pub(crate) fn recorded(cache: &Cache) -> Result<Option<Self>> {
        let path = cache.path(RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let kernel = serde_json::from_str(&text).with_context(|| {
            format!(
                "{}: not written by this version; remove it and run cargo xtask setup",
                path.display()
            )
        })?;
        Ok(Some(Self {
            kernel,
            cache: cache.clone(),
        }))
    }
}

/// What [`ensure`] may and must do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// Look for a newer kernel even if everything is there.
    pub(crate) update: bool,
    /// The kernel is the user's own: neither its source nor a prepared tree is needed.
    pub(crate) own_kernel: bool,
    /// A debug kernel will be built: its build root is needed too.
    pub(crate) clang: bool,
}

/// Makes what is missing in the cache. The lock keeps the parts in place while they are used.
pub(crate) fn ensure(repo: &Path, cache: &Cache, wish: Wish) -> Result<(Kit, Lock)> {
    if !wish.update {
        let lock = cache.lock_shared()?;
        if let Some(kit) = Kit::recorded(cache)?.filter(|kit| kit.complete(wish)) {
            warn(&kit.kernel);
            return Ok((kit, lock));
        }
    }
    // Both before the downloads: nobody should wait ten minutes for an error that was there from the start.
    buildroot::check_entry()?;
    let mirror = Mirror::of_host()?;
    {
        let lock = cache.lock_exclusive()?;
        let known = Known::read(repo)?;
        let apt = Apt::new(cache, &mirror, &known.suites())?;
        let kit = make_all(&known, cache, &lock, &apt, wish)?;
        apt.clean()?;
        if exec::verbose() {
            eprintln!("ready: {}", kit.place("").display());
        }
    }
    let lock = cache.lock_shared()?;
    match Kit::recorded(cache)?.filter(|kit| kit.complete(wish)) {
        Some(kit) => {
            warn(&kit.kernel);
            Ok((kit, lock))
        }
        None => bail!(
            "{} was changed by another run meanwhile; run the command again",
            cache.root().display()
        ),
    }
}

fn warn(kernel: &Kernel) {
    if let Some(warning) = kernel.warning() {
        eprintln!("{warning}");
    }
}

fn make_all(known: &Known, cache: &Cache, lock: &Lock, apt: &Apt, wish: Wish) -> Result<Kit> {
    let mut step = Step::new(1, STEPS, "package lists");
    apt.update()?;
    // What is made again goes with the kernel that is there; a first setup that was interrupted resolves to the same.
    let there = Kit::recorded(cache)?.filter(|kit| !wish.update && kit.has("kernel"));
    let kit = match there {
        Some(kit) => kit,
        None => Kit {
            kernel: known.resolve(&apt.records(&known.pattern())?)?,
            cache: cache.clone(),
        },
    };
    step.say(&kit.kernel.release);
    step.done(&format!(
        "kernel {}, Debian {}",
        kit.kernel.release, kit.kernel.version
    ));

    let mut step = Step::new(2, STEPS, "kernel packages");
    let archives = download(&kit, apt, wish, &mut step)?;
    unpack_kernel(&kit, lock, &archives)?;
    step.done("");

    let mut step = Step::new(3, STEPS, "build root");
    let tool = cache.entry(lock, "mmdebstrap", RECIPE, |new| {
        buildroot::mmdebstrap(apt, new, &mut step, &cache.log("mmdebstrap"))
    })?;
    let mmdebstrap = (tool.join("usr/bin/mmdebstrap"), known.debian.suite.as_str());
    let mmdebstrap = (mmdebstrap.0.as_path(), mmdebstrap.1);
    let config = fs::read_to_string(kit.config())
        .with_context(|| format!("read {}", kit.config().display()))?;
    let compiler = tree::c_compiler(&config)?;
    cache.entry(lock, &kit.name("root"), &kit.recipe("root"), |new| {
        let mut packages: Vec<&str> = buildroot::BASE.to_vec();
        packages.extend(BUILD_PACKAGES);
        packages.push(&compiler.package);
        let root = Root::make(new, cache, apt, mmdebstrap, &packages, &mut step)?;
        tree::check_compilers(&root, &config, &compiler)
    })?;
    if wish.clang {
        let clang = debug::packages(&config)?;
        cache.entry(
            lock,
            &kit.name(CLANG_ROOT),
            &kit.recipe(CLANG_ROOT),
            |new| {
                let mut packages: Vec<&str> = buildroot::BASE.to_vec();
                packages.extend(BUILD_PACKAGES);
                packages.extend(clang.iter().map(String::as_str));
                Root::make(new, cache, apt, mmdebstrap, &packages, &mut step).map(|_| ())
            },
        )?;
    }
    step.done("");

    if !wish.own_kernel {
        let mut step = Step::new(4, STEPS, "kernel tree");
        unpack_source(&kit, lock, &archives, &mut step)?;
        cache.entry(lock, &kit.name("tree"), &kit.recipe("tree"), |new| {
            tree::prepare(&kit, new, &compiler, &mut step)
        })?;
        step.done("");
    }

    let mut step = Step::new(5, STEPS, "guest");
    cache.entry(lock, &kit.name("guest"), &kit.recipe("guest"), |new| {
        guest::make_debian(new, cache, apt, mmdebstrap, &mut step)
    })?;
    step.done("");
    cache::write_atomically(
        &cache.path(RECORD),
        serde_json::to_string_pretty(&kit.kernel)? + "\n",
    )?;
    Ok(kit)
}

/// Downloaded packages, each with its name.
type Archives = Vec<(String, PathBuf)>;

/// Downloads what the kernel under test is made of, as far as it is missing.
fn download(kit: &Kit, apt: &Apt, wish: Wish, step: &mut Step) -> Result<Archives> {
    let mut names = Vec::new();
    if !kit.has("kernel") {
        names.extend(kernel_packages(&kit.kernel));
    }
    if !wish.own_kernel && !kit.has("source") {
        names.push(kit.kernel.source.clone());
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let packages: Vec<String> = names
        .iter()
        .map(|name| format!("{name}={}", kit.kernel.version))
        .collect();
    let files = apt.download(&packages, step)?;
    Ok(names.into_iter().zip(files).collect())
}

/// The packages that the part "kernel" is taken from.
fn kernel_packages(kernel: &Kernel) -> Vec<String> {
    let mut names = vec![
        kernel.headers.clone(),
        kernel.image.clone(),
        kernel.modules(),
    ];
    names.dedup();
    names
}

/// The archive of the package `name`.
fn archive<'a>(archives: &'a Archives, name: &str) -> Result<&'a Path> {
    let found = archives.iter().find(|(package, _)| package == name);
    found
        .map(|(_, path)| path.as_path())
        .with_context(|| format!("the package {name} was not downloaded"))
}

fn changed(kernel: &Kernel) -> String {
    format!(
        "the packages of kernel {} changed their form",
        kernel.release
    )
}

/// Takes configuration, symbols and the image out of the packages.
fn unpack_kernel(kit: &Kit, lock: &Lock, archives: &Archives) -> Result<()> {
    let (cache, kernel) = (&kit.cache, &kit.kernel);
    let log = cache.log("unpack-kernel");
    cache.entry(lock, &kit.name("kernel"), &kit.recipe("kernel"), |new| {
        let unpacked = new.join("unpacked");
        for package in kernel_packages(kernel) {
            debian::unpack(archive(archives, &package)?, &unpacked, &log)?;
        }
        let headers = unpacked.join(format!("usr/src/linux-headers-{}", kernel.release));
        // The file moved below /usr in 7.x; an older package has it in /boot.
        let images = [
            format!("usr/lib/modules/{}/vmlinuz", kernel.release),
            format!("boot/vmlinuz-{}", kernel.release),
        ];
        let images = images.map(|path| unpacked.join(path));
        let image = images
            .iter()
            .find(|path| path.exists())
            .with_context(|| changed(kernel))?;
        let modules = unpacked.join(format!("usr/lib/modules/{}/kernel", kernel.release));
        let modules = MODULES.map(|(dir, name)| {
            let file = format!("{name}.ko.xz");
            (modules.join(dir).join(&file), file)
        });
        let files = [
            (headers.join(".config"), "config".to_owned()),
            (headers.join("Module.symvers"), "Module.symvers".to_owned()),
            (image.clone(), "vmlinuz".to_owned()),
        ];
        for (from, to) in files.into_iter().chain(modules) {
            let to = new.join(to);
            fs::copy(&from, &to)
                .with_context(|| format!("{}: copy {}", changed(kernel), from.display()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644))
                .with_context(|| to.display().to_string())?;
        }
        cache::remove_tree(&unpacked).with_context(|| format!("remove {}", unpacked.display()))?;
        let config =
            fs::read_to_string(new.join("config")).context("read the kernel configuration")?;
        Kernel::check_config(&config, &format!("kernel {}", kernel.release))
    })?;
    Ok(())
}

/// Unpacks the kernel source, with the tools of the build root: a small host need not have xz.
fn unpack_source(kit: &Kit, lock: &Lock, archives: &Archives, step: &mut Step) -> Result<()> {
    let (cache, kernel) = (&kit.cache, &kit.kernel);
    cache.entry(lock, &kit.name("source"), &kit.recipe("source"), |new| {
        let unpacked = new.join("unpacked");
        debian::unpack(
            archive(archives, &kernel.source)?,
            &unpacked,
            &cache.log("unpack-source-package"),
        )?;
        step.say("unpacking the source");
        let tar = unpacked.join(format!("usr/src/linux-source-{}.tar.xz", kernel.series));
        let mut tar = kit
            .root()
            .inside("tar")
            .args([
                "--extract",
                "--no-same-owner",
                "--strip-components=1",
                "--file",
            ])
            .arg(tar.display().to_string())
            .arg("--directory")
            .arg(new.display().to_string())
            .bind(new)
            .command()?;
        exec::run(&mut tar, &cache.log("unpack-source")).with_context(|| changed(kernel))?;
        cache::remove_tree(&unpacked).with_context(|| format!("remove {}", unpacked.display()))
    })?;
    Ok(())
}

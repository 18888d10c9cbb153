// SPDX-License-Identifier: GPL-2.0
//! The stage: the files that the demonstration plays with, laid out by root, and the step from root to an ordinary user.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// The user that the demonstration runs as.
pub(crate) const USER: u32 = 1000;

/// Home of that user, and the tree that the sandbox allows.
pub(crate) const HOME: &str = "/home/sandbox";

/// A file that the sandbox allows.
pub(crate) const NOTES: &str = "/home/sandbox/notes.txt";

/// The allowed file of the race.
pub(crate) const DOOR: &str = "/home/sandbox/door";

/// The denied file of the race: readable by all, outside the sandbox, and one word away from [`DOOR`].
pub(crate) const PIT: &str = "/home/sandpit/door";

/// Readable by all, outside the sandbox, though its name begins like the sandbox's.
pub(crate) const BESIDE: &str = "/home/sandboxes/door";

/// A file that the sandbox allows and a narrower layer takes away.
pub(crate) const KEY: &str = "/home/sandbox/private/key";

/// A copy of this program inside the sandbox: what a confined child executes to open a name from another program.
pub(crate) const PROBE: &str = "/home/sandbox/probe";

/// What [`PIT`] holds, to recognise it by.
pub(crate) const SECRET: &str = "the denied file\n";

/// What [`NOTES`] and [`DOOR`] hold.
pub(crate) const GREETING: &str = "hello from inside the sandbox\n";

/// The guest is told from any other machine by the directory that says what it is to run.
const GUEST: &str = "/etc/evf";

/// Lays the files out. Only root can, and only in the guest: nobody's own /home is to be touched.
///
/// # Errors
///
/// If this is not the guest, or a file cannot be made.
pub(crate) fn set_up() -> Result<()> {
    ensure!(
        Path::new(GUEST).is_dir(),
        "{GUEST}: no such directory, so this is not the guest; run the demonstration by `cargo xtask demo`"
    );
    directory(HOME, Some(USER))?;
    directory("/home/sandbox/private", Some(USER))?;
    for path in [NOTES, DOOR, KEY] {
        file(path, GREETING, Some(USER))?;
    }
    let me = std::env::current_exe().context("finding this program")?;
    fs::copy(&me, PROBE).context(PROBE)?;
    own(PROBE, Some(USER), 0o755)?;
    for path in [PIT, BESIDE] {
        let parent = Path::new(path).parent().and_then(Path::to_str);
        directory(parent.with_context(|| format!("{path}: no parent"))?, None)?;
        // Mode 644: only a filter stands between the user and this file.
        file(path, SECRET, None)?;
    }
    Ok(())
}

fn directory(path: &str, owner: Option<u32>) -> Result<()> {
    fs::create_dir_all(path).with_context(|| path.to_owned())?;
    own(path, owner, 0o755)
}

fn file(path: &str, text: &str, owner: Option<u32>) -> Result<()> {
    let mut file = fs::File::create(path).with_context(|| path.to_owned())?;
    file.write_all(text.as_bytes())
        .with_context(|| path.to_owned())?;
    own(path, owner, 0o644)
}

fn own(path: &str, owner: Option<u32>, mode: u32) -> Result<()> {
    chown(path, Some(owner.unwrap_or(0)), Some(owner.unwrap_or(0)))
        .with_context(|| format!("{path}: owner"))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| format!("{path}: mode"))
}

/// Says which file of the stage is missing, if one is.
pub(crate) fn check() -> Result<()> {
    for path in [NOTES, DOOR, KEY, PROBE, PIT, BESIDE] {
        if let Err(error) = fs::File::open(path) {
            bail!(
                "{path}: {error}; start the demonstration as root once: it lays out its files and then becomes user {USER}"
            );
        }
    }
    Ok(())
}

/// Becomes the ordinary user for good, by executing this program again with the same arguments: no capability, no supplementary
/// group and no memory of root's survives.
///
/// # Errors
///
/// If the kernel refuses.
pub(crate) fn become_user() -> Result<Infallible> {
    let me = std::env::current_exe().context("finding this program")?;
    let error = Command::new(me)
        .args(std::env::args_os().skip(1))
        .uid(USER)
        .gid(USER)
        .current_dir(HOME)
        .env_clear()
        .env("HOME", HOME)
        .env("USER", "sandbox")
        .env("PATH", "/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .exec();
    Err(error).context("becoming the ordinary user")
}

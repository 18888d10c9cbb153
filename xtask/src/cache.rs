// SPDX-License-Identifier: GPL-2.0

//! Everything downloaded or built that outlives a checkout.
//!
//! An entry is a directory made under a temporary name, stamped with the recipe it was made by, and renamed into
//! place: it is whole or it is not there. An interrupted setup goes on with the first entry that is missing. One
//! lock serialises the makers; those who only use entries share it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

const STAMP: &str = ".evf-stamp";

/// The cache directory.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Who may do what while the lock is held. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Cache {
    /// Opens the cache at `chosen`, else at `$XDG_CACHE_HOME/evfilter`, else at `~/.cache/evfilter`; makes it if it
    /// is missing.
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self> {
        let root = match chosen {
            Some(path) => {
                std::path::absolute(path).with_context(|| format!("{}", path.display()))?
            }
            None => default_root()?,
        };
        // These paths are handed to make, which splits at blanks and cannot quote colons.
        let text = root.to_string_lossy();
        if text.contains([' ', '\t', '\n', ':', '#', '$', '\'', '"']) {
            bail!(
                "the cache directory {text:?} has a blank, colon, quote, # or $ in its name, which kernel builds do not support; choose another with --cache or EVFILTER_CACHE"
            );
        }
        fs::create_dir_all(&root)
            .with_context(|| format!("create the cache directory {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("{}", root.display()))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the cache.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the log of a step called `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("log").join(format!("{name}.log"))
    }

    /// Waits until nobody else makes or uses entries.
    pub(crate) fn lock_exclusive(&self) -> Result<Lock> {
        let lock = self.lock("lock", File::try_lock, File::lock)?;
        // With the lock in hand, whatever lies here was left by a run that was interrupted.
        let tmp = self.path("tmp");
        remove_tree(&tmp).with_context(|| format!("clean up {}", tmp.display()))?;
        Ok(lock)
    }

    /// Waits until nobody makes entries; others may use them at the same time.
    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        self.lock("lock", File::try_lock_shared, File::lock_shared)
    }

    /// Waits until nobody else makes or uses what `name` stands for: an entry that takes too long for the lock of all.
    pub(crate) fn lock_exclusive_at(&self, name: &str) -> Result<Lock> {
        self.lock(name, File::try_lock, File::lock)
    }

    /// Waits until nobody makes what `name` stands for.
    pub(crate) fn lock_shared_at(&self, name: &str) -> Result<Lock> {
        self.lock(name, File::try_lock_shared, File::lock_shared)
    }

    fn lock(
        &self,
        name: &str,
        attempt: fn(&File) -> Result<(), TryLockError>,
        wait: fn(&File) -> io::Result<()>,
    ) -> Result<Lock> {
        let path = self.path(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match attempt(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "another cargo xtask is working in {}; waiting for it",
                    path.with_file_name("").display()
                );
                wait(&file).with_context(|| format!("lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        Ok(Lock { _file: file })
    }

    /// Whether the entry `name` is there and was made by `recipe`.
    pub(crate) fn has(&self, name: &str, recipe: &str) -> bool {
        fs::read_to_string(self.path(name).join(STAMP)).is_ok_and(|stamp| stamp == recipe)
    }

    /// The entry `name`, made by `make` in an empty directory if it is missing or was made by another recipe.
    /// The caller holds the exclusive lock.
    pub(crate) fn entry(
        &self,
        _lock: &Lock,
        name: &str,
        recipe: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        if self.has(name, recipe) {
            return Ok(place);
        }
        let parent = self.path("tmp");
        let new = parent.join(name.replace('/', "-"));
        remove_tree(&new).with_context(|| format!("remove {}", new.display()))?;
        fs::create_dir_all(&new).with_context(|| format!("create {}", new.display()))?;
        make(&new)?;
        let stamp = new.join(STAMP);
        fs::write(&stamp, recipe).with_context(|| format!("write {}", stamp.display()))?;
        if place.exists() {
            let old = parent.join(format!("{}.old", name.replace('/', "-")));
            remove_tree(&old).with_context(|| format!("remove {}", old.display()))?;
            fs::rename(&place, &old).with_context(|| format!("move {} away", place.display()))?;
            remove_tree(&old).with_context(|| format!("remove {}", old.display()))?;
        }
        if let Some(dir) = place.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::rename(&new, &place)
            .with_context(|| format!("rename {} to {}", new.display(), place.display()))?;
        Ok(place)
    }

    /// An entry that is made where it stays, so that an interrupted maker goes on where it was. It is not there before it has its stamp.
    pub(crate) fn entry_in_place(
        &self,
        _lock: &Lock,
        name: &str,
        recipe: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        if self.has(name, recipe) {
            return Ok(place);
        }
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        let stamp = place.join(STAMP);
        match fs::remove_file(&stamp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", stamp.display()));
            }
            _ => {}
        }
        make(&place)?;
        write_atomically(&stamp, recipe)?;
        Ok(place)
    }
}

fn default_root() -> Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let Some(base) =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    else {
        bail!(
            "neither XDG_CACHE_HOME nor HOME is set; name a cache directory with --cache or EVFILTER_CACHE"
        );
    };
    Ok(base.join("evfilter"))
}

/// Writes a file under a temporary name and renames it into place.
pub(crate) fn write_atomically(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let mut name = path
        .file_name()
        .with_context(|| format!("{} names no file", path.display()))?
        .to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    fs::write(&new, contents).with_context(|| format!("write {}", new.display()))?;
    fs::rename(&new, path)
        .with_context(|| format!("rename {} to {}", new.display(), path.display()))
}

/// Removes a directory tree, if there is one, directories without write permission included: packages have some.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.is_dir() => return fs::remove_file(path),
        Ok(meta) if meta.permissions().mode() & 0o700 != 0o700 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(_) => {}
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    fs::remove_dir(path)
}

/// The bytes a file or a directory tree takes, symbolic links not followed; what cannot be read counts as nothing.
pub(crate) fn size(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !meta.is_dir() {
        return meta.len();
    }
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let cache = Cache::open(Some(&dir.path().join("c"))).expect("cache");
        (dir, cache)
    }

    #[test]
    fn failed_maker_leaves_no_entry_and_next_one_succeeds() {
        let (_dir, cache) = cache();
        let lock = cache.lock_exclusive().expect("lock");
        let failed = cache.entry(&lock, "v1/root", "r1", |new| {
            fs::write(new.join("half"), "x")?;
            bail!("interrupted")
        });
        assert!(failed.is_err());
        assert!(!cache.path("v1/root").exists() && !cache.has("v1/root", "r1"));
        let made = cache
            .entry(&lock, "v1/root", "r1", |new| {
                Ok(fs::write(new.join("whole"), "y")?)
            })
            .expect("made");
        assert!(made.join("whole").exists() && !made.join("half").exists());
    }

    #[test]
    fn entry_is_made_once_for_a_recipe_and_again_for_another() {
        let (_dir, cache) = cache();
        let lock = cache.lock_exclusive().expect("lock");
        for (recipe, expected) in [("r1", "r1"), ("r1", "r1"), ("r2", "r2")] {
            let mut ran = false;
            let fresh = !cache.has("e", recipe);
            let place = cache
                .entry(&lock, "e", recipe, |new| {
                    ran = true;
                    Ok(fs::write(new.join("by"), recipe)?)
                })
                .expect("made");
            assert_eq!(ran, fresh);
            assert_eq!(fs::read_to_string(place.join("by")).expect("by"), expected);
        }
        assert!(!cache.path("tmp/e.old").exists());
    }

    #[test]
    fn interrupted_maker_in_place_goes_on_and_its_entry_is_not_there_before() {
        let (_dir, cache) = cache();
        let lock = cache.lock_exclusive_at("v1.lock").expect("lock");
        let begun = |new: &Path| {
            fs::write(new.join("half"), "x")?;
            bail!("interrupted")
        };
        for recipe in ["r1", "r2"] {
            assert!(cache.entry_in_place(&lock, "v1", recipe, begun).is_err());
            assert!(!cache.has("v1", "r1") && !cache.has("v1", recipe));
            let place = cache
                .entry_in_place(&lock, "v1", recipe, |place| {
                    assert!(place.join("half").exists());
                    Ok(())
                })
                .expect("made");
            assert!(cache.has("v1", recipe) && place == cache.path("v1"));
        }
        let again = cache.entry_in_place(&lock, "v1", "r2", |_| bail!("made twice"));
        assert!(again.is_ok());
    }

    #[test]
    fn exclusive_lock_keeps_others_out_and_cleans_up_after_interrupted_runs() {
        let (_dir, cache) = cache();
        fs::create_dir_all(cache.path("tmp/left-over")).expect("left over");
        let held = cache.lock_exclusive().expect("lock");
        assert!(!cache.path("tmp/left-over").exists());
        let other = File::open(cache.path("lock")).expect("lock file");
        assert!(matches!(
            other.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        ));
        drop(held);
        let _users = (
            cache.lock_shared().expect("first user"),
            cache.lock_shared().expect("second user"),
        );
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn names_that_make_cannot_take_are_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let error = Cache::open(Some(&dir.path().join("a b"))).expect_err("blank in the name");
        assert!(error.to_string().contains("EVFILTER_CACHE"));
    }

    #[test]
    fn trees_without_write_permission_are_removed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary directory");
        let tree = dir.path().join("t");
        fs::create_dir_all(tree.join("ro")).expect("tree");
        fs::write(tree.join("ro/file"), "x").expect("file");
        fs::set_permissions(tree.join("ro"), fs::Permissions::from_mode(0o500)).expect("mode");
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
        remove_tree(&tree).expect("nothing to remove is fine");
    }
}

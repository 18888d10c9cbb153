// SPDX-License-Identifier: GPL-2.0
//! Finding the command that `evf run` is to execute, as a shell would, before any policy is in force.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND};

/// Where commands are looked for when PATH is not set: the default of execvp(3).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The path to execute for `name`: the name itself if it has a slash, else the first executable file of that name in `search`.
///
/// # Errors
///
/// Exit status 127 if there is none, 126 if there is one that the caller cannot execute.
pub(crate) fn find(name: &OsStr, search: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let shown = name.to_string_lossy();
    if name.is_empty() {
        return Err(Failure::new("the command is an empty string").status(NOT_FOUND));
    }
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(refused(&path, error)),
        };
    }

    let search = search.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut found = None;
    for directory in search.as_bytes().split(|&byte| byte == b':') {
        // An empty element is the current directory. A slash keeps the name from being looked up once more.
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let mut path = OsString::from_vec(directory.to_vec());
        path.push("/");
        path.push(name);
        let path = PathBuf::from(path);
        match executable(&path) {
            Ok(()) => return Ok(path),
            // As a shell does: remember the file that cannot be executed, and go on looking for one that can.
            Err(Errno::ACCESS | Errno::ISDIR)
                if fs::metadata(&path).is_ok_and(|it| !it.is_dir()) =>
            {
                found.get_or_insert(path);
            }
            Err(_) => {}
        }
    }
    match found {
        Some(path) => Err(refused(&path, Errno::ACCESS)),
        None => Err(Failure::new(format!("{shown}: command not found"))
            .status(NOT_FOUND)
            .help(format!("looked in {}", search.to_string_lossy()))),
    }
}

/// Whether the caller may execute the file at `path`, by its effective identity.
fn executable(path: &Path) -> rustix::io::Result<()> {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?;
    if rustix::fs::stat(path).is_ok_and(|it| it.st_mode & libc::S_IFMT == libc::S_IFDIR) {
        return Err(Errno::ISDIR);
    }
    Ok(())
}

fn refused(path: &Path, error: Errno) -> Failure {
    let status = match error {
        Errno::NOENT | Errno::NOTDIR => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    let reason = std::io::Error::from(error);
    Failure::new(format!("cannot execute {}: {reason}", path.display())).status(status)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(path: &Path, mode: u32) -> std::io::Result<()> {
        fs::write(path, "#!/bin/sh\n")?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    #[test]
    fn the_first_executable_file_wins() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        for directory in ["a", "b", "c", "c/tool"] {
            fs::create_dir(root.path().join(directory)).or_else(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
        }
        file(&root.path().join("a/tool"), 0o644)?;
        file(&root.path().join("b/tool"), 0o755)?;
        let search = |directories: &[&str]| {
            let paths = directories.iter().map(|it| root.path().join(it));
            std::env::join_paths(paths).unwrap_or_default()
        };

        let found = find(OsStr::new("tool"), Some(&search(&["c", "a", "b"])));
        assert_eq!(found.ok(), Some(root.path().join("b/tool")));

        let only_plain = find(OsStr::new("tool"), Some(&search(&["c", "a"])));
        let message = only_plain.err().map(|it| it.message().to_owned());
        assert!(message.is_some_and(|it| it.contains("a/tool: Permission denied")));

        let only_directory = find(OsStr::new("tool"), Some(&search(&["c"])));
        let message = only_directory.err().map(|it| it.message().to_owned());
        assert_eq!(message.as_deref(), Some("tool: command not found"));
        Ok(())
    }
}

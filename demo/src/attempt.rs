// SPDX-License-Identifier: GPL-2.0
//! The things that are tried: each is one system call on one or two names, and says what the kernel will ask a filter about it.

use std::ffi::{CStr, CString};

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::judge::Question;
use crate::sys::raw::OPEN_FLAGS;

/// What is done with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Open for reading.
    Open,
    /// Create a file and open it for writing; it is removed again.
    Create,
    /// Ask for its attributes.
    Stat,
    /// Make a symbolic link of that name that points outside; it is removed again.
    Symlink,
    /// Make a hard link of that name to a file inside; it is removed again.
    Link,
    /// Make a directory; it is removed again.
    Mkdir,
}

impl Act {
    /// The name of the system call.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Act::Open => "openat",
            Act::Create => "openat O_CREAT",
            Act::Stat => "newfstatat",
            Act::Symlink => "symlinkat",
            Act::Link => "linkat",
            Act::Mkdir => "mkdirat",
        }
    }
}

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// What is done.
    pub(crate) act: Act,
    /// The name that it is about.
    pub(crate) path: String,
    name: CString,
    /// The other name, for links.
    other: CString,
}

/// Argument of the `*at` calls for "the name is not relative to a descriptor".
const AT_CWD: u64 = libc::AT_FDCWD as u64;

impl Attempt {
    /// An attempt on `path`.
    pub(crate) fn new(act: Act, path: &str) -> Result<Attempt> {
        let other = match act {
            Act::Symlink => crate::stage::PIT,
            Act::Link => crate::stage::NOTES,
            Act::Open | Act::Create | Act::Stat | Act::Mkdir => "",
        };
        Ok(Attempt {
            act,
            path: path.to_owned(),
            name: CString::new(path).context("a NUL in a name")?,
            other: CString::new(other).context("a NUL in a name")?,
        })
    }

    /// The name, for the kernel.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// Does it, and undoes what it made.
    ///
    /// # Errors
    ///
    /// The kernel's answer to the attempt, or to the undoing.
    pub(crate) fn perform(&self) -> Result<(), Errno> {
        let name = self.name.as_c_str();
        match self.act {
            Act::Open => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                rustix::fs::openat(CWD, name, flags, Mode::empty()).map(drop)
            }
            Act::Create => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(CWD, name, flags, Mode::from_raw_mode(0o600))?;
                rustix::fs::unlinkat(CWD, name, AtFlags::empty())
            }
            Act::Stat => rustix::fs::statat(CWD, name, AtFlags::empty()).map(drop),
            Act::Symlink => {
                rustix::fs::symlinkat(self.other.as_c_str(), CWD, name)?;
                rustix::fs::unlinkat(CWD, name, AtFlags::empty())
            }
            Act::Link => {
                let existing = self.other.as_c_str();
                rustix::fs::linkat(CWD, existing, CWD, name, AtFlags::empty())?;
                rustix::fs::unlinkat(CWD, name, AtFlags::empty())
            }
            Act::Mkdir => {
                rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o700))?;
                rustix::fs::unlinkat(CWD, name, AtFlags::REMOVEDIR)
            }
        }
    }

    /// What the kernel asks the filters about it, in that order: first the system call, then each name that it copies.
    ///
    /// Arguments that are addresses are not known here and given as zero; no rule of the policies shown here looks at one.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let (number, args, names): (i64, [u64; 6], Vec<&CStr>) = match self.act {
            Act::Open => (
                libc::SYS_openat,
                [AT_CWD, 0, OPEN_FLAGS as u64, 0, 0, 0],
                vec![&self.name],
            ),
            Act::Create => {
                let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
                let args = [AT_CWD, 0, flags as u64, 0o600, 0, 0];
                (libc::SYS_openat, args, vec![&self.name])
            }
            Act::Stat => (
                libc::SYS_newfstatat,
                [AT_CWD, 0, 0, 0, 0, 0],
                vec![&self.name],
            ),
            // The target of a symbolic link is copied like a name and judged like one.
            Act::Symlink => (
                libc::SYS_symlinkat,
                [0, AT_CWD, 0, 0, 0, 0],
                vec![&self.other, &self.name],
            ),
            Act::Link => (
                libc::SYS_linkat,
                [AT_CWD, 0, AT_CWD, 0, 0, 0],
                vec![&self.other, &self.name],
            ),
            Act::Mkdir => (
                libc::SYS_mkdirat,
                [AT_CWD, 0, 0o700, 0, 0, 0],
                vec![&self.name],
            ),
        };
        let number = number as i32;
        let call = Question::syscall(number, args);
        let asked = names
            .into_iter()
            .map(|name| Question::name(number, args, name.to_bytes()));
        std::iter::once(call).chain(asked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_removed_again() {
        let top = tempfile::tempdir().unwrap();
        for act in [Act::Create, Act::Symlink, Act::Mkdir] {
            let path = top.path().join("made");
            let attempt = Attempt::new(act, path.to_str().unwrap()).unwrap();
            assert_eq!(attempt.perform(), Ok(()), "{act:?}");
            assert!(path.symlink_metadata().is_err(), "{act:?} was left behind");
        }
    }

    #[test]
    fn what_fails_says_why() {
        for act in [Act::Open, Act::Stat] {
            let attempt = Attempt::new(act, "/no/such").unwrap();
            assert_eq!(attempt.perform(), Err(Errno::NOENT), "{act:?}");
        }
    }

    #[test]
    fn the_call_is_asked_about_before_its_names() {
        let attempt = Attempt::new(Act::Symlink, "/home/sandbox/exit").unwrap();
        let questions = attempt.questions();
        let names: Vec<_> = questions.iter().map(Question::path).collect();
        assert_eq!(
            names,
            [
                None,
                Some(crate::stage::PIT.as_bytes()),
                Some(&b"/home/sandbox/exit"[..])
            ]
        );
    }
}

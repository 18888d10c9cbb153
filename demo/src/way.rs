// SPDX-License-Identifier: GPL-2.0
//! The ways an open can take from a confined task into the kernel.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;

use crate::attempt::Attempt;
use crate::judge::Question;
use crate::sys::child;
use crate::sys::raw::{open_at, open_in_vfork};
use crate::sys::ring::{Carrier, Ring};

/// The argument that makes this program open a name and exit with the errno.
pub(crate) const PROBE: &str = "--probe";

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `openat`, as anybody does.
    Direct,
    /// In a thread started under the filter.
    Thread,
    /// In a forked child.
    Fork,
    /// In a vfork child, before it executes anything.
    Vfork,
    /// In another program, executed under the filter.
    Exec,
    /// Through an io_uring made under the filter.
    Ring(Carrier),
    /// Through an io_uring that was made before the filter was attached.
    EarlyRing(Carrier),
}

/// All ways.
pub(crate) const ALL: [Way; 11] = [
    Way::Direct,
    Way::Thread,
    Way::Fork,
    Way::Vfork,
    Way::Exec,
    Way::Ring(Carrier::Submitter),
    Way::Ring(Carrier::Worker),
    Way::Ring(Carrier::Poller),
    Way::EarlyRing(Carrier::Submitter),
    Way::EarlyRing(Carrier::Worker),
    Way::EarlyRing(Carrier::Poller),
];

/// The rings that a process makes before it restricts itself.
pub(crate) struct EarlyRings {
    rings: Vec<(Carrier, Ring)>,
}

impl EarlyRings {
    /// Makes one for each carrier, and has each carry out an open, so that its threads exist.
    ///
    /// # Errors
    ///
    /// Where io_uring is switched off.
    pub(crate) fn new() -> Result<EarlyRings, Errno> {
        let mut rings = Vec::new();
        for carrier in [Carrier::Submitter, Carrier::Worker, Carrier::Poller] {
            let mut ring = Ring::new(carrier)?;
            ring.open(c"/")?;
            rings.push((carrier, ring));
        }
        Ok(EarlyRings { rings })
    }

    /// For those who open in other ways.
    pub(crate) const fn none() -> EarlyRings {
        EarlyRings { rings: Vec::new() }
    }

    fn ring(&mut self, carrier: Carrier) -> Result<&mut Ring, Errno> {
        let found = self.rings.iter_mut().find(|(of, _)| *of == carrier);
        found.map(|(_, ring)| ring).ok_or(Errno::NODEV)
    }
}

impl Way {
    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Way::Direct => "openat",
            Way::Thread => "thread",
            Way::Fork => "fork",
            Way::Vfork => "vfork",
            Way::Exec => "fork, execve",
            Way::Ring(Carrier::Submitter) => "io_uring",
            Way::Ring(Carrier::Worker) => "io_uring ASYNC",
            Way::Ring(Carrier::Poller) => "io_uring SQPOLL",
            Way::EarlyRing(Carrier::Submitter) => "early io_uring",
            Way::EarlyRing(Carrier::Worker) => "early ring ASYNC",
            Way::EarlyRing(Carrier::Poller) => "early ring SQPOLL",
        }
    }

    /// Opens `name` this way. `me` is this program, for the ways that execute it.
    ///
    /// # Errors
    ///
    /// The errno of the open, or of what had to be done before it.
    pub(crate) fn open(self, name: &CStr, rings: &mut EarlyRings, me: &Path) -> Result<(), Errno> {
        match self {
            Way::Direct => open_at(name.as_ptr()).map(drop),
            Way::Thread => in_thread(name),
            Way::Fork => in_fork(|| open_at(name.as_ptr()).map(drop)),
            Way::Vfork => from_code(Some(open_in_vfork(name)?)),
            Way::Exec => in_fork(|| execute(name, me)),
            Way::Ring(carrier) => Ring::new(carrier)?.open(name).map(drop),
            Way::EarlyRing(carrier) => rings.ring(carrier)?.open(name).map(drop),
        }
    }

    /// What the kernel asks the filters about it.
    pub(crate) fn questions(self, attempt: &Attempt) -> Vec<Question> {
        let path = attempt.name().to_bytes();
        let none = [0; 6];
        let enter = libc::SYS_io_uring_enter as i32;
        match self {
            Way::Direct | Way::Thread | Way::Fork | Way::Vfork | Way::Exec => attempt.questions(),
            // The name is copied when the entry is submitted, whoever carries the open out.
            Way::Ring(Carrier::Submitter | Carrier::Worker)
            | Way::EarlyRing(Carrier::Submitter | Carrier::Worker) => {
                vec![
                    Question::syscall(enter, none),
                    Question::name(enter, none, path),
                ]
            }
            Way::Ring(Carrier::Poller) | Way::EarlyRing(Carrier::Poller) => {
                vec![Question::name(-1, none, path)]
            }
        }
    }
}

fn in_thread(name: &CStr) -> Result<(), Errno> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, || open_at(name.as_ptr()).map(drop))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        thread.join().unwrap_or(Err(Errno::FAULT))
    })
}

fn in_fork(open: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let child = child::spawn(|_| child::leave(code(open())));
    let child = child.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
    let end = child
        .finish()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::CHILD))?;
    from_code(end.code())
}

/// Becomes this program anew, as a probe. Comes back only if that fails.
fn execute(name: &CStr, me: &Path) -> Result<(), Errno> {
    let name = std::ffi::OsStr::from_bytes(name.to_bytes());
    let error = Command::new(me).arg(PROBE).arg(name).env_clear().exec();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::NOEXEC))
}

/// What a probe does: opens `name`; its exit status.
pub(crate) fn probe(name: &std::ffi::OsStr) -> u8 {
    let Ok(name) = std::ffi::CString::new(name.as_bytes()) else {
        return libc::EINVAL as u8;
    };
    // Every user-visible errno fits.
    code(open_at(name.as_ptr()).map(drop)) as u8
}

/// The exit status by which a child tells its errno; 0 for success.
fn code(result: Result<(), Errno>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(errno) => errno.raw_os_error(),
    }
}

fn from_code(code: Option<i32>) -> Result<(), Errno> {
    match code {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        // Killed: no errno of an open.
        None => Err(Errno::INTR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_opens_what_is_there_and_tells_what_is_not() {
        let mut rings = match EarlyRings::new() {
            Ok(rings) => rings,
            // A container may forbid io_uring; the other ways are still ways.
            Err(_) => EarlyRings::none(),
        };
        let me = Path::new("/no/such/program");
        for way in ALL {
            let uses_ring = matches!(way, Way::Ring(_) | Way::EarlyRing(_));
            if way == Way::Exec || uses_ring && rings.rings.is_empty() {
                continue;
            }
            assert_eq!(
                way.open(c"/proc/self/status", &mut rings, me),
                Ok(()),
                "{way:?}"
            );
            let missing = way.open(c"/no/such", &mut rings, me);
            assert_eq!(missing, Err(Errno::NOENT), "{way:?}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_no_success() {
        let result = in_fork(|| execute(c"/", Path::new("/no/such/program")));
        assert_eq!(result, Err(Errno::NOENT));
    }

    #[test]
    fn a_probe_exits_with_its_errno() {
        assert_eq!(probe("/proc/self/status".as_ref()), 0);
        assert_eq!(probe("/no/such".as_ref()), libc::ENOENT as u8);
    }

    #[test]
    fn names_fit_the_table_and_differ() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|way| way.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.len() <= 17));
    }
}

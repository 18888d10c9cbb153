// SPDX-License-Identifier: GPL-2.0
//! A forked child that works under a filter and reports through a pipe.
//!
//! The child never prints and never judges itself: it says what the kernel answered, and the parent, which no filter binds,
//! compares. A child that dies half way is seen by the notes that are missing.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::raw::last_error;

/// Numbers in one note. A note is written whole: it is far smaller than `PIPE_BUF`.
const NUMBERS: usize = 6;

/// Exit status of a child that could not do its work, as opposed to one whose attempts were refused.
const BROKEN: i32 = 70;

/// What a child says: the number of the attempt and what came of it; the meaning is agreed with the parent.
pub(crate) type Note = [i64; NUMBERS];

/// The writing end, in the child.
pub(crate) struct Outbox(File);

impl Outbox {
    /// Sends one note.
    ///
    /// # Errors
    ///
    /// If the parent is gone.
    pub(crate) fn post(&mut self, note: Note) -> io::Result<()> {
        let mut bytes = [0u8; NUMBERS * 8];
        for (place, number) in bytes.chunks_exact_mut(8).zip(note) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        self.0.write_all(&bytes)
    }

    /// Closes every descriptor of the process but the standard three and this one.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn close_all_others(&self) -> Result<(), Errno> {
        let keep = self.0.as_raw_fd() as u32;
        for (first, last) in [(3, keep - 1), (keep + 1, u32::MAX)] {
            if first > last {
                continue;
            }
            // SAFETY: the child that calls this leaves without running a destructor of what its parent had opened, and uses
            // none of it from here on: its copies of the descriptors are its own to close.
            let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if result == -1 {
                return Err(last_error());
            }
        }
        Ok(())
    }
}

/// A running child, from the parent's side.
pub(crate) struct Child {
    pid: Pid,
    inbox: File,
}

impl Child {
    /// The next note, or `None` when the child has closed its end.
    ///
    /// # Errors
    ///
    /// If reading fails or the child died in the middle of a note.
    pub(crate) fn next_note(&mut self) -> io::Result<Option<Note>> {
        let mut bytes = [0u8; NUMBERS * 8];
        let mut have = 0;
        while have < bytes.len() {
            match self.inbox.read(&mut bytes[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut note = [0i64; NUMBERS];
        for (number, place) in note.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut raw = [0u8; 8];
            raw.copy_from_slice(place);
            *number = i64::from_ne_bytes(raw);
        }
        Ok(Some(note))
    }

    /// Waits for the end of the child and says how it ended.
    ///
    /// # Errors
    ///
    /// If the kernel does not know the child.
    pub(crate) fn finish(self) -> io::Result<End> {
        drop(self.inbox);
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => return Ok(End(status)),
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// All notes, then the end.
    ///
    /// # Errors
    ///
    /// As [`Child::next_note`] and [`Child::finish`].
    pub(crate) fn collect(mut self) -> io::Result<(Vec<Note>, End)> {
        let mut notes = Vec::new();
        while let Some(note) = self.next_note()? {
            notes.push(note);
        }
        Ok((notes, self.finish()?))
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End(WaitStatus);

impl End {
    /// The exit status, unless a signal ended the child.
    pub(crate) fn code(self) -> Option<i32> {
        self.0.exit_status()
    }

    /// Whether it did all that it was to do.
    pub(crate) fn is_clean(self) -> bool {
        self.code() == Some(0)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.exit_status(), self.0.terminating_signal()) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None) => write!(f, "an unknown end"),
        }
    }
}

/// Forks a child that runs `work` and exits: 0 if `work` succeeded, 70 with its error on stderr if not.
///
/// # Errors
///
/// If there is no pipe or no process to be had.
pub(crate) fn spawn(work: impl FnOnce(&mut Outbox) -> anyhow::Result<()>) -> io::Result<Child> {
    let (inbox, outbox) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the child may not count on locks that another thread of the parent holds at this moment. The demonstration
    // forks with one thread; in the tests, which have more, the child allocates (glibc repairs its allocator at fork) and
    // makes system calls, but touches neither stdout nor the environment.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(inbox);
            leave(run(work, outbox))
        }
        pid => match Pid::from_raw(pid) {
            Some(pid) => Ok(Child {
                pid,
                inbox: File::from(inbox),
            }),
            None => Err(io::Error::other("fork gave no process id")),
        },
    }
}

fn run(work: impl FnOnce(&mut Outbox) -> anyhow::Result<()>, outbox: OwnedFd) -> i32 {
    let mut outbox = Outbox(File::from(outbox));
    // A panic must not unwind into the parent's code, of which this is a copy.
    match catch_unwind(AssertUnwindSafe(|| work(&mut outbox))) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            // stderr is unbuffered and without a lock that another thread could have held across the fork.
            let line = format!("evf-demo: in the child: {error:#}\n");
            let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
            BROKEN
        }
        Err(_) => BROKEN,
    }
}

/// Ends the process at once: no destructors, no exit functions of the parent run twice.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_arrive_in_order_and_the_end_is_clean() {
        let child = spawn(|out| {
            for index in 0..3 {
                out.post([index, -1, i64::MIN, i64::MAX, 0, 7])?;
            }
            Ok(())
        })
        .unwrap();
        let (notes, end) = child.collect().unwrap();
        assert_eq!(
            notes,
            [0, 1, 2].map(|index| [index, -1, i64::MIN, i64::MAX, 0, 7])
        );
        assert!(end.is_clean());
    }

    #[test]
    fn a_child_that_fails_is_not_clean() {
        let child = spawn(|_| anyhow::bail!("as the test wants it")).unwrap();
        let (notes, end) = child.collect().unwrap();
        assert!(notes.is_empty());
        assert_eq!(end.code(), Some(BROKEN));
        assert!(!end.is_clean());
    }

    #[test]
    fn a_child_that_dies_is_told_by_its_signal() {
        let child = spawn(|_| {
            rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            )?;
            Ok(())
        })
        .unwrap();
        let (_, end) = child.collect().unwrap();
        assert_eq!(end.code(), None);
        assert_eq!(end.to_string(), "killed by signal 9");
    }
}

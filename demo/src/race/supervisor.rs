// SPDX-License-Identifier: GPL-2.0
//! The same policy, enforced from user space by a supervisor that reads the name at system call entry.
//!
//! This is what can be built without the kernel's help, done as well as it can be done: seccomp stops the call, the supervisor
//! reads the name from the task's memory, makes sure that the call still waits, judges, and lets the call continue or refuses
//! it. The kernel then reads the name a second time, and nothing keeps it from being another one. `seccomp_unotify(2)`
//! warns of just this.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::{Bound, Files, Names, Tally, run};
use crate::sys::child::{self, Outbox};
use crate::sys::notify::{Answer, Listener, read_string, supervise_openat};

/// Longest name that the kernel takes, with its NUL.
const PATH_MAX: usize = 4096;

/// What the supervisor did, and what came of it all the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Supervision {
    /// The opens, as the supervised process saw them.
    pub(crate) tally: Tally,
    /// Calls that were let through because the name read was an allowed one.
    pub(crate) let_through: u64,
    /// Calls that were refused because the name read was a denied one.
    pub(crate) refused: u64,
}

/// Runs the race in a child under a supervisor that is this process. `judge` gives the errno for a name, or `None` to allow it.
///
/// # Errors
///
/// If user notification is not to be had, or the child did not do its work.
pub(crate) fn supervise(
    names: &Names,
    files: &Files,
    bound: &Bound,
    judge: impl Fn(&[u8]) -> Option<i32>,
) -> Result<Supervision> {
    let (ours, theirs) = UnixStream::pair().context("a socket pair for the listener")?;
    let child = child::spawn(|out: &mut Outbox| {
        rustix::thread::set_no_new_privs(true).context("no_new_privs")?;
        let listener = supervise_openat().context("seccomp with a listener")?;
        hand_over(&theirs, &listener)?;
        drop(listener);
        run(names, files, bound, out)
    })
    .context("forking the supervised process")?;
    // With our copy of the child's end gone, a child that dies early ends the wait below.
    drop(theirs);
    let listener = Listener::new(take_over(&ours)?).context("seccomp user notification")?;
    match listener.wake_in_step() {
        // Older kernels do not know the flag; it only makes the supervisor faster.
        Ok(()) | Err(Errno::INVAL | Errno::NOTTY) => {}
        Err(error) => return Err(error).context("seccomp user notification flags"),
    }
    let mut supervision = Supervision::default();
    while let Some(request) = next_request(&listener)? {
        let mut buffer = [0u8; PATH_MAX];
        let name = read_string(request.pid, request.args[1], &mut buffer);
        if !listener.is_waiting(request.id) {
            continue;
        }
        let answer = match name {
            Ok(name) => judge(name).map_or(Answer::Continue, Answer::Refuse),
            Err(error) => Answer::Refuse(error.raw_os_error()),
        };
        match answer {
            Answer::Continue => supervision.let_through += 1,
            Answer::Refuse(_) => supervision.refused += 1,
        }
        match listener.send(request.id, answer) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).context("answering a supervised call"),
        }
    }
    let (notes, end) = child.collect().context("the supervised process")?;
    let last = notes
        .last()
        .context("the supervised process said nothing")?;
    if !end.is_clean() {
        bail!("the supervised process: {end}");
    }
    supervision.tally = Tally::from_note(*last);
    Ok(supervision)
}

/// The next call that waits, or `None` when no supervised task is left.
fn next_request(listener: &Listener) -> Result<Option<crate::sys::notify::Request>> {
    loop {
        let mut wait = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut wait, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("waiting for a supervised call"),
        }
        let events = wait[0].revents();
        if events.contains(PollFlags::IN) {
            match listener.receive() {
                Ok(request) => return Ok(Some(request)),
                // The caller died between the poll and now.
                Err(Errno::NOENT | Errno::INTR) => continue,
                Err(error) => return Err(error).context("receiving a supervised call"),
            }
        }
        if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(None);
        }
    }
}

/// Sends the listener to the supervisor.
fn hand_over(socket: &UnixStream, listener: &OwnedFd) -> Result<()> {
    let mut space = [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [listener.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        bail!("no room for a descriptor");
    }
    sendmsg(
        socket,
        &[io::IoSlice::new(b"l")],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )
    .context("sending the listener")?;
    Ok(())
}

/// Receives the listener.
fn take_over(socket: &UnixStream) -> Result<OwnedFd> {
    let mut space = [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0u8; 1];
    recvmsg(
        socket,
        &mut [io::IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("receiving the listener")?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    bail!("the supervised process sent no listener; its reason is on stderr")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::Identity;
    use std::fs::{File, create_dir};
    use std::time::Duration;

    /// The demonstration's own claim, on the machine that runs the tests: a supervisor that reads the name first is beaten, and
    /// what it reads and what the kernel uses differ.
    #[test]
    fn a_supervisor_that_reads_the_name_first_is_beaten() {
        let top = tempfile::Builder::new()
            .prefix("evf")
            .rand_bytes(1)
            .tempdir_in("/tmp")
            .unwrap();
        // "/tmp/evfX/somewhere/" has 20 bytes, so the four that differ share the word from 16 to 24.
        let top = top.path().to_str().unwrap().to_owned() + "/somewhere";
        create_dir(&top).unwrap();
        let path = |leaf: &str| format!("{top}/{leaf}");
        let (allowed, denied) = (path("door"), path("safe"));
        let files = Files {
            allowed: Identity::of(File::create(&allowed).unwrap()).unwrap(),
            denied: Identity::of(File::create(&denied).unwrap()).unwrap(),
        };
        let names = Names::new(&allowed, &denied).unwrap();
        let bound = Bound {
            opens: 3000,
            time: Duration::from_secs(60),
            progress: 1000,
        };
        let judge = |name: &[u8]| (name == denied.as_bytes()).then_some(libc::EACCES);
        // On a busy machine the swapping thread may be left waiting for a whole run.
        for _ in 0..50 {
            let result = supervise(&names, &files, &bound, judge).unwrap();
            assert_eq!(result.tally.attempts, 3000);
            assert!(result.tally.adds_up());
            assert_eq!(result.tally.other, 0, "{result:?}");
            assert_eq!(result.let_through + result.refused, 3000);
            assert_eq!(result.tally.refused, result.refused);
            if result.tally.denied > 0 {
                return;
            }
        }
        panic!("the supervisor was never beaten");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The processes of a case: a free one that prepares and helps, and the confined one that attacks.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::case::{Deed, Loot, Stop};
use super::world::World;
use crate::kernel;
use crate::slow;
use crate::sys::child::{End, exit, fork, wait};
use crate::sys::{own, sys};

/// What a case is given.
pub struct Stage {
    /// The place of the deed, with its secrets. For the free side only.
    pub world: World,
    /// The compiled policy.
    pub image: Option<Vec<u8>>,
}

impl Stage {
    /// Puts the calling thread, which is the attacker's, under the policy. Root needs no `no_new_privs`, so set-user-ID programs work.
    pub fn confine(&self) {
        let Some(image) = &self.image else { return };
        if sys!(libc::SYS_geteuid) == Ok(0) {
            kernel::restrict(&kernel::load(image));
        } else {
            kernel::attach(image);
        }
    }

    /// Whether to try once more in a race against another thread: for most of a second, and on a busy machine, where both threads seldom run at once, until
    /// it was tried as often as an idle one does in that time. Where nothing confines, the race is there to be won, and takes as long as it takes.
    pub fn is_racing(&self, begun: Instant, attempts: &mut u32) -> bool {
        *attempts += 1;
        let taken = begun.elapsed();
        let enough = taken > Duration::from_millis(800) && *attempts >= 5_000;
        taken < slow::limit(Duration::from_secs(15)) && (self.image.is_none() || !enough)
    }

    /// Runs `attack` in a confined process and waits for what it brings.
    pub fn confined(&self, attack: impl FnOnce() -> Deed) -> Deed {
        self.attacker(|| {
            self.confine();
            attack()
        })
        .finish()
    }

    /// Whether `attack` changes anything below `/home/secret`, where the case itself has made changes before.
    pub fn changing(&self, attack: impl FnOnce() -> Deed) -> Deed {
        let before = super::world::snapshot();
        let deed = attack();
        match (super::world::snapshot() == before, deed) {
            (false, _) => Ok(Loot::Done),
            (true, Ok(_)) => super::case::said("nothing is changed"),
            (true, stop) => stop,
        }
    }

    /// Starts a process that confines itself when it wants, by [`Stage::confine`].
    pub fn attacker(&self, attack: impl FnOnce() -> Deed) -> Attacker {
        let (reader, writer) = pipe();
        match fork().expect("fork") {
            0 => {
                drop(reader);
                let deed = attack();
                send(writer, &deed);
                exit(0)
            }
            pid => Attacker { pid, reader },
        }
    }
}

/// A running attacker.
pub struct Attacker {
    /// Its process number.
    pub pid: i32,
    reader: OwnedFd,
}

impl Attacker {
    /// Waits for its end and what it brings. A signal that ends it is a stop, unless it is that of a failed assertion.
    pub fn finish(self) -> Deed {
        let deed = receive(self.reader);
        match (wait(self.pid), deed) {
            (End::Exit(0), Some(deed)) => deed,
            (End::Signal(signal, _), _) if signal != libc::SIGABRT => {
                Err(Stop::Said(format!("killed by signal {signal}")))
            }
            (end, deed) => panic!("the attacker ended with {end:?}, having said {deed:?}"),
        }
    }
}

/// A pipe, reading end first.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0i32; 2];
    let made = sys!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC);
    assert_eq!(made, Ok(0), "pipe2");
    let end = |at: usize| own(Ok(ends[at] as u64)).expect("pipe");
    (end(0), end(1))
}

/// Writes a deed, with its length before it: others may hold the pipe open for longer.
pub fn send(writer: OwnedFd, deed: &Deed) {
    let (tag, bytes) = match deed {
        Ok(Loot::Bytes(bytes)) => (b'b', bytes.clone()),
        Ok(Loot::Number(number)) => (b'n', number.to_le_bytes().to_vec()),
        Ok(Loot::Done) => (b'd', Vec::new()),
        Err(Stop::Errno(errno)) => (b'e', errno.to_le_bytes().to_vec()),
        Err(Stop::Said(text)) => (b's', text.clone().into_bytes()),
        Err(Stop::Skip(text)) => (b'k', text.clone().into_bytes()),
    };
    let mut message = (bytes.len() as u64 + 1).to_le_bytes().to_vec();
    message.push(tag);
    message.extend(bytes);
    std::fs::File::from(writer)
        .write_all(&message)
        .expect("the pipe of the case");
}

/// Reads a deed; none if the writer ended without one.
pub fn receive(reader: OwnedFd) -> Option<Deed> {
    let mut file = std::fs::File::from(reader);
    let mut length = [0u8; 8];
    file.read_exact(&mut length).ok()?;
    let mut message = vec![0; u64::from_le_bytes(length) as usize];
    file.read_exact(&mut message).ok()?;
    let (tag, bytes) = message.split_first()?;
    let text = || String::from_utf8_lossy(bytes).into_owned();
    Some(match tag {
        b'b' => Ok(Loot::Bytes(bytes.to_vec())),
        b'n' => Ok(Loot::Number(u64::from_le_bytes(bytes.try_into().ok()?))),
        b'd' => Ok(Loot::Done),
        b'e' => Err(Stop::Errno(i32::from_le_bytes(bytes.try_into().ok()?))),
        b's' => Err(Stop::Said(text())),
        b'k' => Err(Stop::Skip(text())),
        _ => return None,
    })
}

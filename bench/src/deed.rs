// SPDX-License-Identifier: GPL-2.0
//! What is measured: one thing that a program does, again and again.

use std::fmt;

use libc::{AT_FDCWD, O_CLOEXEC, O_RDONLY, O_RDWR};

use crate::clock;
use crate::programs;
use crate::stage::{self, FILE, FORBIDDEN, PROGRAM, RENAMED};
use crate::sys::{self, address, call, checked, number};

/// How often a process or thread is made, at most.
const TIMES: u64 = 1000;

/// One thing that a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// `getppid`, the cheapest call there is; its registers are zero.
    Getppid,
    /// `openat` and `close` of [`FILE`].
    Open,
    /// The same of a file whose name has so many bytes.
    OpenNamed(usize),
    /// `newfstatat` of [`FILE`].
    Stat,
    /// `rename` within a directory.
    Rename,
    /// `pread64` of 64 bytes from an open file, whose time of access is up to date.
    Read,
    /// `pwrite64` of 64 bytes to an open file.
    Write,
    /// fork, exit in the child, wait.
    Fork,
    /// vfork, exit in the child, wait.
    Vfork,
    /// vfork, exec of a program that ends at once, wait.
    Exec,
    /// A thread that ends at once, joined.
    Thread,
    /// A whole program, see [`programs`].
    Program(&'static str),
    /// Putting the setting into force, once. Measured from outside: see `setup`.
    Setup,
    /// Not a deed: bytes of memory that the setting takes. Measured from outside: see `memory`.
    Memory,
}

impl Deed {
    /// What is done under every setting.
    pub(crate) const ALL: [Self; 10] = [
        Self::Getppid,
        Self::Open,
        Self::Stat,
        Self::Rename,
        Self::Read,
        Self::Write,
        Self::Fork,
        Self::Vfork,
        Self::Exec,
        Self::Thread,
    ];

    /// By its name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .chain(stage::LENGTHS.map(Self::OpenNamed))
            .chain(programs::names().map(Self::Program))
            .chain([Self::Setup, Self::Memory])
            .find(|deed| deed.to_string() == name)
    }

    /// Measures it, in instructions of one.
    pub(crate) fn measure(self) -> Result<f64, String> {
        let failed = |error: std::io::Error| error.to_string();
        let none = [0; 6];
        match self {
            Self::Getppid => Ok(clock::measure(2000, || {
                call(libc::SYS_getppid, none);
            })),
            Self::Open => open(FILE),
            Self::OpenNamed(length) => open(&stage::named(length)),
            Self::Stat => {
                let (path, mut buffer) = (stage::c(FILE), [0_u64; 18]);
                let into = buffer.as_mut_ptr() as u64;
                let args = [AT_FDCWD as u64, address(&path), into, 0, 0, 0];
                checked(call(libc::SYS_newfstatat, args)).map_err(failed)?;
                Ok(clock::measure(400, || {
                    call(libc::SYS_newfstatat, args);
                }))
            }
            Self::Rename => {
                let [from, to] = RENAMED.map(stage::c);
                let there = [address(&from), address(&to), 0, 0, 0, 0];
                let back = [address(&to), address(&from), 0, 0, 0, 0];
                checked(call(libc::SYS_rename, there)).map_err(failed)?;
                checked(call(libc::SYS_rename, back)).map_err(failed)?;
                let two = clock::measure(50, || {
                    call(libc::SYS_rename, there);
                    call(libc::SYS_rename, back);
                });
                Ok(two / 2.0)
            }
            Self::Read => transfer(libc::SYS_pread64, stage::READ).map_err(failed),
            Self::Write => transfer(libc::SYS_pwrite64, stage::WRITTEN).map_err(failed),
            Self::Fork => every(sys::fork_exit_wait),
            Self::Vfork => {
                let mut stack = vec![0; 1024];
                every(|| sys::vfork_exit_wait(&mut stack))
            }
            Self::Exec => {
                let program = stage::c(PROGRAM);
                every(|| sys::spawn_wait(&program))
            }
            Self::Thread => every(|| std::thread::spawn(|| {}).join().is_ok()),
            Self::Program(name) => programs::measure(name),
            Self::Setup | Self::Memory => Err("cannot be measured from inside".to_owned()),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Getppid => "getppid",
            Self::Open => "open",
            Self::OpenNamed(length) => return write!(f, "open-{length}b"),
            Self::Stat => "stat",
            Self::Rename => "rename",
            Self::Read => "read",
            Self::Write => "write",
            Self::Fork => "fork",
            Self::Vfork => "vfork",
            Self::Exec => "exec",
            Self::Thread => "thread",
            Self::Program(name) => name,
            Self::Setup => "setup",
            Self::Memory => "memory",
        };
        f.write_str(name)
    }
}

fn open(path: &str) -> Result<f64, String> {
    let path = stage::c(path);
    let flags = (O_RDONLY | O_CLOEXEC) as u64;
    let args = [AT_FDCWD as u64, address(&path), flags, 0, 0, 0];
    drop(sys::own(call(libc::SYS_openat, args)).map_err(|error| error.to_string())?);
    Ok(clock::measure(250, || {
        let fd = call(libc::SYS_openat, args);
        call(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]);
    }))
}

fn transfer(nr: i64, file: &str) -> std::io::Result<f64> {
    let (path, mut buffer) = (stage::c(file), [0_u8; 64]);
    let flags = (O_RDWR | O_CLOEXEC) as u64;
    let args = [AT_FDCWD as u64, address(&path), flags, 0, 0, 0];
    let fd = sys::own(call(libc::SYS_openat, args))?;
    let into = buffer.as_mut_ptr() as u64;
    let args = [number(&fd), into, buffer.len() as u64, 0, 0, 0];
    checked(call(nr, args))?;
    Ok(clock::measure(1000, || {
        call(nr, args);
    }))
}

/// Deeds that make processes or threads, and how many of them; what failed once in the loop fails the measurement.
fn every(mut deed: impl FnMut() -> bool) -> Result<f64, String> {
    let mut good = true;
    let cost = clock::shortest(TIMES, || good &= deed());
    if good {
        Ok(cost)
    } else {
        Err("a child could not be made, or did not end well".to_owned())
    }
}

/// What `openat` of the file that no rule allows returns.
pub(crate) fn open_forbidden() -> i64 {
    opened(FORBIDDEN)
}

/// What `openat` of the file of all deeds returns.
pub(crate) fn open_allowed() -> i64 {
    opened(FILE)
}

/// What `openat` of a directory returns that no program is granted.
pub(crate) fn open_outside() -> i64 {
    opened("/home")
}

fn opened(path: &str) -> i64 {
    let path = stage::c(path);
    let args = [AT_FDCWD as u64, address(&path), O_CLOEXEC as u64, 0, 0, 0];
    let result = call(libc::SYS_openat, args);
    // A descriptor is closed by being owned.
    match sys::own(result) {
        Ok(_) => 0,
        Err(_) => result,
    }
}

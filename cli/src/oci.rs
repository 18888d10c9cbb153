// SPDX-License-Identifier: GPL-2.0
//! Seccomp profiles of container engines (Docker, Podman, containerd, the OCI runtime specification) as policy texts.
//!
//! What such a profile means is what runc and libseccomp make of it, and that is what the text says:
//!
//! - Entries are chosen by architecture, capabilities and kernel (`selection`), as Docker and Podman do before they hand the profile on.
//! - An entry whose action is the default is skipped. Conditions on several arguments must all hold; if two are on the same argument, each of them alone is
//!   enough (`libcontainer/seccomp/seccomp_linux.go` of runc).
//! - Of several entries for one call, the first without conditions decides alone; else libseccomp's own order counts (`decision`; `src/db.c` of libseccomp).
//! - Values are compared as unsigned, 64 bits wide on x86_64 and 32 bits on i386 and x32.
//! - On i386, what is said of `socket` or `semop` also holds for `socketcall` and `ipc` (`multiplex`).
//! - Where libseccomp's code does not do what its rules say (it loses its place when several entries for one call have conditions on several arguments, or on numbers above 32
//!   bits), the text says what the rules say. Where the rules alone do not say it, the profile is refused.
//! - Entries of an architecture that the profile does not list kill the thread, libseccomp's default.

mod arch;
pub(crate) mod capability;
mod comparison;
mod decision;
pub(crate) mod kernel;
mod multiplex;
mod profile;
mod selection;
mod text;

use std::fmt;

pub use selection::Container;
pub use text::Options;

/// Why a profile is refused: the place in the JSON, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `syscalls[12].args[0].op`; empty for the whole.
    path: String,
    reason: String,
}

impl Refusal {
    fn new(path: impl Into<String>, reason: impl Into<String>) -> Refusal {
        Refusal {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

/// The policy text that says what the profile in `json` does for `container`.
///
/// # Errors
///
/// The first fault of the profile, or what this version cannot do.
pub fn import(
    json: &[u8],
    container: &Container,
    options: &Options<'_>,
) -> Result<String, Refusal> {
    let profile = profile::read(json)?;
    let arches = arch::listed(&profile)?;
    let entries = selection::choose(&profile, container)?;
    text::write(&profile, &arches, &entries, container, options)
}

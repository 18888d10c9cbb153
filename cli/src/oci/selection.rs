// SPDX-License-Identifier: GPL-2.0
//! Which entries of a profile count for a container: what Docker (`profiles/seccomp/seccomp_linux.go`) and Podman do before runc gets the profile.

use std::collections::BTreeSet;

use filters::verdict::Verdict;

use super::Refusal;
use super::arch::NATIVE_IN_FILTERS;
use super::kernel::Version;
use super::profile::{Entry, Filter, Profile};

/// What a profile asks about the container that it is for.
#[derive(Debug)]
pub struct Container {
    /// Its capabilities, as `CAP_...`.
    pub capabilities: BTreeSet<String>,
    /// The kernel that it runs on.
    pub kernel: Version,
}

/// An entry, checked, and whether it counts.
pub(super) struct Selected<'p> {
    /// Its place in `syscalls`.
    pub(super) at: usize,
    pub(super) entry: &'p Entry,
    pub(super) names: Vec<&'p str>,
    pub(super) state: State,
}

/// Whether an entry counts.
pub(super) enum State {
    /// With this verdict.
    Counts(Verdict),
    /// It does what happens by default: runc skips it.
    Default,
    /// It does not, for this reason.
    LeftOut(String),
}

/// Looks at all entries of `profile`.
pub(super) fn choose<'p>(
    profile: &'p Profile,
    container: &Container,
) -> Result<Vec<Selected<'p>>, Refusal> {
    if profile.listener_path.is_some() {
        return Err(Refusal::new(
            "listenerPath",
            "a listener is not possible: this version has none that could decide",
        ));
    }
    let default = profile.default_verdict()?;
    let mut all = Vec::new();
    for (at, entry) in profile.syscalls.iter().enumerate() {
        let names = entry.names(at)?;
        entry.check_args(at)?;
        let state = match left_out(entry, at, container)? {
            Some(why) => State::LeftOut(why),
            None => match entry.verdict(at)? {
                verdict if verdict == default => State::Default,
                verdict => State::Counts(verdict),
            },
        };
        all.push(Selected {
            at,
            entry,
            names,
            state,
        });
    }
    Ok(all)
}

/// Why the entry does not count, if it does not.
fn left_out(entry: &Entry, at: usize, container: &Container) -> Result<Option<String>, Refusal> {
    let Filter {
        caps,
        arches,
        min_kernel,
    } = &entry.excludes;
    if arches.iter().any(|arch| arch == NATIVE_IN_FILTERS) {
        return Ok(Some(format!("it is not for {NATIVE_IN_FILTERS}")));
    }
    if let Some(cap) = caps
        .iter()
        .find(|cap| container.capabilities.contains(*cap))
    {
        return Ok(Some(format!("it is not for containers with {cap}")));
    }
    if let Some(version) = version(min_kernel, at, "excludes")?
        && container.kernel >= version
    {
        return Ok(Some(format!("it is for kernels older than {version}")));
    }

    let Filter {
        caps,
        arches,
        min_kernel,
    } = &entry.includes;
    if !arches.is_empty() && !arches.iter().any(|arch| arch == NATIVE_IN_FILTERS) {
        return Ok(Some(format!("it is for {}", arches.join(", "))));
    }
    if let Some(cap) = caps
        .iter()
        .find(|cap| !container.capabilities.contains(*cap))
    {
        return Ok(Some(format!("it is for containers with {cap}")));
    }
    if let Some(version) = version(min_kernel, at, "includes")?
        && container.kernel < version
    {
        return Ok(Some(format!("it is for kernels since {version}")));
    }
    Ok(None)
}

fn version(text: &str, at: usize, filter: &str) -> Result<Option<Version>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|reason: String| {
        Refusal::new(format!("syscalls[{at}].{filter}.minKernel"), reason)
    })
}

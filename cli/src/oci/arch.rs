// SPDX-License-Identifier: GPL-2.0
//! Architectures of a profile, and which of them this machine has.

use filters::lang::calls::Arch;

use super::Refusal;
use super::profile::Profile;

/// The machine's own architecture, as profiles name it in `architectures` and `archMap`.
const NATIVE: &str = "SCMP_ARCH_X86_64";

/// How `includes.arches` and `excludes.arches` name it: Go's name.
pub(super) const NATIVE_IN_FILTERS: &str = "amd64";

/// What a profile says about architectures.
pub(super) struct Listed {
    /// Those that get a block, the native one first.
    pub(super) here: Vec<Arch>,
    /// Those of other machines, by their names in the profile.
    pub(super) elsewhere: Vec<String>,
}

/// The architectures of `profile`.
///
/// libseccomp's filter always has the native one. An `archMap` is asked for the native one only.
pub(super) fn listed(profile: &Profile) -> Result<Listed, Refusal> {
    if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
        return Err(Refusal::new(
            "archMap",
            "both `architectures` and `archMap` are given",
        ));
    }
    let mut listed = Listed {
        here: vec![Arch::X86_64],
        elsewhere: Vec::new(),
    };
    for (index, name) in profile.architectures.iter().enumerate() {
        listed.add(name, &format!("architectures[{index}]"))?;
    }
    let mut native = true;
    for (index, map) in profile.arch_map.iter().enumerate() {
        let path = format!("archMap[{index}]");
        if map.architecture == NATIVE && native {
            native = false;
            for (sub, name) in map.sub_architectures.iter().enumerate() {
                listed.add(name, &format!("{path}.subArchitectures[{sub}]"))?;
            }
        } else {
            known(&map.architecture, &format!("{path}.architecture"))?;
            listed.elsewhere.push(map.architecture.clone());
        }
    }
    Ok(listed)
}

impl Listed {
    fn add(&mut self, name: &str, path: &str) -> Result<(), Refusal> {
        known(name, path)?;
        let arch = match name {
            NATIVE => Some(Arch::X86_64),
            "SCMP_ARCH_X86" => Some(Arch::I386),
            "SCMP_ARCH_X32" => Arch::from_name("x32"),
            _ => None,
        };
        match arch {
            Some(arch) if self.here.contains(&arch) => {}
            Some(arch) => self.here.push(arch),
            None if self.elsewhere.iter().any(|it| it == name) => {}
            None => self.elsewhere.push(name.to_owned()),
        }
        Ok(())
    }
}

/// Refuses what is no architecture at all.
fn known(name: &str, path: &str) -> Result<(), Refusal> {
    match name.strip_prefix("SCMP_ARCH_") {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err(Refusal::new(
            path,
            format!("`{name}` is no architecture; they begin with SCMP_ARCH_"),
        )),
    }
}

/// How many bits of an argument libseccomp compares.
pub(super) fn argument_bits(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 64,
        _ => 32,
    }
}

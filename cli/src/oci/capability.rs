// SPDX-License-Identifier: GPL-2.0
//! Capabilities by name: profiles allow some calls only to containers that have one.

use std::collections::BTreeSet;

/// `include/uapi/linux/capability.h`, without the prefix.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The word for all that Docker gives a container unless told otherwise.
const DOCKER_DEFAULT: &str = "docker-default";

/// What it stands for: `oci/caps/defaults.go` of Docker.
const OF_DOCKER: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A word of the command line: one capability, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities(Vec<&'static str>);

impl Capabilities {
    /// All of `words` together, with the prefix that profiles use.
    pub fn union(words: &[Capabilities]) -> BTreeSet<String> {
        words
            .iter()
            .flat_map(|word| &word.0)
            .map(|name| format!("CAP_{name}"))
            .collect()
    }
}

impl std::str::FromStr for Capabilities {
    type Err = String;

    fn from_str(word: &str) -> Result<Capabilities, String> {
        if word == DOCKER_DEFAULT {
            return Ok(Capabilities(OF_DOCKER.to_vec()));
        }
        let upper = word.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        match NAMES.iter().find(|&&name| name == bare) {
            Some(name) => Ok(Capabilities(vec![name])),
            None => Err(format!(
                "there is no such capability; expected a name such as SYS_ADMIN, or {DOCKER_DEFAULT}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_with_and_without_the_prefix() {
        let parsed = |word: &str| word.parse::<Capabilities>();
        assert_eq!(parsed("CAP_SYS_ADMIN"), parsed("sys_admin"));
        assert!(parsed("CAP_SYS_ADMINISTRATOR").is_err());
        assert!(parsed("CAP_").is_err());
    }

    #[test]
    fn docker_s_default_is_a_set_of_known_names() -> Result<(), String> {
        let all = Capabilities::union(&[DOCKER_DEFAULT.parse()?, "CAP_KILL".parse()?]);
        assert_eq!(all.len(), 14);
        assert!(OF_DOCKER.iter().all(|name| NAMES.contains(name)));
        assert!(all.contains("CAP_NET_RAW"));
        Ok(())
    }
}

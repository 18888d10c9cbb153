// SPDX-License-Identifier: GPL-2.0

//! systemd's groups of system calls as sets of the policy language.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::buildroot::Root;
use crate::exec;

/// Longest line of the sets.
const WIDTH: usize = 118;

/// The loader of the build root, which finds the rest of the libraries there.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

#[derive(Debug, PartialEq, Eq)]
struct Group {
    name: String,
    title: String,
    members: Vec<String>,
}

/// The version in the name of the package's file, `systemd_257.13-1~deb13u1_amd64.deb`.
pub(super) fn version(deb: Option<&Path>) -> Result<String> {
    let name = deb
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy());
    let name = name.context("no package was downloaded")?;
    let version = name.split('_').nth(1);
    // apt writes the colon of an epoch so.
    let version = version.map(|version| version.replace("%3a", ":"));
    version.with_context(|| format!("{name}: no version in the name of the package"))
}

/// What `systemd-analyze syscall-filter` of the unpacked package prints.
pub(super) fn listing(root: &Root, unpacked: &Path) -> Result<String> {
    let file = |path: &str| unpacked.join(path).display().to_string();
    let mut command = root
        .inside(LOADER)
        .args([
            "--library-path".to_owned(),
            file("usr/lib/x86_64-linux-gnu/systemd"),
            file("usr/bin/systemd-analyze"),
            "--no-pager".to_owned(),
            "syscall-filter".to_owned(),
        ])
        .bind(unpacked)
        .command()?;
    exec::output(&mut command).context("run systemd-analyze of the package")
}

/// The listing as sets. Calls that are not `known` to our tables are left out and listed in the head.
pub(super) fn sets(listing: &str, version: &str, known: &BTreeSet<String>) -> Result<String> {
    let groups = groups(listing);
    for expected in ["@default", "@system-service", "@known"] {
        if !groups.iter().any(|group| group.name == expected) {
            bail!("systemd-analyze syscall-filter printed no group {expected}:\n{listing}");
        }
    }
    let ours = |member: &&String| member.starts_with('@') || known.contains(*member);
    let left_out: BTreeSet<&String> = groups
        .iter()
        .flat_map(|group| &group.members)
        .filter(|member| !ours(member))
        .collect();
    let upstream = version.split(['.', '-', '~']).next().unwrap_or(version);
    let mut text = format!(
        "# SPDX-License-Identifier: GPL-2.0\n\
         # The sets of system calls that every policy can use: the groups of systemd, under their names and with their members.\n\
         #\n\
         # Source: `systemd-analyze syscall-filter` of systemd {upstream} (Debian {version}), which prints the table of src/shared/seccomp-util.c. That file is\n\
         # under the LGPL, version 2.1 or later, which lets it be used under the GPL. Made by `cargo xtask tables`.\n\
         #\n\
         # A set that a policy defines under the same name takes the place of the one here. Calls that only some architectures have are left out on the others.\n\
         #\n\
         # These calls are in the groups, but neither x86_64 nor x32 nor i386 has them:\n"
    );
    text.push_str(&wrapped(
        "#",
        &left_out.into_iter().collect::<Vec<_>>(),
        "#   ",
    ));
    for group in &groups {
        let members: Vec<&String> = group.members.iter().filter(ours).collect();
        text.push_str(&format!("\n# {}.\n", group.title));
        text.push_str(&wrapped(&format!("set {} =", group.name), &members, "    "));
    }
    Ok(text)
}

/// The groups: a name in the first column, then indented a comment and the members.
fn groups(listing: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in listing.lines() {
        let word = line.trim();
        if line.starts_with('@') {
            groups.push(Group {
                name: word.to_owned(),
                title: String::new(),
                members: Vec::new(),
            });
        } else if line.starts_with('#') {
            // Behind the groups comes what is in none of them.
            break;
        } else if let Some(group) = groups.last_mut() {
            match word.strip_prefix("# ") {
                Some(title) => group.title = title.to_owned(),
                None if !word.is_empty() => group.members.push(word.to_owned()),
                None => {}
            }
        }
    }
    groups
}

/// A list with commas, broken into lines.
fn wrapped(first: &str, members: &[&String], indent: &str) -> String {
    let mut text = String::new();
    let mut line = first.to_owned();
    for (at, member) in members.iter().enumerate() {
        let comma = if at + 1 < members.len() { "," } else { "" };
        if line.len() + 1 + member.len() + comma.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = indent.to_owned();
        } else {
            line.push(' ');
        }
        line.push_str(member);
        line.push_str(comma);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "@default\n    # System calls that are always permitted\n    @sandbox\n    read\n    osf_stat\n\n\
        @system-service\n    # General system service operations\n    @default\n    write\n\n@known\n    # All\n    read\n\n# Ungrouped\n#   osf_x\n";

    #[test]
    fn groups_become_sets_of_calls_that_are_known() {
        let known = ["read", "write"].map(str::to_owned).into();
        let text = sets(LISTING, "257.13-1~deb13u1", &known).expect("sets");
        assert!(
            text.contains("systemd 257 (Debian 257.13-1~deb13u1)"),
            "{text}"
        );
        assert!(
            text.contains("has them:\n# osf_stat\n\n# System calls that are always permitted.\nset @default = @sandbox, read\n"),
            "{text}"
        );
        assert!(text.ends_with("set @known = read\n"), "{text}");
        assert!(!text.contains("osf_x"), "{text}");
    }

    #[test]
    fn another_listing_is_refused() {
        let error = sets("Unknown operation\n", "257", &BTreeSet::new()).err();
        assert!(error.expect("an error").to_string().contains("@default"));
    }

    #[test]
    fn long_lists_are_broken_between_members() {
        let members: Vec<String> = (0..40).map(|number| format!("call_{number}")).collect();
        let text = wrapped("set @x =", &members.iter().collect::<Vec<_>>(), "    ");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().count() > 2);
        let joined: Vec<&str> = text.split_whitespace().skip(3).collect();
        assert_eq!(joined.len(), 40);
    }

    #[test]
    fn version_is_in_the_name_of_the_package() {
        let deb = Path::new("/a/systemd_257.13-1~deb13u1_amd64.deb");
        assert_eq!(version(Some(deb)).expect("a version"), "257.13-1~deb13u1");
        assert!(version(None).is_err());
    }
}

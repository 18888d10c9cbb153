// SPDX-License-Identifier: GPL-2.0
//! Names for argument values (`constants.tbl`) and error numbers (`errno.tbl`).

use std::prelude::rust_2021::*;
use std::sync::OnceLock;

use super::calls::lines;

/// Values that belong together.
#[derive(Debug)]
pub struct Group {
    /// Its name, as in `args.tbl`.
    pub name: &'static str,
    /// Whether the values are flags that can be joined.
    pub flags: bool,
    /// What the values are.
    pub title: &'static str,
    /// The values; negative ones as the C constant is.
    pub values: Vec<(&'static str, i128)>,
}

impl Group {
    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<i128> {
        self.values
            .iter()
            .find(|(found, _)| *found == name)
            .map(|&(_, value)| value)
    }
}

/// All groups.
pub fn groups() -> &'static [Group] {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    GROUPS.get_or_init(read)
}

/// The group of this name.
pub fn group(name: &str) -> Option<&'static Group> {
    groups().iter().find(|group| group.name == name)
}

/// A constant of any group, and the first group that has it.
pub fn find(name: &str) -> Option<(&'static Group, i128)> {
    groups()
        .iter()
        .find_map(|group| Some((group, group.value(name)?)))
}

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn read() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in lines(include_str!("constants.tbl")) {
        if let Some(head) = line.strip_prefix('[') {
            let (name, rest) = head.split_once("] ").unwrap_or((head, ""));
            let (kind, title) = rest.split_once(", ").unwrap_or((rest, ""));
            groups.push(Group {
                name,
                flags: kind == "flags",
                title,
                values: Vec::new(),
            });
            continue;
        }
        let Some((name, value)) = line.split_once(' ') else {
            continue;
        };
        if let (Some(group), Some(value)) = (groups.last_mut(), number(value)) {
            group.values.push((name, value));
        }
    }
    groups
}

fn errnos() -> &'static [(&'static str, u16)] {
    static ERRNOS: OnceLock<Vec<(&'static str, u16)>> = OnceLock::new();
    ERRNOS.get_or_init(|| {
        lines(include_str!("errno.tbl"))
            .filter_map(|line| {
                let (name, number) = line.split_once(' ')?;
                Some((name, number.parse().ok()?))
            })
            .collect()
    })
}

/// The number of an errno.
pub fn errno(name: &str) -> Option<u16> {
    let named = |entry: &&(&str, u16)| entry.0 == name;
    errnos().iter().find(named).map(|&(_, number)| number)
}

/// The name of an errno.
pub fn errno_name(number: u16) -> Option<&'static str> {
    let numbered = |entry: &&(&str, u16)| entry.1 == number;
    errnos().iter().find(numbered).map(|&(name, _)| name)
}

/// All names of errnos.
pub fn errno_names() -> impl Iterator<Item = &'static str> {
    errnos().iter().map(|&(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let read: usize = groups().iter().map(|group| group.values.len() + 1).sum();
        assert_eq!(read, lines(include_str!("constants.tbl")).count());
        assert!(groups().iter().all(|group| !group.title.is_empty()));
        assert_eq!(errnos().len(), lines(include_str!("errno.tbl")).count());
    }

    #[test]
    fn values_are_those_of_the_kernel() {
        assert_eq!(find("AF_INET6").map(|(_, value)| value), Some(10));
        assert_eq!(find("O_CREAT").map(|(_, value)| value), Some(0o100));
        assert_eq!(find("AT_FDCWD").map(|(_, value)| value), Some(-100));
        assert_eq!(
            find("CLONE_NEWUSER").map(|(_, value)| value),
            Some(0x1000_0000)
        );
        assert_eq!(find("BPF_PROG_LOAD").map(|(_, value)| value), Some(5));
        assert_eq!(
            (errno("EACCES"), errno_name(11)),
            (Some(13), Some("EAGAIN"))
        );
        assert_eq!(errno("EWOULDBLOCK"), Some(11));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A memory control group: what its tasks are charged for, and how much that may be.

use std::fs;

use crate::sys::child::nap;

const ROOT: &str = "/sys/fs/cgroup";

/// A group directly below the root.
pub struct Group(String);

impl Group {
    /// The group of this name, which is made if it is not there.
    #[track_caller]
    pub fn new(name: &str) -> Group {
        let enabled = fs::write(format!("{ROOT}/cgroup.subtree_control"), "+memory");
        enabled.expect("cgroup.subtree_control");
        let path = format!("{ROOT}/{name}");
        if !fs::metadata(&path).is_ok_and(|found| found.is_dir()) {
            fs::create_dir(&path).expect(&path);
        }
        Group(path)
    }

    /// Writes one of its files.
    #[track_caller]
    pub fn set(&self, file: &str, value: &str) {
        fs::write(format!("{}/{file}", self.0), value).expect(file);
    }

    /// Puts the calling process into it.
    #[track_caller]
    pub fn enter(&self) {
        self.set("cgroup.procs", "0");
    }

    /// The number behind a word in one of its files.
    #[track_caller]
    pub fn number(&self, file: &str, word: &str) -> i64 {
        let text = fs::read_to_string(format!("{}/{file}", self.0)).expect(file);
        let mut lines = text.lines().map(|line| line.split_whitespace());
        let value =
            lines.find_map(|mut line| line.next().filter(|first| *first == word).and(line.next()));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no {word} in {file}"))
    }

    /// Takes the group away; its last tasks may still be on their way out.
    #[track_caller]
    pub fn remove(self) {
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            nap(10);
        }
        panic!("{} is in use", self.0);
    }
}

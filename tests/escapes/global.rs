// SPDX-License-Identifier: GPL-2.0
//! What belongs to the whole machine, no namespace keeps apart, and cases try to change: put back after each.

use crate::sys::sys;

/// Settings of the kernel that name programs of its own.
const SETTINGS: [&str; 2] = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe"];

/// Their values before a case, which nobody else may change meanwhile: cases run one at a time.
pub struct Kept {
    values: Vec<(&'static str, String)>,
}

impl Kept {
    /// Notes what there is.
    pub fn note() -> Kept {
        let read = |name| std::fs::read_to_string(name).ok().map(|text| (name, text));
        Kept {
            values: SETTINGS.into_iter().filter_map(read).collect(),
        }
    }

    /// Puts it back, and ends process accounting.
    ///
    /// Host names, System V objects and mounts are not among this: each case has namespaces of its own for them.
    pub fn restore(&self) {
        for (name, value) in &self.values {
            let now = std::fs::read_to_string(name).expect(name);
            if now != *value {
                std::fs::write(name, value).expect(name);
            }
        }
        let _ = sys!(libc::SYS_acct, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, SETTINGS};

    #[test]
    fn what_can_be_read_is_noted() {
        let kept = Kept::note();
        for (name, value) in &kept.values {
            assert!(SETTINGS.contains(name));
            assert!(!value.is_empty());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Kernel versions, as far as profiles ask for them: two numbers.

use std::fmt;
use std::str::FromStr;

/// A version: 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The version of the running kernel.
    ///
    /// # Errors
    ///
    /// It does not begin with two numbers.
    pub(crate) fn running() -> Result<Version, String> {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        let end = release
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(release.len());
        let mut numbers = release[..end].split('.');
        let two = [numbers.next(), numbers.next()];
        match two.map(|number| number.and_then(|number| number.parse().ok())) {
            [Some(major), Some(minor)] => Ok(Version { major, minor }),
            _ => Err(format!("the running kernel calls itself {release}")),
        }
    }
}

/// `6.12`; what follows a third number, and that number, does not count.
impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let mut numbers = text.splitn(3, '.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) != (0, 0) => {
                Ok(Version { major, minor })
            }
            _ => Err("expected two numbers, such as 6.12".to_owned()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() -> Result<(), String> {
        assert!("4.8".parse::<Version>()? < "4.10".parse()?);
        assert!("4.8".parse::<Version>()? < "5.0".parse()?);
        assert_eq!("6.12.3-1".parse::<Version>()?, "6.12".parse()?);
        for bad in ["", "6", "6.", "six.one", "0.0", "6-12"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn the_running_kernel_has_one() {
        assert!(Version::running().is_ok());
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Under what a deed is measured: which system filters, by what, how many times.
//!
//! Names are how settings are written in figures, goals and budgets: `none`, `seccomp/args-10/x16`, `landlock/10`, `evfilter/name-1000`.

use std::fmt;

/// Who filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Nobody; the module is not loaded.
    None,
    /// Nobody; the module is loaded, and nothing has been filtered yet.
    Loaded,
    /// Nobody; but another process has this policy, so its functions are hooked.
    Bystander,
    /// The kernel's seccomp.
    Seccomp,
    /// The kernel's Landlock.
    Landlock,
    /// evfilter.
    Evfilter,
}

/// By what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing at all.
    Nothing,
    /// System calls: everything is allowed, by a program of one instruction.
    All,
    /// System calls: a profile of every known call, decided by number, one of them refused.
    Numbers,
    /// System calls: so many values that the first register must not have, one comparison each. The same bytes in seccomp and evfilter.
    Args(usize),
    /// Names below so many places.
    Name(usize),
    /// Names and opened objects below so many places.
    Object(usize),
    /// A `paths` block with so many places and a pattern that is denied: names, ways, objects.
    Paths(usize),
    /// Landlock's rules for so many places.
    Rules(usize),
}

/// Under what a deed is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) system: System,
    pub(crate) kind: Kind,
    /// How many layers.
    pub(crate) layers: usize,
    /// Whether all layers are the same loaded filter, or as many loaded ones.
    pub(crate) same: bool,
}

impl Setting {
    /// Understands a name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let system = match parts.next()? {
            "none" => System::None,
            "loaded" => System::Loaded,
            "bystander" => System::Bystander,
            "seccomp" => System::Seccomp,
            "landlock" => System::Landlock,
            "evfilter" => System::Evfilter,
            _ => return None,
        };
        let kind = match (system, parts.next()) {
            (System::None | System::Loaded, None) => Kind::Nothing,
            (System::Landlock, Some(rules)) => Kind::Rules(rules.parse().ok()?),
            (System::Seccomp | System::Evfilter | System::Bystander, Some(kind)) => {
                Kind::parse(kind)?
            }
            _ => return None,
        };
        let (layers, same) = match parts.next() {
            None => (1, false),
            Some(times) => {
                let times = times.strip_prefix('x')?;
                let (times, same) = match times.strip_suffix("-same") {
                    Some(times) => (times, true),
                    None => (times, false),
                };
                (times.parse().ok()?, same)
            }
        };
        parts.next().is_none().then_some(Self {
            system,
            kind,
            layers,
            same,
        })
    }

    /// Whether the module must be loaded.
    pub(crate) fn wants_module(&self) -> bool {
        matches!(
            self.system,
            System::Loaded | System::Bystander | System::Evfilter
        )
    }

    /// How many of the directories it names.
    pub(crate) fn places(&self) -> usize {
        match self.kind {
            Kind::Rules(places) => places,
            // Names need nothing to be there.
            _ => 1,
        }
    }
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        match name.split_once('-') {
            None if name == "all" => Some(Self::All),
            None if name == "numbers" => Some(Self::Numbers),
            Some(("args", n)) => Some(Self::Args(n.parse().ok()?)),
            Some(("name", n)) => Some(Self::Name(n.parse().ok()?)),
            Some(("object", n)) => Some(Self::Object(n.parse().ok()?)),
            Some(("paths", n)) => Some(Self::Paths(n.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::All => f.write_str("all"),
            Self::Numbers => f.write_str("numbers"),
            Self::Args(n) => write!(f, "args-{n}"),
            Self::Name(n) => write!(f, "name-{n}"),
            Self::Object(n) => write!(f, "object-{n}"),
            Self::Paths(n) => write!(f, "paths-{n}"),
            Self::Rules(n) => write!(f, "{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_system_kind_and_layers() {
        let expected = Setting {
            system: System::Seccomp,
            kind: Kind::Args(10),
            layers: 16,
            same: false,
        };
        assert_eq!(Setting::parse("seccomp/args-10/x16"), Some(expected));
        let same = Setting::parse("evfilter/name-10/x4-same").map(|it| (it.layers, it.same));
        assert_eq!(same, Some((4, true)));
        let none = Setting::parse("none").map(|it| (it.kind, it.wants_module()));
        assert_eq!(none, Some((Kind::Nothing, false)));
        for wrong in [
            "",
            "none/all",
            "seccomp",
            "landlock/all",
            "evfilter/args",
            "evfilter/all/16",
            "evfilter/all/x1/y",
        ] {
            assert_eq!(Setting::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn kinds_are_shown_as_they_are_read() {
        for name in [
            "all",
            "numbers",
            "args-10",
            "name-3",
            "object-10000",
            "paths-1",
        ] {
            assert_eq!(
                Kind::parse(name).map(|kind| kind.to_string()).as_deref(),
                Some(name)
            );
        }
    }
}

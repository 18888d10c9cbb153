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
    /// evfilter, from compiled images.
    Evfilter,
    /// seccomp by way of libseccomp, from names of calls. Only ever set up.
    Libseccomp,
    /// evfilter from the text of a policy. Only ever set up.
    Text,
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
    /// A `paths` block with so many places and nothing denied, which is what Landlock can say: objects.
    Grants(usize),
    /// Landlock's rules for so many places.
    Rules(usize),
    /// A `paths` block, or Landlock's rules, with which programs of a Debian system work in /tmp.
    Tools,
    /// The same by names.
    ToolsName,
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
    /// Whether everything that can be hooked is, for a bystander's policy.
    pub(crate) hooked: bool,
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
            "libseccomp" => System::Libseccomp,
            "evfilter-text" => System::Text,
            _ => return None,
        };
        let kind = match (system, parts.next()) {
            (System::None | System::Loaded, None) => Kind::Nothing,
            (System::None | System::Loaded, Some(_)) | (_, None) => return None,
            (System::Landlock, Some("tools")) => Kind::Tools,
            (System::Landlock, Some(rules)) => Kind::Rules(rules.parse().ok()?),
            (_, Some(kind)) => Kind::parse(kind)?,
        };
        let mut setting = Self {
            system,
            kind,
            layers: 1,
            same: false,
            hooked: false,
        };
        for part in parts {
            if part == "hooked" && system == System::Evfilter {
                setting.hooked = true;
                continue;
            }
            let times = part.strip_prefix('x')?;
            let (times, same) = match times.strip_suffix("-same") {
                Some(times) => (times, true),
                None => (times, false),
            };
            (setting.layers, setting.same) = (times.parse().ok()?, same);
        }
        Some(setting)
    }

    /// Whether the module must be loaded.
    pub(crate) fn wants_module(&self) -> bool {
        matches!(
            self.system,
            System::Loaded | System::Bystander | System::Evfilter | System::Text
        )
    }

    /// The policy of the process beside it, if there is to be one.
    pub(crate) fn bystander(&self) -> Option<String> {
        match self.system {
            System::Bystander => Some(format!("evfilter/{}", self.kind)),
            _ => self.hooked.then(|| "evfilter/paths-10".to_owned()),
        }
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
            None if name == "tools" => Some(Self::Tools),
            Some(("tools", "name")) => Some(Self::ToolsName),
            Some(("args", n)) => Some(Self::Args(n.parse().ok()?)),
            Some(("name", n)) => Some(Self::Name(n.parse().ok()?)),
            Some(("object", n)) => Some(Self::Object(n.parse().ok()?)),
            Some(("grants", n)) => Some(Self::Grants(n.parse().ok()?)),
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
            Self::Grants(n) => write!(f, "grants-{n}"),
            Self::Paths(n) => write!(f, "paths-{n}"),
            Self::Rules(n) => write!(f, "{n}"),
            Self::Tools => f.write_str("tools"),
            Self::ToolsName => f.write_str("tools-name"),
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
            hooked: false,
        };
        assert_eq!(Setting::parse("seccomp/args-10/x16"), Some(expected));
        let same = Setting::parse("evfilter/name-10/x4-same").map(|it| (it.layers, it.same));
        assert_eq!(same, Some((4, true)));
        let hooked = Setting::parse("evfilter/all/hooked").map(|it| (it.layers, it.hooked));
        assert_eq!(hooked, Some((1, true)));
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
            "seccomp/all/hooked",
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
            "tools",
            "tools-name",
        ] {
            assert_eq!(
                Kind::parse(name).map(|kind| kind.to_string()).as_deref(),
                Some(name)
            );
        }
    }
}

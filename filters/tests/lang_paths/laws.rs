// SPDX-License-Identifier: GPL-2.0
//! The laws of a `paths` block once more, from their text: no automaton, no shared code, no care for speed.

use std::collections::BTreeSet;
use std::fmt::Write;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Read,
    Write,
    Exec,
    Connect,
    Deny,
    Hidden,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Exec => "exec",
            Verb::Connect => "connect",
            Verb::Deny => "deny",
            Verb::Hidden => "hidden",
        }
    }

    fn errno(self) -> Option<u16> {
        match self {
            Verb::Deny => Some(13),
            Verb::Hidden => Some(2),
            _ => None,
        }
    }

    fn is_grant(self) -> bool {
        self.errno().is_none()
    }
}

/// The default of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    Unsaid,
    Deny(u16),
    Hidden,
}

/// A block: statements with their places.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) statements: Vec<(Verb, Vec<String>)>,
    pub(crate) default: Default,
}

/// What may be done at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rights {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) exec: bool,
    pub(crate) connect: bool,
}

impl Rights {
    fn add(&mut self, verb: Verb) {
        self.read |= verb.is_grant();
        self.write |= verb == Verb::Write;
        self.exec |= verb == Verb::Exec;
        self.connect |= matches!(verb, Verb::Write | Verb::Connect);
    }

    /// The rights as words; mapping as code is one that nobody grants by that name.
    pub(crate) fn words(self) -> BTreeSet<&'static str> {
        let map = self.exec || self.read && !self.write;
        [
            ("read", self.read),
            ("write", self.write),
            ("exec", self.exec),
            ("connect", self.connect),
            ("map", map),
        ]
        .into_iter()
        .filter_map(|(word, held)| held.then_some(word))
        .collect()
    }
}

/// What a block says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Refused(u16),
    Granted(Rights),
    Way,
    Nothing,
}

/// Whether the place is a pattern.
fn is_pattern(place: &str) -> bool {
    place.contains(['*', '?', '['])
}

/// Whether the glob fits the whole text. `start`: the glob stands at the start of a component.
fn fits(glob: &str, text: &str, start: bool) -> bool {
    let Some(first) = glob.chars().next() else {
        return text.is_empty();
    };
    if let (true, Some(rest)) = (start, glob.strip_prefix("**/")) {
        let behind = text.match_indices('/').map(|(at, _)| &text[at + 1..]);
        return fits(rest, text, true) || behind.into_iter().any(|text| fits(rest, text, true));
    }
    if let Some(rest) = glob.strip_prefix("**") {
        return (0..=text.len()).any(|at| fits(rest, &text[at..], false));
    }
    if first == '*' {
        let run = text.find('/').unwrap_or(text.len());
        return (0..=run).any(|at| fits(&glob[1..], &text[at..], false));
    }
    match text.chars().next() {
        Some(byte) if byte == first || first == '?' && byte != '/' => {
            fits(&glob[1..], &text[1..], byte == '/')
        }
        _ => false,
    }
}

/// The path itself and everything that it lies below, shortest first.
fn prefixes(path: &str) -> Vec<&str> {
    let mut all: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
    all.push(path);
    all
}

/// Whether the place covers the path.
fn covers(place: &str, path: &str) -> bool {
    if is_pattern(place) {
        return prefixes(path)
            .into_iter()
            .any(|part| fits(place, part, true));
    }
    place == "/" || prefixes(path).contains(&place)
}

fn components(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}

/// The directory that a path lies in.
fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

impl Block {
    /// The block as the language writes it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("paths {\n");
        for (verb, places) in &self.statements {
            let places: Vec<String> = places.iter().map(|place| format!("{place:?}")).collect();
            let _ = writeln!(text, "    {} {}", verb.word(), places.join(", "));
        }
        match self.default {
            Default::Unsaid => {}
            Default::Deny(errno) => {
                let _ = writeln!(text, "    default deny {errno}");
            }
            Default::Hidden => text.push_str("    default hidden\n"),
        }
        text.push_str("}\n");
        text
    }

    fn places(&self) -> impl Iterator<Item = (Verb, &str)> {
        self.statements
            .iter()
            .flat_map(|(verb, places)| places.iter().map(|place| (*verb, place.as_str())))
    }

    fn granted_at(&self, place: &str) -> Rights {
        let mut rights = Rights::default();
        for (verb, other) in self.places() {
            if verb.is_grant() && other == place {
                rights.add(verb);
            }
        }
        rights
    }

    /// Laws 1, 2 and 5.
    pub(crate) fn standing(&self, path: &str) -> Standing {
        for (verb, place) in self.places() {
            if let (Some(errno), true) = (verb.errno(), covers(place, path)) {
                return Standing::Refused(errno);
            }
        }
        let mut grants = self.places().filter(|(verb, _)| verb.is_grant());
        if let Some((_, place)) = grants.find(|(_, place)| is_pattern(place) && covers(place, path))
        {
            return Standing::Granted(self.granted_at(place));
        }
        let deepest = self
            .places()
            .filter(|(verb, place)| verb.is_grant() && !is_pattern(place) && covers(place, path))
            .max_by_key(|(_, place)| components(place));
        if let Some((_, place)) = deepest {
            return Standing::Granted(self.granted_at(place));
        }
        if path == "/" || self.is_way(path) {
            return Standing::Way;
        }
        Standing::Nothing
    }

    fn is_way(&self, path: &str) -> bool {
        self.places().any(|(verb, place)| {
            let parts: Vec<&str> = place.split('/').collect();
            let plain = parts.iter().take_while(|part| !part.contains("**")).count();
            // All of a literal but its last component; of a pattern what comes before the first `**`.
            let last = plain.min(parts.len() - 1);
            verb.is_grant() && (2..=last).any(|count| fits(&parts[..count].join("/"), path, true))
        })
    }

    pub(crate) fn rights(&self, path: &str) -> Rights {
        match self.standing(path) {
            Standing::Granted(rights) => rights,
            _ => Rights::default(),
        }
    }

    /// Law 3.
    pub(crate) fn may_name(&self, path: &str) -> bool {
        self.rights(path).write && self.rights(parent(path)).write
    }

    /// Law 4, as far as the continuations reach: below both directories everything has the same rights.
    pub(crate) fn alike(&self, one: &str, other: &str, continuations: &[String]) -> bool {
        continuations.iter().all(|continuation| {
            let (one, other) = (
                format!("{one}{continuation}"),
                format!("{other}{continuation}"),
            );
            self.standing(&one) == self.standing(&other)
                && self.may_name(&one) == self.may_name(&other)
        })
    }

    pub(crate) fn refuses(&self) -> bool {
        self.places().any(|(verb, _)| !verb.is_grant())
    }

    /// The errno for what nothing grants.
    pub(crate) fn default_errno(&self) -> u16 {
        match self.default {
            Default::Unsaid => 13,
            Default::Deny(errno) => errno,
            Default::Hidden => 2,
        }
    }

    /// The errno for a right that is missing.
    pub(crate) fn missing(&self, path: &str) -> u16 {
        match (self.standing(path), self.default) {
            (Standing::Granted(_) | Standing::Way, Default::Hidden) => 13,
            _ => self.default_errno(),
        }
    }

    /// Whether a directory must be walked through to find what stands behind a `**`.
    pub(crate) fn is_wild(&self, path: &str) -> bool {
        self.places().any(|(verb, place)| {
            let Some(at) = place.find("**") else {
                return false;
            };
            verb.is_grant() && fits(&format!("{}**", &place[..at]), path, true)
        })
    }
}

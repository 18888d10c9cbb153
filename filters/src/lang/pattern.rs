// SPDX-License-Identifier: GPL-2.0
//! Patterns for strings: literals in five ways, and globs.
//!
//! A glob is matched against the whole string, byte by byte; no byte but `/` is special.
//!
//! | glob | matches |
//! |---|---|
//! | `*` | any run of bytes without `/`, also an empty one |
//! | `?` | one byte that is not `/` |
//! | `[a-z0]`, `[!a-z]` | one byte in (not in) the set, never `/`; a `]` in first place is itself |
//! | `**/` at the start or after `/` | nothing, or any run of bytes that ends in `/` |
//! | `**` elsewhere | any run of bytes, also an empty one |
//! | `\x` | the byte `x` itself |
//!
//! So `**/.env` matches `.env` and `/a/b/.env` but not `/x.env`; `/a/**` matches `/a/` and everything below, but not `/a`; `/a/**/b` matches
//! `/a/b` and `/a/x/y/b`.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use serde::{Deserialize, Serialize};

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const NONE: ByteSet = ByteSet([0; 4]);
    /// Every byte.
    pub const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    /// Every byte but `/`.
    pub fn not_slash() -> ByteSet {
        let mut set = ByteSet::ALL;
        set.remove(b'/');
        set
    }

    /// Whether the byte is in the set.
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Removes a byte.
    pub fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
    }

    fn complement(self) -> ByteSet {
        ByteSet(self.0.map(|word| !word))
    }
}

/// One part of a glob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Part {
    /// This byte.
    Byte(u8),
    /// One byte of a set.
    One(ByteSet),
    /// `*`
    Run,
    /// `**`
    Any,
    /// `**/` at the start of a component.
    Directories,
}

/// What a string is compared with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Pattern {
    /// The whole string.
    Equal(Vec<u8>),
    /// Its beginning.
    Prefix(Vec<u8>),
    /// Its end.
    Suffix(Vec<u8>),
    /// Any part of it.
    Contains(Vec<u8>),
    /// The path itself, or a path below it. Made by [`Pattern::under`].
    Under(Vec<u8>),
    /// The whole string, as a glob. Made by [`Pattern::glob`].
    Glob(Vec<Part>),
}

impl Pattern {
    /// The path `tree` and everything below it; slashes at its end do not count. `/` is the tree of all absolute paths.
    pub fn under(tree: &[u8]) -> Pattern {
        let end = tree.iter().rposition(|&byte| byte != b'/');
        match end {
            Some(last) => Pattern::Under(tree[..=last].to_vec()),
            None => Pattern::Prefix(tree[..tree.len().min(1)].to_vec()),
        }
    }

    /// Reads a glob.
    ///
    /// # Errors
    ///
    /// What is wrong, and at which byte.
    pub fn glob(text: &[u8]) -> Result<Pattern, (usize, String)> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'*' => {
                    let stars = text[at..].iter().take_while(|&&b| b == b'*').count();
                    let component = at == 0 || text[at - 1] == b'/';
                    if stars > 2 {
                        return Err((
                            at,
                            "`*` and `**` are patterns, more stars are not".to_string(),
                        ));
                    }
                    if stars == 1 {
                        parts.push(Part::Run);
                    } else if component && text.get(at + 2) == Some(&b'/') {
                        parts.push(Part::Directories);
                        at += 1;
                    } else {
                        parts.push(Part::Any);
                    }
                    at += stars;
                }
                b'?' => {
                    parts.push(Part::One(ByteSet::not_slash()));
                    at += 1;
                }
                b'[' => {
                    let (set, next) = class(text, at)?;
                    parts.push(Part::One(set));
                    at = next;
                }
                b'\\' => match text.get(at + 1) {
                    Some(&escaped) => {
                        parts.push(Part::Byte(escaped));
                        at += 2;
                    }
                    None => return Err((at, "a backslash at the end escapes nothing".to_string())),
                },
                byte => {
                    parts.push(Part::Byte(byte));
                    at += 1;
                }
            }
        }
        Ok(Pattern::Glob(parts))
    }

    /// Whether `text` matches, straight from the definition. The compiled table gives the same answer faster.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Equal(literal) => text == literal,
            Pattern::Prefix(literal) => text.starts_with(literal),
            Pattern::Suffix(literal) => text.ends_with(literal),
            Pattern::Contains(literal) => {
                literal.is_empty() || text.windows(literal.len()).any(|window| window == literal)
            }
            Pattern::Under(tree) => crate::vm::under(text, tree),
            Pattern::Glob(parts) => glob_matches(parts, text),
        }
    }

    /// The literal, if the pattern is one.
    pub fn literal(&self) -> Option<&[u8]> {
        match self {
            Pattern::Equal(literal)
            | Pattern::Prefix(literal)
            | Pattern::Suffix(literal)
            | Pattern::Contains(literal)
            | Pattern::Under(literal) => Some(literal),
            Pattern::Glob(_) => None,
        }
    }

    /// A string that matches, to be tried on other patterns.
    pub fn example(&self) -> Vec<u8> {
        match self {
            Pattern::Glob(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Byte(byte) => Some(*byte),
                    Part::One(set) => (0..=255).rev().find(|&byte| set.contains(byte)),
                    Part::Run | Part::Any | Part::Directories => None,
                })
                .collect(),
            other => other.literal().unwrap_or_default().to_vec(),
        }
    }

    /// Whether it can stand for strings of any length, which multiplies the states of an automaton.
    pub fn is_open(&self) -> bool {
        match self {
            Pattern::Suffix(_) | Pattern::Contains(_) => true,
            Pattern::Glob(parts) => parts
                .iter()
                .any(|part| matches!(part, Part::Run | Part::Any | Part::Directories)),
            _ => false,
        }
    }
}

/// The class that begins at `text[start]`, and where it ends.
fn class(text: &[u8], start: usize) -> Result<(ByteSet, usize), (usize, String)> {
    let mut set = ByteSet::NONE;
    let mut at = start + 1;
    let negated = matches!(text.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let first = at;
    let open = || (start, "this `[` is never closed by a `]`".to_string());
    // A byte of the class, which may be escaped, and where the next one is.
    let byte = |at: usize| match (text.get(at), text.get(at + 1)) {
        (Some(b'\\'), Some(&escaped)) => Some((escaped, at + 2)),
        (Some(&plain), _) => Some((plain, at + 1)),
        (None, _) => None,
    };
    loop {
        if text.get(at) == Some(&b']') && at > first {
            break;
        }
        let (low, next) = byte(at).ok_or_else(open)?;
        at = next;
        let ranged = text.get(at) == Some(&b'-') && !matches!(text.get(at + 1), None | Some(b']'));
        let high = if ranged {
            let (high, next) = byte(at + 1).ok_or_else(open)?;
            at = next;
            high
        } else {
            low
        };
        if high < low {
            let message = format!(
                "the range {}-{} is empty",
                low.escape_ascii(),
                high.escape_ascii()
            );
            return Err((start, message));
        }
        for byte in low..=high {
            set.insert(byte);
        }
    }
    if negated {
        set = set.complement();
    }
    set.remove(b'/');
    Ok((set, at + 1))
}

/// Whether the glob matches, part by part from the end: `rest[at]` tells whether the parts so far match `text[at..]`.
fn glob_matches(parts: &[Part], text: &[u8]) -> bool {
    let len = text.len();
    let mut rest: Vec<bool> = (0..=len).map(|at| at == len).collect();
    for part in parts.iter().rev() {
        let mut here = vec![false; len + 1];
        match part {
            Part::Byte(byte) => {
                for at in 0..len {
                    here[at] = text[at] == *byte && rest[at + 1];
                }
            }
            Part::One(set) => {
                for at in 0..len {
                    here[at] = set.contains(text[at]) && rest[at + 1];
                }
            }
            Part::Run | Part::Any => {
                let any = *part == Part::Any;
                here[len] = rest[len];
                for at in (0..len).rev() {
                    here[at] = rest[at] || (any || text[at] != b'/') && here[at + 1];
                }
            }
            Part::Directories => {
                // Whether the rest matches somewhere behind a slash of text[at..].
                let mut behind_slash = false;
                here[len] = rest[len];
                for at in (0..len).rev() {
                    behind_slash |= text[at] == b'/' && rest[at + 1];
                    here[at] = rest[at] || behind_slash;
                }
            }
        }
        rest = here;
    }
    rest[0]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Pattern::glob(glob.as_bytes())
            .unwrap()
            .matches(text.as_bytes())
    }

    #[test]
    fn the_documented_examples_hold() {
        for (glob, text, expected) in [
            ("**/.env", ".env", true),
            ("**/.env", "/.env", true),
            ("**/.env", "/a/b/.env", true),
            ("**/.env", "/x.env", false),
            ("**/.env", "/a/.env/b", false),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", false),
            ("/a/**/b", "/a/b", true),
            ("/a/**/b", "/a/x/y/b", true),
            ("/a/**/b", "/a/xb", false),
            ("/a/*/b", "/a//b", true),
            ("/a/*/b", "/a/x/y/b", false),
            ("/lib*.so", "/libc.so", true),
            ("/lib*.so", "/lib/c.so", false),
            ("/[!a-c]?", "/dx", true),
            ("/[!a-c]?", "/ax", false),
            ("/[!a-c]?", "//x", false),
            ("[]x]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a**b", "a/x/b", true),
            ("", "", true),
            ("**", "", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} on {text}");
        }
    }

    #[test]
    fn under_ignores_slashes_at_the_end() {
        assert_eq!(Pattern::under(b"/lib/"), Pattern::Under(b"/lib".to_vec()));
        assert_eq!(Pattern::under(b"//"), Pattern::Prefix(b"/".to_vec()));
        assert!(Pattern::under(b"/").matches(b"/x"));
        assert!(!Pattern::under(b"/").matches(b"x"));
    }

    #[test]
    fn malformed_globs_say_where() {
        for (glob, at) in [
            ("a***", 1),
            ("/[ab", 1),
            ("x\\", 1),
            ("[z-a]", 0),
            ("[]", 0),
        ] {
            assert_eq!(Pattern::glob(glob.as_bytes()).unwrap_err().0, at, "{glob}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Two names of equal length in one place, of which a single store shows the one or the other.
//!
//! The names differ within one aligned word of eight bytes, and the kernel copies the name word by word: whoever reads the
//! place gets the one name or the other, never a mixture. Every outcome can then be told apart.

use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();

/// The place, and both words that may stand in it.
pub(crate) struct Names {
    words: Vec<AtomicU64>,
    slot: usize,
    allowed: u64,
    denied: u64,
}

impl Names {
    /// Lays out both names, showing the allowed one; `None` if they are equal, of unequal length, hold a NUL, or differ in more
    /// than one word.
    pub(crate) fn new(allowed: &str, denied: &str) -> Option<Names> {
        if allowed.len() != denied.len() || allowed.contains('\0') || denied.contains('\0') {
            return None;
        }
        let allowed = words(allowed.as_bytes());
        let denied = words(denied.as_bytes());
        let mut differing = (0..allowed.len()).filter(|&index| allowed[index] != denied[index]);
        let slot = differing.next()?;
        if differing.next().is_some() {
            return None;
        }
        Some(Names {
            slot,
            allowed: allowed[slot],
            denied: denied[slot],
            words: allowed.into_iter().map(AtomicU64::new).collect(),
        })
    }

    /// Where the name stands, NUL-terminated.
    pub(crate) fn pointer(&self) -> *const c_char {
        self.words.as_ptr().cast()
    }

    /// Shows the allowed name.
    pub(crate) fn show_allowed(&self) {
        self.words[self.slot].store(self.allowed, Ordering::Relaxed);
    }

    /// Shows the denied name.
    pub(crate) fn show_denied(&self) {
        self.words[self.slot].store(self.denied, Ordering::Relaxed);
    }
}

/// The bytes as words in memory order, with at least one NUL at the end.
fn words(bytes: &[u8]) -> Vec<u64> {
    let mut padded = bytes.to_vec();
    padded.resize((bytes.len() / WORD + 1) * WORD, 0);
    let word = |chunk: &[u8]| {
        let mut raw = [0u8; WORD];
        raw.copy_from_slice(chunk);
        u64::from_ne_bytes(raw)
    };
    padded.chunks_exact(WORD).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &Names) -> String {
        let bytes: Vec<u8> = names
            .words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .take_while(|&byte| byte != 0)
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_store_shows_the_other_name() {
        let names = Names::new("/home/sandbox/door", "/home/sandpit/door").unwrap();
        assert_eq!(shown(&names), "/home/sandbox/door");
        names.show_denied();
        assert_eq!(shown(&names), "/home/sandpit/door");
        names.show_allowed();
        assert_eq!(shown(&names), "/home/sandbox/door");
        assert!(names.pointer().cast::<u64>().is_aligned());
    }

    #[test]
    fn a_name_of_whole_words_ends_in_a_nul() {
        let names = Names::new("/a/bcdef", "/a/bcdeg").unwrap();
        assert_eq!(names.words.len(), 2);
        assert_eq!(names.words[1].load(Ordering::Relaxed), 0);
    }

    #[test]
    fn names_that_one_store_cannot_swap_are_refused() {
        for (allowed, denied) in [
            ("/a", "/a"),
            ("/a", "/ab"),
            ("/home/sandbox/door", "/home/private/door"),
            ("/a\0", "/ab"),
            ("", ""),
        ] {
            assert!(Names::new(allowed, denied).is_none(), "{allowed} {denied}");
        }
    }
}

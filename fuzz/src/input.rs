// SPDX-License-Identifier: GPL-2.0
//! Lists out of a fuzzer's bytes.
//!
//! `arbitrary` asks before each element whether there is another one, so that half of all lists are empty. Here a length comes first.

use arbitrary::{Arbitrary, Result, Unstructured};

/// A list of at most `most` of what `one` makes; shorter where the bytes end.
pub(crate) fn list<'a, T>(
    u: &mut Unstructured<'a>,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = usize::from(u8::arbitrary(u)?) % (most + 1);
    let mut all = Vec::new();
    while all.len() < count && !u.is_empty() {
        all.push(one(u)?);
    }
    Ok(all)
}

/// At most `most` bytes.
pub(crate) fn bytes(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<u8>> {
    list(u, most, u8::arbitrary)
}

// SPDX-License-Identifier: GPL-2.0
//! Automaton tables: many strings and globs in one walk over the bytes of a field.
//!
//! A table is a deterministic automaton. It gives each string a value, 0 meaning "no match"; the compiler gives each rule, or each
//! verdict, a value of its own. A walk costs by the length of the string, not by the number of rules.
//!
//! ```text
//! header    target to start at, number of values, of chains, of cells     four little-endian u32, as all words
//! values    4 bytes each
//! chains    16 bytes each: literal (8), fallback << 8 | bits, next | bytes << 24
//! cells     8 bytes each
//! ```
//!
//! A *target* is where a walk goes on: its two lowest bits are the kind of what lies there, and it is the last number up to that byte offset, a multiple
//! of four, which has these bits.
//!
//! | kind | what lies there, and what happens with the string that is left |
//! |---|---|
//! | [`BRANCH`] | a row: the cell that is for byte `b`, `b` cells from there on, holds the edge of `b`, if it is there; other bytes lead to `default`. At the end of the string the result is `value`. Both are in the head, the cell before the row |
//! | [`SKIP`] | a row in which bytes without an edge stay, and only two *stops* and the *mark* have one. What lies before the next stop or the end, marks too, is passed eight bytes at a time. If the last byte passed is the mark, its edge is taken; else that of the stop, which is consumed. At the end of the string the result is `value` |
//! | [`CHAIN`] | one to eight literal bytes, none of them 0, lead to `next`. Where the string differs or ends earlier, what was equal is consumed and the rest is for `fallback`, which is no chain. The literal is in the highest bytes of its word, and `bits` is how many bits are left over below |
//! | [`SINK`] | a value: the result, whatever follows |
//!
//! | cell | first word | second word |
//! |---|---|---|
//! | edge | the byte | target |
//! | head of a branch | [`HEAD`] + default target | value |
//! | head of a skip | [`HEAD_SKIP`] + two stops and the mark, the first stop in the lowest byte | value |
//! | free | [`FREE`] | 0 |
//!
//! Rows lie over each other: a cell that belongs to another row holds another byte than the one that is looked for, since no two rows begin at the same
//! place. Cells are the last part of a table, and what lies behind its end is no edge.
//!
//! What is verified: all targets lead to something of their kind. That takes one look at each chain and cell. A walk ends because a branch or skip
//! consumes a byte or ends, and a chain does so or hands over to what does.

use crate::image::word;

mod check;
mod step;

pub(crate) use step::{Bytes, Place};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 4;
/// Bytes of a chain.
pub const CHAIN_BYTES: usize = 16;
/// Bytes of a cell.
pub const CELL_BYTES: usize = 8;
/// Most literal bytes of a chain.
pub const MAX_LITERAL: usize = 8;
/// Most stops of a skip.
pub const MAX_STOPS: usize = 2;

// In the order in which a walk asks: any bit, the upper one, the lower one.
/// Kind of a target: each byte has its edge.
pub const BRANCH: u32 = 0;
/// Kind of a target: literal bytes.
pub const CHAIN: u32 = 1;
/// Kind of a target: most bytes stay.
pub const SKIP: u32 = 2;
/// Kind of a target: the result.
pub const SINK: u32 = 3;

/// First word of a branch's head, without the default target.
pub const HEAD: u32 = 0x8000_0000;
/// First word of a skip's head, without the stops.
pub const HEAD_SKIP: u32 = 0xc000_0000;
/// First word of a free cell.
pub const FREE: u32 = 0x4000_0000;

/// The bits of a target that are its kind.
pub(crate) const KIND: u32 = 3;

/// A table inside an image.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
}

/// What a walk comes to.
enum Next {
    /// A skip, and how much of the string is consumed.
    Skip(u32, usize),
    /// The result; `None` in a table that was not verified.
    Value(Option<u32>),
}

impl<'a> Table<'a> {
    /// The table that `bytes` are; what they hold is not yet verified.
    #[inline]
    pub(crate) const fn view(bytes: &'a [u8]) -> Table<'a> {
        Table { bytes }
    }

    /// The value of `input`. `None` only for a table that was not verified.
    pub fn lookup(self, input: &[u8]) -> Option<u32> {
        match self.follow(word(self.bytes, 0)?, input, 0) {
            Next::Skip(at, seen) => self.search(at, input, seen),
            Next::Value(value) => value,
        }
    }

    /// The values that a walk may come to, many of them several times, and perhaps some that no walk comes to.
    pub(crate) fn values(self) -> impl Iterator<Item = u32> + 'a {
        let number = |at| word(self.bytes, at).unwrap_or(0) as usize;
        let (values, chains) = (number(4), number(8));
        let end = HEADER_BYTES.saturating_add(values.saturating_mul(VALUE_BYTES));
        let cells = end.saturating_add(chains.saturating_mul(CHAIN_BYTES));
        let values = self.bytes.get(HEADER_BYTES..end).unwrap_or_default();
        let cells = self.bytes.get(cells..).unwrap_or_default();
        let words = values.chunks_exact(VALUE_BYTES);
        let heads = cells.chunks_exact(CELL_BYTES).filter_map(|cell| {
            let cell = Cell::new(cell.first_chunk()?);
            (cell.first & HEAD != 0).then_some(cell.second)
        });
        words
            .filter_map(|value| value.first_chunk())
            .map(|value| u32::from_le_bytes(*value))
            .chain(heads)
    }

    /// Goes on from a skip. Apart from `lookup`, which needs fewer registers without it.
    #[inline(never)]
    fn search(self, mut at: u32, input: &[u8], mut seen: usize) -> Option<u32> {
        loop {
            let head = self.head(at)?;
            let [first, second, mark, _] = head.first.to_le_bytes();
            let start = seen;
            seen = skip(input, start, first, second).min(input.len());
            let last = input.get(start..seen).and_then(|passed| passed.last());
            let byte = match input.get(seen) {
                _ if last == Some(&mark) => mark,
                Some(&stop) => {
                    seen = seen.wrapping_add(1);
                    stop
                }
                None => return Some(head.second),
            };
            let Some(next) = self.edge(at, SKIP, byte) else {
                continue;
            };
            (at, seen) = match self.follow(next, input, seen) {
                Next::Skip(at, seen) => (at, seen),
                Next::Value(value) => return value,
            };
        }
    }

    /// Walks from `at` and what follows the first `seen` bytes of `input`, until there is a result, or a skip.
    #[inline(always)]
    fn follow(self, mut at: u32, input: &[u8], mut seen: usize) -> Next {
        loop {
            while at & KIND == BRANCH {
                let Some(&byte) = input.get(seen) else {
                    return Next::Value(self.head(at).map(|head| head.second));
                };
                seen = seen.wrapping_add(1);
                at = match self.edge(at, BRANCH, byte) {
                    Some(next) => next,
                    None => match self.head(at) {
                        Some(head) => head.first.wrapping_sub(HEAD),
                        None => return Next::Value(None),
                    },
                };
            }
            if at & SKIP != 0 {
                return if at & CHAIN == 0 {
                    Next::Skip(at, seen)
                } else {
                    Next::Value(self.at(at, SINK).map(|value| u32::from_le_bytes(*value)))
                };
            }
            let Some(chain) = self.at(at, CHAIN).map(Chain::new) else {
                return Next::Value(None);
            };
            let ahead = next_eight(input, seen).wrapping_shl(chain.fallback & 0xff);
            if ahead == chain.literal {
                seen = seen.wrapping_add((chain.next >> 24) as usize);
                at = chain.next & 0x00ff_ffff;
            } else {
                let same = (ahead ^ chain.literal).trailing_zeros();
                let same = same.wrapping_sub(chain.fallback & 0xff) >> 3;
                seen = seen.wrapping_add(same as usize);
                at = chain.fallback >> 8;
            }
        }
    }

    /// The `N` bytes at a target.
    #[inline]
    fn at<const N: usize>(self, target: u32, kind: u32) -> Option<&'a [u8; N]> {
        // A sum of small numbers cannot overflow: the compiler sees it, and one comparison is left.
        let from = (target as usize).wrapping_add(before(kind));
        self.bytes.get(from..from.wrapping_add(N))?.first_chunk()
    }

    /// Where `byte` leads in a row, if it has an edge of its own.
    #[inline]
    fn edge(self, row: u32, kind: u32, byte: u8) -> Option<u32> {
        let from = (row as usize).wrapping_add(before(kind));
        let from = from.wrapping_add(usize::from(byte).wrapping_mul(CELL_BYTES));
        let edge = self.bytes.get(from..from.wrapping_add(CELL_BYTES))?;
        let edge = Cell::new(edge.first_chunk()?);
        (edge.first == u32::from(byte)).then_some(edge.second)
    }

    /// The cell before a row.
    #[inline]
    fn head(self, row: u32) -> Option<Cell> {
        let end = (row as usize).wrapping_add(before(row & KIND));
        self.bytes.get(..end)?.last_chunk().map(Cell::new)
    }
}

/// How far before the place that it leads to a target of this kind is.
pub(crate) const fn before(kind: u32) -> usize {
    (kind.wrapping_neg() & KIND) as usize
}

struct Chain {
    literal: u64,
    fallback: u32,
    next: u32,
}

impl Chain {
    #[inline]
    fn new(bytes: &[u8; CHAIN_BYTES]) -> Chain {
        let [a, b, c, d, e, f, g, h, f0, f1, f2, f3, n0, n1, n2, n3] = *bytes;
        Chain {
            literal: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            fallback: u32::from_le_bytes([f0, f1, f2, f3]),
            next: u32::from_le_bytes([n0, n1, n2, n3]),
        }
    }
}

struct Cell {
    first: u32,
    second: u32,
}

impl Cell {
    #[inline]
    fn new(bytes: &[u8; CELL_BYTES]) -> Cell {
        let [a, b, c, d, e, f, g, h] = *bytes;
        Cell {
            first: u32::from_le_bytes([a, b, c, d]),
            second: u32::from_le_bytes([e, f, g, h]),
        }
    }
}

/// Eight bytes of the string after the first `seen`, the next one lowest; zeros where it has ended.
#[inline]
fn next_eight(input: &[u8], seen: usize) -> u64 {
    let Some(rest) = input.get(seen..) else {
        return 0;
    };
    match rest.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => last_bytes(rest),
    }
}

/// The same for fewer than eight bytes: the first and the last half of them, which may overlap.
#[inline]
fn last_bytes(rest: &[u8]) -> u64 {
    let shift = |half: usize| rest.len().wrapping_sub(half).wrapping_mul(8) as u32;
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last).wrapping_shl(shift(4));
    }
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        return u64::from(first) | u64::from(last).wrapping_shl(shift(2));
    }
    rest.first().map_or(0, |byte| u64::from(*byte))
}

/// Where the next of two stops is, after the first `seen` bytes; the length or more, if there is none.
#[inline]
fn skip(input: &[u8], mut seen: usize, first: u8, second: u8) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let [first, second] = [first, second].map(|stop| u64::from(stop).wrapping_mul(LOW));
    // The highest bit of the lowest byte that is a stop, and perhaps of some above it.
    let zero = |bytes: u64| bytes.wrapping_sub(LOW) & !bytes;
    let found = |eight: u64| (zero(eight ^ first) | zero(eight ^ second)) & HIGH;
    let mut rest = input.get(seen..).unwrap_or_default();
    while let Some((eight, more)) = rest.split_first_chunk() {
        let found = found(u64::from_le_bytes(*eight));
        if found != 0 {
            return seen.wrapping_add((found.trailing_zeros() >> 3) as usize);
        }
        seen = seen.wrapping_add(8);
        rest = more;
    }
    // The zeros behind the end may be stops, too.
    let found = found(last_bytes(rest));
    seen.wrapping_add((found.trailing_zeros() >> 3) as usize)
}

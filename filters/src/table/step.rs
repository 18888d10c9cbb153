// SPDX-License-Identifier: GPL-2.0
//! A walk one byte at a time: a table as the plain automaton that it stands for.
//!
//! [`Table::lookup`] passes what it can in one go. Here every byte leads from one place to another one, so that tables can be compared and multiplied; both
//! give every string the same value.

use super::*;

/// Where a walk stands between two bytes: a target, and what of it is done.
///
/// Inside of a chain that is the number of its bytes that have been seen; at a skip, [`MARKED`] says that the last byte passed is the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// Bits of a place for what is done.
const DONE_BITS: u32 = 4;
const DONE: u32 = (1 << DONE_BITS) - 1;
const MARKED: u32 = 1;

// A target has 24 bits in a chain, and offsets in an image, which may be larger elsewhere, have no more.
const _: () = {
    assert!(MAX_LITERAL <= DONE as usize);
    assert!(crate::limits::MAX_IMAGE_BYTES < 1 << (32 - DONE_BITS));
};

impl Place {
    const fn at(target: u32) -> Place {
        Place(target << DONE_BITS)
    }

    const fn target(self) -> u32 {
        self.0 >> DONE_BITS
    }

    const fn done(self) -> u32 {
        self.0 & DONE
    }

    const fn after(self, done: u32) -> Place {
        Place(self.0 & !DONE | done & DONE)
    }

    /// A number that no other place of the table has; the highest ones are no place's.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// The place with this number.
    pub(crate) const fn of(number: u32) -> Place {
        Place(number)
    }

    const fn is_marked(self) -> bool {
        self.target() & KIND == SKIP && self.done() == MARKED
    }

    /// Whether whatever follows changes nothing.
    pub(crate) const fn is_sink(self) -> bool {
        self.target() & KIND == SINK
    }
}

/// Some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes([u64; 4]);

impl Bytes {
    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1u64.wrapping_shl(u32::from(byte));
        }
    }

    /// Takes them out, in ascending order.
    pub(crate) fn pop(&mut self) -> Option<u8> {
        for (high, word) in (0u32..).zip(&mut self.0) {
            if *word != 0 {
                let low = word.trailing_zeros();
                *word &= word.wrapping_sub(1);
                return Some((high << 6 | low) as u8);
            }
        }
        None
    }
}

/// In all of these, `None` comes only of a table that was not verified.
impl Table<'_> {
    /// Where a walk begins.
    pub(crate) fn start(self) -> Option<Place> {
        word(self.bytes, 0).map(Place::at)
    }

    /// The value of a string that ends here.
    pub(crate) fn value_at(self, place: Place) -> Option<u32> {
        let mut target = place.target();
        if place.is_marked() {
            target = self.marked(target)?;
        }
        let target = self.behind(target)?;
        match target & KIND {
            SINK => self
                .at(target, SINK)
                .map(|value| u32::from_le_bytes(*value)),
            _ => self.head(target).map(|head| head.second),
        }
    }

    /// Where `byte` leads.
    pub(crate) fn step(self, place: Place, byte: u8) -> Option<Place> {
        let (mut target, mut done) = (place.target(), place.done());
        if place.is_marked() {
            let [first, second, mark, _] = self.head(target)?.first.to_le_bytes();
            if byte != first && byte != second {
                return Some(if byte == mark {
                    place
                } else {
                    Place::at(target)
                });
            }
            (target, done) = (self.marked(target)?, 0);
        }
        if target & KIND == CHAIN {
            let chain = self.at(target, CHAIN).map(Chain::new)?;
            if chain.byte(done) == Some(byte) {
                let done = done.wrapping_add(1);
                return Some(if done < chain.next >> 24 {
                    Place::at(target).after(done)
                } else {
                    Place::at(chain.next & 0x00ff_ffff)
                });
            }
            target = self.behind(target)?;
        }
        let here = Place::at(target);
        match target & KIND {
            SINK => Some(here),
            BRANCH => match self.edge(target, BRANCH, byte) {
                Some(next) => Some(Place::at(next)),
                None => self.default_of(here),
            },
            _ => {
                let [first, second, mark, _] = self.head(target)?.first.to_le_bytes();
                let next = self.edge(target, SKIP, byte);
                Some(match next {
                    Some(next) if byte == first || byte == second => Place::at(next),
                    Some(_) if byte == mark => here.after(MARKED),
                    _ => here,
                })
            }
        }
    }

    /// Where all bytes but [`Table::bytes_at`] lead.
    pub(crate) fn default_of(self, place: Place) -> Option<Place> {
        let target = self.behind(place.target())?;
        match target & KIND {
            BRANCH => {
                let default = self.head(target)?.first.wrapping_sub(HEAD);
                Some(Place::at(default))
            }
            _ => Some(Place::at(target)),
        }
    }

    /// Adds the bytes that may lead elsewhere than [`Table::default_of`]. Returns how many cells it took to find them.
    pub(crate) fn bytes_at(self, place: Place, bytes: &mut Bytes) -> Option<usize> {
        if place.target() & KIND == CHAIN {
            let chain = self.at(place.target(), CHAIN).map(Chain::new)?;
            bytes.insert(chain.byte(place.done())?);
        }
        let target = self.behind(place.target())?;
        match target & KIND {
            BRANCH => {
                let from = (target as usize).wrapping_add(before(BRANCH));
                let row = self.bytes.get(from..)?;
                for (byte, cell) in (0..=u8::MAX).zip(row.chunks_exact(CELL_BYTES)) {
                    if word(cell, 0)? == u32::from(byte) {
                        bytes.insert(byte);
                    }
                }
                return Some(1 << u8::BITS);
            }
            SKIP => {
                let [first, second, mark, _] = self.head(target)?.first.to_le_bytes();
                [first, second, mark]
                    .into_iter()
                    .for_each(|byte| bytes.insert(byte));
            }
            _ => {}
        }
        Some(1)
    }

    /// What decides where the string is another than a chain's literal; other targets themselves.
    fn behind(self, target: u32) -> Option<u32> {
        if target & KIND != CHAIN {
            return Some(target);
        }
        let fallback = self.at(target, CHAIN).map(Chain::new)?.fallback >> 8;
        (fallback & KIND != CHAIN).then_some(fallback)
    }

    /// Where the mark of a skip leads.
    fn marked(self, skip: u32) -> Option<u32> {
        let [_, _, mark, _] = self.head(skip)?.first.to_le_bytes();
        self.edge(skip, SKIP, mark)
    }
}

impl Chain {
    /// The byte that follows after `done` ones.
    fn byte(&self, done: u32) -> Option<u8> {
        let unused = (self.fallback & 0xff) >> 3;
        let index = unused.checked_add(done)? as usize;
        self.literal.to_le_bytes().get(index).copied()
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Rows over each other: where each head and its edges find free cells, as in the language's tables, but with bounded memory and time.

use crate::limits::MAX_MERGED_CELLS;

/// A row is looked for at most so many cells before the last one in use.
const LOOK_BACK: usize = 512;

/// Which cells are taken: bit by cell.
pub(super) struct Rows<'w> {
    taken: &'w mut [u32],
    cells: usize,
}

impl<'w> Rows<'w> {
    /// Words that it needs: behind the last cell one more row is looked at.
    pub(super) const WORDS: usize = MAX_MERGED_CELLS / 32 + 16;

    pub(super) fn new(taken: &'w mut [u32]) -> Rows<'w> {
        taken.fill(0);
        Rows { taken, cells: 0 }
    }

    /// Takes a cell for a head, and those of `edges` in the row behind it. Returns the head's, and how many times 32 cells were looked at.
    pub(super) fn place(
        &mut self,
        edges: impl Iterator<Item = u8> + Clone,
    ) -> Option<(u32, usize)> {
        let cell = |head: usize, edge: u8| {
            head.checked_add(usize::from(edge))
                .and_then(|cell| cell.checked_add(1))
        };
        let mut from = self.cells.saturating_sub(LOOK_BACK);
        let mut looks = 0usize;
        let head = loop {
            let mut free = !self.taken_from(from)?;
            looks = looks.checked_add(1)?;
            for edge in edges.clone() {
                if free == 0 {
                    break;
                }
                free &= !self.taken_from(cell(from, edge)?)?;
                looks = looks.checked_add(1)?;
            }
            if free != 0 {
                break from.checked_add(free.trailing_zeros() as usize)?;
            }
            from = from.checked_add(32)?;
        };
        self.take(head)?;
        for edge in edges {
            self.take(cell(head, edge)?)?;
        }
        Some((u32::try_from(head).ok()?, looks))
    }

    /// Number of cells, free ones included.
    pub(super) const fn cells(&self) -> usize {
        self.cells
    }

    /// Whether each of the 32 cells from this one on is taken, the first one's in the lowest bit.
    fn taken_from(&self, cell: usize) -> Option<u32> {
        let words = self.taken.get(cell >> 5..)?.first_chunk::<2>()?;
        let both = u64::from(words[1]) << 32 | u64::from(words[0]);
        Some((both >> (cell & 31)) as u32)
    }

    fn take(&mut self, cell: usize) -> Option<()> {
        if cell >= MAX_MERGED_CELLS {
            return None;
        }
        *self.taken.get_mut(cell >> 5)? |= 1u32.wrapping_shl((cell & 31) as u32);
        self.cells = self.cells.max(cell.checked_add(1)?);
        Some(())
    }
}

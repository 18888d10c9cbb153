// SPDX-License-Identifier: GPL-2.0
//! What a table must be before it may be walked through.

use super::*;

/// Where the parts of a table lie, in bytes. The values follow the header, the cells go to the end.
struct Parts<'a> {
    table: &'a [u8],
    chains: usize,
    cells: usize,
}

impl<'a> Parts<'a> {
    /// The parts, or `None` if the header does not describe the table exactly.
    fn new(table: &'a [u8]) -> Option<Parts<'a>> {
        let end = |start: usize, count: usize, size: usize| {
            let count = word(table, count)? as usize;
            start.checked_add(count.checked_mul(size)?)
        };
        let chains = end(HEADER_BYTES, 4, VALUE_BYTES)?;
        let cells = end(chains, 8, CHAIN_BYTES)?;
        (end(cells, 12, CELL_BYTES)? == table.len()).then_some(Parts {
            table,
            chains,
            cells,
        })
    }

    /// Whether something of the kind that `target` says lies where it leads.
    fn leads_somewhere(&self, target: u32) -> bool {
        let from = (target as usize).wrapping_add(before(target & KIND));
        match target & KIND {
            BRANCH => self.is_row(from, HEAD),
            SKIP => self.is_row(from, HEAD_SKIP),
            CHAIN => from < self.cells && is_entry(from, self.chains, CHAIN_BYTES),
            _ => from < self.chains && is_entry(from, HEADER_BYTES, VALUE_BYTES),
        }
    }

    /// Whether a head of this kind lies before `row`. The row itself may be empty, and lie at the table's end.
    fn is_row(&self, row: usize, kind: u32) -> bool {
        let Some(head) = row.checked_sub(CELL_BYTES) else {
            return false;
        };
        is_entry(head, self.cells, CELL_BYTES)
            && word(self.table, head).is_some_and(|first| first & HEAD_SKIP == kind)
    }

    fn chain_is_sound(&self, chain: &Chain) -> bool {
        let bytes = (chain.next >> 24) as usize;
        let Some(unused) = MAX_LITERAL.checked_sub(bytes) else {
            return false;
        };
        let literal = chain.literal.to_le_bytes();
        let is_unused = |(index, byte): (usize, &u8)| (index < unused) == (*byte == 0);
        bytes > 0
            && (chain.fallback & 0xff) as usize == unused.saturating_mul(8)
            && literal.iter().enumerate().all(is_unused)
            && chain.fallback >> 8 & KIND != CHAIN
            && self.leads_somewhere(chain.fallback >> 8)
            && self.leads_somewhere(chain.next & 0x00ff_ffff)
    }

    fn cell_is_sound(&self, cell: &Cell) -> bool {
        match cell.first & HEAD_SKIP {
            0 => cell.first <= 0xff && self.leads_somewhere(cell.second),
            FREE => cell.first == FREE && cell.second == 0,
            HEAD => self.leads_somewhere(cell.first.wrapping_sub(HEAD)),
            _ => cell.first.wrapping_sub(HEAD_SKIP) <= 0x00ff_ffff,
        }
    }
}

/// Whether an entry of a part that begins at `start` begins at `from`.
fn is_entry(from: usize, start: usize, size: usize) -> bool {
    from.checked_sub(start)
        .is_some_and(|at| at.checked_rem(size) == Some(0))
}

impl Table<'_> {
    /// Length of the table, header included.
    pub(crate) const fn bytes(self) -> usize {
        self.bytes.len()
    }

    /// Whether all targets lead to something of their kind, reachable or not.
    pub(crate) fn verify(self) -> bool {
        self.check() == Some(true)
    }

    fn check(self) -> Option<bool> {
        let parts = Parts::new(self.bytes)?;
        let chains = self.bytes.get(parts.chains..parts.cells)?;
        let cells = self.bytes.get(parts.cells..)?;
        let mut chains = chains
            .chunks_exact(CHAIN_BYTES)
            .map(|chain| chain.first_chunk());
        let mut cells = cells
            .chunks_exact(CELL_BYTES)
            .map(|cell| cell.first_chunk());
        let sound = parts.leads_somewhere(word(self.bytes, 0)?)
            && chains
                .all(|chain| chain.is_some_and(|chain| parts.chain_is_sound(&Chain::new(chain))))
            && cells.all(|cell| cell.is_some_and(|cell| parts.cell_is_sound(&Cell::new(cell))));
        Some(sound)
    }
}

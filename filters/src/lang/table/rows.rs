// SPDX-License-Identifier: GPL-2.0
//! Rows over each other: where each head and its edges find free cells.

use std::collections::HashMap;
use std::prelude::rust_2021::*;

/// A row is looked for at most so many cells before the last one in use: what is full by then stays behind, and places are found in time linear in
/// the number of rows.
const LOOK_BACK: usize = 2048;

/// Which cells are taken.
#[derive(Default)]
pub(super) struct Rows {
    taken: Vec<bool>,
    /// Where the search for a row with these edges goes on.
    tried: HashMap<Vec<u8>, usize>,
}

impl Rows {
    /// Takes a cell for a head, and the cells of `edges`, which ascend, in the row behind it. Returns the head's.
    pub(super) fn place(&mut self, edges: Vec<u8>) -> u32 {
        let tried = self.tried.get(&edges).copied().unwrap_or(0);
        let mut head = tried.max(self.taken.len().saturating_sub(LOOK_BACK));
        let is_free = |cell: usize| !self.taken.get(cell).copied().unwrap_or(false);
        let cell = |head: usize, edge: u8| head + 1 + usize::from(edge);
        while !(is_free(head) && edges.iter().all(|&edge| is_free(cell(head, edge)))) {
            head += 1;
        }
        let last = edges.last().map_or(head, |&edge| cell(head, edge));
        if self.taken.len() <= last {
            self.taken.resize(last + 1, false);
        }
        self.taken[head] = true;
        for &edge in &edges {
            self.taken[cell(head, edge)] = true;
        }
        self.tried.insert(edges, head + 1);
        head as u32
    }

    /// Number of cells, free ones included.
    pub(super) fn cells(&self) -> usize {
        self.taken.len()
    }
}

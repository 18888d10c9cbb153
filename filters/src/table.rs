// SPDX-License-Identifier: GPL-2.0
//! Automaton tables: many strings and globs in one walk over the bytes of a field.
//!
//! A table is a deterministic automaton. It gives each string a value, 0 meaning "no match"; the compiler gives each rule, or each
//! verdict, a value of its own. A walk costs by the length of the string, not by the number of rules.
//!
//! ```text
//! header    nodes, edge words, literal bytes, start node          four little-endian u32
//! nodes     16 bytes each: kind | count << 8, value, data, default
//! edges     u32 words
//! literals  bytes
//! ```
//!
//! `value` is the result if the string ends at the node. What happens with the next byte depends on the kind:
//!
//! | kind | meaning |
//! |---|---|
//! | [`SINK`] | the result is `value`, whatever follows; count, data and default are 0 |
//! | [`CHAIN`] | `count` literal bytes at `data` lead to the next node in the table; any other byte leads to `default`. `value` holds for an end anywhere inside the chain |
//! | [`SPARSE`] | `count` edges of two words at edge word `data`: lowest byte \| highest byte << 8, and the node they lead to; ascending, disjoint, at most `MAX_SPARSE_EDGES`; other bytes lead to `default` |
//! | [`DENSE`] | edge word `data` is the lowest byte; the `count` words after it are the nodes for it and the bytes above; other bytes lead to `default` |
//!
//! Every node but a sink consumes a byte, so a walk ends with the string. Each edge word and literal byte belongs to one node (by their sums), so
//! that a table is verified in time linear in its length.

use crate::image::word;
use crate::limits::MAX_SPARSE_EDGES;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a node.
pub const NODE_BYTES: usize = 16;

/// Node kind: the result is fixed.
pub const SINK: u32 = 0;
/// Node kind: a run of literal bytes.
pub const CHAIN: u32 = 1;
/// Node kind: a few ranges of bytes.
pub const SPARSE: u32 = 2;
/// Node kind: one range of bytes, each with its own edge.
pub const DENSE: u32 = 3;

/// A table inside an image.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    start: u32,
    nodes: &'a [u8],
    edges: &'a [u8],
    literals: &'a [u8],
}

#[derive(Clone, Copy)]
struct Node {
    kind: u32,
    count: usize,
    value: u32,
    data: usize,
    default: u32,
}

impl<'a> Table<'a> {
    /// Splits `bytes` into the table's parts, or `None` if the header does not describe them exactly.
    pub(crate) fn view(bytes: &'a [u8]) -> Option<Table<'a>> {
        let nodes = (word(bytes, 0)? as usize).checked_mul(NODE_BYTES)?;
        let edges = (word(bytes, 4)? as usize).checked_mul(4)?;
        let literals = word(bytes, 8)? as usize;
        let start = word(bytes, 12)?;
        let (nodes, rest) = bytes.get(HEADER_BYTES..)?.split_at_checked(nodes)?;
        let (edges, rest) = rest.split_at_checked(edges)?;
        if rest.len() != literals {
            return None;
        }
        Some(Table {
            start,
            nodes,
            edges,
            literals: rest,
        })
    }

    fn node(&self, index: u32) -> Option<Node> {
        let at = (index as usize).checked_mul(NODE_BYTES)?;
        let bytes = self.nodes.get(at..)?.first_chunk::<NODE_BYTES>()?;
        let head = word(bytes, 0)?;
        Some(Node {
            kind: head & 0xff,
            count: (head >> 8) as usize,
            value: word(bytes, 4)?,
            data: word(bytes, 8)? as usize,
            default: word(bytes, 12)?,
        })
    }

    fn edge(&self, index: usize) -> Option<u32> {
        word(self.edges, index.checked_mul(4)?)
    }

    fn chain(&self, node: Node) -> Option<&'a [u8]> {
        self.literals
            .get(node.data..node.data.checked_add(node.count)?)
    }

    /// The value of `input`. `None` only for a table that was not verified.
    pub fn lookup(&self, input: &[u8]) -> Option<u32> {
        let mut at = self.start;
        let mut rest = input;
        loop {
            let node = self.node(at)?;
            if node.kind == SINK {
                return Some(node.value);
            }
            let Some((&byte, tail)) = rest.split_first() else {
                return Some(node.value);
            };
            if node.kind == CHAIN {
                let literal = self.chain(node)?;
                if let Some(tail) = rest.strip_prefix(literal) {
                    rest = tail;
                    at = at.checked_add(1)?;
                    continue;
                }
                let same = common_prefix(literal, rest);
                // The string ends inside the chain, or a byte leaves it.
                match rest.get(same..)?.split_first() {
                    None => return Some(node.value),
                    Some((_, tail)) => {
                        rest = tail;
                        at = node.default;
                    }
                }
                continue;
            }
            rest = tail;
            at = match node.kind {
                SPARSE => self.sparse(node, byte)?,
                DENSE => self.dense(node, byte)?,
                _ => return None,
            };
        }
    }

    /// The ranges ascend and are disjoint: the byte's is found by halving.
    fn sparse(&self, node: Node, byte: u8) -> Option<u32> {
        let byte = u32::from(byte);
        let (mut low, mut high) = (0, node.count);
        while low < high {
            let middle = low.midpoint(high);
            let at = node.data.checked_add(middle.checked_mul(2)?)?;
            let range = self.edge(at)?;
            if byte < range & 0xff {
                high = middle;
            } else if byte > (range >> 8) & 0xff {
                low = middle.checked_add(1)?;
            } else {
                return self.edge(at.checked_add(1)?);
            }
        }
        Some(node.default)
    }

    fn dense(&self, node: Node, byte: u8) -> Option<u32> {
        let lowest = self.edge(node.data)?;
        match u32::from(byte).checked_sub(lowest) {
            Some(index) if (index as usize) < node.count => {
                self.edge(node.data.checked_add(1)?.checked_add(index as usize)?)
            }
            _ => Some(node.default),
        }
    }

    /// Whether every node, edge and literal that a walk can reach lies in the table: all of them are checked, reachable or not.
    pub(crate) fn verify(&self) -> bool {
        self.check().is_some()
    }

    /// Length of the table, header included.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES
            .saturating_add(self.nodes.len())
            .saturating_add(self.edges.len())
            .saturating_add(self.literals.len())
    }

    fn check(&self) -> Option<()> {
        // What no node has claimed yet; taken before the node is looked at, so that the sum of all looks is bounded.
        let mut edges = self.edges.len() / 4;
        let mut literals = self.literals.len();
        let nodes = u32::try_from(self.nodes.len() / NODE_BYTES).ok()?;
        let exists = |node: u32| (node < nodes).then_some(());
        exists(self.start)?;
        for index in 0..nodes {
            let node = self.node(index)?;
            match node.kind {
                SINK => {
                    if node.count != 0 || node.data != 0 || node.default != 0 {
                        return None;
                    }
                }
                CHAIN => {
                    literals = literals.checked_sub(node.count)?;
                    exists(node.default)?;
                    exists(index.checked_add(1)?)?;
                    if self.chain(node)?.is_empty() {
                        return None;
                    }
                }
                SPARSE => {
                    edges = edges.checked_sub(node.count.checked_mul(2)?)?;
                    exists(node.default)?;
                    self.check_sparse(node, exists)?;
                }
                DENSE => {
                    edges = edges.checked_sub(node.count.checked_add(1)?)?;
                    exists(node.default)?;
                    let lowest = self.edge(node.data)?;
                    let end = (lowest as usize).checked_add(node.count)?;
                    if node.count == 0 || end > 256 {
                        return None;
                    }
                    let first = node.data.checked_add(1)?;
                    for edge in first..first.checked_add(node.count)? {
                        exists(self.edge(edge)?)?;
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn check_sparse(&self, node: Node, exists: impl Fn(u32) -> Option<()>) -> Option<()> {
        if node.count > MAX_SPARSE_EDGES {
            return None;
        }
        let mut lowest = 0;
        let mut at = node.data;
        for _ in 0..node.count {
            let range = self.edge(at)?;
            let (lo, hi) = (range & 0xff, (range >> 8) & 0xff);
            if range >> 16 != 0 || lo < lowest || hi < lo {
                return None;
            }
            lowest = hi.checked_add(1)?;
            exists(self.edge(at.checked_add(1)?)?)?;
            at = at.checked_add(2)?;
        }
        Some(())
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

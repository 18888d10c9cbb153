// SPDX-License-Identifier: GPL-2.0
//! Automaton tables, described node by node, encoded in the format of `filters::table`, and walked one byte at a time.

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// The result is fixed.
    Sink {
        /// The result.
        value: u32,
    },
    /// Literal bytes that lead to the next node.
    Chain {
        /// Result at an end inside the chain.
        value: u32,
        /// The bytes.
        literal: Vec<u8>,
        /// Node for any other byte.
        default: u32,
    },
    /// Ranges of bytes: lowest, highest, target.
    Sparse {
        /// Result at an end here.
        value: u32,
        /// The ranges.
        ranges: Vec<(u8, u8, u32)>,
        /// Node for any other byte.
        default: u32,
    },
    /// One range with a target for each byte.
    Dense {
        /// Result at an end here.
        value: u32,
        /// The lowest byte of the range.
        lowest: u8,
        /// Targets of the lowest byte and those above.
        targets: Vec<u32>,
        /// Node for any other byte.
        default: u32,
    },
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// Where a walk starts.
    pub start: u32,
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Automaton {
    /// The table's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (mut nodes, mut edges, mut literals) =
            (Vec::new(), Vec::<u32>::new(), Vec::<u8>::new());
        for node in &self.nodes {
            let words = match node {
                Node::Sink { value } => [0, *value, 0, 0],
                Node::Chain {
                    value,
                    literal,
                    default,
                } => {
                    let at = literals.len() as u32;
                    literals.extend(literal);
                    [1 | (literal.len() as u32) << 8, *value, at, *default]
                }
                Node::Sparse {
                    value,
                    ranges,
                    default,
                } => {
                    let at = edges.len() as u32;
                    for (lowest, highest, target) in ranges {
                        edges.push(u32::from(*lowest) | u32::from(*highest) << 8);
                        edges.push(*target);
                    }
                    [2 | (ranges.len() as u32) << 8, *value, at, *default]
                }
                Node::Dense {
                    value,
                    lowest,
                    targets,
                    default,
                } => {
                    let at = edges.len() as u32;
                    edges.push(u32::from(*lowest));
                    edges.extend(targets);
                    [3 | (targets.len() as u32) << 8, *value, at, *default]
                }
            };
            nodes.extend(words);
        }
        let header = [
            self.nodes.len() as u32,
            edges.len() as u32,
            literals.len() as u32,
            self.start,
        ];
        let mut out: Vec<u8> = header
            .iter()
            .chain(&nodes)
            .chain(&edges)
            .flat_map(|word| word.to_le_bytes())
            .collect();
        out.extend(literals);
        out
    }

    /// The value of `input`, by steps of one byte; `None` if a step leads to a node that does not exist.
    pub fn value(&self, input: &[u8]) -> Option<u32> {
        // A place is a node and, in a chain, how many of its bytes have been seen.
        let mut place = (self.start, 0usize);
        for &byte in input {
            let (at, seen) = place;
            let by_default = |default: &u32| (*default, 0);
            place = match self.nodes.get(at as usize)? {
                Node::Sink { .. } => place,
                Node::Chain {
                    literal, default, ..
                } => {
                    if literal.get(seen) != Some(&byte) {
                        by_default(default)
                    } else if seen + 1 == literal.len() {
                        (at + 1, 0)
                    } else {
                        (at, seen + 1)
                    }
                }
                Node::Sparse {
                    ranges, default, ..
                } => ranges
                    .iter()
                    .find(|(lowest, highest, _)| (*lowest..=*highest).contains(&byte))
                    .map_or_else(|| by_default(default), |(_, _, target)| (*target, 0)),
                Node::Dense {
                    lowest,
                    targets,
                    default,
                    ..
                } => (*lowest..=u8::MAX)
                    .zip(targets)
                    .find(|(own, _)| *own == byte)
                    .map_or_else(|| by_default(default), |(_, target)| (*target, 0)),
            };
        }
        Some(match self.nodes.get(place.0 as usize)? {
            Node::Sink { value }
            | Node::Chain { value, .. }
            | Node::Sparse { value, .. }
            | Node::Dense { value, .. } => *value,
        })
    }
}

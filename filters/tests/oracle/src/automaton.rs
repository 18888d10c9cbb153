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
    /// Literal bytes.
    Chain {
        /// The bytes.
        literal: Vec<u8>,
        /// Node for the rest of a string that does not go on so.
        fallback: u32,
        /// Node behind the literal.
        next: u32,
    },
    /// A byte's own edge, or the default.
    Branch {
        /// Result at an end here.
        value: u32,
        /// Byte and node.
        edges: Vec<(u8, u32)>,
        /// Node for any other byte.
        default: u32,
    },
    /// Most bytes stay.
    Skip {
        /// Result at an end here.
        value: u32,
        /// Bytes that may lead elsewhere.
        stops: [u8; 2],
        /// A byte that leads elsewhere if a stop or the end follows.
        mark: u8,
        /// Byte and node.
        edges: Vec<(u8, u32)>,
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

/// Where a walk is.
#[derive(Clone, Copy)]
struct Place {
    node: u32,
    /// How many bytes of a chain have been seen.
    seen: usize,
    /// The last byte that a skip has passed.
    passed: Option<u8>,
}

impl Place {
    fn at(node: u32) -> Place {
        Place {
            node,
            seen: 0,
            passed: None,
        }
    }
}

fn edge(edges: &[(u8, u32)], byte: u8) -> Option<u32> {
    let found = edges.iter().find(|(own, _)| *own == byte);
    found.map(|&(_, target)| target)
}

impl Automaton {
    /// A table of one node, at which every string ends.
    pub fn sink(value: u32) -> Automaton {
        Automaton {
            start: 0,
            nodes: vec![Node::Sink { value }],
        }
    }

    /// For each node the target that leads to it: values, chains and rows lie in the order of the nodes, rows with as many cells as their last edge asks for.
    fn targets(&self) -> Vec<u32> {
        let count =
            |wanted: fn(&Node) -> bool| self.nodes.iter().filter(|node| wanted(node)).count();
        let values = count(|node| matches!(node, Node::Sink { .. }));
        let chains = count(|node| matches!(node, Node::Chain { .. }));
        let mut value = 16;
        let mut chain = value + 4 * values as u32;
        let mut cell = chain + 16 * chains as u32;
        let mut take = |node: &Node| {
            let (next, size, kind) = match node {
                Node::Sink { .. } => (&mut value, 4, 3),
                Node::Chain { .. } => (&mut chain, 16, 1),
                Node::Branch { edges, .. } => (&mut cell, 8 * cells(edges), 0),
                Node::Skip { edges, .. } => (&mut cell, 8 * cells(edges), 2),
            };
            let at = *next;
            *next += size;
            match kind {
                3 => at - 1,
                1 => at - 3,
                // The row follows the head.
                0 => at + 8,
                _ => at + 8 - 2,
            }
        };
        self.nodes.iter().map(&mut take).collect()
    }

    /// The table's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let targets = self.targets();
        // Nodes that do not exist lead nowhere.
        let target = |node: u32| targets.get(node as usize).copied().unwrap_or(0x00ff_fffc);
        let (mut values, mut chains, mut table) = (Vec::new(), Vec::new(), Vec::new());
        for node in &self.nodes {
            let (head, edges) = match node {
                Node::Sink { value } => {
                    values.extend(value.to_le_bytes());
                    continue;
                }
                Node::Chain {
                    literal,
                    fallback,
                    next,
                } => {
                    let unused = 8 - literal.len();
                    chains.extend(vec![0; unused]);
                    chains.extend(literal);
                    chains.extend(((target(*fallback) << 8) | (8 * unused as u32)).to_le_bytes());
                    chains.extend((target(*next) | ((literal.len() as u32) << 24)).to_le_bytes());
                    continue;
                }
                Node::Branch {
                    value,
                    edges,
                    default,
                } => ([0x8000_0000 + target(*default), *value], edges),
                Node::Skip {
                    value,
                    stops: [first, second],
                    mark,
                    edges,
                } => {
                    let bytes = u32::from_le_bytes([*first, *second, *mark, 0]);
                    ([0xc000_0000 + bytes, *value], edges)
                }
            };
            let mut row = vec![[0x4000_0000, 0]; cells(edges) as usize];
            row[0] = head;
            for &(byte, node) in edges {
                row[1 + usize::from(byte)] = [byte.into(), target(node)];
            }
            table.extend(row.iter().flatten().flat_map(|word| word.to_le_bytes()));
        }
        let header = [
            target(self.start),
            values.len() as u32 / 4,
            chains.len() as u32 / 16,
            table.len() as u32 / 8,
        ];
        let header = header.iter().flat_map(|word| word.to_le_bytes());
        header.chain(values).chain(chains).chain(table).collect()
    }

    /// The value of `input`, by steps of one byte; `None` if a step leads to a node that does not exist.
    pub fn value(&self, input: &[u8]) -> Option<u32> {
        let mut place = Place::at(self.start);
        for &byte in input {
            place = self.step(place, byte)?;
        }
        let mut node = self.nodes.get(place.node as usize)?;
        if let Node::Skip { mark, edges, .. } = node
            && place.passed == Some(*mark)
        {
            let marked = edge(edges, *mark).unwrap_or(place.node);
            node = self.nodes.get(marked as usize)?;
        }
        if let Node::Chain { fallback, .. } = node {
            node = self.nodes.get(*fallback as usize)?;
        }
        match node {
            Node::Sink { value } | Node::Branch { value, .. } | Node::Skip { value, .. } => {
                Some(*value)
            }
            Node::Chain { .. } => None,
        }
    }

    fn step(&self, mut place: Place, byte: u8) -> Option<Place> {
        loop {
            place = match self.nodes.get(place.node as usize)? {
                Node::Sink { .. } => return Some(place),
                Node::Chain {
                    literal,
                    fallback,
                    next,
                } => {
                    if literal.get(place.seen) != Some(&byte) {
                        Place::at(*fallback)
                    } else if place.seen + 1 == literal.len() {
                        return Some(Place::at(*next));
                    } else {
                        place.seen += 1;
                        return Some(place);
                    }
                }
                Node::Branch { edges, default, .. } => {
                    return Some(Place::at(edge(edges, byte).unwrap_or(*default)));
                }
                Node::Skip {
                    stops, mark, edges, ..
                } => {
                    if !stops.contains(&byte) {
                        place.passed = Some(byte);
                        return Some(place);
                    }
                    if place.passed == Some(*mark) {
                        Place::at(edge(edges, *mark).unwrap_or(place.node))
                    } else {
                        return Some(Place::at(edge(edges, byte).unwrap_or(place.node)));
                    }
                }
            };
        }
    }
}

/// Cells of a head and its row.
fn cells(edges: &[(u8, u32)]) -> u32 {
    let last = edges.iter().map(|&(byte, _)| u32::from(byte) + 1).max();
    1 + last.unwrap_or(0)
}

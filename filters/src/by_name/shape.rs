// SPDX-License-Identifier: GPL-2.0
//! What becomes of each state: a sink, a chain, a branch, or a skip. The rules are those of the language's tables (`lang/table/shape.rs`), which say more.

use super::graph::{Graph, ALL, NONE};
use crate::table::{MAX_LITERAL, MAX_STOPS};

/// How a state leaves.
pub(super) enum Shape {
    /// Never.
    Sink,
    /// By a few bytes in a row; where the string is another, as the fallback does.
    Chain {
        /// The bytes, in the highest places.
        literal: [u8; MAX_LITERAL],
        bytes: usize,
        next: u32,
        fallback: u32,
    },
    /// By the edge of a byte, or to the default.
    Branch,
    /// By a stop, or by the mark; all other bytes stay.
    Skip { stops: [u8; MAX_STOPS], mark: u8 },
}

/// A state is like its default but for one byte.
#[derive(Clone, Copy)]
struct Link {
    byte: u8,
    next: u32,
}

impl Shape {
    pub(super) fn of(graph: &Graph<'_>, state: u32) -> Shape {
        if matches!(state, NONE | ALL) {
            return Shape::Sink;
        }
        let default = graph.default(state);
        if default == state {
            return skip(graph, state).unwrap_or(Shape::Branch);
        }
        chain(graph, state, default).unwrap_or(Shape::Branch)
    }
}

/// The chain from `state`, if it is worth one: for a single byte a branch is faster.
fn chain(graph: &Graph<'_>, state: u32, fallback: u32) -> Option<Shape> {
    let mut literal = [0; MAX_LITERAL];
    let mut bytes = 0usize;
    let mut next = state;
    while bytes < MAX_LITERAL && graph.default(next) == fallback {
        let Some(link) = link(graph, next, fallback) else {
            break;
        };
        *literal.get_mut(bytes)? = link.byte;
        bytes = bytes.checked_add(1)?;
        next = link.next;
    }
    literal.rotate_right(MAX_LITERAL.checked_sub(bytes)?);
    (bytes > 1).then_some(Shape::Chain {
        literal,
        bytes,
        next,
        fallback,
    })
}

fn link(graph: &Graph<'_>, state: u32, fallback: u32) -> Option<Link> {
    // Most bytes stay at the fallback, so it is no link itself.
    if fallback == state
        || graph.default(fallback) != fallback
        || graph.ends(state) != graph.ends(fallback)
    {
        return None;
    }
    let (byte, more) = graph.differences(state, fallback)?.split()?;
    // Behind the end of a string zeros are read. Where a search begins once more a branch is faster: mostly the byte does not follow.
    let begins = || graph.edges(fallback).any(|edge| edge.target() == state);
    if !more.is_empty() || byte == 0 || begins() {
        return None;
    }
    Some(Link {
        byte,
        next: graph.target(state, byte),
    })
}

/// The stops and the mark of `state`, which most bytes do not leave, if it can be a skip. The fewer stops the better; a slash is the best mark, because most
/// strings are paths.
fn skip(graph: &Graph<'_>, state: u32) -> Option<Shape> {
    let mut all = Few::default();
    for edge in graph.edges(state) {
        all.add(edge.byte())?;
    }
    // A stop is never passed, so it marks nothing.
    let (first, _) = all.split()?;
    let mut best = (all, first);
    for edge in graph.edges(state) {
        let Some(stops) = stops_beside(graph, state, all, edge.byte(), edge.target()) else {
            continue;
        };
        // Without a mark it comes last among equals.
        let rank = |(stops, mark): &(Few, u8)| (stops.count, *mark != b'/', stops.has(*mark));
        let new = (stops, edge.byte());
        if rank(&new) < rank(&best) {
            best = new;
        }
    }
    let (stops, mark) = best;
    (stops.count <= MAX_STOPS).then(|| Shape::Skip {
        // Places that are left over repeat a stop; a zero where there is none is one that stays.
        stops: match stops.split() {
            Some((first, rest)) => [first, rest.split().map_or(first, |(second, _)| second)],
            None => [0; MAX_STOPS],
        },
        mark,
    })
}

/// What `state` has to stop at if `mark` is none of it: the other bytes that leave it, and those by which the state that the mark leads to differs. What a string
/// has done at a stop is then told by whether the mark comes before it.
fn stops_beside(graph: &Graph<'_>, state: u32, all: Few, mark: u8, marked: u32) -> Option<Few> {
    if graph.target(marked, mark) != marked {
        return None;
    }
    let mut stops = Few::default();
    let differences = graph.differences(state, marked)?;
    for stop in all.bytes().chain(differences.bytes()) {
        if stop != mark && !stops.has(stop) {
            stops.add(stop)?;
        }
    }
    Some(stops)
}

/// No more bytes than the stops and the mark of a skip.
#[derive(Clone, Copy, Default)]
struct Few {
    bytes: [u8; MAX_STOPS + 1],
    count: usize,
}

impl Few {
    /// Adds one; `None` if there is no room.
    fn add(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.count)? = byte;
        self.count = self.count.checked_add(1)?;
        Some(())
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.bytes.iter().take(self.count).copied()
    }

    fn has(&self, byte: u8) -> bool {
        self.bytes().any(|found| found == byte)
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first one and the others.
    fn split(&self) -> Option<(u8, Few)> {
        let mut bytes = self.bytes();
        let first = bytes.next()?;
        let mut rest = Few::default();
        for byte in bytes {
            rest.add(byte)?;
        }
        Some((first, rest))
    }
}

impl Graph<'_> {
    /// The bytes by which two states lead to different ones, unless they are more than a few.
    fn differences(&self, one: u32, other: u32) -> Option<Few> {
        let default = self.default(one);
        if default != self.default(other) {
            return None;
        }
        let mut few = Few::default();
        let (mut left, mut right) = (self.edges(one).peekable(), self.edges(other).peekable());
        loop {
            let ahead = [left.peek(), right.peek()];
            let Some(byte) = ahead.into_iter().flatten().map(|edge| edge.byte()).min() else {
                return Some(few);
            };
            let here = |edge: &super::graph::Edge| edge.byte() == byte;
            let [one, other] = [left.next_if(here), right.next_if(here)]
                .map(|edge| edge.map_or(default, |edge| edge.target()));
            if one != other {
                few.add(byte)?;
            }
        }
    }
}

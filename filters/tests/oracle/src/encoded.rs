// SPDX-License-Identifier: GPL-2.0
//! Encoded automaton tables, read a second time: which are sound, and what they give a string, one byte after the other.
//!
//! Written from the description at the head of `filters::table`. Every place is found by its byte offset in the whole table, and looked at through `word`, so
//! that whoever leaves the table is told.

/// What lies where a target leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The row that begins here; its head is the cell before.
    Branch(usize),
    /// The same, of a skip.
    Skip(usize),
    /// A chain.
    Chain(usize),
    /// A value.
    Sink(usize),
}

/// The place whose last number "up to that offset with these bits" `target` is.
fn place(target: u32) -> Place {
    let target = target as usize;
    match target % 4 {
        0 => Place::Branch(target),
        1 => Place::Chain(target + 3),
        2 => Place::Skip(target + 2),
        _ => Place::Sink(target + 1),
    }
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    let bytes = table.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Where each part begins: values, chains, cells, and the end.
fn parts(table: &[u8]) -> Option<[usize; 4]> {
    let [values, chains, cells] = [word(table, 4)?, word(table, 8)?, word(table, 12)?];
    let chains_at = 16 + 4 * u64::from(values);
    let cells_at = chains_at + 16 * u64::from(chains);
    let end = cells_at + 8 * u64::from(cells);
    // On a table of less than 4 GiB these are small numbers.
    (end == table.len() as u64).then_some([16, chains_at as usize, cells_at as usize, end as usize])
}

/// Whether `table` is what the verifier has to accept.
pub fn is_sound(table: &[u8]) -> bool {
    let Some([values, chains, cells, end]) = parts(table) else {
        return false;
    };
    let starts: Vec<Place> = (values..chains)
        .step_by(4)
        .map(Place::Sink)
        .chain((chains..cells).step_by(16).map(Place::Chain))
        .chain((cells..end).step_by(8).filter_map(|at| {
            match word(table, at).map_or(0, |first| first >> 30) {
                2 => Some(Place::Branch(at + 8)),
                3 => Some(Place::Skip(at + 8)),
                _ => None,
            }
        }))
        .collect();
    let leads = |target: u32| starts.contains(&place(target));
    let get = |at| word(table, at).unwrap_or(0);
    let chain = |at: usize| {
        let (fallback, next) = (get(at + 8), get(at + 12));
        let unused = (fallback & 0xff) / 8;
        let length = next >> 24;
        let literal = &table[at..at + 8];
        let (below, bytes) = literal.split_at(unused.min(8) as usize);
        fallback % 8 == 0
            && length >= 1
            && unused + length == 8
            && below.iter().all(|byte| *byte == 0)
            && !bytes.contains(&0)
            && !matches!(place(fallback >> 8), Place::Chain(_))
            && leads(fallback >> 8)
            && leads(next & 0xff_ffff)
    };
    let cell = |at: usize| {
        let (first, second) = (get(at), get(at + 4));
        match first >> 30 {
            0 => first < 256 && leads(second),
            1 => first == 1 << 30 && second == 0,
            2 => leads(first & 0x3fff_ffff),
            _ => first & 0x3f00_0000 == 0,
        }
    };
    leads(get(0)) && (chains..cells).step_by(16).all(chain) && (cells..end).step_by(8).all(cell)
}

/// What `table` gives `input`; `None` if that leads out of the table, or to no end.
pub fn value(table: &[u8], input: &[u8]) -> Option<u32> {
    let mut at = place(word(table, 0)?);
    let mut seen = 0;
    // Each step consumes a byte, or is one of two in a row that do not: a chain that hands over, a mark.
    for _ in 0..3 * input.len() + 3 {
        let byte = input.get(seen).copied();
        at = match at {
            Place::Sink(at) => return word(table, at),
            Place::Branch(row) => {
                let Some(byte) = byte else {
                    return word(table, row - 4);
                };
                seen += 1;
                let default = || Some(word(table, row - 8)? & 0x3fff_ffff);
                place(edge(table, row, byte).or_else(default)?)
            }
            Place::Chain(at) => {
                let unused = word(table, at + 8)? as usize % 256 / 8;
                let literal = table.get(at + unused..at + 8)?;
                let rest = &input[seen..];
                let same = literal.iter().zip(rest).take_while(|(a, b)| a == b).count();
                seen += same;
                place(if same == literal.len() {
                    word(table, at + 12)? & 0xff_ffff
                } else {
                    word(table, at + 8)? >> 8
                })
            }
            Place::Skip(row) => {
                let stops = word(table, row - 8)?;
                let [first, second, mark, _] = stops.to_le_bytes();
                let mut passed = None;
                loop {
                    match input.get(seen).copied() {
                        Some(byte) if byte != first && byte != second => {
                            passed = Some(byte);
                            seen += 1;
                        }
                        // A mark before a stop or the end, with an edge of its own.
                        _ if passed == Some(mark) && edge(table, row, mark).is_some() => {
                            break place(edge(table, row, mark)?);
                        }
                        None => return word(table, row - 4),
                        // A mark without one: the stop is looked at by itself.
                        Some(stop) => {
                            seen += 1;
                            passed = None;
                            if let Some(next) = edge(table, row, stop) {
                                break place(next);
                            }
                        }
                    }
                }
            }
        };
    }
    None
}

/// Where `byte` leads in the row that begins at `row`, if it has an edge there.
fn edge(table: &[u8], row: usize, byte: u8) -> Option<u32> {
    let at = row + 8 * usize::from(byte);
    let first = word(table, at)?;
    (first == u32::from(byte)).then(|| word(table, at + 4))?
}

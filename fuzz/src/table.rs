// SPDX-License-Identifier: GPL-2.0
//! An automaton table of any bytes: the verifier accepts it exactly if it is sound by the format's description, and then it gives strings the values that this says.
//!
//! The input is a table, as long as its header says, and behind it strings, each ended by a line feed.

use filters::event::Event;
use filters::insn::Insn;
use filters::record::Record;
use filters::stack::Layer;
use filters::verdict::Verdict;
use oracle::encoded;
use oracle::image::{self, Draft};

/// Bytes of a table by its header, if there are as many.
fn length(data: &[u8]) -> Option<usize> {
    let word = |at: usize| {
        let bytes = data.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let [values, chains, cells] = [word(4)?, word(8)?, word(12)?];
    let length = 16 + 4 * values + 16 * chains + 8 * cells;
    (length <= data.len()).then_some(length)
}

/// A program that allows strings to which the table gives `value`.
fn draft(table: &[u8], value: u32) -> Draft {
    Draft {
        event: Event::VfsGetname.number(),
        insns: vec![
            Insn::stmt(0x100, 0),
            Insn::jump(0x15, value, 0, 1),
            Insn::stmt(0x06, Verdict::ALLOW.raw()),
            Insn::stmt(0x06, Verdict::errno(1).raw()),
        ],
        strings: Vec::new(),
        tables: vec![table.to_vec()],
    }
}

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let (table, strings) = data.split_at(length(data).unwrap_or(data.len()));
    let policy = image::verify(image::encode(&[draft(table, 0)]));
    assert_eq!(policy.is_ok(), encoded::is_sound(table), "{table:?}");
    if policy.is_err() {
        return;
    }
    for string in strings.split(|byte| *byte == b'\n').take(16) {
        let string = &string[..string.len().min(4095)];
        let value =
            encoded::value(table, string).expect("a walk through a sound table ends inside");
        let policy = image::verify(image::encode(&[draft(table, value)])).expect("a sound table");
        let strings = [string];
        let record = Record::new(Event::VfsGetname, &[0; 20], &strings).expect("a record");
        assert_eq!(
            policy.judge(&record),
            Some(Verdict::ALLOW),
            "{string:?} in {table:?}"
        );
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Any patterns: the table made of them gives each string the value of the first pattern that matches it by definition.

use arbitrary::{Arbitrary, Unstructured};
use filters::event::Event;
use filters::insn::{Insn, SMATCH};
use filters::lang::pattern::Pattern;
use filters::lang::table::table;
use filters::record::Record;
use filters::stack::Layer;
use filters::verdict::Verdict;
use oracle::image::{self, Draft};

#[derive(Arbitrary, Debug)]
enum Wanted {
    Equal(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    Under(Vec<u8>),
    Glob(Vec<u8>),
}

/// Patterns, and strings for them.
type Input = (Vec<Wanted>, Vec<Vec<u8>>);

/// Few different bytes, or patterns and strings would never meet. Those that mean something in a glob among them.
fn few(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 16] = b"ab/.*?[]-!^\\cd\xff/";
    bytes
        .iter()
        .take(24)
        .map(|byte| ALPHABET[usize::from(byte % 16)])
        .collect()
}

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Ok((wanted, mut strings)) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let patterns: Vec<Pattern> = wanted
        .iter()
        .take(8)
        .filter_map(|wanted| match wanted {
            Wanted::Equal(bytes) => Some(Pattern::Equal(few(bytes))),
            Wanted::Prefix(bytes) => Some(Pattern::Prefix(few(bytes))),
            Wanted::Suffix(bytes) => Some(Pattern::Suffix(few(bytes))),
            Wanted::Contains(bytes) => Some(Pattern::Contains(few(bytes))),
            Wanted::Under(bytes) => Some(Pattern::under(&few(bytes))),
            Wanted::Glob(bytes) => Pattern::glob(&few(bytes)).ok(),
        })
        .collect();
    let valued: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
    let Ok(made) = table(&valued) else {
        return;
    };
    let draft = Draft {
        event: Event::VfsGetname.number(),
        // Values 1 to 8 become errnos, 0 becomes ENOENT's neighbour 133, so that all are told apart.
        insns: vec![
            Insn::stmt(SMATCH, 0),
            Insn::jump(0x15, 0, 2, 0),
            Insn::stmt(0x44, 0x0005_0000),
            Insn::stmt(0x16, 0),
            Insn::stmt(0x06, 0x0005_0000 | 133),
        ],
        strings: vec![],
        tables: vec![made.bytes],
    };
    let policy = image::verify(image::encode(&[draft])).expect("the compiler makes sound tables");
    strings.iter_mut().for_each(|string| *string = few(string));
    strings.extend(patterns.iter().map(Pattern::example));
    strings.push(vec![]);
    for string in &strings {
        let expected = valued
            .iter()
            .find(|(pattern, _)| pattern.matches(string))
            .map_or(133, |(_, value)| *value as u16);
        let record =
            Record::new(Event::VfsGetname, &[0; 20], &[string]).map(|record| policy.judge(&record));
        assert_eq!(
            record,
            Some(Some(Verdict::errno(expected))),
            "{string:x?} {patterns:x?}"
        );
    }
}

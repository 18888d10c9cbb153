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

use crate::input;

/// Patterns, and strings for them.
struct Input {
    patterns: Vec<Pattern>,
    strings: Vec<Vec<u8>>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Input> {
        let patterns = input::list(u, 8, |u| {
            let kind = u8::arbitrary(u)? % 6;
            let text = few(&input::bytes(u, 24)?);
            Ok(match kind {
                0 => Some(Pattern::Equal(text)),
                1 => Some(Pattern::Prefix(text)),
                2 => Some(Pattern::Suffix(text)),
                3 => Some(Pattern::Contains(text)),
                4 => Some(Pattern::under(&text)),
                _ => Pattern::glob(&text).ok(),
            })
        })?;
        Ok(Input {
            patterns: patterns.into_iter().flatten().collect(),
            strings: input::list(u, 12, |u| Ok(few(&input::bytes(u, 40)?)))?,
        })
    }
}

/// Few different bytes, or patterns and strings would never meet. Those that mean something in a glob among them.
fn few(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 16] = b"ab/.*?[]-!^\\cd\xff/";
    let letters = bytes.iter().map(|byte| ALPHABET[usize::from(byte % 16)]);
    letters.collect()
}

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Ok(Input {
        patterns,
        mut strings,
    }) = Input::arbitrary(&mut Unstructured::new(data))
    else {
        return;
    };
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

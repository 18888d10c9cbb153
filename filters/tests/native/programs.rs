// SPDX-License-Identifier: GPL-2.0
//! Programs and records for the lowering: rows of comparisons, programs as long as may be, and objects that refuse to be looked at.

use filters::event::Event;
use filters::insn::Insn;
use filters::record::{Object, Record, View};
use oracle::generate::{number, raw_verdict, string, OwnedRecord, CALLER};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A value that rows compare with: neighbours, and the ends of the range.
pub(crate) fn value() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![
        6 => 0u32..24,
        1 => select(&[u32::MAX, u32::MAX - 1, u32::MAX - 2, 0x8000_0000, 0x7fff_ffff][..]),
        1 => number(),
    ]
}

/// A record of `syscall.enter` made of such values.
pub(crate) fn record() -> impl Strategy<Value = OwnedRecord> {
    vec(value(), 16).prop_map(|words| OwnedRecord {
        event: Event::SyscallEnter,
        words,
        strings: Vec::new(),
    })
}

/// The start of an instruction: what it is, how far it jumps, its constant.
type Seed = (u8, u16, u16, u32);

/// How far a jump goes: mostly to the next instruction or the one after it.
fn distance() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(0u16), 6 => Just(1), 4 => 2u16..9, 1 => 0u16..1000]
}

/// An instruction with `after` others behind it, in a program of rows: half of them compare A with a constant.
fn of_row(seed: Seed, after: usize, words: u32) -> Insn {
    let (pick, yes, no, k) = seed;
    let last = after as u16 - 1;
    let near = |distance: u16| distance.min(last).min(255) as u8;
    match pick % 32 {
        0..=17 => Insn::jump(0x15, k, near(yes), near(no)),
        18 | 19 => Insn::jump([0x25, 0x35][k as usize % 2], k, near(yes), near(no)),
        20 => Insn::jump(0x45, k, near(yes), near(no)),
        21 => Insn::jump(
            [0x1d, 0x2d, 0x3d, 0x4d][k as usize % 4],
            0,
            near(yes),
            near(no),
        ),
        22 | 23 => Insn::stmt(0x05, u32::from(yes.min(last))),
        // Three words, so that one is often loaded again.
        24..=26 => Insn::stmt(0x20, k % words * 4),
        27 => Insn::stmt(0x06, [0x7fff_0000, 0x0005_0001, k][k as usize % 3]),
        28 => Insn::stmt([0x02, 0x03][k as usize % 2], k % 4),
        29 => Insn::stmt([0x60, 0x61, 0x80, 0x81][k as usize % 4], k / 4 % 4),
        30 => Insn::stmt([0x07, 0x87, 0x84, 0x3c, 0x6c, 0x7c][k as usize % 6], 0),
        _ => Insn::stmt([0x04, 0x14, 0x54, 0xa4][k as usize % 4], k),
    }
}

/// A program of `syscall.enter` that is mostly rows of comparisons, of about so many instructions. `stores` puts stores of four scratch words in front.
pub(crate) fn rows(length: impl Into<proptest::collection::SizeRange>) -> BoxedStrategy<Vec<Insn>> {
    let seed = (any::<u8>(), distance(), distance(), value());
    (vec(seed, length), vec(raw_verdict(), 1..4), any::<bool>())
        .prop_map(|(seeds, verdicts, loads_first)| {
            let mut insns: Vec<Insn> = (0..4).map(|word| Insn::stmt(0x02, word)).collect();
            if loads_first {
                insns.insert(0, Insn::stmt(0x20, 0));
            }
            let count = seeds.len();
            for (index, seed) in seeds.into_iter().enumerate() {
                let after = count - index - 1 + verdicts.len() + 1;
                insns.push(of_row(seed, after, 3));
            }
            insns.push(Insn::stmt(0x16, 0));
            insns.extend(verdicts.iter().map(|raw| Insn::stmt(0x06, *raw)));
            insns
        })
        .boxed()
}

/// How a row is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// `if equal, goto the return`, with the returns at the end.
    Direct,
    /// `unless equal, skip the return`.
    Mirrored,
    /// The same, and the word is loaded again each time.
    Reloading,
}

/// A row over the word at byte `offset`: whoever has one of these values gets the verdict beside it, all others `otherwise`. At most 200 values in the direct
/// form.
pub(crate) fn row(form: Form, offset: u32, values: &[(u32, u32)], otherwise: u32) -> Vec<Insn> {
    let mut insns = vec![Insn::stmt(0x20, offset)];
    for (index, (value, verdict)) in values.iter().enumerate() {
        match form {
            Form::Direct => {
                // Behind the comparisons that are left, the return for all others and those of the values before.
                let to_return = values.len() - index - 1 + 1 + index;
                insns.push(Insn::jump(0x15, *value, to_return as u8, 0));
            }
            Form::Mirrored => {
                insns.extend([Insn::jump(0x15, *value, 0, 1), Insn::stmt(0x06, *verdict)])
            }
            Form::Reloading => insns.extend([
                Insn::stmt(0x20, offset),
                Insn::jump(0x15, *value, 0, 1),
                Insn::stmt(0x06, *verdict),
            ]),
        }
    }
    insns.push(Insn::stmt(0x06, otherwise));
    if matches!(form, Form::Direct) {
        insns.extend(values.iter().map(|(_, verdict)| Insn::stmt(0x06, *verdict)));
    }
    insns
}

/// An object some strings of which cannot be had.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    event: Event,
    words: Vec<u32>,
    strings: Vec<Result<Vec<u8>, u16>>,
    reachable: [bool; 2],
}

impl Thing {
    /// An object that shows these strings, each at another place to the second view, and is reachable from the first view, from the second.
    pub(crate) fn new(
        event: Event,
        words: Vec<u32>,
        strings: Vec<Result<Vec<u8>, u16>>,
        reachable: [bool; 2],
    ) -> Thing {
        Thing {
            event,
            words,
            strings,
            reachable,
        }
    }

    /// Shows the record as two layers with different views see it.
    pub(crate) fn view(&self, mut see: impl FnMut(&Record<'_>)) {
        let record = Record::of_object(self.event, &self.words, self).expect("as many words");
        for view in 0..2 {
            see(&record.called_by(CALLER).seen_from(View(view)));
        }
    }
}

impl Object for Thing {
    fn show(&self, field: usize, view: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16> {
        let string = self.strings[(field + view.0) % self.strings.len()].as_ref();
        to(string.map_err(|errno| *errno)?);
        Ok(())
    }

    fn is_reachable(&self, view: View) -> bool {
        self.reachable[view.0]
    }
}

/// An object of `event`, which has strings.
pub(crate) fn thing(event: Event) -> impl Strategy<Value = Thing> {
    let schema = event.schema();
    // Errnos also beyond what the event can return.
    let refusal = prop_oneof![3 => 1u16..134, 1 => any::<u16>()];
    let shown = prop_oneof![4 => string().prop_map(Ok), 1 => refusal.prop_map(Err)];
    (
        vec(number(), schema.record_bytes as usize / 4),
        vec(shown, schema.strings as usize),
        any::<[bool; 2]>(),
    )
        .prop_map(move |(words, strings, reachable)| Thing::new(event, words, strings, reachable))
}

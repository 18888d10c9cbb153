// SPDX-License-Identifier: GPL-2.0
//! Random inputs: programs, tables, records and images, sound and nearly sound.
//!
//! Numbers, bytes and path components come from small pools, so that comparisons hold about as often as they fail.

use std::collections::BTreeMap;

use filters::event::Event;
use filters::insn::Insn;
use filters::record::{Caller, Record};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::automaton::{Automaton, Node};
use crate::image::Draft;
use crate::naive::ORDER;

/// Numbers at which something changes.
const WORDS: [u32; 18] = [
    0,
    1,
    2,
    3,
    16,
    31,
    32,
    33,
    63,
    64,
    0xff,
    0xc000_003e,
    0x7fff_0000,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_fffe,
    0xffff_ffff,
];

/// A 32-bit number, often one of the interesting ones.
pub fn number() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![3 => select(&WORDS[..]), 1 => any::<u32>()]
}

/// A raw verdict: any known action with any data, at times an unknown action.
pub fn raw_verdict() -> impl Strategy<Value = u32> + Clone {
    let known = (select(&ORDER[..]), prop_oneof![0u32..8, 0u32..0x1_0000]);
    prop_oneof![
        8 => known.prop_map(|((action, _), data)| action | data),
        1 => any::<u32>(),
    ]
}

/// A raw verdict that programs of `event` may return as a constant.
fn constant_verdict(event: Event) -> BoxedStrategy<u32> {
    match event {
        Event::SyscallEnter => raw_verdict().boxed(),
        _ => prop_oneof![
            3 => Just(0x7fff_0000u32),
            1 => Just(0x7ffc_0000),
            4 => (1u32..=133).prop_map(|errno| 0x0005_0000 | errno),
            1 => Just(0x8000_0000),
        ]
        .boxed(),
    }
}

/// A path, or bytes that are none.
pub fn string() -> impl Strategy<Value = Vec<u8>> + Clone {
    let component = select(&["a", "b", "lib", "library", "..", ".", "", "\u{fc}"][..]);
    let path = vec(component, 0..6).prop_map(|parts| parts.join("/").into_bytes());
    prop_oneof![
        8 => path,
        2 => vec(any::<u8>(), 0..12),
        2 => vec(select(&b"ab/"[..]), 0..10),
        1 => (select(&b"a/\xff"[..]), 0usize..=4095).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// A record that owns its parts.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    /// The event.
    pub event: Event,
    /// Its words.
    pub words: Vec<u32>,
    /// Its strings.
    pub strings: Vec<Vec<u8>>,
}

impl OwnedRecord {
    /// Hands the record to `see`.
    ///
    /// # Panics
    ///
    /// If words or strings do not fit the event.
    pub fn view<T>(&self, see: impl FnOnce(&Record<'_>) -> T) -> T {
        let strings: Vec<&[u8]> = self.strings.iter().map(Vec::as_slice).collect();
        match Record::new(self.event, &self.words, &strings) {
            Some(record) => see(&record.called_by(CALLER)),
            None => panic!("{self:?} does not fit the schema of its event"),
        }
    }
}

/// A record of `event`.
pub fn record_of(event: Event) -> impl Strategy<Value = OwnedRecord> {
    let schema = event.schema();
    (
        vec(number(), schema.record_bytes as usize / 4),
        vec(string(), schema.strings as usize),
    )
        .prop_map(move |(words, strings)| OwnedRecord {
            event,
            words,
            strings,
        })
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    select(&Event::ALL[..])
}

/// A record of any event.
pub fn record() -> impl Strategy<Value = OwnedRecord> {
    event().prop_flat_map(record_of)
}

/// What a node of an automaton is made from; whatever it holds, the node is sound.
#[derive(Clone, Debug)]
pub struct NodeSeed {
    /// Which kind of node.
    pub kind: u8,
    /// The result there.
    pub value: u32,
    /// Where it leads.
    pub targets: [u32; 2],
    /// The literal of a chain: eight bytes at most count, and none that are 0.
    pub literal: Vec<u8>,
    /// Bytes with an edge of their own, and where that leads.
    pub edges: Vec<(u8, u32)>,
    /// The stops of a skip.
    pub stops: [u8; 2],
    /// The mark of a skip.
    pub mark: u8,
}

/// The sound automaton that is made of these seeds, of which there is at least one.
pub fn automaton_of(start: u32, seeds: &[NodeSeed]) -> Automaton {
    let count = seeds.len() as u32;
    // What a chain falls back to is none; the last node never is one.
    let is_chain = |index: u32| seeds[index as usize].kind == 1 && index + 1 < count;
    let wide: Vec<u32> = (0..count).filter(|&index| !is_chain(index)).collect();
    let node = |(index, seed): (usize, &NodeSeed)| {
        let [one, other] = seed.targets;
        let edges: BTreeMap<u8, u32> = seed
            .edges
            .iter()
            .map(|&(byte, target)| (byte, target % count))
            .collect();
        let edges = edges.into_iter().collect();
        let literal: Vec<u8> = seed
            .literal
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .take(8)
            .collect();
        match seed.kind {
            1 if is_chain(index as u32) && !literal.is_empty() => Node::Chain {
                literal,
                fallback: wide[one as usize % wide.len()],
                next: other % count,
            },
            2 => Node::Branch {
                value: seed.value,
                edges,
                default: one % count,
            },
            3 => Node::Skip {
                value: seed.value,
                stops: seed.stops,
                mark: seed.mark,
                edges,
            },
            _ => Node::Sink { value: seed.value },
        }
    };
    Automaton {
        start: start % count,
        nodes: seeds.iter().enumerate().map(node).collect(),
    }
}

/// A sound automaton.
pub fn automaton() -> impl Strategy<Value = Automaton> {
    let value = prop_oneof![0u32..4, Just(0x0005_0001), Just(0x7fff_0000), any::<u32>()];
    let byte = || select(&b"ab/l\x00\xfc\xff"[..]);
    let seed = (
        0u8..4,
        value,
        any::<[u32; 2]>(),
        vec(select(&b"ab/l\xfc"[..]), 1..9),
        vec((byte(), any::<u32>()), 0..6),
        [byte(), byte()],
        byte(),
    );
    let seed = seed.prop_map(
        |(kind, value, targets, literal, edges, stops, mark)| NodeSeed {
            kind,
            value,
            targets,
            literal,
            edges,
            stops,
            mark,
        },
    );
    (any::<u32>(), vec(seed, 1..9)).prop_map(|(start, seeds)| automaton_of(start, &seeds))
}

/// What an instruction is made from: which one, jump distances, which are cut to what follows it, and the operand.
pub type Seed = (u8, u8, u8, u32);

fn seeds(longest: usize) -> impl Strategy<Value = Vec<Seed>> {
    vec((any::<u8>(), 0u8..8, 0u8..8, number()), 0..longest)
}

/// Every classic code that seccomp accepts in the middle of a program, returns aside.
const BODY: [u16; 39] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c,
    0x64, 0x6c, 0x74, 0x7c, 0x84, 0xa4, 0xac, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d,
    0x07, 0x87, 0x20, 0x60, 0x61, 0x80, 0x81,
];

/// String jumps, and the string load.
const STRING: [u16; 6] = [0x105, 0x115, 0x125, 0x135, 0x145, 0x100];

/// Scratch words that every generated program writes first, and the only ones it reads.
const WRITTEN: u32 = 4;

/// How many cases a property is tried with: as `PROPTEST_CASES` says, else so many, and fewer where each takes long.
pub fn cases(ordinary: u32, under_miri: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() {
            default.cases
        } else if cfg!(miri) {
            under_miri
        } else {
            ordinary
        },
        // What a test has found becomes a test of its own, not a file beside it.
        failure_persistence: None,
        ..default
    }
}

/// Who makes all the calls here.
pub const CALLER: Caller = Caller {
    process: 3,
    thread: 5,
};

struct Bounds {
    /// Only what seccomp accepts.
    classic: bool,
    record_bytes: u32,
    /// String fields of the record.
    fields: u32,
    strings: u32,
    tables: u32,
}

/// A sound instruction that has `after` instructions behind it.
fn sound(seed: Seed, after: usize, bounds: &Bounds) -> Insn {
    let (pick, jt, jf, k) = seed;
    let pick = usize::from(pick);
    // A third of the instructions load a word of the record, so that runs depend on it; string instructions are another third.
    let code = match pick % 3 {
        0 => 0x20,
        1 if bounds.strings > 0 => STRING[pick / 3 % STRING.len()],
        2 if pick > 0xe0 && !bounds.classic => 0x101,
        _ => BODY[pick / 3 % BODY.len()],
    };
    let cut = |distance: u8| usize::from(distance).min(after - 1) as u8;
    let is_jump = code & 7 == 5;
    let k = match code {
        0x20 => k.wrapping_mul(4) % bounds.record_bytes,
        0x60 | 0x61 => k % WRITTEN,
        0x02 | 0x03 => k % 16,
        0x34 => k.max(1),
        0x64 | 0x74 => k % 32,
        0x05 => (k % 8).min(after as u32 - 1),
        0x100 => Insn::string_operand(((k >> 16) % bounds.fields) as u8, k % bounds.tables),
        0x101 => k % 2,
        0x105..=0x145 => {
            Insn::string_operand(((k >> 16) % bounds.fields) as u8, k % bounds.strings)
        }
        _ => k,
    };
    Insn {
        code,
        jt: if is_jump && code != 0x05 { cut(jt) } else { jt },
        jf: if is_jump && code != 0x05 { cut(jf) } else { jf },
        k,
    }
}

fn sound_program(seeds: &[Seed], computed: bool, verdicts: &[u32], bounds: &Bounds) -> Vec<Insn> {
    let mut insns: Vec<Insn> = (0..WRITTEN).map(|word| Insn::stmt(0x02, word)).collect();
    let mut tail: Vec<Insn> = verdicts.iter().map(|raw| Insn::stmt(0x06, *raw)).collect();
    // A program that falls through returns what it computed, or its first verdict.
    tail.insert(if computed { 0 } else { tail.len() }, Insn::stmt(0x16, 0));
    for (index, seed) in seeds.iter().enumerate() {
        let after = seeds.len() - index - 1 + tail.len();
        let (pick, _, _, k) = *seed;
        insns.push(if pick >= 0xfa {
            Insn::stmt(0x06, verdicts[k as usize % verdicts.len()])
        } else {
            sound(*seed, after, bounds)
        });
    }
    insns.extend(tail);
    insns
}

/// A sound classic program for `syscall.enter` of at most `longest` instructions or so.
pub fn classic_program(longest: usize) -> impl Strategy<Value = Vec<Insn>> {
    let bounds = Bounds {
        classic: true,
        record_bytes: 64,
        fields: 0,
        strings: 0,
        tables: 0,
    };
    (seeds(longest), any::<bool>(), vec(raw_verdict(), 1..5)).prop_map(
        move |(seeds, computed, verdicts)| sound_program(&seeds, computed, &verdicts, &bounds),
    )
}

/// A classic program in which a few fields may have gone wrong.
pub fn classic_attempt() -> impl Strategy<Value = Vec<Insn>> {
    let code = prop_oneof![
        4 => select(&BODY[..]),
        1 => select(&[0x06u16, 0x16, 0x0e, 0x94, 0x9c, 0x28, 0x30, 0x40, 0x48, 0xb1, 0x62, 0x86][..]),
        1 => any::<u16>(),
        1 => 0u16..0x100,
    ];
    let change = (any::<u16>(), 0u8..5, code, any::<u8>(), number());
    (classic_program(14), vec(change, 0..4)).prop_map(|(mut program, changes)| {
        for (place, what, code, distance, k) in changes {
            let len = program.len();
            let Some(insn) = program.get_mut(usize::from(place) % len) else {
                continue;
            };
            match what {
                0 => insn.code = code,
                1 => insn.jt = distance % 32,
                2 => insn.jf = distance % 32,
                3 => insn.k = k,
                _ => {
                    // The first stores go, so that reads of scratch words lose their ground.
                    program.remove(0);
                    if program.is_empty() {
                        break;
                    }
                }
            }
        }
        program
    })
}

/// What a sound program is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its instructions.
    pub seeds: Vec<Seed>,
    /// Whether it returns what it has computed where no instruction returns earlier.
    pub computed: bool,
    /// Constant verdicts, at least one, that the event can carry out.
    pub verdicts: Vec<u32>,
    /// String constants of at most `MAX_NEEDLE_BYTES`; at least one, if the event has strings.
    pub strings: Vec<Vec<u8>>,
    /// Tables; at least one, if the event has strings.
    pub tables: Vec<Automaton>,
}

impl Plan {
    /// The program for `event`.
    pub fn draft(&self, event: Event) -> Draft {
        let schema = event.schema();
        let has_strings = schema.strings > 0;
        let bounds = Bounds {
            classic: false,
            record_bytes: schema.record_bytes,
            fields: schema.strings.into(),
            strings: if has_strings {
                self.strings.len() as u32
            } else {
                0
            },
            tables: if has_strings {
                self.tables.len() as u32
            } else {
                0
            },
        };
        Draft {
            event: event.number(),
            insns: sound_program(&self.seeds, self.computed, &self.verdicts, &bounds),
            strings: self.strings.clone(),
            tables: self.tables.iter().map(Automaton::encode).collect(),
        }
    }
}

/// A sound program for `event`, with string constants and tables if the event has strings.
pub fn draft_for(event: Event) -> BoxedStrategy<Draft> {
    let has_strings = event.schema().strings > 0;
    let some = |range: std::ops::Range<usize>| if has_strings { range } else { 0..1 };
    // Longer ones need a table: `MAX_NEEDLE_BYTES`.
    let needle = string().prop_filter("a needle", |s| s.len() <= 64);
    let parts = (
        seeds(30),
        any::<bool>(),
        vec(constant_verdict(event), 1..5),
        vec(needle, some(1..5)),
        vec(automaton(), some(1..3)),
    );
    let plan = parts.prop_map(|(seeds, computed, verdicts, strings, tables)| Plan {
        seeds,
        computed,
        verdicts,
        strings,
        tables,
    });
    plan.prop_map(move |plan| plan.draft(event)).boxed()
}

/// Sound programs for one or more events, each event at most once.
pub fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let each: Vec<BoxedStrategy<Option<Draft>>> = Event::ALL
        .into_iter()
        .map(|event| proptest::option::weighted(0.8, draft_for(event)).boxed())
        .collect();
    (each, event().prop_flat_map(draft_for)).prop_map(|(drafts, spare)| {
        let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
        if drafts.is_empty() {
            vec![spare]
        } else {
            drafts
        }
    })
}

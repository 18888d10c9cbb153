// SPDX-License-Identifier: GPL-2.0
//! A sound program of any event over any records: the interpreter, what becomes machine code, and the verdict by number say the same.
//!
//! The input is what the program is made from, so that every program is accepted; the verifier has targets of its own.

use arbitrary::{Arbitrary, Unstructured};
use filters::event::Event;
use filters::native;
use filters::record::{Object, Record, View};
use filters::verdict::{Action, Verdict};
use filters::vm;
use oracle::generate::{self, CALLER, NodeSeed, Plan, Seed};
use oracle::image;
use oracle::lowered::{Code, assert_agreement, expected_of_all};
use oracle::{checker, interpreter};

use crate::{input, outcome};

/// A number, often one at which something changes.
#[derive(Clone, Copy, Debug)]
struct Number(u32);

impl<'a> Arbitrary<'a> for Number {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Number> {
        let number = match u8::arbitrary(u)? {
            small @ 0..=0x9f => u32::from(small),
            near @ 0xa0..=0xbf => 0xc000_0030 + u32::from(near),
            near @ 0xc0..=0xdf => 0x7fff_fff0 + u32::from(near & 0x1f),
            near @ 0xe0..=0xef => 0xffff_fff0 + u32::from(near & 0x0f),
            _ => u32::arbitrary(u)?,
        };
        Ok(Number(number))
    }
}

#[derive(Debug)]
struct Node {
    kind: u8,
    value: Number,
    targets: (u8, u8),
    literal: Vec<u8>,
    edges: Vec<(u8, u8)>,
    stops: (u8, u8),
    mark: u8,
}

#[derive(Debug)]
struct Input {
    event: u8,
    computed: bool,
    insns: Vec<(u8, u8, u8, Number)>,
    verdicts: Vec<(u8, u16)>,
    strings: Vec<Vec<u8>>,
    tables: Vec<Vec<Node>>,
    records: Vec<Seen>,
}

/// What a record is made of.
#[derive(Debug)]
struct Seen {
    words: Vec<Number>,
    /// An errno is a string that cannot be had.
    strings: Vec<Result<Vec<u8>, u16>>,
    is_reachable: bool,
}

impl<'a> Arbitrary<'a> for Node {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Node> {
        Ok(Node {
            kind: u.arbitrary()?,
            value: u.arbitrary()?,
            targets: u.arbitrary()?,
            literal: input::bytes(u, 8)?,
            edges: input::list(u, 6, Arbitrary::arbitrary)?,
            stops: u.arbitrary()?,
            mark: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Input> {
        Ok(Input {
            event: u.arbitrary()?,
            computed: u.arbitrary()?,
            insns: input::list(u, 60, Arbitrary::arbitrary)?,
            verdicts: input::list(u, 4, Arbitrary::arbitrary)?,
            strings: input::list(u, 4, |u| input::bytes(u, 64))?,
            tables: input::list(u, 2, |u| input::list(u, 12, Arbitrary::arbitrary))?,
            records: input::list(u, 8, Arbitrary::arbitrary)?,
        })
    }
}

impl<'a> Arbitrary<'a> for Seen {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Seen> {
        Ok(Seen {
            words: input::list(u, 31, Arbitrary::arbitrary)?,
            strings: input::list(u, 3, |u| match u8::arbitrary(u)? {
                0..=0x1f => Ok(Err(u.arbitrary()?)),
                _ => Ok(Ok(input::bytes(u, 64)?)),
            })?,
            is_reachable: u.arbitrary()?,
        })
    }
}

/// Few different bytes, so that constants and strings meet.
fn few(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 8] = b"a/b\x00.l\xff/";
    let letters = bytes.iter();
    letters
        .map(|byte| ALPHABET[usize::from(byte % 8)])
        .collect()
}

/// The constant verdict that the event can carry out.
fn verdict(event: Event, action: u8, data: u16) -> u32 {
    let schema = event.schema();
    let possible: Vec<Action> = Action::ALL
        .into_iter()
        .filter(|action| schema.actions.contains(*action))
        .collect();
    match possible[usize::from(action) % possible.len()] {
        Action::Errno if schema.max_errno < 4095 => {
            Verdict::errno(1 + data % schema.max_errno).raw()
        }
        action => Verdict::new(action, data).raw(),
    }
}

impl Input {
    fn plan(&self, event: Event) -> Plan {
        let seeds: Vec<Seed> = self
            .insns
            .iter()
            .map(|&(pick, jt, jf, k)| (pick, jt % 16, jf % 16, k.0))
            .collect();
        let mut verdicts: Vec<u32> = self
            .verdicts
            .iter()
            .map(|&(action, data)| verdict(event, action, data))
            .collect();
        verdicts.push(Verdict::ALLOW.raw());
        let mut strings: Vec<Vec<u8>> = self.strings.iter().map(|string| few(string)).collect();
        strings.push(b"/a".to_vec());
        let mut tables: Vec<_> = self
            .tables
            .iter()
            .filter(|nodes| !nodes.is_empty())
            .map(|nodes| automaton(nodes))
            .collect();
        tables.push(oracle::automaton::Automaton::sink(7));
        if event.schema().strings == 0 {
            (strings, tables) = (Vec::new(), Vec::new());
        }
        Plan {
            seeds,
            computed: self.computed,
            verdicts,
            strings,
            tables,
        }
    }
}

fn automaton(nodes: &[Node]) -> oracle::automaton::Automaton {
    let seeds: Vec<NodeSeed> = nodes
        .iter()
        .map(|node| NodeSeed {
            kind: node.kind % 4,
            value: node.value.0,
            targets: [node.targets.0.into(), node.targets.1.into()],
            literal: few(&node.literal),
            edges: node
                .edges
                .iter()
                .map(|&(byte, target)| (few(&[byte])[0], target.into()))
                .collect(),
            stops: [few(&[node.stops.0])[0], few(&[node.stops.1])[0]],
            mark: few(&[node.mark])[0],
        })
        .collect();
    generate::automaton_of(0, &seeds)
}

impl Seen {
    fn words(&self, event: Event) -> Vec<u32> {
        let given = self.words.iter().map(|word| word.0);
        let mut words: Vec<u32> = given
            .chain(std::iter::repeat(0))
            .take(event.schema().record_bytes as usize / 4)
            .collect();
        // One call in two is of the architecture that policies ask for.
        if words[1] & 1 == 0 {
            words[1] = 0xc000_003e;
        }
        words
    }

    fn string(&self, field: usize) -> Result<Vec<u8>, u16> {
        match self.strings.get(field) {
            Some(Ok(string)) => Ok(few(string)),
            Some(Err(errno)) => Err(*errno),
            None => Ok(Vec::new()),
        }
    }
}

impl Object for Seen {
    fn show(&self, field: usize, _: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16> {
        to(&self.string(field)?);
        Ok(())
    }

    fn is_reachable(&self, _: View) -> bool {
        self.is_reachable
    }
}

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let event = Event::ALL[usize::from(input.event) % Event::COUNT];
    let plan = input.plan(event);
    let draft = plan.draft(event);
    let insns = draft.insns.clone();
    let policy = image::verify(image::encode(&[draft])).expect("a sound program");
    let program = policy.program(event).expect("it has one");
    let code = Code::of(&[program]);
    // Several layers of `syscall.enter` become one program: here this one and the same backwards.
    let mut backwards = plan.clone();
    backwards.seeds.reverse();
    let other = image::verify(image::encode(&[backwards.draft(event)])).expect("a sound program");
    let both = [program, other.program(event).expect("it has one")];
    let of_both = (event == Event::SyscallEnter).then(|| Code::of(&both));
    let is_classic = event == Event::SyscallEnter && checker::accepts(&insns);
    let empty = Seen {
        words: Vec::new(),
        strings: Vec::new(),
        is_reachable: false,
    };
    for seen in input.records.iter().chain([&empty]) {
        let words = seen.words(event);
        let strings: Vec<Vec<u8>> = (0..event.schema().strings.into())
            .map(|field| seen.string(field).unwrap_or_default())
            .collect();
        let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        let given = Record::new(event, &words, &strings).expect("a record by its schema");
        let of_object = Record::of_object(event, &words, seen).expect("a record by its schema");
        for record in [given, of_object].map(|record| record.called_by(CALLER)) {
            outcome::check(&policy, &record);
            assert_agreement(&code, &program, &record);
            let decided = vm::run(&program, &record).verdict;
            if is_classic {
                let second = interpreter::run(&insns, &words).map(Verdict::from_raw);
                assert_eq!(Some(decided), second, "{insns:x?}");
            }
            if let Some(code) = &of_both {
                let raw = code.run(&program, &record).raw;
                let expected = expected_of_all(&both, &record);
                assert_eq!(native::verdict(event, raw), expected, "{insns:x?}");
            }
            if event == Event::SyscallEnter {
                let by_number = vm::run_by_number(&program, words[0], words[1]);
                assert!(
                    by_number.is_none_or(|verdict| verdict == decided),
                    "{insns:x?}"
                );
            }
        }
    }
}

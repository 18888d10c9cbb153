// SPDX-License-Identifier: GPL-2.0
//! All short programs: what the verifier accepts ends within its length, and looks at nothing but its record, its constants and scratch words that it has written.
//!
//! What is accepted is followed down *every* path, both sides of each jump, by code that knows the instructions by their numbers in `linux/bpf_common.h`. No record
//! can make a run take another one. Then it is run, over records that differ in every word.
//!
//! Short programs are enough because of what the verifier looks at: one instruction at a time, with three things from around it. Whether its operand is in range does
//! not depend on where it stands. How far it is from the end is a number up to the longest jump. And which scratch words are written is sixteen bits that never
//! mix. The shortest program in which such a bit can be wrong has a store, a jump around it, a load where both ways meet, and an end; those of five instructions have room
//! for one more jump. So all operations are tried in programs of up to three instructions, and the flow in programs of up to five.

use filters::event::Event;
use filters::insn::Insn;
use filters::limits::MAX_INSNS;
use filters::policy::{Policy, Workspace};
use filters::record::{Caller, Object, Record, View};
use filters::stack::Layer;
use filters::vm;
use oracle::automaton::Automaton;
use oracle::image::{self, Draft};
use oracle::{checker, interpreter};

use super::alphabet;

/// Where the instructions of the only program of an image begin.
const INSNS_AT: usize = 16 + 24;

/// An image whose instructions can be written anew: with one string constant and one table, if the event has strings.
struct Slate {
    event: Event,
    image: Vec<u8>,
    workspace: Box<Workspace>,
}

impl Slate {
    fn new(event: Event, insns: usize) -> Slate {
        let has_strings = event.schema().strings > 0;
        let draft = Draft {
            event: event.number(),
            insns: vec![Insn::stmt(0, 0); insns],
            strings: vec![b"a".to_vec(); has_strings.into()],
            tables: vec![Automaton::sink(0x0005_0001).encode(); has_strings.into()],
        };
        Slate {
            event,
            image: image::encode(&[draft]),
            workspace: Box::new([0; MAX_INSNS]),
        }
    }

    fn write(&mut self, program: &[Insn]) {
        for (insn, place) in program
            .iter()
            .zip(self.image[INSNS_AT..].chunks_exact_mut(8))
        {
            place.copy_from_slice(&insn.to_bytes());
        }
    }

    fn verify(&mut self) -> Option<Policy<&[u8]>> {
        Policy::verify(&self.image[..], &mut self.workspace).ok()
    }
}

/// The object that records are about: it has one string for each field of the schema, and counts.
struct Watched {
    strings: usize,
}

impl Object for Watched {
    fn show(&self, field: usize, _: View, to: &mut dyn FnMut(&[u8])) -> Result<(), u16> {
        assert!(field < self.strings, "a string that the record has not");
        to(b"a/b");
        Ok(())
    }

    fn is_reachable(&self, _: View) -> bool {
        true
    }
}

/// All ways through a program.
struct Paths<'p> {
    program: &'p [Insn],
    record_bytes: u32,
    has_strings: bool,
    /// Bit by instruction: a path ends there.
    ends: u32,
}

impl Paths<'_> {
    /// Follows every path on from an instruction, at which these scratch words are written on the path so far.
    fn follow(&mut self, at: usize, written: u16) {
        let program = self.program;
        assert!(at < program.len(), "runs past the end: {program:x?}");
        let insn = program[at];
        let Insn { code, jt, jf, k } = insn;
        let is_scratch = k < 16;
        let mut now = written;
        match code {
            0x06 | 0x16 => return self.ends |= 1 << at,
            0x20 => assert!(k % 4 == 0 && k + 4 <= self.record_bytes, "{insn:x?}"),
            0x60 | 0x61 => assert!(
                is_scratch && written >> k & 1 == 1,
                "reads what nobody wrote: {program:x?}"
            ),
            0x02 | 0x03 => {
                assert!(is_scratch, "{insn:x?}");
                now |= 1 << k;
            }
            0x00 | 0x01 | 0x80 | 0x81 | 0x07 | 0x87 | 0x84 => {}
            0x04 | 0x14 | 0x24 | 0x44 | 0x54 | 0xa4 => {}
            0x34 => assert!(k != 0, "{insn:x?}"),
            0x64 | 0x74 => assert!(k < 32, "{insn:x?}"),
            0x0c | 0x1c | 0x2c | 0x4c | 0x5c | 0x6c | 0x7c | 0xac => {}
            // X may be zero: that is an end.
            0x3c => self.ends |= 1 << at,
            0x101 => assert!(k < 2, "{insn:x?}"),
            // The one field, the one constant or table.
            0x100 => assert!(self.has_strings && k == 0, "{insn:x?}"),
            0x105 | 0x115 | 0x125 | 0x135 | 0x145 => {
                assert!(self.has_strings && k == 0, "{insn:x?}");
            }
            0x05 | 0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {}
            _ => panic!("an instruction that means nothing: {insn:x?}"),
        }
        if code == 0x05 {
            return self.follow(at + 1 + k as usize, now);
        }
        if code & 7 == 5 {
            self.follow(at + 1 + usize::from(jt), now);
            return self.follow(at + 1 + usize::from(jf), now);
        }
        self.follow(at + 1, now);
    }
}

/// Records with all words equal, and one whose words differ.
fn records(event: Event) -> Vec<Vec<u32>> {
    let words = event.schema().record_bytes as usize / 4;
    let mut all: Vec<Vec<u32>> = [0, 7, u32::MAX].map(|word| vec![word; words]).to_vec();
    all.push((0..words as u32).collect());
    all
}

fn run_all(
    policy: &Policy<&[u8]>,
    event: Event,
    program: &[Insn],
    ends: u32,
    records: &[Vec<u32>],
) {
    let watched = Watched {
        strings: event.schema().strings.into(),
    };
    for words in records {
        let record = Record::of_object(event, words, &watched).expect("as many words");
        let record = record.called_by(Caller {
            process: 3,
            thread: 5,
        });
        let verified = policy.program(event).expect("it has one");
        let outcome = vm::run(&verified, &record);
        assert!(
            ends >> outcome.insn & 1 == 1,
            "ended at {}, on no path: {program:x?}",
            outcome.insn
        );
        assert_eq!(policy.judge(&record), Some(outcome.verdict));
        if event == Event::SyscallEnter && checker::accepts(program) {
            let second = interpreter::run(program, words).expect("a program");
            let raw = vm::run(&verified, &record).verdict.raw();
            assert_eq!(
                raw,
                filters::verdict::Verdict::from_raw(second).raw(),
                "{program:x?}"
            );
        }
    }
}

/// All programs of `length` letters; returns how many there are, and how many of them are accepted.
fn try_all(event: Event, letters: &[Insn], length: usize) -> (usize, usize) {
    let schema = event.schema();
    let records = records(event);
    let mut slate = Slate::new(event, length);
    let mut program = vec![Insn::stmt(0, 0); length];
    let (mut tried, mut accepted) = (0, 0);
    alphabet::words(length, letters.len(), &mut |word| {
        for (insn, letter) in program.iter_mut().zip(word) {
            *insn = letters[*letter];
        }
        slate.write(&program);
        let event = slate.event;
        let policy = slate.verify();
        tried += 1;
        let ours = program.iter().any(|insn| insn.code & 0x100 != 0);
        if event == Event::SyscallEnter && !ours {
            // Neither more nor less than seccomp.
            assert_eq!(policy.is_some(), checker::accepts(&program), "{program:x?}");
        }
        if let Some(policy) = policy {
            accepted += 1;
            let mut paths = Paths {
                program: &program,
                record_bytes: schema.record_bytes,
                has_strings: schema.strings > 0,
                ends: 0,
            };
            paths.follow(0, 0);
            run_all(&policy, event, &program, paths.ends, &records);
        }
    });
    (tried, accepted)
}

#[test]
fn law_8_all_programs_of_three_instructions_end_and_stay_inside() {
    for event in [Event::SyscallEnter, Event::VfsGetname] {
        let letters = alphabet::instructions(event.schema().record_bytes);
        for length in 1..=3 {
            let (tried, accepted) = try_all(event, &letters, length);
            assert_eq!(tried, letters.len().pow(length as u32));
            assert!(accepted > 0 && accepted < tried / 2);
        }
    }
}

#[test]
fn law_8_all_flows_of_five_instructions_end_and_read_what_was_written() {
    let letters = alphabet::flow();
    for length in 1..=5 {
        let (tried, accepted) = try_all(Event::SyscallEnter, &letters, length);
        assert_eq!(tried, letters.len().pow(length as u32));
        assert!(accepted > 0 && accepted < tried / 2);
    }
}

/// The codes of all instructions there are: seccomp's, as `oracle::checker` has them, and ours.
fn is_known(code: u16) -> bool {
    let ours = [0x100, 0x101, 0x105, 0x115, 0x125, 0x135, 0x145];
    let sound = [Insn::stmt(code, 1), Insn::stmt(0x06, 0)];
    // A scratch word that is read must have been written; a jump by 1 needs something to jump over.
    let sound_behind_a_store = [
        Insn::stmt(0x02, 1),
        Insn::stmt(code, 1),
        Insn::stmt(0x06, 0),
        Insn::stmt(0x06, 0),
    ];
    ours.contains(&code)
        || code == 0x20
        || checker::accepts(&sound)
        || checker::accepts(&sound_behind_a_store)
}

#[test]
fn law_5_every_code_that_is_not_an_instruction_is_refused() {
    // One event takes every constant for a verdict, the other has strings.
    let mut slates = [Event::SyscallEnter, Event::VfsGetname].map(|event| Slate::new(event, 4));
    let mut known = 0;
    for code in 0..=u16::MAX {
        let mut is_accepted = false;
        for slate in &mut slates {
            for k in [0, 1] {
                slate.write(&[
                    Insn::stmt(0x02, k),
                    Insn::stmt(code, k),
                    Insn::stmt(0x06, 0x7fff_0000),
                    Insn::stmt(0x06, 0x7fff_0000),
                ]);
                is_accepted |= slate.verify().is_some();
            }
        }
        assert_eq!(is_accepted, is_known(code), "{code:#x}");
        known += usize::from(is_accepted);
    }
    // Forty-one of seccomp's and seven of ours.
    assert_eq!(known, 48);
}

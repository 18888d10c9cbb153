// SPDX-License-Identifier: GPL-2.0
//! All small tables: the verifier accepts those that are sound by the description of the format, and a walk through one of them ends at one of its values.
//!
//! The second opinion is `oracle::encoded`, which reads bytes by the description and one at a time; it says when it is led outside. In the engine that comes to no value,
//! which is a kill here, where every value is an errno.
//!
//! Small tables are enough because a table is verified entry by entry. Whether a value, a chain or a cell is sound depends on its own bytes and on the one entry that each
//! of its targets leads to; there is no third one to look at. So all there is to go wrong is in tables of two entries, with every number there is for a target: those
//! are the first test. A walk in turn is at one entry at a time, and looks at one more, the cell of the byte: with three of them it can come from one, be at another and
//! go on to a third. Those are the second test, over all strings of up to three bytes, by themselves and behind eight others, since eight are passed at a time.

use filters::event::Event;
use filters::insn::Insn;
use filters::limits::MAX_INSNS;
use filters::policy::{Policy, Workspace};
use filters::record::Record;
use filters::stack::Layer;
use oracle::encoded;
use oracle::image::{self, Draft};

use super::alphabet;

/// How many entries there are of each kind.
#[derive(Clone, Copy, Debug)]
struct Parts {
    values: u32,
    chains: u32,
    cells: u32,
}

impl Parts {
    const fn of(values: u32, chains: u32, cells: u32) -> Parts {
        Parts {
            values,
            chains,
            cells,
        }
    }

    fn bytes(self) -> u32 {
        16 + 4 * self.values + 16 * self.chains + 8 * self.cells
    }

    /// For each entry the targets that lead to it if it is of the right kind, and one of each kind that lead to none.
    fn good_targets(self) -> Vec<u32> {
        let chains = 16 + 4 * self.values;
        let cells = chains + 16 * self.chains;
        let mut all: Vec<u32> = (0..self.values).map(|at| 16 + 4 * at - 1).collect();
        all.extend((0..self.chains).map(|at| chains + 16 * at - 3));
        all.extend((1..=self.cells).flat_map(|at| [cells + 8 * at, cells + 8 * at - 2]));
        all
    }

    /// Every number that may or may not be a target: all up to what lies behind the table, and the largest.
    fn all_targets(self) -> Vec<u32> {
        let mut all: Vec<u32> = (0..self.bytes() + 12).collect();
        all.extend([0x00ff_fff8, 0x00ff_ffff]);
        all
    }
}

/// The first value of a table, the second and so on; each is an errno.
fn value(index: u32) -> u32 {
    0x0005_0001 + index
}

/// What a chain can be. `odd` are those that are not sound, whatever they lead to.
fn chains(targets: &[u32], odd: bool) -> Vec<Vec<u32>> {
    // Literal, bits left over, bytes.
    let mut forms: Vec<(u64, u32, u32)> = vec![(0x01 << 56, 56, 1), (0x0102 << 48, 48, 2)];
    if odd {
        forms.extend([
            // A byte that is 0, and one below the literal.
            (0x0002 << 48, 48, 2),
            (0x01 << 56 | 1, 56, 1),
            // Bits and bytes that do not fit each other, or nothing.
            (0x01 << 56, 56, 2),
            (0x01 << 56, 48, 1),
            (0x01 << 56, 57, 1),
            (0, 64, 0),
            (u64::MAX, 248, 9),
        ]);
    }
    let mut all = Vec::new();
    for (literal, bits, bytes) in forms {
        for fallback in targets {
            for next in targets {
                all.push(vec![
                    literal as u32,
                    (literal >> 32) as u32,
                    fallback << 8 | bits,
                    next | bytes << 24,
                ]);
            }
        }
    }
    all
}

/// What a cell can be: an edge, a head of either kind, free. `odd` as above.
fn cells(targets: &[u32], index: u32, odd: bool) -> Vec<Vec<u32>> {
    let mut all = vec![vec![0x4000_0000, 0]];
    for target in targets {
        all.extend((0..3).map(|byte| vec![byte, *target]));
        all.push(vec![0x8000_0000 + target, value(10 + index)]);
    }
    for stops in [
        0x0001_0000,
        0x0002_0100,
        0x0000_0201,
        0x0000_0002,
        0x0001_0101,
    ] {
        all.push(vec![0xc000_0000 + stops, value(20 + index)]);
    }
    if odd {
        // A value that looks like a head with the first value for default.
        let heads = targets.iter().map(|target| 0x8000_0000 + target);
        all.extend(heads.map(|head| vec![head, 0x8000_000f]));
        all.extend([
            vec![0x4000_0000, 1],
            vec![0x4000_0001, 0],
            vec![0x100, 15],
            vec![0xff, 15],
            vec![0xc100_0000, 0],
            vec![0xffff_ffff, 0],
            vec![0xbfff_ffff, 0],
        ]);
    }
    all
}

/// An image with one table that can be written anew.
struct Slate {
    image: Vec<u8>,
    at: usize,
    workspace: Box<Workspace>,
}

impl Slate {
    fn new(bytes: usize) -> Slate {
        let draft = Draft {
            event: Event::VfsGetname.number(),
            insns: vec![Insn::stmt(0x100, 0), Insn::stmt(0x16, 0)],
            strings: vec![],
            tables: vec![vec![0; bytes]],
        };
        let image = image::encode(&[draft]);
        Slate {
            at: image.len() - bytes,
            image,
            workspace: Box::new([0; MAX_INSNS]),
        }
    }

    fn write(&mut self, words: impl IntoIterator<Item = u32>) {
        let places = self.image[self.at..].chunks_exact_mut(4);
        for (place, word) in places.zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn table(&self) -> &[u8] {
        &self.image[self.at..]
    }
}

/// Tries all tables of these parts, with entries made by `chains` and `cells`; returns how many there are, and how many are sound.
fn try_all(parts: Parts, targets: &[u32], odd: bool, inputs: &[Vec<u8>]) -> (usize, usize) {
    let mut entries: Vec<Vec<Vec<u32>>> = Vec::new();
    entries.push(targets.iter().map(|start| vec![*start]).collect());
    entries.extend((0..parts.values).map(|index| vec![vec![value(index)]]));
    entries.extend((0..parts.chains).map(|_| chains(targets, odd)));
    entries.extend((0..parts.cells).map(|index| cells(targets, index, odd)));
    let counts: Vec<usize> = entries.iter().map(Vec::len).collect();
    let mut slate = Slate::new(parts.bytes() as usize);
    let header = [parts.values, parts.chains, parts.cells];
    let (mut tried, mut sound) = (0, 0);
    alphabet::each(&counts, &mut |choice| {
        let chosen = |entry: usize| entries[entry][choice[entry]].iter().copied();
        slate.write(
            chosen(0)
                .chain(header)
                .chain((1..entries.len()).flat_map(chosen)),
        );
        tried += 1;
        sound += usize::from(agree(&mut slate, inputs));
    });
    (tried, sound)
}

/// Asserts that engine and description agree about the table; returns whether it is sound.
fn agree(slate: &mut Slate, inputs: &[Vec<u8>]) -> bool {
    let expected = encoded::is_sound(slate.table());
    let policy = Policy::verify(&slate.image[..], &mut slate.workspace);
    assert_eq!(policy.is_ok(), expected, "{:?}", slate.table());
    let Ok(policy) = policy else {
        return false;
    };
    for input in inputs {
        let strings = [&input[..]];
        let record = Record::new(Event::VfsGetname, &[0; 20], &strings).expect("a record");
        let verdict = policy.judge(&record).map(|verdict| verdict.raw());
        let expected = encoded::value(slate.table(), input);
        assert!(expected.is_some(), "led outside: {:?}", slate.table());
        assert_eq!(verdict, expected, "{input:?} in {:?}", slate.table());
    }
    true
}

/// All strings of up to `longest` of the bytes that rows have cells for, and one that none has.
fn strings(longest: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for length in 0..=longest {
        alphabet::words(length, 4, &mut |word| {
            all.push(word.iter().map(|letter| [0, 1, 2, 9][*letter]).collect());
        });
    }
    all
}

#[test]
fn law_8_all_tables_of_two_entries_are_accepted_only_if_sound() {
    let inputs = strings(1);
    for parts in [
        Parts::of(0, 0, 0),
        Parts::of(1, 0, 0),
        Parts::of(2, 0, 0),
        Parts::of(0, 0, 1),
        Parts::of(1, 0, 1),
        Parts::of(0, 0, 2),
        Parts::of(0, 1, 0),
        Parts::of(1, 1, 0),
    ] {
        let targets = parts.all_targets();
        let (tried, sound) = try_all(parts, &targets, true, &inputs);
        assert!(sound < tried / 10, "{parts:?}: {sound} of {tried}");
        // Without values a walk must still end: at the end of the string.
        let can_be_sound = parts.values + parts.cells > 0;
        assert_eq!(sound > 0, can_be_sound, "{parts:?}: {sound} of {tried}");
    }
}

#[test]
fn law_8_all_walks_through_tables_of_three_entries_end_inside() {
    let mut inputs = strings(3);
    let behind: Vec<Vec<u8>> = strings(2)
        .iter()
        .map(|string| [&[9; 8][..], string].concat())
        .collect();
    inputs.extend(behind);
    for parts in [
        Parts::of(1, 1, 1),
        Parts::of(2, 1, 0),
        Parts::of(0, 0, 3),
        Parts::of(1, 0, 2),
        Parts::of(1, 0, 3),
        Parts::of(0, 1, 2),
        Parts::of(1, 1, 2),
        Parts::of(1, 2, 1),
    ] {
        let targets = parts.good_targets();
        let (tried, sound) = try_all(parts, &targets, false, &inputs);
        assert!(sound > tried / 200, "{parts:?}: {sound} of {tried}");
    }
}

#[test]
fn law_8_a_table_is_as_long_as_its_header_says() {
    let counts = [0, 1, 2, 3, 0x1000_0000, 0x2000_0000, 0x4000_0000, u32::MAX];
    for bytes in (16..=64).step_by(4) {
        let mut slate = Slate::new(bytes);
        // Values and free cells are sound by themselves, and the start leads to the first value.
        alphabet::words(3, counts.len(), &mut |word| {
            let [values, chains, cells] = [0, 1, 2].map(|at| counts[word[at]]);
            let of_values = 4 + u64::from(values);
            let of_chains = of_values + 4 * u64::from(chains);
            let rest = (4..bytes as u64 / 4).map(|at| match at {
                at if at < of_values => value(0),
                at if at < of_chains || (at - of_chains) % 2 == 1 => 0,
                _ => 0x4000_0000,
            });
            slate.write([15, values, chains, cells].into_iter().chain(rest));
            let sound = agree(&mut slate, &[vec![], vec![1]]);
            let said = 16 + 4 * u64::from(values) + 16 * u64::from(chains) + 8 * u64::from(cells);
            assert_eq!(sound, said == bytes as u64 && values > 0 && chains == 0);
        });
    }
}

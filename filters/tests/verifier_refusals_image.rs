// SPDX-License-Identifier: GPL-2.0
//! Each way in which an image, its strings or its tables can be wrong is refused with its own reason, the right errno and a message that names
//! the place.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::insn::*;
use filters::limits::*;
use filters::refusal::Reason;
use oracle::automaton::{Automaton, Node};
use oracle::image::{self, patched, program_refused, refused, Draft};

const ALLOW: Insn = Insn::stmt(RET | K, 0x7fff_0000);

const ENOEXEC: u16 = 8;
const EINVAL: u16 = 22;
const EMSGSIZE: u16 = 90;
const EOPNOTSUPP: u16 = 95;

fn sound() -> Vec<u8> {
    image::encode(&[Draft::syscall(&[ALLOW])])
}

fn tables(tables: Vec<Vec<u8>>) -> Draft {
    Draft {
        tables,
        ..Draft::getname(&[ALLOW])
    }
}

#[track_caller]
fn table_refused(bytes: Vec<u8>) {
    let draft = tables(vec![Automaton::sink(1).encode(), bytes]);
    program_refused(
        draft,
        Reason::BadTable(1),
        ENOEXEC,
        "vfs.getname: table 1 is malformed",
    );
}

#[test]
fn the_image_that_the_others_are_made_from_is_sound() {
    image::verify(sound()).expect("a sound image");
    let whole = Draft::getname(&[Insn::jump(SEQ, 0, 0, 0), ALLOW]);
    let whole = Draft {
        strings: vec![vec![b'a'; MAX_STRING_BYTES]],
        ..whole
    };
    image::verify(image::encode(&[Draft::syscall(&[ALLOW]), whole])).expect("a sound image");
}

#[test]
fn image_too_large() {
    let mut image = sound();
    image.resize(MAX_IMAGE_BYTES + 4, 0);
    refused(
        image,
        Reason::ImageTooLarge,
        EMSGSIZE,
        "the image is larger than 4 MiB",
    );
}

#[test]
fn image_of_exactly_the_largest_size_is_read() {
    let mut draft = Draft::syscall(&[ALLOW]);
    let spare = MAX_IMAGE_BYTES - sound().len() - 8;
    draft.strings = vec![vec![0; MAX_STRING_BYTES]];
    let mut part = draft.encode();
    let size = (part.len() + spare - MAX_STRING_BYTES) as u32;
    part.resize(size as usize, 0);
    part[4..8].copy_from_slice(&size.to_le_bytes());
    let image = image::assemble(&[part]);
    assert_eq!(image.len(), MAX_IMAGE_BYTES);
    image::verify(image).expect("a sound image");
}

#[test]
fn bad_magic() {
    let image = patched(sound(), 0, u32::from_le_bytes(*b"EVF2"));
    refused(
        image,
        Reason::BadMagic,
        ENOEXEC,
        "not a policy image of this version",
    );
}

#[test]
fn bad_length_in_the_header() {
    let message = "a length does not fit the image";
    for cut in 0..sound().len() {
        let image = sound()[..cut].to_vec();
        refused(image, Reason::BadLength, ENOEXEC, message);
    }
    for size in [0, 15, 16, 47, 49, 52, u32::MAX] {
        refused(
            patched(sound(), 4, size),
            Reason::BadLength,
            ENOEXEC,
            message,
        );
    }
    // One program is there, two are announced; two are there, one is announced.
    refused(patched(sound(), 8, 2), Reason::BadLength, ENOEXEC, message);
    refused(
        patched(sound(), 8, u32::MAX),
        Reason::BadLength,
        ENOEXEC,
        message,
    );
    let two = image::encode(&[Draft::syscall(&[ALLOW]), Draft::getname(&[ALLOW])]);
    refused(patched(two, 8, 1), Reason::BadLength, ENOEXEC, message);
}

#[test]
fn image_length_is_a_multiple_of_four() {
    let mut image = sound();
    image.push(0);
    let image = patched(image, 4, 49);
    refused(
        image,
        Reason::BadLength,
        ENOEXEC,
        "a length does not fit the image",
    );
}

#[test]
fn bad_length_in_a_program() {
    let message = "syscall.enter: a length does not fit the image";
    // The part's size: too small for its instruction, past the image, not a multiple of four, wrapping round.
    for size in [0, 24, 28, 31, 33, 36, u32::MAX - 3, u32::MAX] {
        refused(
            patched(sound(), 20, size),
            Reason::BadLength,
            ENOEXEC,
            message,
        );
    }
    // One instruction more than there is; one string entry; one table entry.
    for (offset, count) in [(24, 2), (24, 4096), (28, 1), (28, 4096), (32, 1), (32, 64)] {
        refused(
            patched(sound(), offset, count),
            Reason::BadLength,
            ENOEXEC,
            message,
        );
    }
}

#[test]
fn reserved_field_not_zero() {
    // The lowest two name scopes.
    for bits in [4, 0x8000_0000] {
        refused(
            patched(sound(), 12, bits),
            Reason::ReservedNotZero,
            ENOEXEC,
            "a reserved field is not zero",
        );
    }
    for bits in [1, 0x8000_0000] {
        let message = "syscall.enter: a reserved field is not zero";
        refused(
            patched(sound(), 36, bits),
            Reason::ReservedNotZero,
            ENOEXEC,
            message,
        );
    }
}

#[test]
fn no_program() {
    refused(
        image::encode(&[]),
        Reason::NoProgram,
        ENOEXEC,
        "the image holds no program",
    );
}

#[test]
fn unknown_event() {
    for event in [Event::COUNT as u32, 77, u32::MAX] {
        let draft = Draft::new(event, vec![ALLOW]);
        program_refused(
            draft,
            Reason::UnknownEvent(event),
            EOPNOTSUPP,
            &format!("unknown event {event}"),
        );
    }
}

#[test]
fn duplicate_event() {
    let image = image::encode(&[
        Draft::getname(&[ALLOW]),
        Draft::syscall(&[ALLOW]),
        Draft::getname(&[ALLOW]),
    ]);
    refused(
        image,
        Reason::DuplicateEvent,
        ENOEXEC,
        "vfs.getname: a second program for the same event",
    );
}

#[test]
fn too_many_strings() {
    let with = |count| Draft {
        strings: vec![vec![]; count],
        ..Draft::getname(&[ALLOW])
    };
    image::verify(image::encode(&[with(MAX_STRINGS)])).expect("as many as there may be");
    let message = "vfs.getname: more than 4096 string constants";
    program_refused(
        with(MAX_STRINGS + 1),
        Reason::TooManyStrings,
        EINVAL,
        message,
    );
}

#[test]
fn too_many_tables() {
    let table = Automaton::sink(1).encode();
    let with = |count| Draft {
        tables: vec![table.clone(); count],
        ..Draft::getname(&[ALLOW])
    };
    image::verify(image::encode(&[with(MAX_TABLES)])).expect("as many as there may be");
    program_refused(
        with(MAX_TABLES + 1),
        Reason::TooManyTables,
        EINVAL,
        "vfs.getname: more than 64 tables",
    );
}

#[test]
fn bad_string() {
    let long = Draft {
        strings: vec![vec![], vec![b'a'; MAX_STRING_BYTES + 1]],
        ..Draft::getname(&[ALLOW])
    };
    program_refused(
        long,
        Reason::BadString(1),
        ENOEXEC,
        "vfs.getname: string constant 1 is malformed",
    );
    // Its entry follows the headers and the one instruction.
    let draft = Draft {
        strings: vec![b"abcd".to_vec()],
        ..Draft::getname(&[ALLOW])
    };
    let (offset, length) = (48, 52);
    for (at, value) in [
        (length, 5),
        (length, u32::MAX),
        (offset, 1),
        (offset, 5),
        (offset, u32::MAX),
    ] {
        let image = patched(image::encode(std::slice::from_ref(&draft)), at, value);
        refused(
            image,
            Reason::BadString(0),
            ENOEXEC,
            "vfs.getname: string constant 0 is malformed",
        );
    }
}

#[test]
fn a_string_ends_with_its_program() {
    let draft = Draft {
        strings: vec![b"abcd".to_vec()],
        ..Draft::getname(&[ALLOW])
    };
    // Four bytes more are those of the next program.
    let two = image::encode(&[draft, Draft::syscall(&[ALLOW])]);
    image::verify(two.clone()).expect("two sound programs");
    refused(
        patched(two, 52, 8),
        Reason::BadString(0),
        ENOEXEC,
        "vfs.getname: string constant 0 is malformed",
    );
}

#[track_caller]
fn table_accepted(bytes: &[u8]) {
    image::verify(image::encode(&[tables(vec![bytes.to_vec()])])).expect("a sound table");
}

/// A table with a node of each kind. Its words, by number:
///
/// ```text
/// 0 header   4 value   5 chain   9 a branch's head and five cells, the last one the edge   21 a skip's head and three cells
/// ```
fn one_of_each() -> Vec<u8> {
    let automaton = Automaton {
        start: 1,
        nodes: vec![
            Node::Sink { value: 1 },
            Node::Chain {
                literal: b"abcde".to_vec(),
                fallback: 2,
                next: 3,
            },
            Node::Branch {
                value: 2,
                edges: vec![(4, 1)],
                default: 3,
            },
            Node::Skip {
                value: 3,
                stops: [0, 1],
                mark: 2,
                edges: vec![(2, 0)],
            },
        ],
    };
    automaton.encode()
}

fn word(bytes: &[u8], index: usize) -> u32 {
    let mut words = bytes.chunks_exact(4);
    let word = words.nth(index).expect("a word of the table");
    u32::from_le_bytes(word.try_into().expect("four bytes"))
}

/// The targets of its nodes, in their order.
const SINK: u32 = 16 - 1;
const CHAIN: u32 = 20 - 3;
const BRANCH: u32 = 36 + 8;
const SKIP: u32 = 84 + 8 - 2;

#[test]
fn bad_table_header() {
    let bytes = one_of_each();
    table_accepted(&bytes);
    for cut in 0..bytes.len() {
        table_refused(bytes[..cut].to_vec());
    }
    table_refused([bytes.clone(), vec![0; 4]].concat());
    table_refused([bytes.clone(), vec![0; 8]].concat());
    // Values, chains, cells: one less, one more, so many that the sum wraps round.
    for (index, count) in [(1, 1), (2, 1), (3, 10)] {
        assert_eq!(word(&bytes, index), count);
        for wrong in [0, count - 1, count + 1, u32::MAX, 1 << 30, 1 << 28, 1 << 29] {
            if wrong != count {
                table_refused(patched(bytes.clone(), 4 * index, wrong));
            }
        }
    }
    // Four values more are as long as a chain less.
    table_refused(patched(patched(bytes.clone(), 4, 5), 8, 0));
}

#[test]
fn bad_table_target() {
    let bytes = one_of_each();
    // Where targets stand, and what is added to them there.
    let places = [
        (0, 0, "start"),
        (8, 5 << 24, "next"),
        (9, 0x8000_0000, "default"),
        (20, 0, "edge of a branch"),
        (28, 0, "edge of a skip"),
    ];
    assert_eq!(word(&bytes, 0), CHAIN);
    assert_eq!(word(&bytes, 7), (BRANCH << 8) | 24);
    assert_eq!(word(&bytes, 8), SKIP | (5 << 24));
    assert_eq!(word(&bytes, 9), SKIP | 0x8000_0000);
    assert_eq!(word(&bytes, 20), CHAIN);
    assert_eq!(word(&bytes, 28), SINK);
    let end = bytes.len() as u32;
    let mut wrong = vec![
        0,
        1,
        2,
        3,
        12,
        13,
        14,
        15 + 4,
        end - 1,
        end,
        end + 1,
        end + 2,
        end + 3,
    ];
    for right in [SINK, CHAIN, BRANCH, SKIP] {
        // Each other kind at the place of this one; the right kind beside it.
        let place = (right + 3) & !3;
        wrong.extend((place - 3..=place).filter(|target| *target != right));
        wrong.extend([right - 4, right + 4, right + 8].iter().filter(|target| {
            // A value more does not exist, nor does a row at another cell.
            ![SINK, CHAIN, BRANCH, SKIP].contains(*target)
        }));
    }
    for (index, added, name) in places {
        for right in [SINK, CHAIN, BRANCH, SKIP] {
            table_accepted(&patched(bytes.clone(), 4 * index, right + added));
        }
        for wrong in &wrong {
            println!("{name}: {wrong}");
            table_refused(patched(bytes.clone(), 4 * index, wrong + added));
        }
    }
    for right in [SINK, BRANCH, SKIP] {
        table_accepted(&patched(bytes.clone(), 4 * 7, (right << 8) | 24));
    }
    // A chain that falls back to a chain need not consume anything.
    for wrong in wrong.into_iter().chain([CHAIN]) {
        table_refused(patched(bytes.clone(), 4 * 7, (wrong << 8) | 24));
    }
}

#[test]
fn bad_table_target_to_what_only_looks_right() {
    let bytes = one_of_each();
    // Behind the last chain, where cells are.
    table_refused(patched(bytes.clone(), 0, CHAIN + 16));
    table_refused(patched(bytes.clone(), 0, CHAIN + 32));
    // The values of a sink and of a branch, like heads.
    for (place, head) in [
        (16, 0x8000_0000 + SINK),
        (40, 0x8000_0000 + SINK),
        (16, 0xc000_0000),
        (40, 0xc000_0000),
    ] {
        let kind = if head == 0xc000_0000 { 2 } else { 0 };
        let bytes = patched(bytes.clone(), place, head);
        table_accepted(&bytes);
        table_refused(patched(bytes, 0, place as u32 + 8 - kind));
    }
}

#[test]
fn bad_table_chain() {
    let chain = |literal: &[u8]| Automaton {
        start: 0,
        nodes: vec![
            Node::Chain {
                literal: literal.to_vec(),
                fallback: 1,
                next: 1,
            },
            Node::Sink { value: 1 },
        ],
    };
    for length in 1..=8 {
        let literal = &b"abcdefgh"[..length];
        let bytes = chain(literal).encode();
        table_accepted(&bytes);
        // No zero among its bytes, nothing but zeros below them.
        for at in 0..8 {
            let mut bytes = bytes.clone();
            let byte = &mut bytes[20 + at];
            *byte = if *byte == 0 { 1 } else { 0 };
            table_refused(bytes);
        }
        // Both lengths say the same.
        let (bits, count) = (word(&bytes, 7), word(&bytes, 8));
        for wrong in [1, 4, 8, 64, 128] {
            table_refused(patched(bytes.clone(), 28, bits ^ wrong));
        }
        for wrong in [1 << 24, 4 << 24, 8 << 24, 16 << 24, 128 << 24] {
            table_refused(patched(bytes.clone(), 32, count ^ wrong));
        }
    }
    // None at all.
    let mut empty = chain(b"a").encode();
    empty[27] = 0;
    let bits = (word(&empty, 7) & !0xff) | 64;
    let next = word(&empty, 8) & 0x00ff_ffff;
    table_refused(patched(patched(empty, 28, bits), 32, next));
}

#[test]
fn bad_table_cell() {
    let bytes = one_of_each();
    // An edge and a free cell of the branch's row.
    let (edge, free) = (4 * 19, 4 * 11);
    assert_eq!(word(&bytes, 19), 4);
    assert_eq!(word(&bytes, 11), 0x4000_0000);
    for byte in [0, 5, 255] {
        table_accepted(&patched(bytes.clone(), edge, byte));
    }
    for first in [256, 0x0001_0004, 0x3fff_ffff, 0x4000_0001, 0x7fff_ffff] {
        table_refused(patched(bytes.clone(), edge, first));
        table_refused(patched(bytes.clone(), free, first));
    }
    table_refused(patched(bytes.clone(), edge, 0x4000_0000));
    table_refused(patched(bytes.clone(), free + 4, 1));
    // A head where nothing leads to is looked at, too.
    table_accepted(&patched(bytes.clone(), free, 0x8000_0000 + SINK));
    table_refused(patched(bytes.clone(), free, 0x8000_0000));
    table_accepted(&patched(bytes.clone(), free, 0xc0ff_ffff));
    for first in [0xc100_0000, 0xe000_0000, u32::MAX] {
        table_refused(patched(bytes.clone(), free, first));
        table_refused(patched(bytes.clone(), 4 * 21, first));
    }
}

#[test]
fn verification_is_linear_in_the_image_tables_share_no_bytes() {
    // Many entries that name one table: without the rule, 64 times the work for 8 bytes each.
    let table = Automaton {
        start: 0,
        nodes: vec![Node::Sink { value: 1 }; 32],
    }
    .encode();
    let mut part = tables(vec![table.clone(), table]).encode();
    // The second entry follows the header, one instruction and the first entry.
    image::verify(image::assemble(&[part.clone()])).expect("two tables");
    part[40..44].copy_from_slice(&0u32.to_le_bytes());
    let both_at_the_start = image::assemble(&[part.clone()]);
    image::verify(both_at_the_start)
        .expect("the pool is as long as both, and that is all that is asked");
    let half = part.len() - 144;
    part.truncate(half);
    let size = (half as u32).to_le_bytes();
    part[4..8].copy_from_slice(&size);
    refused(
        image::assemble(&[part]),
        Reason::BadTable(1),
        ENOEXEC,
        "vfs.getname: table 1 is malformed",
    );
}

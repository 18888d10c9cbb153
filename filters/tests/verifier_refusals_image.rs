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
    let sink = Automaton {
        start: 0,
        nodes: vec![Node::Sink { value: 1 }],
    };
    let draft = tables(vec![sink.encode(), bytes]);
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
    let table = Automaton {
        start: 0,
        nodes: vec![Node::Sink { value: 1 }],
    }
    .encode();
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
fn bad_table_header() {
    let good = Automaton {
        start: 0,
        nodes: vec![
            Node::Chain {
                value: 1,
                literal: b"abcd".to_vec(),
                default: 1,
            },
            Node::Sink { value: 1 },
        ],
    };
    let bytes = good.encode();
    image::verify(image::encode(&[tables(vec![bytes.clone()])])).expect("a sound table");
    for cut in 0..bytes.len() {
        table_refused(bytes[..cut].to_vec());
    }
    table_refused([bytes.clone(), vec![0; 4]].concat());
    // Nodes, edge words, literal bytes, start.
    for (offset, value) in [
        (0, 0),
        (0, 1),
        (0, 3),
        (0, u32::MAX),
        (4, 1),
        (4, u32::MAX),
        (8, 3),
        (8, 5),
        (8, u32::MAX),
        (12, 2),
        (12, u32::MAX),
    ] {
        table_refused(patched(bytes.clone(), offset, value));
    }
    table_refused(
        Automaton {
            start: 0,
            nodes: vec![],
        }
        .encode(),
    );
}

#[test]
fn bad_table_nodes() {
    let sink = || Node::Sink { value: 1 };
    let table = |nodes: Vec<Node>| Automaton { start: 0, nodes }.encode();
    let chain = |literal: &[u8], default| Node::Chain {
        value: 1,
        literal: literal.to_vec(),
        default,
    };
    let sparse = |ranges: &[(u8, u8, u32)], default| Node::Sparse {
        value: 1,
        ranges: ranges.to_vec(),
        default,
    };
    let dense = |lowest, targets: Vec<u32>, default| Node::Dense {
        value: 1,
        lowest,
        targets,
        default,
    };
    let accepted = |bytes| image::verify(image::encode(&[tables(vec![bytes])])).map(|_| ());

    // A sink has nothing but a value: head, data and default are zero.
    for (offset, word) in [(16, 0x100), (16, 4), (16, 0xff), (24, 1), (28, 1)] {
        table_refused(patched(table(vec![sink(), sink()]), offset, word));
    }
    table_refused(table(vec![chain(b"", 0), sink()]));
    table_refused(table(vec![chain(b"a", 2), sink()]));
    table_refused(table(vec![sink(), chain(b"a", 0)]));
    // The literal leaves the literal bytes: its place, its length.
    for (offset, word) in [(24, 1), (24, u32::MAX), (16, 2 << 8 | 1), (16, 0xffff_ff01)] {
        table_refused(patched(table(vec![chain(b"a", 0), sink()]), offset, word));
    }

    let sixteen: Vec<_> = (0..16).map(|edge| (edge, edge, 0)).collect();
    assert_eq!(accepted(table(vec![sparse(&sixteen, 0)])), Ok(()));
    let seventeen: Vec<_> = (0..17).map(|edge| (edge, edge, 0)).collect();
    table_refused(table(vec![sparse(&seventeen, 0)]));
    table_refused(table(vec![sparse(&[(1, 1, 2)], 0), sink()]));
    table_refused(table(vec![sparse(&[(1, 1, 0)], 2), sink()]));
    table_refused(table(vec![sparse(&[(5, 4, 0)], 0)]));
    table_refused(table(vec![sparse(&[(5, 6, 0), (6, 7, 0)], 0)]));
    table_refused(table(vec![sparse(&[(5, 6, 0), (3, 3, 0)], 0)]));
    table_refused(table(vec![sparse(&[(250, 255, 0), (0, 0, 0)], 0)]));
    assert_eq!(
        accepted(table(vec![sparse(&[(0, 0, 0), (1, 255, 0)], 0)])),
        Ok(())
    );
    // Bits above the range's two bytes; edges past the end.
    for (offset, word) in [(32, 0x0001_0201), (24, 1), (24, u32::MAX), (16, 2 << 8 | 2)] {
        table_refused(patched(table(vec![sparse(&[(1, 2, 0)], 0)]), offset, word));
    }

    assert_eq!(accepted(table(vec![dense(0, vec![0; 256], 0)])), Ok(()));
    assert_eq!(accepted(table(vec![dense(255, vec![0], 0)])), Ok(()));
    table_refused(table(vec![dense(255, vec![0; 2], 0)]));
    table_refused(table(vec![dense(0, vec![0; 257], 0)]));
    table_refused(table(vec![dense(0, vec![], 0)]));
    table_refused(table(vec![dense(0, vec![0, 1], 0)]));
    table_refused(table(vec![dense(0, vec![0], 1)]));
    for (offset, word) in [
        (24, 1),
        (24, u32::MAX),
        (32, 256),
        (32, u32::MAX),
        (16, 0xffff_ff03),
    ] {
        table_refused(patched(table(vec![dense(9, vec![0], 0)]), offset, word));
    }
}

#[test]
fn an_edge_or_literal_belongs_to_one_node() {
    // Two dense nodes over the same edges; two chains over the same literal. By themselves each is sound.
    let table = |nodes: &[[u32; 4]], edges: &[u32], literals: &[u8]| {
        let header = [
            nodes.len() as u32,
            edges.len() as u32,
            literals.len() as u32,
            0,
        ];
        let words = header.iter().chain(nodes.iter().flatten()).chain(edges);
        let mut bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(literals);
        bytes
    };
    let accepted = |bytes| image::verify(image::encode(&[tables(vec![bytes])])).map(|_| ());
    let (dense, sparse, chain, sink) = (
        [3 | 2 << 8, 0, 0, 0],
        [2 | 1 << 8, 0, 0, 0],
        [1 | 4 << 8, 0, 0, 0],
        [0; 4],
    );
    assert_eq!(accepted(table(&[dense, sink], &[9, 0, 0], b"")), Ok(()));
    assert_eq!(
        accepted(table(
            &[dense, [3 | 2 << 8, 0, 3, 0]],
            &[9, 0, 0, 7, 1, 1],
            b""
        )),
        Ok(())
    );
    table_refused(table(&[dense, dense], &[9, 0, 0], b""));
    table_refused(table(&[dense, dense], &[9, 0, 0, 0, 0], b""));
    assert_eq!(
        accepted(table(
            &[sparse, [2 | 1 << 8, 0, 2, 0]],
            &[0x909, 0, 0x909, 0],
            b""
        )),
        Ok(())
    );
    table_refused(table(&[sparse, sparse], &[0x909, 0], b""));
    assert_eq!(
        accepted(table(
            &[chain, [1 | 4 << 8, 0, 4, 0], sink],
            &[],
            b"abcdabcd"
        )),
        Ok(())
    );
    table_refused(table(&[chain, chain, sink], &[], b"abcd"));
}

#[test]
fn verification_is_linear_in_the_image_tables_share_no_bytes() {
    // Many entries that name one table: without the rule, 64 times the work for 8 bytes each.
    let table = Automaton {
        start: 0,
        nodes: vec![Node::Sink { value: 1 }; 8],
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

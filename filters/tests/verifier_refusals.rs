// SPDX-License-Identifier: GPL-2.0
//! Each way in which an image can be wrong is refused with its own reason, the right errno and a message that names the place.

use filters::event::Event;
use filters::insn::*;
use filters::limits::*;
use filters::refusal::Reason;
use oracle::automaton::{Automaton, Node};
use oracle::image::{self, Draft};

const ALLOW: Insn = Insn::stmt(RET | K, 0x7fff_0000);

const ENOEXEC: u16 = 8;
const EINVAL: u16 = 22;
const EMSGSIZE: u16 = 90;
const EOPNOTSUPP: u16 = 95;

#[track_caller]
fn refused(image: Vec<u8>, reason: Reason, errno: u16, message: &str) {
    let refusal = image::verify(image).expect_err("should be refused");
    assert_eq!(refusal.reason, reason);
    assert_eq!(refusal.errno().0, errno);
    assert_eq!(refusal.to_string(), message);
}

fn syscall(insns: &[Insn]) -> Draft {
    Draft::new(Event::SyscallEnter.number(), insns.to_vec())
}

fn getname(insns: &[Insn]) -> Draft {
    Draft::new(Event::VfsGetname.number(), insns.to_vec())
}

#[track_caller]
fn program_refused(draft: Draft, reason: Reason, errno: u16, message: &str) {
    refused(image::encode(&[draft]), reason, errno, message);
}

fn patched(mut image: Vec<u8>, offset: usize, word: u32) -> Vec<u8> {
    image[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    image
}

fn sound() -> Vec<u8> {
    image::encode(&[syscall(&[ALLOW])])
}

#[test]
fn the_image_that_the_others_are_made_from_is_sound() {
    image::verify(sound()).expect("a sound image");
    let whole = getname(&[Insn::jump(SEQ, 0, 0, 0), ALLOW]);
    let whole = Draft { strings: vec![vec![b'a'; MAX_STRING_BYTES]], ..whole };
    image::verify(image::encode(&[syscall(&[ALLOW]), whole])).expect("a sound image");
}

#[test]
fn image_too_large() {
    let mut image = sound();
    image.resize(MAX_IMAGE_BYTES + 4, 0);
    refused(image, Reason::ImageTooLarge, EMSGSIZE, "the image is larger than 16 MiB");
}

#[test]
fn image_of_exactly_the_largest_size_is_read() {
    let mut draft = syscall(&[ALLOW]);
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
    refused(image, Reason::BadMagic, ENOEXEC, "not a policy image of this version");
}

#[test]
fn bad_length_in_the_header() {
    let message = "a length does not fit the image";
    for cut in 0..sound().len() {
        let image = sound()[..cut].to_vec();
        refused(image, Reason::BadLength, ENOEXEC, message);
    }
    for size in [0, 15, 16, 47, 49, 52, u32::MAX] {
        refused(patched(sound(), 4, size), Reason::BadLength, ENOEXEC, message);
    }
    // One program is there, two are announced; two are there, one is announced.
    refused(patched(sound(), 8, 2), Reason::BadLength, ENOEXEC, message);
    refused(patched(sound(), 8, u32::MAX), Reason::BadLength, ENOEXEC, message);
    let two = image::encode(&[syscall(&[ALLOW]), getname(&[ALLOW])]);
    refused(patched(two, 8, 1), Reason::BadLength, ENOEXEC, message);
}

#[test]
fn image_length_is_a_multiple_of_four() {
    let mut image = sound();
    image.push(0);
    let image = patched(image, 4, 49);
    refused(image, Reason::BadLength, ENOEXEC, "a length does not fit the image");
}

#[test]
fn bad_length_in_a_program() {
    let message = "syscall.enter: a length does not fit the image";
    // The part's size: too small for its instruction, past the image, not a multiple of four, wrapping round.
    for size in [0, 24, 28, 31, 33, 36, u32::MAX - 3, u32::MAX] {
        refused(patched(sound(), 20, size), Reason::BadLength, ENOEXEC, message);
    }
    // One instruction more than there is; one string entry; one table entry.
    for (offset, count) in [(24, 2), (24, 4096), (28, 1), (28, 4096), (32, 1), (32, 64)] {
        refused(patched(sound(), offset, count), Reason::BadLength, ENOEXEC, message);
    }
}

#[test]
fn reserved_field_not_zero() {
    for bits in [1, 0x8000_0000] {
        refused(patched(sound(), 12, bits), Reason::ReservedNotZero, ENOEXEC, "a reserved field is not zero");
        let message = "syscall.enter: a reserved field is not zero";
        refused(patched(sound(), 36, bits), Reason::ReservedNotZero, ENOEXEC, message);
    }
}

#[test]
fn no_program() {
    refused(image::encode(&[]), Reason::NoProgram, ENOEXEC, "the image holds no program");
}

#[test]
fn unknown_event() {
    for event in [Event::COUNT as u32, 77, u32::MAX] {
        let draft = Draft::new(event, vec![ALLOW]);
        program_refused(draft, Reason::UnknownEvent(event), EOPNOTSUPP, &format!("unknown event {event}"));
    }
}

#[test]
fn duplicate_event() {
    let image = image::encode(&[getname(&[ALLOW]), syscall(&[ALLOW]), getname(&[ALLOW])]);
    refused(image, Reason::DuplicateEvent, ENOEXEC, "vfs.getname: a second program for the same event");
}

#[test]
fn program_length() {
    let message = "syscall.enter: a program has 1 to 4096 instructions";
    program_refused(syscall(&[]), Reason::ProgramLength, EINVAL, message);
    program_refused(syscall(&[ALLOW; 4097]), Reason::ProgramLength, EINVAL, message);
    image::verify(image::encode(&[syscall(&[ALLOW; 4096])])).expect("the longest program");
}

#[test]
fn too_many_strings() {
    let with = |count| Draft { strings: vec![vec![]; count], ..getname(&[ALLOW]) };
    image::verify(image::encode(&[with(MAX_STRINGS)])).expect("as many as there may be");
    let message = "vfs.getname: more than 4096 string constants";
    program_refused(with(MAX_STRINGS + 1), Reason::TooManyStrings, EINVAL, message);
}

#[test]
fn too_many_tables() {
    let table = Automaton { start: 0, nodes: vec![Node::Sink { value: 1 }] }.encode();
    let with = |count| Draft { tables: vec![table.clone(); count], ..getname(&[ALLOW]) };
    image::verify(image::encode(&[with(MAX_TABLES)])).expect("as many as there may be");
    program_refused(with(MAX_TABLES + 1), Reason::TooManyTables, EINVAL, "vfs.getname: more than 64 tables");
}

#[test]
fn bad_string() {
    let long = Draft { strings: vec![vec![], vec![b'a'; MAX_STRING_BYTES + 1]], ..getname(&[ALLOW]) };
    program_refused(long, Reason::BadString(1), ENOEXEC, "vfs.getname: string constant 1 is malformed");
    // Its entry follows the headers and the one instruction.
    let draft = Draft { strings: vec![b"abcd".to_vec()], ..getname(&[ALLOW]) };
    let (offset, length) = (48, 52);
    for (at, value) in [(length, 5), (length, u32::MAX), (offset, 1), (offset, 5), (offset, u32::MAX)] {
        let image = patched(image::encode(std::slice::from_ref(&draft)), at, value);
        refused(image, Reason::BadString(0), ENOEXEC, "vfs.getname: string constant 0 is malformed");
    }
}

fn tables(tables: Vec<Vec<u8>>) -> Draft {
    Draft { tables, ..getname(&[ALLOW]) }
}

#[track_caller]
fn table_refused(bytes: Vec<u8>) {
    let sink = Automaton { start: 0, nodes: vec![Node::Sink { value: 1 }] };
    let draft = tables(vec![sink.encode(), bytes]);
    program_refused(draft, Reason::BadTable(1), ENOEXEC, "vfs.getname: table 1 is malformed");
}

#[test]
fn bad_table_header() {
    let good = Automaton {
        start: 0,
        nodes: vec![Node::Chain { value: 1, literal: b"abcd".to_vec(), default: 1 }, Node::Sink { value: 1 }],
    };
    let bytes = good.encode();
    image::verify(image::encode(&[tables(vec![bytes.clone()])])).expect("a sound table");
    for cut in 0..bytes.len() {
        table_refused(bytes[..cut].to_vec());
    }
    table_refused([bytes.clone(), vec![0; 4]].concat());
    // Nodes, edge words, literal bytes, start.
    for (offset, value) in [(0, 0), (0, 1), (0, 3), (0, u32::MAX), (4, 1), (4, u32::MAX), (8, 3), (8, 5), (8, u32::MAX), (12, 2), (12, u32::MAX)] {
        table_refused(patched(bytes.clone(), offset, value));
    }
    table_refused(Automaton { start: 0, nodes: vec![] }.encode());
}

#[test]
fn bad_table_nodes() {
    let sink = || Node::Sink { value: 1 };
    let table = |nodes: Vec<Node>| Automaton { start: 0, nodes }.encode();
    let chain = |literal: &[u8], default| Node::Chain { value: 1, literal: literal.to_vec(), default };
    let sparse = |ranges: &[(u8, u8, u32)], default| Node::Sparse { value: 1, ranges: ranges.to_vec(), default };
    let dense = |lowest, targets: Vec<u32>, default| Node::Dense { value: 1, lowest, targets, default };
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
    assert_eq!(accepted(table(vec![sparse(&[(0, 0, 0), (1, 255, 0)], 0)])), Ok(()));
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
    for (offset, word) in [(24, 1), (24, u32::MAX), (32, 256), (32, u32::MAX), (16, 0xffff_ff03)] {
        table_refused(patched(table(vec![dense(9, vec![0], 0)]), offset, word));
    }
}

#[test]
fn unknown_instruction() {
    let message = |code: u16| format!("vfs.getname: instruction 1: unknown instruction {code:#06x}");
    // Modulo, byte and half-word loads, indirect loads, ret X, and codes of our own that have no meaning.
    for code in [0x94, 0x9c, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0xb7, 0x0e, 0x101, 0x106, 0x107, 0x120, 0x14d, 0x155, 0x205, 0xffff] {
        let draft = getname(&[Insn::stmt(LD | IMM, 1), Insn::stmt(code, 0), ALLOW]);
        program_refused(draft, Reason::UnknownInstruction(code), EINVAL, &message(code));
    }
}

#[test]
fn load_outside_record() {
    for (event, bytes) in [(Event::SyscallEnter, 64), (Event::VfsGetname, 80)] {
        let load = |k| Draft::new(event.number(), vec![Insn::stmt(LD | ABS, k), ALLOW]);
        image::verify(image::encode(&[load(bytes - 4)])).expect("the last word");
        for k in [1, 2, 3, bytes - 3, bytes, bytes + 4, 0xffff_f000, u32::MAX - 3] {
            let message = format!("{}: instruction 0: load at {k} is outside the record or not aligned", event.schema().name);
            program_refused(load(k), Reason::LoadOutsideRecord(k), EINVAL, &message);
        }
    }
}

#[test]
fn no_such_scratch() {
    for code in [LD | MEM, LDX | MEM, ST, STX] {
        for k in [16, 17, 32, u32::MAX] {
            let draft = syscall(&[Insn::stmt(ST, 15), Insn::stmt(code, k), ALLOW]);
            let message = format!("syscall.enter: instruction 1: there is no scratch word {k}");
            program_refused(draft, Reason::NoSuchScratch(k), EINVAL, &message);
        }
    }
}

#[test]
fn scratch_not_written() {
    for code in [LD | MEM, LDX | MEM] {
        let message = |at| format!("syscall.enter: instruction {at}: scratch word 3 is read before it is written");
        let draft = syscall(&[Insn::stmt(ST, 2), Insn::stmt(code, 3), ALLOW]);
        program_refused(draft, Reason::ScratchNotWritten(3), EINVAL, &message(1));
        let draft = syscall(&[Insn::jump(JMP | JEQ, 1, 0, 1), Insn::stmt(ST, 3), Insn::stmt(code, 3), ALLOW]);
        program_refused(draft, Reason::ScratchNotWritten(3), EINVAL, &message(2));
    }
    // String jumps have two ways too.
    let draft = getname(&[Insn::jump(SEQ, 0, 0, 1), Insn::stmt(ST, 0), Insn::stmt(LD | MEM, 0), ALLOW]);
    let draft = Draft { strings: vec![vec![]], ..draft };
    let message = "vfs.getname: instruction 2: scratch word 0 is read before it is written";
    program_refused(draft, Reason::ScratchNotWritten(0), EINVAL, message);
}

#[test]
fn division_by_zero() {
    let draft = syscall(&[Insn::stmt(ALU | DIV | K, 0), ALLOW]);
    program_refused(draft, Reason::DivisionByZero, EINVAL, "syscall.enter: instruction 0: division by zero");
}

#[test]
fn shift_too_far() {
    for code in [ALU | LSH | K, ALU | RSH | K] {
        for k in [32, u32::MAX] {
            let message = format!("syscall.enter: instruction 0: shift by {k}, more than 31");
            program_refused(syscall(&[Insn::stmt(code, k), ALLOW]), Reason::ShiftTooFar(k), EINVAL, &message);
        }
        image::verify(image::encode(&[syscall(&[Insn::stmt(code, 31), ALLOW])])).expect("as far as may be");
    }
}

#[test]
fn jump_outside() {
    let message = "vfs.getname: instruction 0: jump past the end of the program";
    let with = |insn| Draft { strings: vec![vec![]], ..getname(&[insn, ALLOW, ALLOW]) };
    for k in [2, 3, 0x7fff_ffff, u32::MAX] {
        program_refused(with(Insn::stmt(JMP | JA, k)), Reason::JumpOutside, EINVAL, message);
    }
    for code in [JMP | JEQ | K, JMP | JSET | X, SEQ, SPREFIX, SSUFFIX, SCONTAINS, SUNDER] {
        for (jt, jf) in [(2, 0), (0, 2), (255, 255)] {
            program_refused(with(Insn::jump(code, 0, jt, jf)), Reason::JumpOutside, EINVAL, message);
        }
        image::verify(image::encode(&[with(Insn::jump(code, 0, 1, 1))])).expect("to the last instruction");
    }
}

#[test]
fn no_return() {
    for last in [Insn::stmt(LD | IMM, 0), Insn::stmt(ST, 0), Insn::stmt(MISC | TAX, 0)] {
        let message = "syscall.enter: instruction 1: the last instruction is not a return";
        program_refused(syscall(&[ALLOW, last]), Reason::NoReturn, EINVAL, message);
    }
    // A string load is no return either; a jump at the end is a jump outside.
    let draft = Draft { tables: vec![Automaton { start: 0, nodes: vec![Node::Sink { value: 1 }] }.encode()], ..getname(&[Insn::stmt(SMATCH, 0)]) };
    program_refused(draft, Reason::NoReturn, EINVAL, "vfs.getname: instruction 0: the last instruction is not a return");
}

#[test]
fn no_such_field() {
    let operand = Insn::string_operand(1, 0);
    for code in [SEQ, SPREFIX, SSUFFIX, SCONTAINS, SUNDER, SMATCH] {
        let draft = Draft { strings: vec![vec![]], ..getname(&[Insn::stmt(code, operand), ALLOW]) };
        let message = "vfs.getname: instruction 0: the event has no string field 1";
        program_refused(draft, Reason::NoSuchField(1), EINVAL, message);
        // `syscall.enter` has none at all.
        let draft = Draft { strings: vec![vec![]], ..syscall(&[Insn::stmt(code, 0), ALLOW]) };
        let message = "syscall.enter: instruction 0: the event has no string field 0";
        program_refused(draft, Reason::NoSuchField(0), EINVAL, message);
    }
}

#[test]
fn no_such_string() {
    for code in [SEQ, SPREFIX, SSUFFIX, SCONTAINS, SUNDER] {
        for index in [1, 0x00ff_ffff] {
            let draft = Draft { strings: vec![vec![]], ..getname(&[Insn::jump(code, index, 0, 0), ALLOW]) };
            let message = format!("vfs.getname: instruction 0: there is no string constant {index}");
            program_refused(draft, Reason::NoSuchString(index), EINVAL, &message);
        }
    }
}

#[test]
fn no_such_table() {
    for index in [0, 0x00ff_ffff] {
        let draft = Draft { strings: vec![vec![]], ..getname(&[Insn::stmt(SMATCH, index), ALLOW]) };
        let message = format!("vfs.getname: instruction 0: there is no table {index}");
        program_refused(draft, Reason::NoSuchTable(index), EINVAL, &message);
    }
}

#[test]
fn needle_too_long() {
    let with = |len| Draft { strings: vec![vec![b'a'; len]], ..getname(&[Insn::jump(SCONTAINS, 0, 0, 0), ALLOW]) };
    image::verify(image::encode(&[with(64)])).expect("the longest needle");
    let message = "vfs.getname: instruction 0: search for a string of 65 bytes, more than 64; use a table";
    program_refused(with(65), Reason::NeedleTooLong(65), EINVAL, message);
}

#[test]
fn too_costly() {
    let table = Automaton { start: 0, nodes: vec![Node::Sink { value: 1 }] }.encode();
    for (insn, cost) in [
        (Insn::stmt(SMATCH, 0), MATCH_COST),
        (Insn::jump(SCONTAINS, 0, 0, 0), SEARCH_COST),
        (Insn::jump(SEQ, 0, 0, 0), COMPARE_COST),
        (Insn::jump(SUNDER, 0, 0, 0), COMPARE_COST),
        (Insn::jump(SPREFIX, 0, 0, 0), COMPARE_COST),
        (Insn::jump(SSUFFIX, 0, 0, 0), COMPARE_COST),
    ] {
        // Searches first, or `MAX_INSNS` would come before the limit. The return costs one, the layer itself a few.
        let searches = 200;
        let base = LAYER_COST + 1 + searches as u32 * SEARCH_COST;
        let most = (MAX_STACK_COST - base) / cost;
        let search = Insn::jump(SCONTAINS, 0, 0, 0);
        let with = |count| Draft {
            strings: vec![vec![]],
            tables: vec![table.clone()],
            ..getname(&[vec![search; searches], vec![insn; count as usize], vec![ALLOW]].concat())
        };
        let policy = image::verify(image::encode(&[with(most)])).expect("as much as may be");
        assert_eq!(policy.cost(Event::VfsGetname), base + most * cost);
        assert_eq!(policy.cost(Event::SyscallEnter), 0);
        let message = "vfs.getname: the program costs more than 65536 units";
        program_refused(with(most + 1), Reason::TooCostly, EINVAL, message);
    }
}

#[test]
fn action_not_possible() {
    for raw in [0x0000_0000, 0x0003_0001, 0x7fc0_0000, 0x7ff0_0000, 0x7ffe_0000, 0xffff_ffff] {
        let draft = getname(&[ALLOW, Insn::stmt(RET | K, raw)]);
        let message = format!("vfs.getname: instruction 1: the event cannot carry out verdict {raw:#010x}");
        program_refused(draft, Reason::ActionNotPossible(raw), EINVAL, &message);
        image::verify(image::encode(&[syscall(&[Insn::stmt(RET | K, raw)])])).expect("seccomp takes any value");
    }
}

#[test]
fn errno_not_possible() {
    for errno in [0, 134, 512, 4095, 0xffff] {
        let draft = getname(&[Insn::stmt(RET | K, 0x0005_0000 | errno)]);
        let message = format!("vfs.getname: instruction 0: the event cannot return errno {errno}");
        program_refused(draft, Reason::ErrnoNotPossible(errno), EINVAL, &message);
    }
    for errno in [1, 133] {
        image::verify(image::encode(&[getname(&[Insn::stmt(RET | K, 0x0005_0000 | errno)])])).expect("a user's errno");
    }
}

#[test]
fn an_edge_or_literal_belongs_to_one_node() {
    // Two dense nodes over the same edges; two chains over the same literal. By themselves each is sound.
    let table = |nodes: &[[u32; 4]], edges: &[u32], literals: &[u8]| {
        let header = [nodes.len() as u32, edges.len() as u32, literals.len() as u32, 0];
        let words = header.iter().chain(nodes.iter().flatten()).chain(edges);
        let mut bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(literals);
        bytes
    };
    let accepted = |bytes| image::verify(image::encode(&[tables(vec![bytes])])).map(|_| ());
    let (dense, sparse, chain, sink) = ([3 | 2 << 8, 0, 0, 0], [2 | 1 << 8, 0, 0, 0], [1 | 4 << 8, 0, 0, 0], [0; 4]);
    assert_eq!(accepted(table(&[dense, sink], &[9, 0, 0], b"")), Ok(()));
    assert_eq!(accepted(table(&[dense, [3 | 2 << 8, 0, 3, 0]], &[9, 0, 0, 7, 1, 1], b"")), Ok(()));
    table_refused(table(&[dense, dense], &[9, 0, 0], b""));
    table_refused(table(&[dense, dense], &[9, 0, 0, 0, 0], b""));
    assert_eq!(accepted(table(&[sparse, [2 | 1 << 8, 0, 2, 0]], &[0x909, 0, 0x909, 0], b"")), Ok(()));
    table_refused(table(&[sparse, sparse], &[0x909, 0], b""));
    assert_eq!(accepted(table(&[chain, [1 | 4 << 8, 0, 4, 0], sink], &[], b"abcdabcd")), Ok(()));
    table_refused(table(&[chain, chain, sink], &[], b"abcd"));
}

#[test]
fn verification_is_linear_in_the_image_tables_share_no_bytes() {
    // Many entries that name one table: without the rule, 64 times the work for 8 bytes each.
    let table = Automaton { start: 0, nodes: vec![Node::Sink { value: 1 }; 8] }.encode();
    let mut part = tables(vec![table.clone(), table]).encode();
    // The second entry follows the header, one instruction and the first entry.
    image::verify(image::assemble(&[part.clone()])).expect("two tables");
    part[40..44].copy_from_slice(&0u32.to_le_bytes());
    let both_at_the_start = image::assemble(&[part.clone()]);
    image::verify(both_at_the_start).expect("the pool is as long as both, and that is all that is asked");
    let half = part.len() - 144;
    part.truncate(half);
    let size = (half as u32).to_le_bytes();
    part[4..8].copy_from_slice(&size);
    refused(image::assemble(&[part]), Reason::BadTable(1), ENOEXEC, "vfs.getname: table 1 is malformed");
}

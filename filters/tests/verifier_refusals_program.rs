// SPDX-License-Identifier: GPL-2.0
//! Each way in which a program can be wrong is refused with its own reason, the right errno and a message that names event and instruction.

#![expect(
    clippy::expect_used,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::event::Event;
use filters::insn::*;
use filters::limits::*;
use filters::refusal::Reason;
use oracle::automaton::Automaton;
use oracle::image::{self, program_refused, Draft};

const ALLOW: Insn = Insn::stmt(RET | K, 0x7fff_0000);

const EINVAL: u16 = 22;
#[test]
fn program_length() {
    let message = "syscall.enter: a program has 1 to 4096 instructions";
    program_refused(Draft::syscall(&[]), Reason::ProgramLength, EINVAL, message);
    program_refused(
        Draft::syscall(&[ALLOW; 4097]),
        Reason::ProgramLength,
        EINVAL,
        message,
    );
    image::verify(image::encode(&[Draft::syscall(&[ALLOW; 4096])])).expect("the longest program");
}

#[test]
fn unknown_instruction() {
    let message =
        |code: u16| format!("vfs.getname: instruction 1: unknown instruction {code:#06x}");
    // Modulo, byte and half-word loads, indirect loads, ret X, and codes of our own that have no meaning.
    for code in [
        0x94, 0x9c, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0xb7, 0x0e, 0x102, 0x106, 0x107, 0x120,
        0x14d, 0x155, 0x205, 0xffff,
    ] {
        let draft = Draft::getname(&[Insn::stmt(LD | IMM, 1), Insn::stmt(code, 0), ALLOW]);
        program_refused(
            draft,
            Reason::UnknownInstruction(code),
            EINVAL,
            &message(code),
        );
    }
}

#[test]
fn load_outside_record() {
    for (event, bytes) in [(Event::SyscallEnter, 64), (Event::VfsGetname, 80)] {
        let load = |k| Draft::new(event.number(), vec![Insn::stmt(LD | ABS, k), ALLOW]);
        image::verify(image::encode(&[load(bytes - 4)])).expect("the last word");
        for k in [
            1,
            2,
            3,
            bytes - 3,
            bytes,
            bytes + 4,
            0xffff_f000,
            u32::MAX - 3,
        ] {
            let message = format!(
                "{}: instruction 0: load at {k} is outside the record or not aligned",
                event.schema().name
            );
            program_refused(load(k), Reason::LoadOutsideRecord(k), EINVAL, &message);
        }
    }
}

#[test]
fn no_such_scratch() {
    for code in [LD | MEM, LDX | MEM, ST, STX] {
        for k in [16, 17, 32, u32::MAX] {
            let draft = Draft::syscall(&[Insn::stmt(ST, 15), Insn::stmt(code, k), ALLOW]);
            let message = format!("syscall.enter: instruction 1: there is no scratch word {k}");
            program_refused(draft, Reason::NoSuchScratch(k), EINVAL, &message);
        }
    }
}

#[test]
fn scratch_not_written() {
    for code in [LD | MEM, LDX | MEM] {
        let message = |at| {
            format!("syscall.enter: instruction {at}: scratch word 3 is read before it is written")
        };
        let draft = Draft::syscall(&[Insn::stmt(ST, 2), Insn::stmt(code, 3), ALLOW]);
        program_refused(draft, Reason::ScratchNotWritten(3), EINVAL, &message(1));
        let draft = Draft::syscall(&[
            Insn::jump(JMP | JEQ, 1, 0, 1),
            Insn::stmt(ST, 3),
            Insn::stmt(code, 3),
            ALLOW,
        ]);
        program_refused(draft, Reason::ScratchNotWritten(3), EINVAL, &message(2));
    }
    // String jumps have two ways too.
    let draft = Draft::getname(&[
        Insn::jump(SEQ, 0, 0, 1),
        Insn::stmt(ST, 0),
        Insn::stmt(LD | MEM, 0),
        ALLOW,
    ]);
    let draft = Draft {
        strings: vec![vec![]],
        ..draft
    };
    let message = "vfs.getname: instruction 2: scratch word 0 is read before it is written";
    program_refused(draft, Reason::ScratchNotWritten(0), EINVAL, message);
}

#[test]
fn division_by_zero() {
    let draft = Draft::syscall(&[Insn::stmt(ALU | DIV | K, 0), ALLOW]);
    program_refused(
        draft,
        Reason::DivisionByZero,
        EINVAL,
        "syscall.enter: instruction 0: division by zero",
    );
}

#[test]
fn shift_too_far() {
    for code in [ALU | LSH | K, ALU | RSH | K] {
        for k in [32, u32::MAX] {
            let message = format!("syscall.enter: instruction 0: shift by {k}, more than 31");
            program_refused(
                Draft::syscall(&[Insn::stmt(code, k), ALLOW]),
                Reason::ShiftTooFar(k),
                EINVAL,
                &message,
            );
        }
        image::verify(image::encode(&[Draft::syscall(&[
            Insn::stmt(code, 31),
            ALLOW,
        ])]))
        .expect("as far as may be");
    }
}

#[test]
fn jump_outside() {
    let message = "vfs.getname: instruction 0: jump past the end of the program";
    let with = |insn| Draft {
        strings: vec![vec![]],
        ..Draft::getname(&[insn, ALLOW, ALLOW])
    };
    for k in [2, 3, 0x7fff_ffff, u32::MAX] {
        program_refused(
            with(Insn::stmt(JMP | JA, k)),
            Reason::JumpOutside,
            EINVAL,
            message,
        );
    }
    for code in [
        JMP | JEQ | K,
        JMP | JSET | X,
        SEQ,
        SPREFIX,
        SSUFFIX,
        SCONTAINS,
        SUNDER,
    ] {
        for (jt, jf) in [(2, 0), (0, 2), (255, 255)] {
            program_refused(
                with(Insn::jump(code, 0, jt, jf)),
                Reason::JumpOutside,
                EINVAL,
                message,
            );
        }
        image::verify(image::encode(&[with(Insn::jump(code, 0, 1, 1))]))
            .expect("to the last instruction");
    }
}

#[test]
fn no_return() {
    for last in [
        Insn::stmt(LD | IMM, 0),
        Insn::stmt(ST, 0),
        Insn::stmt(MISC | TAX, 0),
    ] {
        let message = "syscall.enter: instruction 1: the last instruction is not a return";
        program_refused(
            Draft::syscall(&[ALLOW, last]),
            Reason::NoReturn,
            EINVAL,
            message,
        );
    }
    // A string load is no return either; a jump at the end is a jump outside.
    let draft = Draft {
        tables: vec![Automaton::sink(1).encode()],
        ..Draft::getname(&[Insn::stmt(SMATCH, 0)])
    };
    program_refused(
        draft,
        Reason::NoReturn,
        EINVAL,
        "vfs.getname: instruction 0: the last instruction is not a return",
    );
}

#[test]
fn no_such_field() {
    let operand = Insn::string_operand(1, 0);
    for code in [SEQ, SPREFIX, SSUFFIX, SCONTAINS, SUNDER, SMATCH] {
        let draft = Draft {
            strings: vec![vec![]],
            ..Draft::getname(&[Insn::stmt(code, operand), ALLOW])
        };
        let message = "vfs.getname: instruction 0: the event has no string field 1";
        program_refused(draft, Reason::NoSuchField(1), EINVAL, message);
        // `syscall.enter` has none at all.
        let draft = Draft {
            strings: vec![vec![]],
            ..Draft::syscall(&[Insn::stmt(code, 0), ALLOW])
        };
        let message = "syscall.enter: instruction 0: the event has no string field 0";
        program_refused(draft, Reason::NoSuchField(0), EINVAL, message);
    }
}

#[test]
fn no_such_string() {
    for code in [SEQ, SPREFIX, SSUFFIX, SCONTAINS, SUNDER] {
        for index in [1, 0x00ff_ffff] {
            let draft = Draft {
                strings: vec![vec![]],
                ..Draft::getname(&[Insn::jump(code, index, 0, 0), ALLOW])
            };
            let message =
                format!("vfs.getname: instruction 0: there is no string constant {index}");
            program_refused(draft, Reason::NoSuchString(index), EINVAL, &message);
        }
    }
}

#[test]
fn no_such_table() {
    for index in [0, 0x00ff_ffff] {
        let draft = Draft {
            strings: vec![vec![]],
            ..Draft::getname(&[Insn::stmt(SMATCH, index), ALLOW])
        };
        let message = format!("vfs.getname: instruction 0: there is no table {index}");
        program_refused(draft, Reason::NoSuchTable(index), EINVAL, &message);
    }
}

#[test]
fn no_such_id() {
    for id in [2, 3, u32::MAX] {
        let message = format!("vfs.getname: instruction 0: the caller has no id {id}");
        let draft = Draft::getname(&[Insn::stmt(SELF, id), ALLOW]);
        program_refused(draft, Reason::NoSuchId(id), EINVAL, &message);
    }
}

#[test]
fn needle_too_long() {
    let with = |len| Draft {
        strings: vec![vec![b'a'; len]],
        ..Draft::getname(&[Insn::jump(SCONTAINS, 0, 0, 0), ALLOW])
    };
    image::verify(image::encode(&[with(64)])).expect("the longest needle");
    let message =
        "vfs.getname: instruction 0: search for a string of 65 bytes, more than 64; use a table";
    program_refused(with(65), Reason::NeedleTooLong(65), EINVAL, message);
}

#[test]
fn too_costly() {
    let table = Automaton::sink(1).encode();
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
            ..Draft::getname(
                &[
                    vec![search; searches],
                    vec![insn; count as usize],
                    vec![ALLOW],
                ]
                .concat(),
            )
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
    for raw in [
        0x0000_0000,
        0x0003_0001,
        0x7fc0_0000,
        0x7ff0_0000,
        0x7ffe_0000,
        0xffff_ffff,
    ] {
        let draft = Draft::getname(&[ALLOW, Insn::stmt(RET | K, raw)]);
        let message =
            format!("vfs.getname: instruction 1: the event cannot carry out verdict {raw:#010x}");
        program_refused(draft, Reason::ActionNotPossible(raw), EINVAL, &message);
        image::verify(image::encode(&[Draft::syscall(&[Insn::stmt(
            RET | K,
            raw,
        )])]))
        .expect("seccomp takes any value");
    }
}

#[test]
fn errno_not_possible() {
    for errno in [0, 134, 512, 4095, 0xffff] {
        let draft = Draft::getname(&[Insn::stmt(RET | K, 0x0005_0000 | errno)]);
        let message = format!("vfs.getname: instruction 0: the event cannot return errno {errno}");
        program_refused(draft, Reason::ErrnoNotPossible(errno), EINVAL, &message);
    }
    for errno in [1, 133] {
        image::verify(image::encode(&[Draft::getname(&[Insn::stmt(
            RET | K,
            0x0005_0000 | errno,
        )])]))
        .expect("a user's errno");
    }
}

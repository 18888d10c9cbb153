// SPDX-License-Identifier: GPL-2.0
//! Images as text.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::format;
use std::prelude::rust_2021::*;

use super::calls::{calls, Arch, X32_BIT};
use super::constants::errno_name;
use super::image::verified;
use crate::event::{Event, Field, Place, Schema};
use crate::insn::*;
use crate::policy::Policy;
use crate::program::Program;
use crate::refusal::Refusal;
use crate::table::{CELL_BYTES, CHAIN_BYTES, HEAD, HEADER_BYTES, VALUE_BYTES};
use crate::verdict::{Action, Verdict};

/// Verifies `image` and writes its programs as assembly, one instruction a line, with names where they are plain.
///
/// # Errors
///
/// The verifier's: what it refuses is not shown.
pub fn disassemble(image: &[u8]) -> Result<String, Refusal> {
    Ok(listing(&verified(image.to_vec())?))
}

/// The programs of a verified policy as assembly.
pub fn listing(policy: &Policy<Vec<u8>>) -> String {
    let mut out = String::new();
    for event in Event::ALL {
        if let Some(program) = policy.program(event) {
            if !out.is_empty() {
                out.push('\n');
            }
            program_listing(&mut out, &program, policy.cost(event));
        }
    }
    out
}

/// A verdict as the language writes it.
pub fn verdict(verdict: Verdict) -> String {
    let data = verdict.data();
    match verdict.action() {
        Action::Errno => match errno_name(verdict.errno_value()) {
            Some(name) => format!("deny {name}"),
            None => format!("deny {}", verdict.errno_value()),
        },
        Action::KillProcess => "kill".to_string(),
        Action::Trap if data == 0 => "trap".to_string(),
        Action::Trap => format!("trap {data}"),
        action if data == 0 => action.name().to_string(),
        action => format!("{} {data}", action.name()),
    }
}

/// What A holds, as far as a straight reading of the code knows: makes operands readable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nr,
    Arch,
    Other,
}

fn program_listing(out: &mut String, program: &Program<'_>, cost: u32) {
    let schema = program.event().schema();
    line(
        out,
        format_args!(
            "{}: {} instructions, cost {cost}",
            schema.name,
            program.len()
        ),
    );
    for index in 0..program.tables() {
        if let Some(bytes) = program.table_bytes(index) {
            line(
                out,
                format_args!("  table {index}: {}", table_summary(bytes)),
            );
        }
    }
    let targets = targets(program);
    let mut holds = Holds::Other;
    let mut arch = Arch::X86_64;
    for at in 0..program.len() {
        let Some(insn) = program.insn(at) else { break };
        let mark = if targets.contains(&at) { ':' } else { ' ' };
        let text = instruction(program, schema, insn, at, holds, arch);
        line(out, format_args!("{at:6}{mark} {text}"));
        if insn.code == LD | ABS {
            holds = match insn.k {
                0 => Holds::Nr,
                4 => Holds::Arch,
                _ => Holds::Other,
            };
        } else if insn.code & 7 != JMP && insn.code & 7 != RET {
            holds = Holds::Other;
        } else if holds == Holds::Arch && insn.code == JMP | JEQ | K {
            // What follows a test of the architecture is about that architecture.
            arch = Arch::from_audit(insn.k).unwrap_or(arch);
        }
    }
    for index in 0..program.strings() {
        if let Some(string) = program.string(index) {
            line(out, format_args!("  string {index}: {}", quote(string)));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// A string as the language writes it.
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\t' => quoted.push_str("\\t"),
            0x20..=0x7e => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

fn targets(program: &Program<'_>) -> BTreeSet<usize> {
    let mut targets = BTreeSet::new();
    for at in 0..program.len() {
        let Some(insn) = program.insn(at) else { break };
        if insn.code == JMP | JA {
            targets.insert(at + 1 + insn.k as usize);
        } else if insn.code & 7 == JMP {
            targets.insert(at + 1 + usize::from(insn.jt));
            targets.insert(at + 1 + usize::from(insn.jf));
        }
    }
    targets
}

fn table_summary(bytes: &[u8]) -> String {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let (sinks, chains, cells) = (word(4) as usize, word(8) as usize, word(12) as usize);
    let first_cell = HEADER_BYTES + sinks * VALUE_BYTES + chains * CHAIN_BYTES;
    let heads: Vec<usize> = (0..cells)
        .map(|cell| first_cell + cell * CELL_BYTES)
        .filter(|&cell| word(cell) & HEAD == HEAD)
        .collect();
    let values: BTreeSet<u32> = (0..sinks)
        .map(|sink| word(HEADER_BYTES + sink * VALUE_BYTES))
        .chain(heads.iter().map(|head| word(head + 4)))
        .filter(|&value| value != 0)
        .collect();
    format!(
        "{} values, {chains} chains, {} branches, {cells} cells, {} bytes",
        values.len(),
        heads.len(),
        bytes.len()
    )
}

fn load_name(schema: &Schema, offset: u32) -> String {
    let named = |field: &&Field| match field.place {
        Place::Word(at) => at == offset,
        Place::Long(at) => at == offset || at + 4 == offset,
        Place::String(_) => false,
    };
    match schema.fields.iter().find(named) {
        Some(field) => match field.place {
            Place::Long(at) if at == offset => format!("{}.low", field.name),
            Place::Long(_) => format!("{}.high", field.name),
            _ => field.name.to_string(),
        },
        None => format!("[{offset}]"),
    }
}

fn instruction(
    program: &Program<'_>,
    schema: &Schema,
    insn: Insn,
    at: usize,
    holds: Holds,
    arch: Arch,
) -> String {
    let k = insn.k;
    let operand = |insn: Insn| {
        if insn.code & X != 0 {
            "x".to_string()
        } else {
            number(k)
        }
    };
    if insn.code & 7 == JMP {
        if insn.code == JMP | JA {
            return format!("goto  {}", at + 1 + k as usize);
        }
        let test = if insn.code & EXTENSION != 0 {
            string_test(program, schema, insn)
        } else {
            let sign = match insn.code & 0xf0 {
                JEQ => "==",
                JGT => ">",
                JGE => ">=",
                _ => "&",
            };
            let right = match (holds, Arch::from_audit(k)) {
                _ if insn.code & X != 0 => "x".to_string(),
                (Holds::Arch, Some(arch)) => arch.name().to_string(),
                // Where the numbers of x32 begin, and no call.
                (Holds::Nr, _) if k == X32_BIT && sign == ">=" => number(k),
                (Holds::Nr, _) => {
                    let arch = Arch::of_entry(arch.audit(), k).unwrap_or(arch);
                    match calls(arch).by_number(k) {
                        Some(call) => format!("{} ({})", number(k), call.name),
                        None => number(k),
                    }
                }
                _ => number(k),
            };
            format!("a {sign} {right}")
        };
        let (yes, no) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
        return match (insn.jt, insn.jf) {
            (0, _) => format!("if    not {test} goto {no}"),
            (_, 0) => format!("if    {test} goto {yes}"),
            _ => format!("if    {test} goto {yes} else {no}"),
        };
    }
    match insn.code {
        code if code == LD | ABS => format!("ld    {}", load_name(schema, k)),
        code if code == LD | IMM => format!("ld    {}", number(k)),
        code if code == LDX | IMM => format!("ldx   {}", number(k)),
        SELF if k == SELF_PROCESS => "ldx   self".to_string(),
        SELF if k == SELF_THREAD => "ldx   self.thread".to_string(),
        code if code == LD | LEN => "ld    length".to_string(),
        code if code == LDX | LEN => "ldx   length".to_string(),
        code if code == LD | MEM => format!("ld    m[{k}]"),
        code if code == LDX | MEM => format!("ldx   m[{k}]"),
        code if code == ST => format!("st    m[{k}]"),
        code if code == STX => format!("stx   m[{k}]"),
        code if code == MISC | TAX => "tax".to_string(),
        code if code == MISC | TXA => "txa".to_string(),
        code if code == RET | A => "ret   a".to_string(),
        code if code == RET | K => format!("ret   {}", verdict(Verdict::from_raw(k))),
        SMATCH => {
            let field = string_field(schema, insn.field());
            format!("match {field}, table {}", insn.index())
        }
        code if code & 7 == ALU => {
            let name = match code & 0xf0 {
                ADD => "add",
                SUB => "sub",
                MUL => "mul",
                DIV => "div",
                OR => "or",
                AND => "and",
                LSH => "lsh",
                RSH => "rsh",
                XOR => "xor",
                _ => return "neg".to_string(),
            };
            format!("{name:<5} {}", operand(insn))
        }
        code => format!("?     {code:#06x} {}", number(k)),
    }
}

fn number(k: u32) -> String {
    if k < 10_000 {
        format!("{k}")
    } else {
        format!("{k:#x}")
    }
}

fn string_field(schema: &Schema, index: usize) -> &'static str {
    let is = |field: &&Field| matches!(field.place, Place::String(at) if usize::from(at) == index);
    schema
        .fields
        .iter()
        .find(is)
        .map_or("?", |field| field.name)
}

fn string_test(program: &Program<'_>, schema: &Schema, insn: Insn) -> String {
    let name = match insn.code {
        SEQ => "==",
        SPREFIX => "prefix",
        SSUFFIX => "suffix",
        SCONTAINS => "contains",
        _ => "under",
    };
    let constant = program.string(insn.index()).map_or(String::new(), quote);
    format!("{} {name} {constant}", string_field(schema, insn.field()))
}

// SPDX-License-Identifier: GPL-2.0
//! A second interpreter of classic programs: instructions are decoded into a tree of meanings first, then followed recursively.
//!
//! Source: the instruction descriptions of `Documentation/networking/filter.rst` and `bpf_convert_filter` of `net/core/filter.c`.
//! String instructions are not part of it.

use filters::insn::Insn;

#[derive(Clone, Copy)]
enum Source {
    Constant(u32),
    Index,
}

#[derive(Clone, Copy)]
enum Load {
    Constant(u32),
    Record(u32),
    Scratch(usize),
    Length,
}

#[derive(Clone, Copy)]
enum Op {
    LoadA(Load),
    LoadX(Load),
    StoreA(usize),
    StoreX(usize),
    Compute(fn(u32, u32) -> Option<u32>, Source),
    Skip(usize),
    Branch(fn(u32, u32) -> bool, Source, usize, usize),
    ReturnConstant(u32),
    ReturnA,
    CopyAToX,
    CopyXToA,
}

#[derive(Clone)]
struct State {
    a: u32,
    x: u32,
    scratch: [u32; 16],
}

/// What the program returns for a record of these words; `None` if it is no valid program.
pub fn run(program: &[Insn], record: &[u32]) -> Option<u32> {
    let ops: Vec<Op> = program.iter().map(decode).collect::<Option<_>>()?;
    let mut state = State {
        a: 0,
        x: 0,
        scratch: [0; 16],
    };
    follow(&ops, record, &mut state)
}

fn decode(insn: &Insn) -> Option<Op> {
    let k = insn.k;
    let source = if insn.code & 0x08 == 0 {
        Source::Constant(k)
    } else {
        Source::Index
    };
    let branch = |test| Op::Branch(test, source, insn.jt as usize, insn.jf as usize);
    Some(match insn.code {
        0x00 => Op::LoadA(Load::Constant(k)),
        0x20 => Op::LoadA(Load::Record(k)),
        0x60 => Op::LoadA(Load::Scratch(k as usize)),
        0x80 => Op::LoadA(Load::Length),
        0x01 => Op::LoadX(Load::Constant(k)),
        0x61 => Op::LoadX(Load::Scratch(k as usize)),
        0x81 => Op::LoadX(Load::Length),
        0x02 => Op::StoreA(k as usize),
        0x03 => Op::StoreX(k as usize),
        0x04 | 0x0c => Op::Compute(|a, s| Some((u64::from(a) + u64::from(s)) as u32), source),
        0x14 | 0x1c => Op::Compute(
            |a, s| Some((u64::from(a) + (1 << 32) - u64::from(s)) as u32),
            source,
        ),
        0x24 | 0x2c => Op::Compute(|a, s| Some((u64::from(a) * u64::from(s)) as u32), source),
        0x34 | 0x3c => Op::Compute(|a, s| a.checked_div(s), source),
        0x44 | 0x4c => Op::Compute(|a, s| Some(a | s), source),
        0x54 | 0x5c => Op::Compute(|a, s| Some(a & s), source),
        0xa4 | 0xac => Op::Compute(|a, s| Some(a ^ s), source),
        // Only the low five bits of the distance count.
        0x64 | 0x6c => Op::Compute(|a, s| Some((u64::from(a) << (s % 32)) as u32), source),
        0x74 | 0x7c => Op::Compute(|a, s| Some((u64::from(a) >> (s % 32)) as u32), source),
        0x84 => Op::Compute(|a, _| Some((!a).wrapping_add(1)), Source::Constant(0)),
        0x05 => Op::Skip(k as usize),
        0x15 | 0x1d => branch(|a, s| a == s),
        0x25 | 0x2d => branch(|a, s| a > s),
        0x35 | 0x3d => branch(|a, s| a >= s),
        0x45 | 0x4d => branch(|a, s| a & s != 0),
        0x06 => Op::ReturnConstant(k),
        0x16 => Op::ReturnA,
        0x07 => Op::CopyAToX,
        0x87 => Op::CopyXToA,
        _ => return None,
    })
}

fn follow(ops: &[Op], record: &[u32], state: &mut State) -> Option<u32> {
    let (op, rest) = ops.split_first()?;
    let value = |source| match source {
        Source::Constant(k) => k,
        Source::Index => state.x,
    };
    let load = |from| match from {
        Load::Constant(k) => Some(k),
        Load::Record(byte) => record.get(byte as usize / 4).copied(),
        Load::Scratch(word) => state.scratch.get(word).copied(),
        Load::Length => Some(4 * record.len() as u32),
    };
    let skip = match *op {
        Op::LoadA(from) => {
            state.a = load(from)?;
            0
        }
        Op::LoadX(from) => {
            state.x = load(from)?;
            0
        }
        Op::StoreA(word) => {
            *state.scratch.get_mut(word)? = state.a;
            0
        }
        Op::StoreX(word) => {
            *state.scratch.get_mut(word)? = state.x;
            0
        }
        Op::Compute(compute, source) => match compute(state.a, value(source)) {
            Some(result) => {
                state.a = result;
                0
            }
            // Division by a zero in X: the program returns 0.
            None => return Some(0),
        },
        Op::Skip(distance) => distance,
        Op::Branch(test, source, jt, jf) => {
            if test(state.a, value(source)) {
                jt
            } else {
                jf
            }
        }
        Op::ReturnConstant(k) => return Some(k),
        Op::ReturnA => return Some(state.a),
        Op::CopyAToX => {
            state.x = state.a;
            0
        }
        Op::CopyXToA => {
            state.a = state.x;
            0
        }
    };
    follow(rest.get(skip..)?, record, state)
}

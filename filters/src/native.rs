// SPDX-License-Identifier: GPL-2.0
//! Programs as eBPF, which the kernel's own compiler makes machine code of.
//!
//! What is handed over is a translation of a program that *our* verifier has accepted, instruction by instruction; the eBPF verifier never sees it. So everything
//! that it would see to is seen to here: jumps go forward and stay inside, loads stay inside of the record, a division asks for zero first. What only Rust code can
//! tell (a string of the record, whether an object is reachable) is a call back, to [`Frame::answer`].
//!
//! The interpreter ([`crate::vm`]) stays the definition. Both agree on every program and record, down to the data of the verdict.
//!
//! Three things make the result better than a translation word for word: rows of comparisons of the same A are searched by halving (`row`), a word that A holds is
//! not loaded again, and what nothing reaches is left out (`flow`).

use crate::event::Event;
use crate::insn::{Insn, EXTENSION, JMP, LD};
use crate::limits::MAX_INSNS;
use crate::program::Program;
use crate::record::{Caller, Record, Stop};
use crate::verdict::Verdict;
use crate::vm;

mod code;
mod flow;
mod lowering;
mod row;
mod writer;

pub use code::Insn64;

use flow::Nodes;
use lowering::{Lowering, Needs, Registers};
use writer::{Ends, Writer};

/// Set in what [`Frame::answer`] returns if that ends the run; the low half is then the raw verdict.
pub const STOP: u64 = 1 << 63;

/// Working memory of the lowering: for each instruction of a program what is known of it, and room for a row of comparisons. 64 KiB; zero, or what the last
/// program has left behind.
pub type Workspace = [u64; 2 * MAX_INSNS];

/// What lowered code is given in R1, as its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A pointer to the words of the record: [`words`].
    Words,
    /// A pointer to a [`Frame`].
    Frame {
        /// Whether the code asks for an id of the caller.
        caller: bool,
    },
}

/// What lowered code looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of instructions.
    pub insns: usize,
    /// Bytes of stack below R10 that it uses; at most 64.
    pub stack_bytes: u32,
    /// What it is given.
    pub takes: Takes,
}

/// The words that code which [`Takes::Words`] is given, as many as the schema of the event says. `None` if the record is one of another event: the verdict is
/// [`Verdict::KILL_PROCESS`] then, as [`vm::run`] says.
#[inline]
pub fn words<'r>(event: Event, record: &Record<'r>) -> Option<&'r [u32]> {
    record.words_of(event)
}

/// What code that [`Takes::Frame`] is given. Lowered code reads the first three fields by their offset.
#[derive(Debug)]
#[repr(C)]
pub struct Frame<'a> {
    words: *const u32,
    process: u32,
    thread: u32,
    program: &'a Program<'a>,
    record: &'a Record<'a>,
}

const _: () = {
    assert!(core::mem::offset_of!(Frame<'_>, words) == lowering::FRAME_WORDS as usize);
    assert!(core::mem::offset_of!(Frame<'_>, process) == lowering::FRAME_PROCESS as usize);
    assert!(core::mem::offset_of!(Frame<'_>, thread) == lowering::FRAME_THREAD as usize);
};

impl<'a> Frame<'a> {
    /// The frame for one run of `program` (of several that are lowered together: any of them) over `record`.
    ///
    /// `None` if the record is one of another event, or has not the caller that the code needs: nothing can be run then, and [`vm::run`] gives the verdict.
    #[inline]
    pub fn new(
        program: &'a Program<'a>,
        record: &'a Record<'a>,
        takes: Takes,
    ) -> Option<Frame<'a>> {
        let words = record.words_of(program.event())?;
        let caller = match (takes, record.caller()) {
            (_, Some(caller)) => caller,
            (Takes::Frame { caller: true }, None) => return None,
            _ => Caller::default(),
        };
        Some(Frame {
            words: words.as_ptr(),
            process: caller.process,
            thread: caller.thread,
            program,
            record,
        })
    }

    /// What the function that lowered code calls has to return, given the second and third argument of the call. The first is the pointer to this frame.
    ///
    /// The low half is the value: what the automaton gives to the string, whether a string jump is taken, or a word of the record. With [`STOP`] it is the
    /// raw verdict that ends the run: the string cannot be had, or something is malformed.
    pub fn answer(&self, code: u32, k: u32) -> u64 {
        match answer(self.program, self.record, code, k) {
            Ok(value) => value.into(),
            Err(Stop::Refused(errno)) => STOP | u64::from(Verdict::errno(errno).raw()),
            Err(Stop::Malformed) => STOP | u64::from(Verdict::KILL_PROCESS.raw()),
        }
    }
}

fn answer(program: &Program<'_>, record: &Record<'_>, code: u32, k: u32) -> Result<u32, Stop> {
    let insn = Insn::stmt(u16::try_from(code).map_err(|_| Stop::Malformed)?, k);
    if insn.code & (EXTENSION | 0x07) == EXTENSION | JMP {
        return vm::string_holds(program, record, insn).map(u32::from);
    }
    if insn.code & 0x07 == LD {
        return vm::load(program, record, insn);
    }
    Err(Stop::Malformed)
}

/// The verdict that lowered code of `event` has come to by returning `raw`.
#[inline]
pub fn verdict(event: Event, raw: u32) -> Verdict {
    // What comes most of the time, and is possible everywhere.
    if raw == Verdict::ALLOW.raw() {
        return Verdict::ALLOW;
    }
    vm::possible(event, raw)
}

/// How long `programs` become, and what the code needs.
///
/// Several programs become one that runs them one after the other: what is not "allow" is returned at once, and what the last one says is returned as it is. `None`
/// if there is no program, or there are several and not all are of `syscall.enter`; a verified program by itself always has a shape.
///
/// Takes time in proportion to the number of instructions, with a logarithmic factor for rows of comparisons.
pub fn shape<'a>(
    programs: impl Iterator<Item = Program<'a>> + Clone,
    workspace: &mut Workspace,
) -> Option<Shape> {
    translate(programs, 0, workspace, None)
}

/// Hands the instructions of `programs`, as many as [`shape`] says, to `emit`, one after the other.
///
/// `call` is where [`Frame::answer`] is reached: the address of a function that takes the frame, the code and k as its first three arguments, less the address
/// of `__bpf_call_base`. `None` as for [`shape`]; `emit` may have been given something even so.
pub fn lower<'a>(
    programs: impl Iterator<Item = Program<'a>> + Clone,
    call: i32,
    workspace: &mut Workspace,
    emit: &mut impl FnMut(Insn64),
) -> Option<()> {
    translate(programs, call, workspace, Some(emit)).map(|_| ())
}

fn translate<'a>(
    programs: impl Iterator<Item = Program<'a>> + Clone,
    call: i32,
    workspace: &mut Workspace,
    mut emit: Option<&mut dyn FnMut(Insn64)>,
) -> Option<Shape> {
    let count = programs.clone().count();
    let mut needs = Needs::default();
    for program in programs.clone() {
        needs = needs.and_of(&program)?;
        if count > 1 && (needs.calls || program.event() != Event::SyscallEnter) {
            return None;
        }
    }
    let registers = Registers::for_needs(needs);
    let mut shape = Shape {
        insns: 0,
        stack_bytes: 0,
        takes: if needs.calls || needs.caller {
            Takes::Frame {
                caller: needs.caller,
            }
        } else {
            Takes::Words
        },
    };
    registers.enter(&mut |insn| {
        shape.insns = shape.insns.saturating_add(1);
        if let Some(emit) = &mut emit {
            emit(insn);
        }
    });
    let (nodes, rows) = workspace.split_at_mut_checked(MAX_INSNS)?;
    let mut last = None;
    for (index, program) in programs.enumerate() {
        let mut nodes = Nodes::new(nodes);
        let flow = flow::follow(&program, &mut nodes)?;
        let lowering = Lowering {
            program: &program,
            registers,
            flow,
            call,
            goes_on: index.checked_add(1)? < count,
        };
        let mut ends = Ends::default();
        // Counted first, so that jumps know how far to go.
        let mut counting = Writer::new(&mut nodes, ends, None);
        lowering.write(&mut counting, rows)?;
        ends = counting.ends;
        let length = counting.at;
        if let Some(emit) = &mut emit {
            let mut writer = Writer::new(&mut nodes, ends, Some(&mut **emit));
            lowering.write(&mut writer, rows)?;
            if writer.at != length {
                return None;
            }
        }
        shape.insns = shape.insns.checked_add(length.into())?;
        let stack_bytes = flow.scratch.count_ones().checked_mul(4)?;
        shape.stack_bytes = shape.stack_bytes.max(stack_bytes);
        last = Some(());
    }
    last.map(|()| shape)
}

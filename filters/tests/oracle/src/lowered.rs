// SPDX-License-Identifier: GPL-2.0
//! Lowers programs, runs the code, and asks the interpreter the same.

use filters::event::Event;
use filters::limits::MAX_INSNS;
use filters::native::{self, Frame, Insn64, Shape, Workspace};
use filters::policy::Policy;
use filters::program::Program;
use filters::record::Record;
use filters::verdict::{Action, Verdict};
use filters::vm;

use crate::machine::{self, Ended};

/// Code, and what it is like.
pub struct Code {
    /// The instructions.
    pub insns: Vec<Insn64>,
    /// What the engine says of them.
    pub shape: Shape,
}

impl Code {
    /// The code of `programs`, which can be lowered.
    ///
    /// # Panics
    ///
    /// They cannot be lowered, or not to the length that was said.
    pub fn of(programs: &[Program<'_>]) -> Code {
        // What another program has left behind does not matter.
        let mut workspace: Box<Workspace> = vec![u64::MAX; 2 * MAX_INSNS]
            .into_boxed_slice()
            .try_into()
            .expect("as long as it is");
        let programs = programs.iter().copied();
        let shape = native::shape(programs.clone(), &mut workspace).expect("a shape");
        workspace.fill(0x5555_5555_5555_5555);
        let mut insns = Vec::new();
        let mut emit = |insn| insns.push(insn);
        native::lower(programs, machine::CALL, &mut workspace, &mut emit).expect("code");
        assert_eq!(insns.len(), shape.insns);
        Code { insns, shape }
    }

    /// Runs it over `record`. `program` is one of those that it was made of.
    ///
    /// # Panics
    ///
    /// The record is one of another event.
    pub fn run(&self, program: &Program<'_>, record: &Record<'_>) -> Ended {
        let Shape {
            stack_bytes, takes, ..
        } = self.shape;
        let frame = Frame::new(program, record, takes).expect("a record of that event");
        machine::run(&self.insns, stack_bytes, takes, record, &frame)
    }
}

/// The program of `policy` for `event`.
///
/// # Panics
///
/// There is none.
pub fn program(policy: &Policy<Vec<u8>>, event: Event) -> Program<'_> {
    policy.program(event).expect("it has one")
}

/// Asserts that code and interpreter agree about `record`.
///
/// # Panics
///
/// They do not.
#[track_caller]
pub fn assert_agreement(code: &Code, program: &Program<'_>, record: &Record<'_>) {
    let expected = vm::run(program, record).verdict;
    let verdict = native::verdict(program.event(), code.run(program, record).raw);
    assert_eq!(verdict, expected, "{record:?}");
}

/// What several programs come to that are run one after the other: the first verdict that is not "allow", else the last one.
///
/// # Panics
///
/// There is no program.
pub fn expected_of_all(programs: &[Program<'_>], record: &Record<'_>) -> Verdict {
    let mut verdict = None;
    for program in programs {
        let one = vm::run(program, record).verdict;
        verdict = Some(one);
        if one.action() != Action::Allow {
            break;
        }
    }
    verdict.expect("a program")
}

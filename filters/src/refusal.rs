// SPDX-License-Identifier: GPL-2.0
//! Why a policy image was refused: where, what, and with which errno.

use core::fmt;

use crate::event::Event;

/// The errno of a refusal, as a positive number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    /// The image is too large.
    pub const EMSGSIZE: Errno = Errno(90);
    /// The image is no image of this version.
    pub const ENOEXEC: Errno = Errno(8);
    /// A program is not acceptable; also seccomp's answer to a program that its checker refuses.
    pub const EINVAL: Errno = Errno(22);
    /// The image asks for an event that this version does not have.
    pub const EOPNOTSUPP: Errno = Errno(95);
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// More than `MAX_IMAGE_BYTES`.
    ImageTooLarge,
    /// Does not begin with the magic number of this version.
    BadMagic,
    /// A length or count points past the end of the image, or bytes are left over.
    BadLength,
    /// A reserved field is not zero.
    ReservedNotZero,
    /// The image holds no program.
    NoProgram,
    /// The event is not known.
    UnknownEvent(u32),
    /// Two programs for the same event.
    DuplicateEvent,
    /// No instruction, or more than `MAX_INSNS`.
    ProgramLength,
    /// More than `MAX_STRINGS` constants.
    TooManyStrings,
    /// More than `MAX_TABLES` tables.
    TooManyTables,
    /// A string constant lies outside the pool or is longer than `MAX_STRING_BYTES`.
    BadString(u32),
    /// A table lies outside the pool or is malformed.
    BadTable(u32),
    /// The code is no instruction.
    UnknownInstruction(u16),
    /// A word load outside the event's record, or not aligned.
    LoadOutsideRecord(u32),
    /// A scratch word that does not exist.
    NoSuchScratch(u32),
    /// A scratch word is read on a path that has not written it.
    ScratchNotWritten(u32),
    /// Division by the constant zero.
    DivisionByZero,
    /// A shift by 32 or more.
    ShiftTooFar(u32),
    /// A jump past the last instruction.
    JumpOutside,
    /// The last instruction is no return, so that a path runs off the end.
    NoReturn,
    /// A string field that the event's record does not have.
    NoSuchField(u32),
    /// A string constant that the program does not have.
    NoSuchString(u32),
    /// A table that the program does not have.
    NoSuchTable(u32),
    /// A string of this many bytes is searched for, more than `MAX_NEEDLE_BYTES`.
    NeedleTooLong(u32),
    /// An id of the caller that does not exist.
    NoSuchId(u32),
    /// The program costs more than `MAX_STACK_COST`.
    TooCostly,
    /// The event cannot carry out the action of a constant verdict.
    ActionNotPossible(u32),
    /// The event cannot return this errno.
    ErrnoNotPossible(u32),
}

/// A refusal of the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The program, by event, if the fault lies in one.
    pub event: Option<Event>,
    /// The instruction, counted from zero, if the fault lies in one.
    pub insn: Option<u32>,
    /// What is wrong.
    pub reason: Reason,
}

impl Refusal {
    pub(crate) const fn image(reason: Reason) -> Refusal {
        Refusal {
            event: None,
            insn: None,
            reason,
        }
    }

    pub(crate) const fn program(event: Event, reason: Reason) -> Refusal {
        Refusal {
            event: Some(event),
            insn: None,
            reason,
        }
    }

    pub(crate) fn at(event: Event, insn: usize, reason: Reason) -> Refusal {
        Refusal {
            event: Some(event),
            insn: u32::try_from(insn).ok(),
            reason,
        }
    }

    /// The errno that loading such an image returns.
    pub const fn errno(&self) -> Errno {
        match self.reason {
            Reason::ImageTooLarge => Errno::EMSGSIZE,
            Reason::BadMagic
            | Reason::BadLength
            | Reason::ReservedNotZero
            | Reason::NoProgram
            | Reason::DuplicateEvent
            | Reason::BadString(_)
            | Reason::BadTable(_) => Errno::ENOEXEC,
            Reason::UnknownEvent(_) => Errno::EOPNOTSUPP,
            _ => Errno::EINVAL,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::ImageTooLarge => f.write_str("the image is larger than 4 MiB"),
            Reason::BadMagic => f.write_str("not a policy image of this version"),
            Reason::BadLength => f.write_str("a length does not fit the image"),
            Reason::ReservedNotZero => f.write_str("a reserved field is not zero"),
            Reason::NoProgram => f.write_str("the image holds no program"),
            Reason::UnknownEvent(n) => write!(f, "unknown event {n}"),
            Reason::DuplicateEvent => f.write_str("a second program for the same event"),
            Reason::ProgramLength => f.write_str("a program has 1 to 4096 instructions"),
            Reason::TooManyStrings => f.write_str("more than 4096 string constants"),
            Reason::TooManyTables => f.write_str("more than 64 tables"),
            Reason::BadString(n) => write!(f, "string constant {n} is malformed"),
            Reason::BadTable(n) => write!(f, "table {n} is malformed"),
            Reason::UnknownInstruction(code) => write!(f, "unknown instruction {code:#06x}"),
            Reason::LoadOutsideRecord(k) => {
                write!(f, "load at {k} is outside the record or not aligned")
            }
            Reason::NoSuchScratch(k) => write!(f, "there is no scratch word {k}"),
            Reason::ScratchNotWritten(k) => {
                write!(f, "scratch word {k} is read before it is written")
            }
            Reason::DivisionByZero => f.write_str("division by zero"),
            Reason::ShiftTooFar(k) => write!(f, "shift by {k}, more than 31"),
            Reason::JumpOutside => f.write_str("jump past the end of the program"),
            Reason::NoReturn => f.write_str("the last instruction is not a return"),
            Reason::NoSuchField(n) => write!(f, "the event has no string field {n}"),
            Reason::NoSuchString(n) => write!(f, "there is no string constant {n}"),
            Reason::NoSuchTable(n) => write!(f, "there is no table {n}"),
            Reason::NeedleTooLong(n) => {
                write!(
                    f,
                    "search for a string of {n} bytes, more than 64; use a table"
                )
            }
            Reason::NoSuchId(n) => write!(f, "the caller has no id {n}"),
            Reason::TooCostly => f.write_str("the program costs more than 65536 units"),
            Reason::ActionNotPossible(raw) => {
                write!(f, "the event cannot carry out verdict {raw:#010x}")
            }
            Reason::ErrnoNotPossible(errno) => write!(f, "the event cannot return errno {errno}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.event {
            write!(f, "{}: ", event.schema().name)?;
        }
        if let Some(insn) = self.insn {
            write!(f, "instruction {insn}: ")?;
        }
        write!(f, "{}", self.reason)
    }
}

impl core::error::Error for Refusal {}

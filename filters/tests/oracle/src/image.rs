// SPDX-License-Identifier: GPL-2.0
//! Building policy images, sound and unsound ones, without the engine's help.

use filters::event::Event;
use filters::insn::Insn;
use filters::policy::{Policy, Workspace};
use filters::refusal::{Reason, Refusal};

/// One program of an image, still editable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Event number.
    pub event: u32,
    /// Instructions.
    pub insns: Vec<Insn>,
    /// String constants.
    pub strings: Vec<Vec<u8>>,
    /// Encoded automaton tables.
    pub tables: Vec<Vec<u8>>,
}

impl Draft {
    /// A program without constants.
    pub fn new(event: u32, insns: Vec<Insn>) -> Draft {
        Draft {
            event,
            insns,
            strings: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// A program for `syscall.enter`.
    pub fn syscall(insns: &[Insn]) -> Draft {
        Draft::new(Event::SyscallEnter.number(), insns.to_vec())
    }

    /// A program for `vfs.getname`.
    pub fn getname(insns: &[Insn]) -> Draft {
        Draft::new(Event::VfsGetname.number(), insns.to_vec())
    }

    /// The program's part of an image: header, instructions, entries, pool.
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut pool: Vec<u8> = Vec::new();
        for bytes in self.strings.iter().chain(&self.tables) {
            entries.extend((pool.len() as u32).to_le_bytes());
            entries.extend((bytes.len() as u32).to_le_bytes());
            pool.extend(bytes);
        }
        pool.resize(pool.len().next_multiple_of(4), 0);
        let size = 24 + 8 * self.insns.len() + entries.len() + pool.len();
        let mut out = Vec::with_capacity(size);
        for number in [
            self.event,
            size as u32,
            self.insns.len() as u32,
            self.strings.len() as u32,
            self.tables.len() as u32,
            0,
        ] {
            out.extend(number.to_le_bytes());
        }
        for insn in &self.insns {
            out.extend(insn.code.to_le_bytes());
            out.push(insn.jt);
            out.push(insn.jf);
            out.extend(insn.k.to_le_bytes());
        }
        out.extend(entries);
        out.extend(pool);
        out
    }
}

/// The image of `programs`.
pub fn encode(programs: &[Draft]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = programs.iter().map(Draft::encode).collect();
    assemble(&parts)
}

/// An image of program parts that are encoded already.
pub fn assemble(parts: &[Vec<u8>]) -> Vec<u8> {
    let size = 16 + parts.iter().map(Vec::len).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend(b"EVF1");
    out.extend((size as u32).to_le_bytes());
    out.extend((parts.len() as u32).to_le_bytes());
    out.extend(0u32.to_le_bytes());
    for part in parts {
        out.extend(part);
    }
    out
}

/// Verifies an image with a workspace of its own.
///
/// # Errors
///
/// The verifier's refusal.
pub fn verify(image: Vec<u8>) -> Result<Policy<Vec<u8>>, Refusal> {
    let mut workspace: Box<Workspace> = Box::new([0; filters::limits::MAX_INSNS]);
    Policy::verify(image, &mut workspace)
}

/// `image` with the word at byte `offset` replaced.
pub fn patched(mut image: Vec<u8>, offset: usize, word: u32) -> Vec<u8> {
    image[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    image
}

/// Asserts that `image` is refused, for this reason, with this errno and in these words.
///
/// # Panics
///
/// If it is accepted, or refused otherwise.
#[track_caller]
pub fn refused(image: Vec<u8>, reason: Reason, errno: u16, message: &str) {
    match verify(image) {
        Ok(_) => panic!("accepted, which should be refused: {message}"),
        Err(refusal) => {
            assert_eq!(refusal.reason, reason);
            assert_eq!(refusal.errno().0, errno);
            assert_eq!(refusal.to_string(), message);
        }
    }
}

/// Checks that an image of this one program is refused with this reason, errno and message.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub fn program_refused(draft: Draft, reason: Reason, errno: u16, message: &str) {
    refused(encode(&[draft]), reason, errno, message);
}

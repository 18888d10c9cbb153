// SPDX-License-Identifier: GPL-2.0
//! Making policy images: the writing side of [`crate::image`].

use std::prelude::rust_2021::*;

use crate::event::Event;
use crate::image::{HEADER_BYTES, MAGIC, PROGRAM_HEADER_BYTES};
use crate::insn::{Insn, INSN_BYTES};
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};
use crate::scope::Scopes;

/// One program before it is written: instructions, and the constants that they name by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The instructions.
    pub insns: Vec<Insn>,
    /// String constants.
    pub strings: Vec<Vec<u8>>,
    /// Automaton tables, as bytes.
    pub tables: Vec<Vec<u8>>,
}

/// Puts programs into an image.
///
/// Nothing is checked here: that is the verifier's office, see [`verified`].
///
/// ```
/// use filters::event::Event;
/// use filters::insn::{Insn, K, RET};
/// use filters::lang::image::{verified, Builder, Code};
///
/// let allow = Code { insns: vec![Insn::stmt(RET | K, 0x7fff_0000)], ..Code::default() };
/// let image = Builder::new().program(Event::SyscallEnter, &allow).build();
/// assert!(verified(image).is_ok());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    programs: u32,
    scopes: Scopes,
    body: Vec<u8>,
}

impl Builder {
    /// An image without programs.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the scopes.
    #[must_use]
    pub fn scopes(self, scopes: Scopes) -> Builder {
        Builder { scopes, ..self }
    }

    /// Adds a program.
    #[must_use]
    pub fn program(mut self, event: Event, code: &Code) -> Builder {
        let mut pool = Vec::new();
        let mut entries = Vec::new();
        for constant in code.strings.iter().chain(&code.tables) {
            entries.push(pool.len() as u32);
            entries.push(constant.len() as u32);
            pool.extend(constant);
        }
        pool.resize(pool.len().next_multiple_of(4), 0);
        let size =
            PROGRAM_HEADER_BYTES + code.insns.len() * INSN_BYTES + entries.len() * 4 + pool.len();
        let header = [
            event.number(),
            size as u32,
            code.insns.len() as u32,
            code.strings.len() as u32,
            code.tables.len() as u32,
            0,
        ];
        self.body
            .extend(header.iter().flat_map(|word| word.to_le_bytes()));
        self.body
            .extend(code.insns.iter().flat_map(|insn| insn.to_bytes()));
        self.body
            .extend(entries.iter().flat_map(|word| word.to_le_bytes()));
        self.body.extend(&pool);
        self.programs += 1;
        self
    }

    /// The image.
    pub fn build(self) -> Vec<u8> {
        let size = (HEADER_BYTES + self.body.len()) as u32;
        let header = [MAGIC, size, self.programs, self.scopes.bits()];
        let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        image.extend(&self.body);
        image
    }
}

/// The image of one `syscall.enter` program given as a `struct sock_filter` array, byte for byte: what libseccomp exports.
///
/// # Errors
///
/// A length that is no multiple of 8; otherwise nothing is checked here.
pub fn from_bpf(program: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (insns, rest) = program.as_chunks_compat();
    if !rest.is_empty() {
        return Err(Refusal::program(Event::SyscallEnter, Reason::BadLength));
    }
    let code = Code {
        insns: insns.into_iter().map(Insn::from_bytes).collect(),
        ..Code::default()
    };
    Ok(Builder::new().program(Event::SyscallEnter, &code).build())
}

/// `as_chunks` of newer compilers.
trait AsChunks {
    fn as_chunks_compat(&self) -> (Vec<[u8; INSN_BYTES]>, &[u8]);
}

impl AsChunks for [u8] {
    fn as_chunks_compat(&self) -> (Vec<[u8; INSN_BYTES]>, &[u8]) {
        let chunks = self.chunks_exact(INSN_BYTES);
        let rest = chunks.remainder();
        (
            chunks.filter_map(|chunk| chunk.try_into().ok()).collect(),
            rest,
        )
    }
}

/// Verifies an image: [`Policy::verify`] with a workspace of its own.
///
/// # Errors
///
/// The verifier's.
pub fn verified(image: Vec<u8>) -> Result<Policy<Vec<u8>>, Refusal> {
    let mut workspace = Box::new([0u16; crate::limits::MAX_INSNS]);
    Policy::verify(image, &mut workspace)
}

// SPDX-License-Identifier: GPL-2.0
//! Programs and images, assembled by hand.
//!
//! The policy language has its own tests on the host; these suites choose each instruction themselves.

use filters::event::Event;
use filters::image::{HEADER_BYTES, MAGIC, PROGRAM_HEADER_BYTES};
use filters::insn::{ABS, Insn, JEQ, JMP, K, LD, RET, SCONTAINS, SEQ, SPREFIX, SSUFFIX, SUNDER};
use filters::verdict::{Action, Verdict};

/// Raw verdict: allow.
pub const ALLOW: u32 = Verdict::ALLOW.raw();
/// Raw verdict: kill the process.
pub const KILL: u32 = Verdict::KILL_PROCESS.raw();

/// Raw verdict: this errno.
pub const fn errno(errno: i32) -> u32 {
    Verdict::errno(errno as u16).raw()
}

/// Raw verdict: SIGSYS with this number.
pub const fn trap(data: u16) -> u32 {
    Verdict::new(Action::Trap, data).raw()
}

/// An errno that no path lookup returns by itself: seeing it means that the filter gave it.
pub const ODD: i32 = libc::ENOTUNIQ;

/// `return raw`.
pub const fn ret(raw: u32) -> Insn {
    Insn::stmt(RET | K, raw)
}

/// `A = record[offset]`.
pub const fn load(offset: u32) -> Insn {
    Insn::stmt(LD | ABS, offset)
}

/// `if A == k` run the next `then` instructions, else skip them.
pub const fn unless_equal_skip(k: u32, then: u8) -> Insn {
    Insn::jump(JMP | JEQ | K, k, 0, then)
}

/// Judges system calls: `raw` for this number, allow for all others.
pub fn on_nr(nr: i64, raw: u32) -> Vec<Insn> {
    on_nrs(&[(nr, raw)])
}

/// Judges system calls by number, allowing all others.
pub fn on_nrs(rules: &[(i64, u32)]) -> Vec<Insn> {
    let mut insns = vec![load(0)];
    for (nr, raw) in rules {
        insns.extend([unless_equal_skip(*nr as u32, 1), ret(*raw)]);
    }
    insns.push(ret(ALLOW));
    insns
}

/// One program of an image.
#[derive(Clone, Debug)]
pub struct Part {
    /// Event number.
    pub event: u32,
    /// Instructions.
    pub insns: Vec<Insn>,
    /// String constants.
    pub strings: Vec<Vec<u8>>,
}

impl Part {
    /// A program for `syscall.enter`.
    pub fn syscall(insns: Vec<Insn>) -> Part {
        Part {
            event: Event::SyscallEnter.number(),
            insns,
            strings: Vec::new(),
        }
    }

    /// A program for `vfs.getname`.
    pub fn getname(insns: Vec<Insn>, strings: Vec<Vec<u8>>) -> Part {
        Part {
            event: Event::VfsGetname.number(),
            insns,
            strings,
        }
    }

    /// The program as it lies in an image.
    pub fn bytes(&self) -> Vec<u8> {
        let mut pool = Vec::new();
        let mut entries = Vec::new();
        for string in &self.strings {
            entries.extend((pool.len() as u32).to_le_bytes());
            entries.extend((string.len() as u32).to_le_bytes());
            pool.extend(string);
        }
        pool.resize(pool.len().next_multiple_of(4), 0);
        let code: Vec<u8> = self.insns.iter().flat_map(|insn| insn.to_bytes()).collect();
        let size = PROGRAM_HEADER_BYTES + code.len() + entries.len() + pool.len();
        let head = [
            self.event,
            size as u32,
            self.insns.len() as u32,
            self.strings.len() as u32,
            0,
            0,
        ];
        let head = head.into_iter().flat_map(u32::to_le_bytes);
        head.chain(code).chain(entries).chain(pool).collect()
    }
}

/// An image of these programs.
pub fn image(parts: &[Part]) -> Vec<u8> {
    image_of(parts.iter().map(Part::bytes))
}

/// An image of programs as they lie in one.
pub fn image_of(programs: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let programs: Vec<Vec<u8>> = programs.into_iter().collect();
    let body = programs.concat();
    let head = [
        MAGIC,
        (HEADER_BYTES + body.len()) as u32,
        programs.len() as u32,
        0,
    ];
    head.into_iter()
        .flat_map(u32::to_le_bytes)
        .chain(body)
        .collect()
}

/// The programs of an image as they lie in it.
pub fn body(image: &[u8]) -> &[u8] {
    &image[HEADER_BYTES..]
}

/// An image with one program for `syscall.enter`.
pub fn syscalls(insns: Vec<Insn>) -> Vec<u8> {
    image(&[Part::syscall(insns)])
}

/// Rules on names, first match wins.
#[derive(Clone, Debug, Default)]
pub struct Names {
    insns: Vec<Insn>,
    strings: Vec<Vec<u8>>,
}

impl Names {
    /// No rule yet.
    pub fn new() -> Names {
        Names::default()
    }

    fn rule(mut self, code: u16, text: &[u8], raw: u32) -> Names {
        let operand = Insn::string_operand(0, self.strings.len() as u32);
        self.strings.push(text.to_vec());
        self.insns
            .extend([Insn::jump(code, operand, 0, 1), ret(raw)]);
        self
    }

    /// The path is exactly `text`.
    pub fn equal(self, text: &[u8], raw: u32) -> Names {
        self.rule(SEQ, text, raw)
    }

    /// The path begins with `text`.
    pub fn prefix(self, text: &[u8], raw: u32) -> Names {
        self.rule(SPREFIX, text, raw)
    }

    /// The path ends with `text`.
    pub fn suffix(self, text: &[u8], raw: u32) -> Names {
        self.rule(SSUFFIX, text, raw)
    }

    /// `text` occurs in the path.
    pub fn contains(self, text: &[u8], raw: u32) -> Names {
        self.rule(SCONTAINS, text, raw)
    }

    /// The path is `text` or lies below it.
    pub fn under(self, text: &[u8], raw: u32) -> Names {
        self.rule(SUNDER, text, raw)
    }

    /// The word at `offset` of the record is `value`.
    pub fn word(mut self, offset: u32, value: u32, raw: u32) -> Names {
        self.insns
            .extend([load(offset), unless_equal_skip(value, 1), ret(raw)]);
        self
    }

    /// What holds for all others; the program.
    pub fn or_else(mut self, raw: u32) -> Part {
        self.insns.push(ret(raw));
        Part::getname(self.insns, self.strings)
    }

    /// An image that allows all others.
    pub fn or_allow(self) -> Vec<u8> {
        image(&[self.or_else(ALLOW)])
    }
}

/// An image that refuses this one name with [`ODD`].
pub fn deny_name(name: &[u8]) -> Vec<u8> {
    Names::new().equal(name, errno(ODD)).or_allow()
}

/// An image that allows everything but is a layer all the same.
pub fn allow_all() -> Vec<u8> {
    syscalls(vec![ret(ALLOW)])
}

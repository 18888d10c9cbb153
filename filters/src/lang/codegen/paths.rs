// SPDX-License-Identifier: GPL-2.0
//! `paths { ... }`: the programs that decide by the rights at a path.
//!
//! The path is walked through a table once; the value holds all rights there (see `paths::rights`), so what follows are tests of single bits. Only
//! names that change are looked at twice, at both ends.

use std::prelude::rust_2021::*;
use std::vec;

use super::super::assembler::{Assembler, Label, Origin};
use super::super::paths::rights::{
    CONNECT, DECIDED, DENY, EXEC, GRANTS, HIDE, INSIDE, LOOSE, NAME, READ, STATE_SHIFT, WAY, WRITE,
};
use super::super::paths::{offset, Laws, EACCES, ENOENT, EPERM, EXDEV};
use super::super::source::Span;
use super::Checked;
use crate::event::Event;
use crate::insn::*;
use crate::object::{access, flag};
use crate::verdict::Verdict;

mod pick;

/// One program of a block.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) event: Event,
    /// Path to rights: one table, or one for what wins and one for the rest.
    pub(crate) tables: Vec<Vec<u8>>,
    pub(crate) default: Checked,
    /// Whether the default is `hidden`.
    pub(crate) hides: bool,
    pub(crate) laws: Laws,
    /// The word `paths`.
    pub(crate) head: Span,
}

/// Strings of the records: the object, and the other end of a rename or link.
const PATH: u8 = 0;
const OTHER: u8 = 1;

/// Scratch words: the rights at each of the two. Behind them stand the values of the tables, if there are two.
const HERE: u32 = 0;
const THERE: u32 = 3;

/// Emits the program.
pub(crate) fn generate(asm: &mut Assembler, places: &Places) {
    let mut tables = places.tables.iter().map(|table| asm.table(table.clone()));
    let (first, second) = (tables.next().unwrap_or(0), tables.next());
    drop(tables);
    let mut emitter = Emitter {
        ends: Ends::new(asm),
        asm,
        places,
        first,
        second,
    };
    if places.event == Event::VfsPick {
        emitter.pick();
    } else {
        emitter.receive();
    }
    emitter.returns();
}

/// The places where the program ends.
struct Ends {
    /// Allowed, because of one of these rights; the most telling first.
    allow: [(u32, Label); 5],
    /// The right is missing.
    refuse: Label,
    /// Refused by a statement.
    deny: Label,
    hide: Label,
    deny_other: Label,
    hide_other: Label,
    unreachable: Label,
    internal: Label,
    /// Code that no path leads to.
    code: Label,
    mounts: Label,
    devices: Label,
    stat: Label,
    names: Label,
}

impl Ends {
    fn new(asm: &mut Assembler) -> Ends {
        Ends {
            allow: [WRITE, EXEC, CONNECT, READ, WAY].map(|right| (right, asm.label())),
            refuse: asm.label(),
            deny: asm.label(),
            hide: asm.label(),
            deny_other: asm.label(),
            hide_other: asm.label(),
            unreachable: asm.label(),
            internal: asm.label(),
            code: asm.label(),
            mounts: asm.label(),
            devices: asm.label(),
            stat: asm.label(),
            names: asm.label(),
        }
    }

    fn allow(&self, right: u32) -> Label {
        let found = self.allow.iter().find(|(known, _)| known & right != 0);
        // Every right that is asked for is among the five.
        found.map_or(self.refuse, |&(_, label)| label)
    }
}

struct Emitter<'a> {
    asm: &'a mut Assembler,
    places: &'a Places,
    /// The tables.
    first: u32,
    second: Option<u32>,
    ends: Ends,
}

impl Emitter<'_> {
    fn load(&mut self, field: &str) {
        let offset = offset(self.places.event, field);
        self.asm.insn(Insn::stmt(LD | ABS, offset));
    }

    fn rights(&mut self, word: u32) {
        self.asm.insn(Insn::stmt(LD | MEM, word));
    }

    /// Walks the string through a table.
    fn step(&mut self, string: u8, table: u32, word: u32) {
        let operand = Insn::string_operand(string, table);
        self.asm.insn(Insn::stmt(SMATCH, operand));
        self.asm.insn(Insn::stmt(ST, word));
    }

    /// The rights at the path that the string is: in A and in `word`.
    fn walk(&mut self, string: u8, word: u32) {
        let Some(second) = self.second else {
            self.step(string, self.first, word);
            return;
        };
        let (one, two) = (word + 1, word + 2);
        let [wins, named, inside, name, done] = [(); 5].map(|()| self.asm.label());
        self.step(string, second, two);
        self.step(string, self.first, one);
        self.if_any(DECIDED, wins);
        self.asm.insn(Insn::stmt(ALU | AND | K, WAY));
        self.asm.insn(Insn::stmt(MISC | TAX, 0));
        self.rights(two);
        self.asm.insn(Insn::stmt(ALU | OR | X, 0));
        self.asm.bind(wins);
        self.asm
            .insn(Insn::stmt(ALU | AND | K, GRANTS | WAY | DENY | HIDE));
        self.asm.insn(Insn::stmt(ST, word));
        self.any(WRITE, named, done);
        self.asm.bind(named);
        self.rights(one);
        self.if_any(INSIDE, name);
        self.any(LOOSE, inside, done);
        self.asm.bind(inside);
        self.rights(two);
        self.any(INSIDE, name, done);
        self.asm.bind(name);
        self.rights(word);
        self.asm.insn(Insn::stmt(ALU | OR | K, NAME));
        self.asm.insn(Insn::stmt(ST, word));
        self.asm.bind(done);
        self.rights(word);
    }

    /// Goes to `yes` if what lies below both ends has the same rights, else to `no`: the states behind them are the same.
    fn alike(&mut self, yes: Label, no: Label) {
        let words = match self.second {
            None => vec![0],
            Some(_) => vec![1, 2],
        };
        for word in words {
            self.rights(THERE + word);
            self.asm.insn(Insn::stmt(ALU | RSH | K, STATE_SHIFT));
            self.asm.insn(Insn::stmt(MISC | TAX, 0));
            self.rights(HERE + word);
            self.asm.insn(Insn::stmt(ALU | RSH | K, STATE_SHIFT));
            let next = self.asm.label();
            self.asm.branch(JMP | JEQ | X, 0, next, no);
            self.asm.bind(next);
        }
        self.asm.goto(yes);
    }

    /// Goes to `yes` if A has one of the bits.
    fn any(&mut self, bits: u32, yes: Label, no: Label) {
        self.asm.branch(JMP | JSET | K, bits, yes, no);
    }

    /// Goes to `yes` if A has one of the bits, else on.
    fn if_any(&mut self, bits: u32, yes: Label) {
        let next = self.asm.label();
        self.any(bits, yes, next);
        self.asm.bind(next);
    }

    /// Goes on if A has one of the bits, else to `no`.
    fn unless_any(&mut self, bits: u32, no: Label) {
        let next = self.asm.label();
        self.any(bits, next, no);
        self.asm.bind(next);
    }

    fn equal(&mut self, number: u32, yes: Label, no: Label) {
        self.asm.branch(JMP | JEQ | K, number, yes, no);
    }

    fn if_equal(&mut self, number: u32, yes: Label) {
        let next = self.asm.label();
        self.equal(number, yes, next);
        self.asm.bind(next);
    }

    /// Ends: allowed with this right, else refused.
    fn need(&mut self, right: u32) {
        self.rights(HERE);
        let (yes, no) = (self.ends.allow(right), self.ends.refuse);
        self.any(right, yes, no);
    }

    /// Ends: allowed with a right that makes it visible, or on the way to a place.
    fn need_sight(&mut self) {
        self.rights(HERE);
        let (read, way, no) = (
            self.ends.allow(READ),
            self.ends.allow(WAY),
            self.ends.refuse,
        );
        self.if_any(READ, read);
        self.any(WAY, way, no);
    }

    /// What every record of an object is asked first: is there a path, and what does the block say of it. Rights are in [`HERE`] afterwards.
    fn look(&mut self, internal: Label) {
        self.load("flags");
        self.if_any(flag::INTERNAL, internal);
        self.load("reachable");
        self.if_equal(0, self.ends.unreachable);
        self.walk(PATH, HERE);
        self.if_any(DENY, self.ends.deny);
        self.if_any(HIDE, self.ends.hide);
    }

    fn receive(&mut self) {
        let write = self.asm.label();
        let exec = self.asm.label();
        let sight = self.asm.label();
        self.look(self.ends.internal);
        self.load("access");
        self.if_any(access::WRITE | access::APPEND, write);
        self.if_any(access::EXEC, exec);
        self.if_equal(access::PATH, sight);
        self.need(READ);
        self.asm.bind(write);
        // Whoever can write a place can read it. A descriptor that is also for execution does not exist.
        self.need(WRITE);
        self.asm.bind(exec);
        self.need(EXEC);
        self.asm.bind(sight);
        self.need_sight();
    }

    /// The ends themselves.
    fn returns(self) {
        let Emitter {
            asm, places, ends, ..
        } = self;
        let laws = places.laws;
        let here = |wanted| Origin::Place {
            field: PATH,
            wanted,
        };
        for (right, label) in ends.allow {
            asm.bind(label);
            asm.ret(Verdict::ALLOW.raw(), here(right));
        }
        let default = places.default.verdict.raw();
        asm.bind(ends.refuse);
        if places.hides {
            // What can be seen is not absent: it only lacks the right.
            let [seen, absent] = [(); 2].map(|()| asm.label());
            asm.insn(Insn::stmt(LD | MEM, HERE));
            asm.branch(JMP | JSET | K, GRANTS | WAY, seen, absent);
            asm.bind(seen);
            asm.ret(Verdict::errno(EACCES).raw(), here(0));
            asm.bind(absent);
        }
        asm.ret(default, here(0));
        asm.bind(ends.unreachable);
        asm.ret(default, Origin::Rule(places.default.id));
        asm.bind(ends.deny);
        asm.ret(Verdict::errno(EACCES).raw(), here(DENY));
        asm.bind(ends.hide);
        asm.ret(Verdict::errno(ENOENT).raw(), here(HIDE));
        asm.bind(ends.internal);
        asm.ret(Verdict::ALLOW.raw(), Origin::Rule(laws.internal));
        if places.event != Event::VfsPick {
            return;
        }
        let there = |wanted| Origin::Place {
            field: OTHER,
            wanted,
        };
        for (label, errno, origin) in [
            (ends.deny_other, EACCES, there(DENY)),
            (ends.hide_other, ENOENT, there(HIDE)),
            (ends.code, EACCES, Origin::Rule(laws.code)),
            (ends.mounts, EPERM, Origin::Rule(laws.mounts)),
            (ends.devices, EPERM, Origin::Rule(laws.devices)),
            (ends.names, EXDEV, Origin::Rule(laws.names)),
        ] {
            asm.bind(label);
            asm.ret(Verdict::errno(errno).raw(), origin);
        }
        asm.bind(ends.stat);
        asm.ret(Verdict::ALLOW.raw(), Origin::Rule(laws.stat));
    }
}

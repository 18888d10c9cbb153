// SPDX-License-Identifier: GPL-2.0
//! Random classic programs, sound and unsound, and the calls that they are asked about.

use filters::insn::*;

use crate::marker::{Call, Entry, PASS, RT_SIGRETURN, SIXTH, marker};
use crate::program::{ALLOW, load};
use crate::random::Random;
use crate::sys::decode;

/// Native calls that do nothing, or nothing that lasts, whatever their arguments are: sched_yield, getuid, getgid, geteuid, getegid, close, umask,
/// the bounds of priorities, and restart_syscall with nothing to restart.
const HARMLESS: [u32; 10] = [24, 102, 104, 107, 108, 3, 95, 146, 147, 219];
/// The like through `int 0x80`.
const HARMLESS_32: [u32; 12] = [24, 47, 49, 50, 199, 200, 201, 202, 60, 6, 158, 159];
/// Numbers of no call, each at an edge: of the kernel's table, of the table of verdicts by number, of the x32 bit, of the sign.
const UNKNOWN: [u32; 14] = [
    480,
    500,
    511,
    512,
    513,
    1000,
    0x3fff_ffff,
    0x4000_0000 | 600,
    0x4000_0000 | 999,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0066,
    0xffff_fffe,
    0xffff_ffff,
];
/// Words at which something changes.
const EDGES: [u32; 16] = [
    0,
    1,
    2,
    3,
    4,
    15,
    31,
    32,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xc000_003e,
    0x4000_0003,
    0x4000_0000,
];
/// The actions of seccomp, and data is added.
const ACTIONS: [u32; 8] = [
    0x7fff_0000,
    0x7ffc_0000,
    0x7ff0_0000,
    0x7fc0_0000,
    0x0005_0000,
    0x0003_0000,
    0x0000_0000,
    0x8000_0000,
];

/// What lies below the random programs, and so which calls are harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::suites) enum Ground {
    /// Nothing, and one random program: it may say anything. Only harmless calls are made.
    Bare,
    /// Nothing, and several programs that let calls with [`PASS`] through, as the next program must be installed under them.
    Stack,
    /// A layer that refuses everything with `marker::MARK`: any number can be called.
    Marked,
}

/// One case.
#[derive(Clone, Debug)]
pub(in crate::suites) struct Case {
    pub(in crate::suites) ground: Ground,
    /// Oldest first.
    pub(in crate::suites) programs: Vec<Vec<Insn>>,
    pub(in crate::suites) calls: Vec<Call>,
}

impl Case {
    /// The case of a seed.
    pub(in crate::suites) fn new(seed: u64, ia32: bool) -> Case {
        let mut random = Random::new(seed);
        let ground = random.pick(&[
            Ground::Bare,
            Ground::Bare,
            Ground::Bare,
            Ground::Stack,
            Ground::Marked,
            Ground::Marked,
        ]);
        let calls = calls(&mut random, ground, ia32);
        let layers = match ground {
            Ground::Bare => 1,
            Ground::Stack => 2 + random.below(3),
            Ground::Marked => 1 + random.below(2),
        };
        Case::over(random, ground, layers, calls, true)
    }

    /// The case of a seed, but with several layers: two to five, the marker among them. All of them are sound, or few cases would have as
    /// many, and mild, or it would hardly ever be one alone that refuses a call.
    pub(in crate::suites) fn stacked(seed: u64, ia32: bool) -> Case {
        let mut random = Random::new(seed);
        let ground = random.pick(&[Ground::Stack, Ground::Stack, Ground::Stack, Ground::Marked]);
        let calls = calls(&mut random, ground, ia32);
        let layers = match ground {
            Ground::Bare | Ground::Stack => 2 + random.below(4),
            Ground::Marked => 1 + random.below(4),
        };
        Case::over(random, ground, layers, calls, false)
    }

    /// Random programs for these calls: any, or sound and mild ones.
    fn over(
        mut random: Random,
        ground: Ground,
        layers: usize,
        calls: Vec<Call>,
        any: bool,
    ) -> Case {
        let programs = (0..layers)
            .map(|_| {
                let mut writer = Writer::new(&mut random, &calls, ground != Ground::Bare);
                writer.mild = !any;
                writer.program()
            })
            .collect();
        Case {
            ground,
            programs,
            calls,
        }
    }

    /// All layers, oldest first: the ground and the random programs.
    pub(in crate::suites) fn all_programs(&self) -> Vec<Vec<Insn>> {
        let below = (self.ground == Ground::Marked).then(|| marker(RT_SIGRETURN));
        below.into_iter().chain(self.programs.clone()).collect()
    }
}

fn calls(random: &mut Random, ground: Ground, ia32: bool) -> Vec<Call> {
    let count = 12 + random.below(13);
    (0..count).map(|_| call(random, ground, ia32)).collect()
}

fn word(random: &mut Random) -> u64 {
    let half = |random: &mut Random| {
        let edge = random.pick(&EDGES);
        u64::from(if random.percent(70) {
            edge
        } else {
            random.number() as u32
        })
    };
    if random.percent(60) {
        half(random)
    } else {
        half(random) << 32 | half(random)
    }
}

fn call(random: &mut Random, ground: Ground, ia32: bool) -> Call {
    let entry = if ia32 && random.percent(30) {
        Entry::Int80
    } else {
        Entry::Native
    };
    let any = ground == Ground::Marked && random.percent(75);
    let nr = match entry {
        // All of what the kernel has, with and without the x32 bit. rt_sigreturn is the test's own way back from a signal.
        _ if any => match random.below(473) as u32 {
            15 => 14,
            nr if random.percent(20) => nr | 0x4000_0000,
            nr => nr,
        },
        _ if random.percent(25) => random.pick(&UNKNOWN),
        Entry::Native => random.pick(&HARMLESS),
        Entry::Int80 => random.pick(&HARMLESS_32),
    };
    let above = if random.percent(80) {
        0
    } else {
        random.number() << 32
    };
    let mut args: [u64; 6] = std::array::from_fn(|_| word(random));
    if args[5] as u32 == PASS {
        args[5] = 0;
    }
    Call {
        entry,
        nr: u64::from(nr) | above,
        args,
    }
}

/// Writes one program.
struct Writer<'a> {
    random: &'a mut Random,
    calls: &'a [Call],
    /// Calls with [`PASS`] go through, and no unknown action is returned: the order among those and the verdicts of other layers is where
    /// evfilter is stricter than seccomp (`filters::verdict`).
    tame: bool,
    /// Most returns allow the call, and nothing is spoiled.
    mild: bool,
    code: Vec<Insn>,
    /// Scratch words that are written at the start.
    written: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(random: &'a mut Random, calls: &'a [Call], tame: bool) -> Writer<'a> {
        Writer {
            random,
            calls,
            tame,
            mild: false,
            code: Vec::new(),
            written: Vec::new(),
        }
    }

    fn program(&mut self) -> Vec<Insn> {
        if self.tame {
            self.code.extend([
                load(SIXTH),
                Insn::jump(JMP | JEQ, PASS, 0, 1),
                Insn::stmt(RET, ALLOW),
            ]);
        }
        // Half of the programs let a signal handler return, without which a trap is the end.
        if self.random.percent(50) {
            self.code.extend([
                load(0),
                Insn::jump(JMP | JEQ, 15, 0, 1),
                Insn::stmt(RET, ALLOW),
            ]);
        }
        for at in 0..16 {
            if self.random.percent(20) {
                let k = self.constant();
                self.code.push(Insn::stmt(LD | IMM, k));
                let store = self.pick(&[ST, STX]);
                self.code.push(Insn::stmt(store, at));
                self.written.push(at);
            }
        }
        let head = self.code.len();
        let body = match self.random.below(100) {
            0..50 => self.random.below(12),
            50..90 => self.random.below(50),
            // One in a hundred is as long as may be, or a little longer.
            99 => 4000 + self.random.below(150),
            _ => self.random.below(300),
        };
        let len = head + body;
        while self.code.len() < len {
            let left = len - self.code.len();
            self.instruction(left, body);
        }
        self.ending();
        if !self.mild && self.random.percent(if self.tame { 15 } else { 35 }) {
            self.spoil(head);
        }
        std::mem::take(&mut self.code)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.random.pick(list)
    }

    /// A constant that has to do with the calls, or with edges, or with nothing.
    fn constant(&mut self) -> u32 {
        match self.random.below(10) {
            0..5 => {
                let call = self.pick(self.calls);
                match self.random.below(3) {
                    0 => call.nr as u32,
                    1 => {
                        let arg = self.pick(&call.args);
                        (arg >> self.pick(&[0, 32])) as u32
                    }
                    _ if call.entry == Entry::Native => 0xc000_003e,
                    _ => 0x4000_0003,
                }
            }
            5..9 => self.pick(&EDGES),
            _ => self.random.number() as u32,
        }
    }

    /// Words of the record, those that tell calls apart more often than others.
    fn offset(&mut self) -> u32 {
        match self.random.below(10) {
            0..4 => 0,
            4 => 4,
            _ => 4 * self.random.below(16) as u32,
        }
    }

    fn instruction(&mut self, left: usize, body: usize) {
        // Where programs are long, early ends would leave most of them unseen.
        let ends = if body < 50 { 8 } else { 1 };
        if self.random.percent(ends) {
            return self.ending();
        }
        let k = self.constant();
        let insn = match self.random.below(100) {
            0..28 => load(self.offset()),
            28..32 => Insn::stmt(self.pick(&[LD | IMM, LDX | IMM]), k),
            32..34 => Insn::stmt(self.pick(&[LD | LEN, LDX | LEN]), k),
            34..40 if !self.written.is_empty() => {
                let at = self.pick(&self.written.clone());
                Insn::stmt(self.pick(&[LD | MEM, LDX | MEM]), at)
            }
            40..44 => Insn::stmt(self.pick(&[ST, STX]), self.random.below(16) as u32),
            44..48 => Insn::stmt(self.pick(&[MISC | TAX, MISC | TXA]), 0),
            48..66 => {
                let op = self.pick(&[ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, XOR]);
                let source = match op {
                    NEG => K,
                    _ => self.pick(&[K, X]),
                };
                let k = match op {
                    DIV if source == K => k.max(1),
                    LSH | RSH if source == K => k % 32,
                    _ => k,
                };
                Insn::stmt(ALU | op | source, k)
            }
            66..68 if left > 2 => Insn::stmt(JMP | JA, self.random.below(left.min(30)) as u32),
            _ => {
                let op = self.pick(&[JEQ, JEQ, JEQ, JGT, JGE, JSET]);
                let source = self.pick(&[K, K, K, X]);
                let reach = left.min(256);
                let (jt, jf) = (
                    self.random.below(reach) as u8,
                    self.random.below(reach) as u8,
                );
                // One way is mostly short, or most of the program would be jumped over.
                match self.random.below(3) {
                    0 => Insn::jump(JMP | op | source, k, 0, jf),
                    1 => Insn::jump(JMP | op | source, k, jt, 0),
                    _ => Insn::jump(JMP | op | source, k, jt, jf),
                }
            }
        };
        self.code.push(insn);
    }

    /// A return: of a constant, or of what was computed.
    fn ending(&mut self) {
        let data = match self.random.below(4) {
            0 => 0,
            1 => self.random.below(200) as u32,
            2 => self.pick(&[4094, 4095, 4096, 0x7fff, 0x8000, 0xffff]),
            _ => self.random.number() as u32 & 0xffff,
        };
        // Kills are rarer, or few calls of a case would ever be made.
        let action = if self.mild && self.random.percent(65) {
            ACTIONS[0]
        } else if self.random.percent(70) {
            self.pick(&ACTIONS[..5])
        } else {
            self.pick(&ACTIONS)
        };
        match self.random.below(10) {
            0..7 => self.code.push(Insn::stmt(RET | K, action | data)),
            // Jumps can lead into the middle of what follows, and then the action is any.
            _ if self.tame => self.code.push(Insn::stmt(RET | K, action)),
            // The data of the verdict is computed.
            7 | 8 => self.code.extend([
                Insn::stmt(ALU | AND | K, 0xffff),
                Insn::stmt(ALU | OR | K, action),
                Insn::stmt(RET | A, 0),
            ]),
            // All of it is computed, or an action that nobody knows.
            _ if self.random.percent(50) => self.code.push(Insn::stmt(RET | A, 0)),
            _ => {
                let unknown = self.random.number() as u32;
                self.code.push(Insn::stmt(RET | K, unknown));
            }
        }
    }

    /// Breaks the program, or at least touches it.
    fn spoil(&mut self, head: usize) {
        let len = self.code.len();
        let at = head + self.random.below(len - head);
        let left = len - at;
        let number = self.random.number() as u32;
        let small = self.random.below(40) as u32;
        let near = self.random.below(6);
        // A tame program must be broken for sure: what is merely changed may return anything.
        let kind = if self.tame {
            self.random.below(4)
        } else {
            self.random.below(14)
        };
        let insn = match kind {
            // Modulo is classic BPF, but not seccomp's.
            0 => Insn::stmt(ALU | 0x90 | self.pick(&[K, X]), small + 1),
            1 => Insn::stmt(JMP | JA, number | 1 << 20),
            // Packet loads: bytes, half words, from X, the header length.
            2 => Insn::stmt(self.pick(&[0x28, 0x30, 0x40, 0x48, 0x50, 0xb1]), small & !3),
            3 => load(number | 1),
            // Any code of classic BPF, and codes of none. Our own extension bit would be another language.
            4 => Insn::stmt(number as u16 & 0xff, small),
            5 => Insn::stmt(number as u16 & !EXTENSION, small),
            6 => load(number % 80),
            7 => Insn::stmt(self.pick(&[LD | MEM, LDX | MEM]), small),
            8 => Insn::stmt(self.pick(&[ST, STX]), small),
            9 => Insn::stmt(ALU | self.pick(&[LSH, RSH, DIV]) | K, small),
            // Jumps to about the end.
            10 => Insn::stmt(JMP | JA, (left + near).saturating_sub(3) as u32),
            11 => {
                let far = (left + near).saturating_sub(3).min(255) as u8;
                let (jt, jf) = self.pick(&[(far, 0), (0, far), (far, far)]);
                Insn::jump(self.pick(&[JMP | JEQ, JMP | JGE | X]), number, jt, jf)
            }
            // No return at the end.
            12 => {
                self.code.pop();
                load(0)
            }
            _ => {
                self.code.clear();
                if self.random.percent(50) {
                    return;
                }
                Insn::stmt(self.pick(&[LD, RET | X, RET | A, RET | K]), number)
            }
        };
        match self.code.get_mut(at) {
            Some(slot) if self.random.percent(70) => *slot = insn,
            _ => self.code.insert(at.min(self.code.len()), insn),
        }
    }
}

/// The value as a call's result, for people.
pub(in crate::suites) fn shown(value: i64) -> String {
    match decode(value as u64) {
        Ok(value) => format!("{value:#x}"),
        Err(errno) => format!("errno {errno}"),
    }
}

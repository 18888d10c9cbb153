// SPDX-License-Identifier: GPL-2.0
//! What is decided by an object's path, and by what happens to it.
//!
//! Most programs about objects ask three things: what is done, by which access, and one question about the path (a walk through a table, or one comparison).
//! For each deed and each answer the program is run once, when it is loaded, over records of which only these are known (`partial`); what the deed
//! shares with all others is that the object exists, is one that a name leads to, and has no flags. What is kept is where that comes to "allow": then the
//! question alone decides, and neither is a record gathered nor the program run.

use crate::by_name::Names;
use crate::insn::{Insn, EXTENSION, JMP, SMATCH};
use crate::object::{access, action, offset};
use crate::partial::{self, Bits, Known};
use crate::program::Program;
use crate::table::Table;
use crate::verdict::Action;
use crate::vm;

/// Number of actions, and of different accesses to an object that is opened.
const ACTIONS: usize = action::NAMES.len();
const ACCESSES: usize = 1 << access::NAMES.len();

/// The string field that is the path.
const PATH: usize = 0;

/// Answers that are kept: from 0 up to this one.
const ANSWERS: u32 = u64::BITS;

/// The bits of an answer that programs have as flags, by the language's custom. What lies above tells places from each other, and is not looked at in
/// most rules; so the answers of a table with thousands of places are few.
const FLAGS: u32 = (1 << 10) - 1;

/// Instructions that are run at most, for all deeds and answers. The language's longest program takes a tenth of it.
const STEPS: usize = 1 << 17;

/// What happens to an object, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed(usize);

impl Deed {
    /// `action` (of `vfs.walk`: the step) with this access. `None` for those that never happen.
    #[inline]
    pub fn new(action: u32, access: u32) -> Option<Deed> {
        let index = match action {
            action::OPEN if (access as usize) < ACCESSES => access as usize,
            action::OPEN => return None,
            _ if access == usual_access(action) && (action as usize) < ACTIONS => {
                ACCESSES.wrapping_add(action as usize)
            }
            _ => return None,
        };
        Some(Deed(index))
    }

    /// How many there are.
    pub const COUNT: usize = ACCESSES + ACTIONS;

    /// All of them, in the order of their numbers; the commonest come early.
    pub fn each() -> impl Iterator<Item = Deed> {
        (0..Deed::COUNT).map(Deed)
    }

    /// Its number, less than [`Deed::COUNT`].
    #[inline]
    pub const fn number(self) -> usize {
        self.0
    }

    /// All deeds, with action and access.
    fn all() -> impl Iterator<Item = (u32, u32)> {
        let opens = (0..ACCESSES as u32).map(|access| (action::OPEN, access));
        let others = (0..ACTIONS as u32).map(|action| (action, usual_access(action)));
        opens.chain(others)
    }
}

/// How an object is accessed for what is no opening.
const fn usual_access(action: u32) -> u32 {
    match action {
        action::EXEC | action::MAP => access::EXEC,
        _ => 0,
    }
}

/// What a program asks of a path.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// What a walk through the table comes to.
    Walk(Table<'a>),
    /// Whether a string jump with this constant is taken: 1, or 0.
    Jump(u16, &'a [u8]),
}

impl Question<'_> {
    #[inline(always)]
    fn answer(&self, path: &[u8]) -> Option<u32> {
        match self {
            Question::Walk(table) => table.lookup(path),
            Question::Jump(code, constant) => vm::holds(*code, path, constant).map(u32::from),
        }
    }
}

/// What a program decides by path.
#[derive(Debug)]
pub struct ByPath {
    question: Insn,
    /// Bits of an answer that must be zero for it to be one of those that are kept; the bits above them count for nothing.
    beyond: u32,
    /// By deed, bit by answer.
    allowed: [u64; Deed::COUNT],
}

impl ByPath {
    /// What `program` allows by path; `None` if that is nothing.
    pub fn of(program: &Program<'_>) -> Option<ByPath> {
        program.event().schema().reachable?;
        let question = (0..program.len())
            .filter_map(|at| program.insn(at))
            .find(|insn| asks_for_path(*insn))?;
        let (answers, known) = answers(program, question)?;
        let mut by_path = ByPath {
            question,
            beyond: known & !(ANSWERS - 1),
            allowed: [0; Deed::COUNT],
        };
        let mut steps = STEPS;
        for (allowed, (action, access)) in by_path.allowed.iter_mut().zip(Deed::all()) {
            let words = [
                (offset::ACTION, action),
                (offset::ACCESS, access),
                (offset::FLAGS, 0),
                (offset::REACHABLE, 1),
            ];
            for answer in (0..ANSWERS).filter(|answer| answers >> answer & 1 != 0) {
                let known = Known {
                    words: &words,
                    question,
                    answer: Bits::of(answer, known),
                };
                let verdict = partial::run(program, &known, &mut steps);
                if verdict.is_some_and(|verdict| verdict.action() == Action::Allow) {
                    *allowed |= 1 << answer;
                }
            }
        }
        let any = by_path.allowed.iter().any(|allowed| *allowed != 0);
        (any && steps > 0).then_some(by_path)
    }

    /// What is to be asked, of the program that this was made from.
    pub fn question<'a>(&self, program: &Program<'a>) -> Option<Question<'a>> {
        let index = self.question.index();
        if self.question.code == SMATCH {
            return program.table(index).map(Question::Walk);
        }
        let constant = program.string(index)?;
        Some(Question::Jump(self.question.code, constant))
    }

    /// Whether both deeds are allowed by the same paths.
    pub fn allows_alike(&self, one: Deed, other: Deed) -> bool {
        self.allowed.get(one.0) == self.allowed.get(other.0)
    }

    /// The paths by which `deed` is allowed, as a set that can be multiplied with others of its kind; `None` if there are none, or if the program compares and
    /// does not walk. `question` is that of [`ByPath::question`].
    pub fn paths<'a>(&self, question: &Question<'a>, deed: Deed) -> Option<Names<'a>> {
        let allowed = *self.allowed.get(deed.0)?;
        match question {
            Question::Walk(table) if allowed != 0 => {
                Some(Names::new(PATH, *table, allowed, self.beyond))
            }
            _ => None,
        }
    }

    /// Whether there is any path by which the deed is allowed.
    #[inline]
    pub fn allows_some(&self, deed: Deed) -> bool {
        self.allowed
            .get(deed.0)
            .is_some_and(|allowed| *allowed != 0)
    }

    /// Whether the deed is allowed on every object with this path that exists, that a name leads to, and that has no flags; "no" may mean that it depends
    /// on more. `question` is that of [`ByPath::question`].
    #[inline(always)]
    pub fn allows(&self, question: &Question<'_>, deed: Deed, path: &[u8]) -> bool {
        let answer = question.answer(path);
        let (Some(answer), Some(allowed)) = (answer, self.allowed.get(deed.0)) else {
            return false;
        };
        answer & self.beyond == 0 && allowed >> (answer & (ANSWERS - 1)) & 1 != 0
    }
}

/// Whether it asks something of the first string, the path.
fn asks_for_path(insn: Insn) -> bool {
    let asks = insn.code == SMATCH || insn.code & EXTENSION != 0 && insn.code & 0x07 == JMP;
    asks && insn.field() == PATH
}

/// The answers that there are to the question, bit by answer, and which bits of them are known.
fn answers(program: &Program<'_>, question: Insn) -> Option<(u64, u32)> {
    if question.code != SMATCH {
        return Some((0b11, u32::MAX));
    }
    let table = program.table(question.index())?;
    let all = table.values().fold(0, |all, value| all | value);
    let known = if all < ANSWERS { u32::MAX } else { FLAGS };
    let beyond = known & !(ANSWERS - 1);
    let kept = table.values().filter(|value| value & beyond == 0);
    let answers = kept.fold(0, |answers, value| answers | 1 << (value & (ANSWERS - 1)));
    Some((answers, known))
}

// SPDX-License-Identifier: GPL-2.0
//! The oracle: the layers of one task, and the answer that it must get to every question.

use libc::{AT_FDCWD, ENOENT, ENOSYS};

use super::layer::{ARGUMENTS, Layer, NAMES, NUMBERS, Question, Says, questions};
use crate::kernel::layers;
use crate::sys::signal::TRAPPED;
use crate::sys::{Ret, own, sys};

/// What a task sees of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// As without layers.
    Passed,
    Refused(i32),
    Trapped(u16),
    /// The task does not live to see it.
    Killed,
}

/// Layers, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack(pub(super) Vec<Layer>);

impl Stack {
    /// With one more.
    pub(super) fn and(&self, layer: &Layer) -> Stack {
        let mut layers = self.0.clone();
        layers.push(layer.clone());
        Stack(layers)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether each layer of `other` is here too.
    pub(super) fn covers(&self, other: &Stack) -> bool {
        let here = |layer: &Layer| self.0.iter().any(|mine| mine.id == layer.id);
        other.0.iter().all(here)
    }

    /// The strictest of all layers' verdicts, and the newest of those.
    pub(super) fn answer(&self, question: Question) -> Answer {
        let says = self.0.iter().filter_map(|layer| layer.says(question));
        // Of equals this gives the last.
        match says.max_by_key(|says| says.strictness()) {
            None => Answer::Passed,
            Some(Says::Kill) => Answer::Killed,
            Some(Says::Trap(data)) => Answer::Trapped(data),
            Some(Says::Errno(errno)) => Answer::Refused(errno),
            Some(Says::Trace) => Answer::Refused(ENOSYS),
        }
    }

    /// Asks all questions but those that kill, and compares each answer and the number of layers; returns how many.
    #[track_caller]
    pub(super) fn verify(&self, seed: u64) -> usize {
        assert_eq!(layers() as usize, self.len(), "number of layers");
        1 + self.verify_answers(seed)
    }

    /// The same for a task that has layers beside these, which speak of other things.
    #[track_caller]
    pub(super) fn verify_answers(&self, seed: u64) -> usize {
        let mut asked = 0;
        for question in questions() {
            let expected = self.answer(question);
            if expected != Answer::Killed {
                let answer = ask(question, seed.wrapping_add(asked as u64));
                assert_eq!(answer, expected, "{question:?} under {self:?}");
                asked += 1;
            }
        }
        asked
    }

    /// The same while another thread puts `later` in the place of this stack: once one answer was the later one, no earlier one comes any more.
    #[track_caller]
    pub(super) fn verify_turning(&self, later: &Stack, turned: &mut bool, seed: u64) -> usize {
        let mut asked = 0;
        for question in questions() {
            let answers = [self, later].map(|stack| stack.answer(question));
            if answers.contains(&Answer::Killed) {
                continue;
            }
            let answer = ask(question, seed.wrapping_add(asked as u64));
            asked += 1;
            if *turned || answer != answers[0] {
                *turned = true;
                assert_eq!(answer, answers[1], "{question:?} under {later:?}");
            }
        }
        asked
    }
}

/// Asks the kernel. A name can be used in several ways, of which `way` chooses one.
#[track_caller]
pub(super) fn ask(question: Question, way: u64) -> Answer {
    match question {
        Question::Name(at) => of_name(use_name(NAMES[at], way)),
        Question::Call(at, with) => of_call(sys!(NUMBERS[at], ARGUMENTS[with])),
    }
}

fn use_name(name: &std::ffi::CStr, way: u64) -> Ret {
    let mut room = [0u64; 32];
    let room = room.as_mut_ptr();
    match way % 5 {
        0 => own(sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0)).map(|_| 0),
        1 => sys!(libc::SYS_newfstatat, AT_FDCWD, name, room, 0),
        2 => sys!(libc::SYS_faccessat, AT_FDCWD, name, 0),
        3 => sys!(libc::SYS_readlink, name, room, 8),
        _ => sys!(libc::SYS_unlink, name),
    }
}

/// What the use of a name has come to.
#[track_caller]
pub(super) fn of_name(ret: Ret) -> Answer {
    match ret {
        Err(ENOENT) => Answer::Passed,
        Err(errno) => Answer::Refused(errno),
        Ok(value) => panic!("{value} from a name that does not exist"),
    }
}

fn of_call(ret: Ret) -> Answer {
    match ret {
        Ok(value) if value & !0xffff == TRAPPED => Answer::Trapped(value as u16),
        Ok(_) => Answer::Passed,
        Err(errno) => Answer::Refused(errno),
    }
}

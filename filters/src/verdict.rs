// SPDX-License-Identifier: GPL-2.0
//! Verdicts and the one direction in which they combine.
//!
//! A verdict is a 32-bit value in seccomp's encoding (`include/uapi/linux/seccomp.h`): the upper half is the action, the lower half its
//! data. Actions are ordered as seccomp orders them, the numerically smaller (as a signed number) being the more restrictive.

use crate::limits::MAX_ERRNO;

/// Bits of a raw verdict that hold the action: `SECCOMP_RET_ACTION_FULL`.
pub const ACTION_MASK: u32 = 0xffff_0000;

/// Bits of a raw verdict that hold the data: `SECCOMP_RET_DATA`.
pub const DATA_MASK: u32 = 0x0000_ffff;

/// What happens to the task. Declared from the most to the least restrictive, so that the derived order *is* the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The whole process dies as by an uncaught SIGSYS.
    KillProcess,
    /// The thread dies as by SIGSYS; the last thread takes the process with it.
    KillThread,
    /// The task gets SIGSYS and the event is refused.
    Trap,
    /// The event is refused with an errno.
    Errno,
    /// A supervisor decides. There is none yet: the event is refused with `ENOSYS`, as seccomp does without a listener.
    Notify,
    /// The tracer decides, if there is one that waits for it; without one the event is refused with `ENOSYS`.
    Trace,
    /// The event is logged and allowed.
    Log,
    /// The event is allowed.
    Allow,
}

impl Action {
    /// All actions, from the most to the least restrictive.
    pub const ALL: [Action; 8] = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap,
        Action::Errno,
        Action::Notify,
        Action::Trace,
        Action::Log,
        Action::Allow,
    ];

    /// The `SECCOMP_RET_*` value of the action.
    pub const fn raw(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0x0000_0000,
            Action::Trap => 0x0003_0000,
            Action::Errno => 0x0005_0000,
            Action::Notify => 0x7fc0_0000,
            Action::Trace => 0x7ff0_0000,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// The action of a raw verdict, or `None` if this version does not know it.
    pub const fn from_raw(raw: u32) -> Option<Action> {
        match raw & ACTION_MASK {
            0x8000_0000 => Some(Action::KillProcess),
            0x0000_0000 => Some(Action::KillThread),
            0x0003_0000 => Some(Action::Trap),
            0x0005_0000 => Some(Action::Errno),
            0x7fc0_0000 => Some(Action::Notify),
            0x7ff0_0000 => Some(Action::Trace),
            0x7ffc_0000 => Some(Action::Log),
            0x7fff_0000 => Some(Action::Allow),
            _ => None,
        }
    }

    /// The name of the action in the policy language and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Action::KillProcess => "kill-process",
            Action::KillThread => "kill-thread",
            Action::Trap => "trap",
            Action::Errno => "errno",
            Action::Notify => "notify",
            Action::Trace => "trace",
            Action::Log => "log",
            Action::Allow => "allow",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of actions: those that an event can carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionSet(u8);

impl ActionSet {
    /// All actions.
    pub const ALL: ActionSet = ActionSet(0xff);

    /// The set of the actions given.
    pub const fn of(actions: &[Action]) -> ActionSet {
        let mut bits = 0;
        let mut rest = actions;
        while let [first, tail @ ..] = rest {
            bits |= first.bit();
            rest = tail;
        }
        ActionSet(bits)
    }

    /// Whether `action` is in the set.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }
}

/// What a program, or a whole stack, decided about one event.
///
/// A value with an unknown action is made a [`Verdict::KILL_PROCESS`] when the verdict is made, not when it is carried out. seccomp compares the
/// unknown number first; there a new layer could then replace "kill" by a mere errno. Here it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict(u32);

impl Verdict {
    /// Kill the process. Also the answer to everything that cannot be evaluated.
    pub const KILL_PROCESS: Verdict = Verdict(Action::KillProcess.raw());
    /// Kill the thread.
    pub const KILL_THREAD: Verdict = Verdict(Action::KillThread.raw());
    /// Allow.
    pub const ALLOW: Verdict = Verdict(Action::Allow.raw());
    /// Log and allow.
    pub const LOG: Verdict = Verdict(Action::Log.raw());

    /// A verdict from what a program returned.
    pub const fn from_raw(raw: u32) -> Verdict {
        match Action::from_raw(raw) {
            Some(_) => Verdict(raw),
            None => Verdict::KILL_PROCESS,
        }
    }

    /// The verdict of `action` with `data`.
    pub const fn new(action: Action, data: u16) -> Verdict {
        Verdict(action.raw() | data as u32)
    }

    /// Refuse with `errno`.
    pub const fn errno(errno: u16) -> Verdict {
        Verdict::new(Action::Errno, errno)
    }

    /// The raw value, in seccomp's encoding.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The action.
    pub const fn action(self) -> Action {
        match Action::from_raw(self.0) {
            Some(action) => action,
            // Not reached: no constructor lets an unknown action in.
            None => Action::KillProcess,
        }
    }

    /// The data: an errno for [`Action::Errno`], a number of the program's choice for trap, trace and notify.
    pub const fn data(self) -> u16 {
        (self.0 & DATA_MASK) as u16
    }

    /// The errno of an [`Action::Errno`] verdict, cut to `MAX_ERRNO` as seccomp does.
    pub const fn errno_value(self) -> u16 {
        if (self.data() as u32) < MAX_ERRNO {
            self.data()
        } else {
            MAX_ERRNO as u16
        }
    }

    /// Place in the order of restriction; smaller is stricter. Data does not count.
    const fn rank(self) -> i32 {
        (self.0 & ACTION_MASK) as i32
    }

    /// Whether `self` restricts at least as much as `other`.
    pub const fn at_least_as_strict_as(self, other: Verdict) -> bool {
        self.rank() <= other.rank()
    }

    /// The stricter of two verdicts; between equals the newer one, whose data is therefore seen.
    ///
    /// This is the meet of the lattice and the whole of the narrowing law: the result is never weaker than either side.
    #[must_use]
    pub const fn meet(newer: Verdict, older: Verdict) -> Verdict {
        if newer.at_least_as_strict_as(older) {
            newer
        } else {
            older
        }
    }
}

const _: () = {
    // Declaration order, numeric order and seccomp's precedence are one.
    let mut rest: &[Action] = &Action::ALL;
    while let [stricter, tail @ ..] = rest {
        if let [weaker, ..] = tail {
            assert!((stricter.raw() as i32) < (weaker.raw() as i32));
            assert!((*stricter as u8) < (*weaker as u8));
        }
        rest = tail;
    }
};

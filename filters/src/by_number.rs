// SPDX-License-Identifier: GPL-2.0
//! What is decided by a system call's number alone.
//!
//! Most rules of a policy name calls and look at nothing else. For each number of each architecture the program is run once, when it is loaded, over
//! a record of which only number and architecture are known (`seccomp_is_const_allow` of `kernel/seccomp.c` has the idea). What comes
//! out is kept in a table, and the tables of all layers are merged when a layer is pushed. A call that all layers decide by number then costs
//! the same, however long their programs are and however many there are of them.
//!
//! Only "allow" and "errno" are kept. The other verdicts are rare, or take long by themselves; and where the stricter of two verdicts is not kept, nothing is.

use crate::event::Event;
use crate::limits::{MAX_ERRNO, NUMBERED_CALLS};
use crate::program::Program;
use crate::verdict::{Action, Verdict};
use crate::vm;

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const NATIVE: u32 = 0xc000_003e;

/// Architectures that have a table, that of 64 bits first: `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386`.
const ARCHES: [u32; 2] = [NATIVE, 0x4000_0003];

/// The calls by which uprobes return to the kernel. They are made by code that the kernel put there, and pass every filter:
/// `seccomp_uprobe_exception` in `kernel/seccomp.c`.
const UPROBE_CALLS: [u32; 2] = [335, 336];

/// Places of a table.
pub const PLACES: usize = ARCHES.len() * NUMBERED_CALLS;

/// A verdict for each number of the first architecture, then of the second. A table of zeros leaves every call open.
pub type Places = [u16; PLACES];

/// Not decided by number.
const UNDECIDED: u16 = 0;
/// In a place: the call is allowed.
pub const ALLOW: u16 = 1;
/// Refused with errno 0; larger ones follow.
const ERRNO: u16 = 2;

const _: () = assert!(ERRNO as u32 + MAX_ERRNO <= u16::MAX as u32);

/// Fills `places` with what `program` decides by number; all is allowed by number if there is no program, and nothing is decided if it is not one of
/// `syscall.enter`.
///
/// Runs the program [`PLACES`] times, each time up to the first instruction that asks for more than the number.
pub fn decide(program: Option<&Program<'_>>, places: &mut Places) {
    let calls = ARCHES
        .iter()
        .flat_map(|&arch| (0..NUMBERED_CALLS as u32).map(move |nr| (nr, arch)));
    for (place, (nr, arch)) in places.iter_mut().zip(calls) {
        *place = match program {
            _ if arch == NATIVE && UPROBE_CALLS.contains(&nr) => ALLOW,
            None => ALLOW,
            Some(program) if program.event() == Event::SyscallEnter => {
                encode(vm::run_by_number(program, nr, arch))
            }
            Some(_) => UNDECIDED,
        };
    }
}

/// Adds a newer layer to `places`: what is left is decided by both, and the stricter verdict.
pub fn narrow(places: &mut Places, newer: &Places) {
    for (place, &newer) in places.iter_mut().zip(newer) {
        *place = match (decode(newer), decode(*place)) {
            (Some(newer), Some(older)) => encode(Some(Verdict::meet(newer, older))),
            _ => UNDECIDED,
        };
    }
}

/// The verdict on every call with this number and architecture, whatever its arguments; `None` if it depends on more.
pub fn verdict(places: &Places, nr: u32, arch: u32) -> Option<Verdict> {
    let first = ARCHES
        .iter()
        .position(|&known| known == arch)?
        .checked_mul(NUMBERED_CALLS)?;
    let nr = nr as usize;
    if nr >= NUMBERED_CALLS {
        return None;
    }
    decode(*places.get(first.checked_add(nr)?)?)
}

fn encode(verdict: Option<Verdict>) -> u16 {
    match verdict {
        Some(verdict) if verdict.action() == Action::Allow => ALLOW,
        Some(verdict) if verdict.action() == Action::Errno => {
            ERRNO.saturating_add(verdict.errno_value())
        }
        _ => UNDECIDED,
    }
}

/// The verdict that stands in a place; `None` if the call is not decided by number.
#[inline]
pub const fn decode(place: u16) -> Option<Verdict> {
    match place {
        UNDECIDED => None,
        ALLOW => Some(Verdict::ALLOW),
        refused => Some(Verdict::errno(refused.saturating_sub(ERRNO))),
    }
}

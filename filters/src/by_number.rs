// SPDX-License-Identifier: GPL-2.0
//! What is decided by a system call's number alone.
//!
//! Most rules of a policy name calls and look at nothing else. For each number of each architecture the program is run once, when it is loaded, over
//! a record of which only number and architecture are known (`seccomp_is_const_allow` of `kernel/seccomp.c` has the idea). What comes
//! out is kept in a table, and the tables of all layers are merged when a layer is pushed. A call that all layers decide by number then costs
//! the same, however long their programs are and however many there are of them.
//!
//! Only "allow" and "errno" are kept. The other verdicts are rare, or take long by themselves; and where the stricter of two verdicts is not kept, nothing is.

use core::ops::{Deref, DerefMut};

use crate::event::Event;
use crate::limits::{MAX_ERRNO, NUMBERED_CALLS};
use crate::program::Program;
use crate::verdict::{Action, Verdict};
use crate::vm;

/// Architectures that have a table: `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386` of `include/uapi/linux/audit.h`.
const ARCHES: [u32; 2] = [0xc000_003e, 0x4000_0003];

/// Places of a table.
pub const PLACES: usize = ARCHES.len() * NUMBERED_CALLS;

/// Not decided by number.
const UNDECIDED: u16 = 0;
/// Allowed.
const ALLOW: u16 = 1;
/// Refused with errno 0; larger ones follow.
const ERRNO: u16 = 2;

const _: () = assert!(ERRNO as u32 + MAX_ERRNO <= u16::MAX as u32);

/// Verdicts by architecture and number, in memory that `B` owns or borrows.
#[derive(Debug)]
pub struct ByNumber<B> {
    places: B,
}

impl<B: DerefMut<Target = [u16]>> ByNumber<B> {
    /// What `program` decides by number; all is allowed by number if there is no program. `places` is overwritten.
    ///
    /// Runs the program [`PLACES`] times, each time up to the first instruction that asks for more than the number.
    ///
    /// `None` if there are not [`PLACES`] places, or the program is not one of `syscall.enter`.
    pub fn of(program: Option<&Program<'_>>, mut places: B) -> Option<ByNumber<B>> {
        if places.len() != PLACES {
            return None;
        }
        match program {
            None => places.fill(ALLOW),
            Some(program) if program.event() == Event::SyscallEnter => {
                let calls = ARCHES
                    .iter()
                    .flat_map(|&arch| (0..NUMBERED_CALLS as u32).map(move |nr| (nr, arch)));
                for (place, (nr, arch)) in places.iter_mut().zip(calls) {
                    *place = encode(vm::run_by_number(program, nr, arch));
                }
            }
            Some(_) => return None,
        }
        Some(ByNumber { places })
    }

    /// A copy of `other` in `places`; `None` if they are not as many.
    pub fn copy<C: Deref<Target = [u16]>>(
        other: &ByNumber<C>,
        mut places: B,
    ) -> Option<ByNumber<B>> {
        if places.len() != other.places.len() {
            return None;
        }
        places.copy_from_slice(&other.places);
        Some(ByNumber { places })
    }

    /// Adds a newer layer: what is left is decided by both, and the stricter verdict.
    pub fn narrow<C: Deref<Target = [u16]>>(&mut self, newer: &ByNumber<C>) {
        for (place, &newer) in self.places.iter_mut().zip(newer.places.iter()) {
            *place = match (decode(newer), decode(*place)) {
                (Some(newer), Some(older)) => encode(Some(Verdict::meet(newer, older))),
                _ => UNDECIDED,
            };
        }
    }
}

impl<B: Deref<Target = [u16]>> ByNumber<B> {
    /// The verdict on every call with this number and architecture, whatever its arguments; `None` if it depends on more.
    pub fn verdict(&self, nr: u32, arch: u32) -> Option<Verdict> {
        let first = ARCHES
            .iter()
            .position(|&known| known == arch)?
            .checked_mul(NUMBERED_CALLS)?;
        let nr = nr as usize;
        if nr >= NUMBERED_CALLS {
            return None;
        }
        decode(*self.places.get(first.checked_add(nr)?)?)
    }
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

const fn decode(place: u16) -> Option<Verdict> {
    match place {
        UNDECIDED => None,
        ALLOW => Some(Verdict::ALLOW),
        refused => Some(Verdict::errno(refused.saturating_sub(ERRNO))),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The two calls that reach the module, through either entry of the kernel.

use libc::{SYS_ioctl, SYS_prctl};
use uapi::control::{IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, PR_EVFILTER};

use crate::random::Random;
use crate::sys::{Ret, ia32, sys};

/// How the kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// By `syscall`.
    Native,
    /// By `int 0x80`: of each argument the kernel sees 32 bits.
    Ia32,
}

impl Entry {
    /// One of those that this kernel has.
    pub(super) fn any(random: &mut Random, ia32: bool) -> Entry {
        match ia32 && random.percent(30) {
            true => Entry::Ia32,
            false => Entry::Native,
        }
    }

    /// What becomes of an argument on the way in.
    pub(super) fn seen(self, argument: u64) -> u64 {
        match self {
            Entry::Native => argument,
            Entry::Ia32 => argument & 0xffff_ffff,
        }
    }

    /// `ioctl`.
    pub(super) fn ioctl(self, fd: i32, request: u32, argument: u64) -> Ret {
        match self {
            // The kernel ignores the upper halves of the first two.
            Entry::Native => sys!(SYS_ioctl, fd, u64::from(request) | 0x5a << 32, argument),
            Entry::Ia32 => ia32::call(54, [fd as u32, request, argument as u32, 0, 0, 0]),
        }
    }

    /// `prctl`.
    pub(super) fn prctl(self, option: u32, arguments: [u64; 4]) -> Ret {
        let [second, third, fourth, fifth] = arguments;
        match self {
            Entry::Native => sys!(
                SYS_prctl,
                u64::from(option) | 0xa5 << 32,
                second,
                third,
                fourth,
                fifth
            ),
            Entry::Ia32 => {
                let [second, third, fourth, fifth] = arguments.map(|argument| argument as u32);
                ia32::call(172, [option, second, third, fourth, fifth, 0])
            }
        }
    }
}

/// The number of a request: mostly one that is known.
pub(super) fn number(random: &mut Random) -> u32 {
    match random.below(20) {
        0..5 => IOC_INFO,
        5..11 => IOC_LOAD,
        11..16 => IOC_RESTRICT_SELF,
        16 => IOC_RESTRICT_SELF + 1 + random.below(250) as u32,
        // The same with a direction, with a size, or of another driver.
        17 => IOC_LOAD | random.pick(&[1, 2, 3]) << 30,
        18 => IOC_LOAD | random.pick(&[4, 16, 32, 0x3fff]) << 16,
        _ => random.number() as u32 | 0xff00,
    }
}

/// The option of a `prctl`: ours, or one that the kernel does not know.
pub(super) fn option(random: &mut Random) -> u32 {
    let ours = PR_EVFILTER as u32;
    match random.percent(80) {
        true => ours,
        false => ours ^ random.pick(&[1, 2, 0x20, 0x8000_0000, 0x0101]),
    }
}

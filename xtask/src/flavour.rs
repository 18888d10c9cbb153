// SPDX-License-Identifier: GPL-2.0

//! The kernels that the cache can have of one source, and all that differs between their guests.

use clap::ValueEnum;

use crate::debug::{self, Recipe};

/// Which kernel is built against and booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavour {
    /// Debian's own, as it is
    #[default]
    Stock,
    /// The same source under qemu/debug.config, with what finds misuse of memory, locks, counts and contexts; built when it is first
    /// asked for, which takes an hour on two processors
    Debug,
    /// The same source with what finds data races, in the module's code as in the kernel's own; built like the debug kernel
    Kcsan,
}

impl Flavour {
    /// How it is made of the stock kernel; not at all if it is that.
    pub(crate) fn recipe(self) -> Option<&'static Recipe> {
        match self {
            Self::Stock => None,
            Self::Debug => Some(&debug::KASAN),
            Self::Kcsan => Some(&debug::KCSAN),
        }
    }

    /// How many times the stock kernel's time everything may take: the factor of every limit, outside of the guest and inside.
    pub(crate) fn slowness(self) -> u32 {
        match self {
            Self::Stock => 1,
            Self::Debug | Self::Kcsan => 10,
        }
    }

    /// The guest's memory: shadows, quarantines and traces take most of what the debug kernels have more.
    pub(crate) fn memory(self) -> &'static str {
        match self {
            Self::Stock => "2G",
            Self::Debug | Self::Kcsan => "4G",
        }
    }

    /// Words for the kernel's command line, behind those of every guest: later ones win.
    pub(crate) fn append(self) -> &'static str {
        match self {
            Self::Stock => "",
            // On a busy host the emulated timer is too late for the kernel's check of it, which then panics.
            Self::Debug | Self::Kcsan => {
                "rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60 no_timer_check"
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A short while without preemption, in which no domain is freed: what the trampolines do too. An RCU read lock costs two calls of the kernel.

use core::arch::asm;
use core::marker::PhantomData;

extern "C" {
    /// `DECLARE_PER_CPU(int, __preempt_count)`
    static __preempt_count: core::ffi::c_int;
}

/// While there is one, the caller stays on its processor. For what is bounded and does not sleep.
pub(crate) struct Pinned(PhantomData<*const ()>);

impl Pinned {
    #[inline(always)]
    pub(crate) fn new() -> Pinned {
        // SAFETY: What `preempt_disable()` is; given back when the value is dropped, on the same processor.
        unsafe { asm!("inc dword ptr gs:[rip + {}]", sym __preempt_count, options(nostack)) };
        Pinned(PhantomData)
    }
}

impl Drop for Pinned {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: What `new` has taken. A wish to reschedule that came meanwhile is met on the way back to user space, or earlier.
        unsafe { asm!("dec dword ptr gs:[rip + {}]", sym __preempt_count, options(nostack)) };
    }
}

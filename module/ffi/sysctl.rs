// SPDX-License-Identifier: GPL-2.0
//! `/proc/sys/kernel/evfilter`.

use kernel::error::to_result;
use kernel::prelude::*;

extern "C" {
    fn evf_sysctl_register(security_sequence: u32) -> i32;
    fn evf_sysctl_unregister();
}

/// The files there; dropping it takes them away, and waits for readers.
pub(crate) struct Sysctl(());

impl Sysctl {
    /// Makes the files.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn register() -> Result<Sysctl> {
        // SAFETY: Called once, in the module's init.
        to_result(unsafe { evf_sysctl_register(uapi::control::SECURITY_SEQUENCE) })?;
        Ok(Sysctl(()))
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        // SAFETY: Pairs with `register`.
        unsafe { evf_sysctl_unregister() };
    }
}

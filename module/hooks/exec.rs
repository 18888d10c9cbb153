// SPDX-License-Identifier: GPL-2.0
//! The moment in which an exec has succeeded: layers that were pushed for it take hold.
//!
//! `security_bprm_committed_creds` is called behind the point of no return, with the new memory and credentials in place, the other threads gone and
//! io_uring cancelled, before the first instruction of the new program. What exec reads by name (the program, its interpreter) comes before it.
#![allow(unsafe_code)]

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{Answer, Trampoline};
use crate::task;

extern "C" {
    fn evf_tramp_committed_creds();
}

pub(super) const COMMITTED: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_bprm_committed_creds")],
    trampoline: Trampoline(evf_tramp_committed_creds),
    needed_by: Need::FILTERS,
};

/// void security_bprm_committed_creds(const struct linux_binprm *bprm), by a task with the mark.
#[no_mangle]
extern "C" fn evf_on_committed_creds() -> Answer {
    task::exec_succeeded();
    Answer::CONTINUE
}

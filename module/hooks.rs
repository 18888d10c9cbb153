// SPDX-License-Identifier: GPL-2.0
//! The attach points: which kernel function leads to which handler. All are attached, or none.

mod exec;
mod getname;
mod prctl;
mod ptrace;
mod syscall_enter;
mod task;

use core::ffi::CStr;

use kernel::prelude::*;
use kernel::sync::SetOnce;

use crate::ffi::{self, Trampoline};
use crate::symbol::{self, Functions};

/// A kernel function and what it is directed through.
struct AttachPoint {
    symbol: &'static CStr,
    trampoline: Trampoline,
}

/// In the order of attaching: the way in (`prctl`) comes last, when everything that it leads to is in place.
const ATTACH_POINTS: [AttachPoint; 10] = [
    task::ALLOC,
    task::WAKE_UP_NEW,
    task::FREE,
    syscall_enter::PERMIT,
    getname::USER,
    getname::KERNEL,
    exec::COMMITTED,
    ptrace::ACCESS_CHECK,
    ptrace::TRACEME,
    prctl::PRCTL,
];

/// Set when nothing can fail any more: until then nobody is let in, because an open descriptor does not keep a module whose init fails.
static OPEN: SetOnce<()> = SetOnce::new();

/// Lets tasks in; the last step of the module's init.
pub(crate) fn open() {
    OPEN.populate(());
}

/// Whether tasks are let in.
pub(crate) fn is_open() -> bool {
    OPEN.as_ref().is_some()
}

/// The attached hooks; dropping it detaches them.
pub(crate) struct Attached {
    /// How many of [`ATTACH_POINTS`], from the first.
    count: usize,
}

/// Attaches every hook, or none.
///
/// # Errors
///
/// `ENOENT` if a function is missing, `EBUSY` if somebody else directs it (a BPF trampoline) or ftrace is switched off, `EINVAL` if it cannot be
/// traced or a record does not fit its schema. One line in the kernel log names the cause.
pub(crate) fn attach() -> Result<Attached> {
    if !(syscall_enter::layout_agrees() && getname::layout_agrees()) {
        pr_err!("not loaded: the layout of a record differs from its schema\n");
        return Err(EINVAL);
    }
    Functions::find()?;
    let mut attached = Attached { count: 0 };
    for (index, point) in ATTACH_POINTS.iter().enumerate() {
        let function = symbol::find(point.symbol)?;
        ffi::hook(index, function, point.trampoline).inspect_err(|error| {
            let symbol = point.symbol;
            if *error == EBUSY {
                pr_err!("not loaded: {symbol:?} is taken by somebody else, or ftrace is off\n");
            } else {
                pr_err!("not loaded: {symbol:?} cannot be hooked: {error:?}\n");
            }
        })?;
        attached.count += 1;
    }
    Ok(attached)
}

impl Drop for Attached {
    fn drop(&mut self) {
        for (index, point) in ATTACH_POINTS.iter().enumerate().take(self.count).rev() {
            if ffi::unhook(index, point.trampoline).is_err() {
                pr_err!("{:?} cannot be released\n", point.symbol);
            }
        }
        ffi::quiesce();
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The hooks: which kernel functions lead to which handlers, and who needs them.

mod exec;
mod getname;
mod pick;
mod prctl;
mod ptrace;
mod receive;
mod scope;
mod shared;
mod syscall_enter;
mod task;
mod walk;

use filters::event::Event;
use filters::scope::Scopes;
use kernel::prelude::*;
use kernel::sync::SetOnce;

use crate::attach::{self, AttachPoint, Attached, Need};
use crate::object;
use crate::symbol::Functions;

/// In the order of attaching: what keeps tasks under their domains before what judges them, and the way in (`prctl`) at once with the module.
static ATTACH_POINTS: [AttachPoint; 19] = [
    task::ALLOC,
    task::WAKE_UP_NEW,
    task::FREE,
    syscall_enter::PERMIT,
    exec::COMMITTED,
    ptrace::ACCESS_CHECK,
    ptrace::TRACEME,
    getname::USER,
    getname::KERNEL,
    pick::LOOKUP,
    pick::AS_PATH,
    AttachPoint {
        hooks: pick::HOOKS,
        trampoline: shared::TRAMPOLINE,
        needed_by: Need::events(&[Event::VfsPick]),
    },
    walk::PERMISSION,
    AttachPoint {
        hooks: walk::HOOKS,
        trampoline: shared::TRAMPOLINE,
        needed_by: Need::events(&[Event::VfsWalk]),
    },
    AttachPoint {
        hooks: receive::HOOKS,
        trampoline: shared::TRAMPOLINE,
        needed_by: Need::events(&[Event::FdReceive]),
    },
    AttachPoint {
        hooks: scope::SIGNALS,
        trampoline: shared::TRAMPOLINE,
        needed_by: Need::scopes(Scopes::SIGNAL),
    },
    scope::SOCK_FREE,
    AttachPoint {
        hooks: scope::ABSTRACT,
        trampoline: shared::TRAMPOLINE,
        needed_by: Need::scopes(Scopes::ABSTRACT),
    },
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

/// Finds every function that a filter may need hooked, and hooks what the module itself needs.
///
/// # Errors
///
/// Those of [`attach::find`] and [`attach::need`], and `EINVAL` if a record does not fit its schema. One line in the kernel log names the cause.
pub(crate) fn attach() -> Result<Attached> {
    let layouts =
        syscall_enter::layout_agrees() && getname::layout_agrees() && object::layout_agrees();
    if !layouts {
        pr_err!("not loaded: the layout of a record differs from its schema\n");
        return Err(EINVAL);
    }
    Functions::find()?;
    attach::find(&ATTACH_POINTS)?;
    Attached::new()
}

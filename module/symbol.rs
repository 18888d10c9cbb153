// SPDX-License-Identifier: GPL-2.0
//! Kernel functions by name: which are needed, and which must not be used.

use core::ffi::CStr;

use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::SetOnce;

use crate::ffi::{self, Function};

/// Kernel functions that are called and not exported.
pub(crate) struct Functions {
    pub(crate) force_sig_seccomp: Function,
    pub(crate) ptrace_notify: Function,
}

static FUNCTIONS: SetOnce<Functions> = SetOnce::new();

impl Functions {
    /// The functions; `None` before [`Functions::find`], when no hook can ask.
    pub(crate) fn get() -> Option<&'static Functions> {
        FUNCTIONS.as_ref()
    }

    /// Finds them all, once, when the module is loaded.
    ///
    /// # Errors
    ///
    /// Those of [`find`].
    pub(crate) fn find() -> Result {
        ffi::find_kallsyms().inspect_err(|_| {
            pr_err!("not loaded: this kernel does not tell where its functions are (kallsyms)\n");
        })?;
        FUNCTIONS.populate(Functions {
            force_sig_seccomp: find(c"force_sig_seccomp")?,
            ptrace_notify: find(c"ptrace_notify")?,
        });
        ffi::set_mount_lock(find(c"mount_lock")?);
        Ok(())
    }
}

/// The kernel function of this name; the kernel log says why if there is none to be used.
///
/// # Errors
///
/// `ENOENT` if it is missing, `EOPNOTSUPP` if the compiler has made copies of it.
pub(crate) fn find(symbol: &CStr) -> Result<Function> {
    for suffix in CLONES {
        if ffi::function(&clone_of(symbol, suffix)?).is_ok() {
            pr_err!("not loaded: this kernel was built with copies of {symbol:?} ({suffix})\n");
            return Err(EOPNOTSUPP);
        }
    }
    ffi::function(symbol).inspect_err(|_| {
        pr_err!("not loaded: this kernel has no function {symbol:?}\n");
    })
}

/// The same for a function that is going to be hooked.
///
/// # Errors
///
/// Those of [`find`], and `EINVAL` if it cannot be traced.
pub(crate) fn find_traceable(symbol: &CStr) -> Result<Function> {
    let function = find(symbol)?;
    if function.is_traceable()? {
        return Ok(function);
    }
    pr_err!("not loaded: {symbol:?} cannot be traced in this kernel\n");
    Err(EINVAL)
}

/// Makes sure that each of `callers` calls `function`, instead of having a copy of it inside: what passes through there would not be judged.
///
/// # Errors
///
/// Those of [`find`], and `EOPNOTSUPP` if one does not.
pub(crate) fn expect_calls(callers: &[&CStr], symbol: &CStr, function: Function) -> Result {
    for caller in callers {
        if !find(caller)?.calls(function)? {
            pr_err!("not loaded: in this kernel {caller:?} does not call {symbol:?}\n");
            return Err(EOPNOTSUPP);
        }
    }
    Ok(())
}

/// What gcc appends to the names of the copies that it makes of a function. A call through a copy would pass by the hook.
const CLONES: [&str; 3] = [".constprop.0", ".isra.0", ".part.0"];

fn clone_of(symbol: &CStr, suffix: &str) -> Result<CString> {
    let name = symbol.to_str().map_err(|_| EINVAL)?;
    CString::try_from_fmt(fmt!("{name}{suffix}"))
}

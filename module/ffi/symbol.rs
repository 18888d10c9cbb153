// SPDX-License-Identifier: GPL-2.0
//! Kernel functions found by name: to hook them, or to call those that are not exported.

use core::ffi::CStr;

use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::{rcu, SetOnce};

extern "C" {
    fn evf_symbol(name: *const c_char) -> usize;
    fn evf_directed_to(find: usize, location: usize) -> usize;
    fn evf_log_taken(what: *const c_char, symbol: *const c_char, holder: usize);
    fn evf_log_unhooked(what: *const c_char, symbol: *const c_char, error: i32);
    fn evf_hooks_max() -> u32;
    fn evf_hook(index: u32, functions: *const usize, n: u32, trampoline: usize) -> i32;
    fn evf_unhook(index: u32, trampoline: usize) -> i32;
    fn evf_call(function: usize, a: usize, b: usize, c: usize, d: usize) -> isize;
    static mut evf_mount_lock: usize;
    fn evf_roots_init() -> i32;
    fn evf_roots_exit();
    fn synchronize_rcu_tasks();
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `find_kallsyms`, the first thing that the module's init does.
    unsafe(uninit) static ATTACHED: Mutex<u64> = 0;
}

/// Bit by number: which hooks are attached. Whoever holds the lock is the only one to attach or detach.
pub(crate) fn attached() -> impl core::ops::DerefMut<Target = u64> {
    ATTACHED.lock()
}

/// Address of a kernel function; it stays valid because the functions asked for are not in modules.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Function(usize);

/// What the functions asked for are found with. `kallsyms_lookup_name`, `ftrace_location`, `kallsyms_lookup_size_offset` and `ftrace_find_rec_direct` are not
/// exported.
static LOOKUP: SetOnce<Lookup> = SetOnce::new();

struct Lookup {
    kallsyms: Function,
    location: Function,
    size: Function,
    direct: Function,
}

/// Finds what functions are found with; once, before anything else.
///
/// # Errors
///
/// `ENOENT`.
pub(crate) fn find_kallsyms() -> Result {
    // SAFETY: Called once.
    unsafe { ATTACHED.init() };
    // SAFETY: NUL-terminated.
    let address = unsafe { evf_symbol(c"kallsyms_lookup_name".as_char_ptr()) };
    if address == 0 {
        return Err(ENOENT);
    }
    let kallsyms = Function(address);
    LOOKUP.populate(Lookup {
        kallsyms,
        location: kallsyms.lookup(c"ftrace_location")?,
        size: kallsyms.lookup(c"kallsyms_lookup_size_offset")?,
        direct: kallsyms.lookup(c"ftrace_find_rec_direct")?,
    });
    Ok(())
}

/// The kernel function of this name.
///
/// # Errors
///
/// `ENOENT` if there is none.
pub(crate) fn function(name: &CStr) -> Result<Function> {
    LOOKUP.as_ref().ok_or(ENOENT)?.kallsyms.lookup(name)
}

/// Bytes of the call that ftrace patches in.
const CALL_BYTES: usize = 5;

impl Function {
    /// No function.
    pub(crate) const NONE: Function = Function(0);

    /// `unsigned long kallsyms_lookup_name(const char *name)` on this function.
    fn lookup(self, name: &CStr) -> Result<Function> {
        // SAFETY: Only `kallsyms` of `LOOKUP` is called this way; `name` is NUL-terminated.
        match unsafe { evf_call(self.0, name.as_char_ptr() as usize, 0, 0, 0) } {
            0 => Err(ENOENT),
            address => Ok(Function(address as usize)),
        }
    }

    /// Whether ftrace can patch the function's entry.
    pub(crate) fn is_traceable(self) -> Result<bool> {
        Ok(self.location()? != 0)
    }

    /// Where the patched call at the function's entry returns to.
    pub(crate) fn site(self) -> Result<usize> {
        Ok(self.location()? + CALL_BYTES)
    }

    /// Where ftrace patches; 0 for nowhere.
    fn location(self) -> Result<usize> {
        let location = LOOKUP.as_ref().ok_or(ENOENT)?.location;
        // SAFETY: `unsigned long ftrace_location(unsigned long ip)`.
        Ok(unsafe { evf_call(location.0, self.0, 0, 0, 0) } as usize)
    }

    /// Who has the function: the code that ftrace leads its callers to, if there is any.
    pub(crate) fn holder(self) -> Result<Option<Holder>> {
        let direct = LOOKUP.as_ref().ok_or(ENOENT)?.direct;
        // SAFETY: `unsigned long ftrace_find_rec_direct(unsigned long ip)`. Its table is replaced as a whole, and goes when every task has slept once. Only single
        // entries that a module takes out by `unregister_ftrace_direct` go at once: ours do not, because the caller holds the lock of `attached`, and from others'
        // the kernel's own readers (`call_direct_funcs`) are no better protected.
        let holder = unsafe { evf_directed_to(direct.0, self.location()?) };
        Ok((holder != 0).then_some(Holder(holder)))
    }

    /// Bytes of the function.
    fn size(self) -> Result<usize> {
        let size = LOOKUP.as_ref().ok_or(ENOENT)?.size;
        let (mut bytes, mut offset) = (0usize, 0usize);
        // SAFETY: `int kallsyms_lookup_size_offset(unsigned long addr, unsigned long *symbolsize, unsigned long *offset)`.
        let found = unsafe {
            evf_call(
                size.0,
                self.0,
                &raw mut bytes as usize,
                &raw mut offset as usize,
                0,
            )
        };
        if found as i32 == 0 || offset != 0 {
            return Err(ENOENT);
        }
        Ok(bytes)
    }

    /// Whether the function calls `callee` or jumps there. Bytes in the middle of an instruction that look like that are not told apart; they would have to hold
    /// the one right distance.
    pub(crate) fn calls(self, callee: Function) -> Result<bool> {
        const CALL: u8 = 0xe8;
        const JUMP: u8 = 0xe9;
        const SHORT_JUMP: u8 = 0xeb;
        // Where calls are counted (CALL_DEPTH_TRACKING) they lead to the padding in front of a function.
        const PADDING: usize = 16;
        let size = self.size()?;
        // SAFETY: The kernel's text stays and can be read, behind the last function too; what is patched meanwhile is not what is looked for.
        let byte = |at: usize| unsafe { ((self.0 + at) as *const u8).read_volatile() };
        Ok((0..size).any(|at| {
            let (length, distance) = match byte(at) {
                CALL | JUMP => {
                    let distance = [1, 2, 3, 4].map(|more| byte(at + more));
                    (5, i32::from_le_bytes(distance) as isize)
                }
                SHORT_JUMP => (2, isize::from(byte(at + 1) as i8)),
                _ => return false,
            };
            let target = (self.0 + at + length).wrapping_add_signed(distance);
            callee.0.wrapping_sub(target) <= PADDING
        }))
    }

    /// `int force_sig_seccomp(int syscall, int reason, bool force_coredump)` on this function.
    pub(crate) fn force_sig_seccomp(self, nr: u32, reason: u16, force_coredump: bool) {
        // SAFETY: `symbol::Functions::find` gives the address of `force_sig_seccomp` to this call and no other.
        unsafe {
            evf_call(
                self.0,
                nr as usize,
                usize::from(reason),
                usize::from(force_coredump),
                0,
            )
        };
    }

    /// `int ptrace_notify(int exit_code, unsigned long message)` on this function, for PTRACE_EVENT_SECCOMP: stops the caller until its tracer lets
    /// it go on.
    pub(crate) fn ptrace_notify_seccomp(self, message: u16) {
        let code = bindings::PTRACE_EVENT_SECCOMP << 8 | bindings::SIGTRAP;
        // SAFETY: `symbol::Functions::find` gives the address of `ptrace_notify` to this call and no other. Called from the hook in the syscall
        // entry, where seccomp does the same: in process context, without locks.
        unsafe { evf_call(self.0, code as usize, usize::from(message), 0, 0) };
    }
}

/// Tells the C files where the kernel's `mount_lock` is, before any hook can ask for it.
pub(crate) fn set_mount_lock(lock: Function) {
    // SAFETY: Called once, by the module's init, and read by nobody before.
    unsafe { evf_mount_lock = lock.0 };
}

/// Code that `register_ftrace_direct` may be given: a trampoline of trampoline.S.
#[derive(Clone, Copy)]
pub(crate) struct Trampoline(pub(crate) unsafe extern "C" fn());

/// Numbers that [`hook`] takes.
pub(crate) fn hooks_max() -> usize {
    // SAFETY: No requirements.
    let max = unsafe { evf_hooks_max() } as usize;
    max.min(u64::BITS as usize)
}

/// Directs all `functions` through `trampoline`, as hook number `index`, or none.
pub(crate) fn hook(index: usize, functions: &[Function], trampoline: Trampoline) -> Result {
    // SAFETY: A trampoline keeps to the calling convention of a patched function entry. The addresses are only read, and are as many as we say.
    to_result(unsafe {
        evf_hook(
            index as u32,
            functions.as_ptr().cast(),
            functions.len() as u32,
            trampoline.0 as usize,
        )
    })
}

/// Code of somebody else that callers of a function are led to.
#[derive(Clone, Copy)]
pub(crate) struct Holder(usize);

/// Says in the kernel log, at most a few times a second, that `symbol` cannot be hooked because of `holder`. `what` is what cannot be done therefore.
pub(crate) fn log_taken(what: &CStr, symbol: &CStr, holder: Holder) {
    // SAFETY: Both strings are NUL-terminated. The address is only looked up.
    unsafe { evf_log_taken(what.as_char_ptr(), symbol.as_char_ptr(), holder.0) };
}

/// The same, where nobody is seen to have `symbol`.
pub(crate) fn log_unhooked(what: &CStr, symbol: &CStr, error: Error) {
    // SAFETY: Both strings are NUL-terminated.
    unsafe { evf_log_unhooked(what.as_char_ptr(), symbol.as_char_ptr(), error.to_errno()) };
}

/// Undoes [`hook`].
pub(crate) fn unhook(index: usize, trampoline: Trampoline) -> Result {
    // SAFETY: The hook was registered with this trampoline.
    to_result(unsafe { evf_unhook(index as u32, trampoline.0 as usize) })
}

/// After the last [`unhook`]: waits until no task is inside a trampoline and no slot waits to be freed.
pub(crate) fn quiesce() {
    // SAFETY: Called in the module's exit, which may sleep.
    unsafe { synchronize_rcu_tasks() };
    rcu::rcu_barrier();
}

/// What the roots of layers need to be given up; dropped when no domain is left.
pub(crate) struct Roots(());

impl Roots {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Roots> {
        // SAFETY: Called once, by the module's init.
        to_result(unsafe { evf_roots_init() }).map(|()| Roots(()))
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        // SAFETY: Pairs with `new`. The hooks are gone and `quiesce` has run: no domain is left to give up a root.
        unsafe { evf_roots_exit() };
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The edge to C: everything `unsafe` that is not the entry of a hook.
//!
//! Safe functions and types here keep these rules, named in the SAFETY arguments:
//!
//! - **Current**: `current` is a valid task for as long as code runs in it.
//! - **Slot**: a slot of the task table owns one reference to its domain, given up in [`evf_domain_put`] after a grace period. What
//!   [`domain_of`] returns is therefore alive while the RCU read lock is held.
//! - **Filter**: a filter descriptor owns one reference to its filter, given up when the file is released.
#![allow(unsafe_code)]

use core::ffi::CStr;
use core::ptr::{self, NonNull};

use kernel::alloc::KVec;
use kernel::bindings;
use kernel::error::{to_result, Result};
use kernel::prelude::*;
use kernel::sync::{rcu, Arc, ArcBorrow};

use crate::domain::Domain;
use crate::filter::Filter;

/// A task that the kernel keeps alive while we look at it: `current`, the argument of a hook, or one that we hold a reference to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task(NonNull<bindings::task_struct>);

/// What the handler of a guard answers; see `EVF_GUARD` in trampoline.S.
#[repr(C)]
pub(crate) struct Answer {
    refuse: usize,
    value: usize,
}

impl Answer {
    /// Go on into the hooked function.
    pub(crate) const CONTINUE: Answer = Answer {
        refuse: 0,
        value: 0,
    };

    /// Return `value` to the caller in place of the hooked function.
    pub(crate) const fn refuse(value: isize) -> Answer {
        Answer {
            refuse: 1,
            value: value as usize,
        }
    }
}

/// `struct seccomp_data` as words, the head of every record. `N` is the length of the whole record.
#[repr(C, align(8))]
pub(crate) struct Words<const N: usize>(pub(crate) [u32; N]);

#[repr(C)]
struct Slot {
    _opaque: [u8; 0],
}

extern "C" {
    fn evf_domain_of(task: *const bindings::task_struct) -> *const Domain;
    fn evf_slot_new(domain: *const Domain, must: bool) -> *mut Slot;
    fn evf_slot_set(task: *mut bindings::task_struct, slot: *mut Slot);
    fn evf_user_workers(workers: *mut *mut bindings::task_struct, max: u32) -> u32;
    fn evf_no_new_privs() -> bool;
    fn evf_seccomp_data(data: *mut u32);
    fn evf_syscall_result(errno: i32);
    fn evf_log(event: *const u8, layer: u32, verdict: u32, nr: i32);
    fn evf_name(name: *const bindings::filename) -> *const c_char;
    fn evf_symbol(name: *const c_char) -> usize;
    fn evf_hook(index: u32, function: usize, trampoline: usize) -> i32;
    fn evf_unhook(index: u32, trampoline: usize) -> i32;
    fn evf_call(function: usize, a: usize, b: usize, c: usize) -> isize;

    static evf_lookup_empty: u32;

    fn synchronize_rcu_tasks();
    fn anon_inode_getfd(
        name: *const c_char,
        fops: *const bindings::file_operations,
        private: *mut c_void,
        flags: i32,
    ) -> i32;
}

kernel::sync::global_lock! {
    // SAFETY: Initialised by `init` before the first hook can run, in the module's init.
    /// Serialises those who change the domains of tasks that exist: RESTRICT_SELF, and a creator that was restricted while it created.
    pub(crate) unsafe(uninit) static ATTACH: Mutex<()> = ();
}

/// Must be called once, first of all.
///
/// # Safety
///
/// Only from the module's init.
pub(crate) unsafe fn init() {
    // SAFETY: Called once.
    unsafe { ATTACH.init() };
}

impl Task {
    /// The calling task.
    pub(crate) fn current() -> Task {
        // SAFETY: Current.
        Task(unsafe { NonNull::new_unchecked(kernel::task::Task::current_raw()) })
    }

    /// # Safety
    ///
    /// `task` must be a valid task for as long as the value is used.
    pub(crate) unsafe fn from_raw(task: *mut bindings::task_struct) -> Option<Task> {
        NonNull::new(task).map(Task)
    }

    pub(crate) fn as_ptr(self) -> *mut bindings::task_struct {
        self.0.as_ptr()
    }

    fn flags(self) -> u32 {
        // SAFETY: The task is valid; `flags` of another task may change under us, a torn read is not possible.
        unsafe { ptr::addr_of!((*self.as_ptr()).flags).read_volatile() }
    }

    /// Whether the kernel runs this thread on behalf of a process (io_uring worker, SQPOLL, vhost); it enters no system calls.
    pub(crate) fn is_user_worker(self) -> bool {
        self.flags() & (bindings::PF_USER_WORKER | bindings::PF_IO_WORKER) != 0
    }
}

/// A worker thread of the caller's process, kept alive by a reference.
pub(crate) struct Worker(NonNull<bindings::task_struct>);

impl Worker {
    pub(crate) fn task(&self) -> Task {
        Task(self.0)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: Made in `user_workers` from a task with a reference of its own.
        unsafe { bindings::put_task_struct(self.0.as_ptr()) };
    }
}

/// The threads that the kernel runs for the caller's process.
pub(crate) fn user_workers() -> Result<KVec<Worker>> {
    let mut room = 16;
    loop {
        let mut found = KVec::from_elem(ptr::null_mut(), room, GFP_KERNEL)?;
        let mut workers = KVec::with_capacity(room, GFP_KERNEL)?;
        // SAFETY: `found` has `room` places.
        let n = unsafe { evf_user_workers(found.as_mut_ptr(), room as u32) } as usize;
        for task in found.iter().take(n) {
            if let Some(task) = NonNull::new(*task) {
                workers.push(Worker(task), GFP_KERNEL)?;
            }
        }
        if n <= room {
            return Ok(workers);
        }
        room = n.saturating_add(16);
    }
}

/// The domain of `task`, which the caller holds the RCU read lock to look at.
pub(crate) fn domain_of<'r>(task: Task, _rcu: &'r rcu::Guard) -> Option<ArcBorrow<'r, Domain>> {
    // SAFETY: The RCU read lock is held.
    let domain = unsafe { evf_domain_of(task.as_ptr()) };
    if domain.is_null() {
        return None;
    }
    // SAFETY: Slot: the pointer came from `Arc::into_raw` and is alive until the read lock is given back.
    Some(unsafe { ArcBorrow::from_raw(domain) })
}

/// A slot made and not yet given to a task. Making it is the part that can fail.
pub(crate) struct NewSlot {
    slot: NonNull<Slot>,
    domain: *const Domain,
}

impl NewSlot {
    /// A slot that holds `domain`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, never if `must` is set: the allocation then waits.
    pub(crate) fn new(domain: Arc<Domain>, must: bool) -> Result<NewSlot> {
        let domain = domain.into_raw();
        // SAFETY: Slot: the slot takes over the reference.
        let slot = unsafe { evf_slot_new(domain, must) };
        match NonNull::new(slot) {
            Some(slot) => Ok(NewSlot { slot, domain }),
            None => {
                // SAFETY: Nobody took the reference that `into_raw` gave.
                drop(unsafe { Arc::from_raw(domain) });
                Err(ENOMEM)
            }
        }
    }

    /// Puts `task` under the slot's domain; from here on its events are judged by it.
    pub(crate) fn give_to(self, task: Task) {
        // SAFETY: The task is valid and the slot is ours to give.
        unsafe { evf_slot_set(task.as_ptr(), self.slot.as_ptr()) };
        core::mem::forget(self);
    }
}

impl Drop for NewSlot {
    fn drop(&mut self) {
        // SAFETY: The slot came from kmalloc, no task was given it, and with it goes the reference that it owned.
        unsafe {
            bindings::kfree(self.slot.as_ptr().cast());
            drop(Arc::from_raw(self.domain));
        }
    }
}

/// Takes the slot of a task that is being freed.
pub(crate) fn forget_task(task: Task) {
    // SAFETY: The task is valid for the duration of the hook that calls us.
    unsafe { evf_slot_set(task.as_ptr(), ptr::null_mut()) };
}

/// Called by the shim, after a grace period, when a slot is freed.
#[no_mangle]
extern "C" fn evf_domain_put(domain: *const Domain) {
    // SAFETY: Slot: this is the reference that the slot owned.
    drop(unsafe { Arc::from_raw(domain) });
}

/// A full memory barrier.
pub(crate) fn barrier() {
    kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
}

const fn this_module() -> *mut bindings::module {
    kernel::module::this_module::<crate::Evfilter>().as_ptr()
}

/// A reference to this module: while one exists it cannot be unloaded.
pub(crate) struct ModulePin(());

impl ModulePin {
    /// For a caller that is already keeping the module loaded, by an open descriptor or a pin of its own.
    pub(crate) fn new() -> ModulePin {
        // SAFETY: The caller keeps the module from going.
        unsafe { bindings::__module_get(this_module()) };
        ModulePin(())
    }

    /// For a caller that nothing keeps the module loaded for; `None` if it is on its way out.
    pub(crate) fn try_new() -> Option<ModulePin> {
        // SAFETY: Runs in the module's text, which `rmmod` frees only after a grace period for the hook that led here.
        unsafe { bindings::try_module_get(this_module()) }.then_some(ModulePin(()))
    }
}

impl Drop for ModulePin {
    fn drop(&mut self) {
        // SAFETY: Pairs with the constructors. The text that runs after this is covered by `quiesce`.
        unsafe { bindings::module_put(this_module()) };
    }
}

/// Whether the caller may restrict itself: it has no_new_privs or, in its user namespace, CAP_SYS_ADMIN.
pub(crate) fn may_restrict() -> bool {
    // SAFETY: Current. Its credentials do not change while it is here, and they hold its user namespace.
    unsafe {
        evf_no_new_privs() || {
            let cred = (*Task::current().as_ptr()).cred;
            bindings::ns_capable_noaudit((*cred).user_ns, bindings::CAP_SYS_ADMIN as c_int)
        }
    }
}

/// The system call in progress, as the head of a record of `N` words, the rest of which is zero.
pub(crate) fn record_words<const N: usize>() -> Words<N> {
    const { assert!(N >= 16) };
    let mut words = Words([0; N]);
    words.0[0] = u32::MAX;
    // SAFETY: `words` has room for a `struct seccomp_data` (16 words) and its alignment.
    unsafe { evf_seccomp_data(words.0.as_mut_ptr()) };
    words
}

/// Whether the caller also uses seccomp.
pub(crate) fn seccomp_in_use() -> bool {
    // SAFETY: Current.
    unsafe { (*Task::current().as_ptr()).seccomp.mode != 0 }
}

/// Makes the refused system call return `-errno`.
pub(crate) fn return_errno(errno: u16) {
    // SAFETY: Called from the hook in the syscall entry, where the registers are those of the call.
    unsafe { evf_syscall_result(i32::from(errno)) };
}

/// Makes the refused system call leave the registers as they were.
pub(crate) fn roll_back() {
    // SAFETY: As in `return_errno`.
    unsafe { evf_syscall_result(-1) };
}

/// Whether the caller is the last thread of its process that runs.
pub(crate) fn is_last_thread() -> bool {
    // SAFETY: Current; its signal struct lives as long as it does.
    unsafe { ptr::addr_of!((*(*Task::current().as_ptr()).signal).live.counter).read_volatile() == 1 }
}

/// Kills the caller's process with SIGKILL.
pub(crate) fn kill_process() {
    // SAFETY: Current; the leader's pid lives as long as its thread group.
    unsafe {
        let leader = (*Task::current().as_ptr()).group_leader;
        bindings::kill_pid((*leader).thread_pid, bindings::SIGKILL as c_int, 1);
    }
}

/// Ends the calling thread as by SIGSYS.
pub(crate) fn exit_thread() -> ! {
    // SAFETY: Called in process context from the syscall entry, without locks. The frames left behind own nothing.
    unsafe { bindings::do_exit(bindings::SIGSYS as c_long) }
}

/// Logs an event, at most a few a second.
pub(crate) fn log(event: &CStr, layer: u32, verdict: u32, nr: u32) {
    // SAFETY: `event` is NUL-terminated.
    unsafe { evf_log(event.as_ptr().cast(), layer, verdict, nr as i32) };
}

/// Address of a kernel function; it stays valid because the functions asked for are not in modules.
#[derive(Clone, Copy)]
pub(crate) struct Function(usize);

/// The kernel function of this name.
///
/// # Errors
///
/// `ENOENT` if there is none, or none that a probe can be placed on.
pub(crate) fn function(name: &CStr) -> Result<Function> {
    // SAFETY: `name` is NUL-terminated.
    match unsafe { evf_symbol(name.as_ptr().cast()) } {
        0 => Err(ENOENT),
        address => Ok(Function(address)),
    }
}

impl Function {
    /// `int force_sig_seccomp(int syscall, int reason, bool force_coredump)` on this function.
    pub(crate) fn force_sig_seccomp(self, nr: u32, reason: u16, force_coredump: bool) {
        // SAFETY: `kernel_functions` gives the address of `force_sig_seccomp` to this call and no other.
        unsafe {
            evf_call(
                self.0,
                nr as usize,
                usize::from(reason),
                usize::from(force_coredump),
            )
        };
    }

    /// `void security_task_free(struct task_struct *task)` on this function.
    pub(crate) fn security_task_free(self, task: Task) {
        // SAFETY: `kernel_functions` gives the address of `security_task_free` to this call and no other; the task is one whose
        // security_task_alloc has just succeeded and of which the caller, copy_process, will hear that it has failed.
        unsafe { evf_call(self.0, task.as_ptr() as usize, 0, 0) };
    }
}

/// Code that `register_ftrace_direct` may be given: a trampoline of trampoline.S.
#[derive(Clone, Copy)]
pub(crate) struct Trampoline(pub(crate) unsafe extern "C" fn());

/// Directs `function` through `trampoline`, as hook number `index`.
pub(crate) fn hook(index: usize, function: Function, trampoline: Trampoline) -> Result {
    // SAFETY: A trampoline keeps to the calling convention of a patched function entry.
    to_result(unsafe { evf_hook(index as u32, function.0, trampoline.0 as usize) })
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

/// Whether the `LOOKUP_*` flags say that an empty name is accepted.
pub(crate) fn accepts_empty(flags: u32) -> bool {
    // SAFETY: A constant of the shim.
    flags & unsafe { evf_lookup_empty } != 0
}

/// A `struct filename` that the kernel has just made, or the error in its place.
#[derive(Clone, Copy)]
pub(crate) struct Filename(pub(crate) *mut bindings::filename);

impl Filename {
    /// The error in its place.
    pub(crate) fn from_errno(errno: u16) -> Filename {
        Filename(Error::from_errno(-i32::from(errno)).to_ptr())
    }

    /// The name; `None` for an error.
    ///
    /// # Safety
    ///
    /// The value must be what `do_getname` or `do_getname_kernel` returned, and not yet given to anybody.
    pub(crate) unsafe fn bytes(&self) -> Option<&[u8]> {
        if self.0.is_null() || kernel::error::from_err_ptr(self.0).is_err() {
            return None;
        }
        // SAFETY: `name` of a valid filename is NUL-terminated (it may point behind the struct: names longer than EMBEDDED_NAME_MAX) and
        // nobody else has the pointer yet.
        let name = unsafe { CStr::from_ptr(evf_name(self.0).cast()) };
        Some(name.to_bytes())
    }

    /// Frees the name.
    ///
    /// # Safety
    ///
    /// As for `bytes`; the name must not be used afterwards.
    pub(crate) unsafe fn put(self) {
        // SAFETY: Ours to put.
        unsafe { bindings::putname(self.0) };
    }
}

/// `file_operations` that may be shared.
#[repr(transparent)]
struct Fops(bindings::file_operations);

// SAFETY: Never written after it was made.
unsafe impl Sync for Fops {}

static CONTROL_FOPS: Fops = Fops(bindings::file_operations {
    owner: this_module(),
    unlocked_ioctl: Some(control_ioctl),
    compat_ioctl: Some(control_ioctl),
    ..pin_init::zeroed()
});

static FILTER_FOPS: Fops = Fops(bindings::file_operations {
    owner: this_module(),
    release: Some(filter_release),
    ..pin_init::zeroed()
});

/// All pointers in our arguments are 64-bit numbers in a struct, so a 32-bit caller needs no translation; the address of that struct
/// itself arrives as a zero-extended number.
unsafe extern "C" fn control_ioctl(_file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    kernel::error::from_result(|| crate::control::ioctl(cmd, arg).map(|value| value as c_long))
}

unsafe extern "C" fn filter_release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: Filter: `private_data` is the reference that the descriptor owned.
    drop(unsafe { Arc::from_raw((*file).private_data.cast::<Filter>()) });
    0
}

/// A new control descriptor of the caller.
pub(crate) fn control_fd() -> Result<i32> {
    new_fd(c"[evfilter]", &CONTROL_FOPS, ptr::null_mut())
}

/// A new descriptor of the caller for `filter`.
pub(crate) fn filter_fd(filter: Arc<Filter>) -> Result<i32> {
    let filter = filter.into_raw();
    let fd = new_fd(c"[evfilter-filter]", &FILTER_FOPS, filter.cast_mut().cast());
    if fd.is_err() {
        // SAFETY: No file took the reference.
        drop(unsafe { Arc::from_raw(filter) });
    }
    fd
}

fn new_fd(name: &'static CStr, fops: &'static Fops, private: *mut c_void) -> Result<i32> {
    let flags = bindings::O_RDWR | bindings::O_CLOEXEC;
    // SAFETY: Name and operations are static.
    let fd = unsafe { anon_inode_getfd(name.as_ptr().cast(), &fops.0, private, flags as i32) };
    to_result(fd.min(0)).map(|()| fd)
}

/// The filter behind a descriptor of the caller.
///
/// # Errors
///
/// `EBADF` if it is no descriptor, `EBADFD` if it is none of a filter.
pub(crate) fn filter_of_fd(fd: i32) -> Result<Arc<Filter>> {
    let file = u32::try_from(fd)
        .ok()
        .and_then(|fd| kernel::fs::file::LocalFile::fget(fd).ok())
        .ok_or(EBADF)?;
    // SAFETY: The file is valid while `file` holds it. One with our operations was made by `filter_fd`; the reference that it owns lasts as
    // long as the file, and the new one is taken from it.
    unsafe {
        let raw = file.as_ptr();
        if !ptr::eq((*raw).f_op, &FILTER_FOPS.0) {
            return Err(Error::from_errno(-(bindings::EBADFD as i32)));
        }
        Ok(ArcBorrow::from_raw((*raw).private_data.cast::<Filter>().cast_const()).into())
    }
}

/// The device node. It must not move: the kernel links it into a list.
#[pin_data(PinnedDrop)]
pub(crate) struct Device {
    #[pin]
    misc: kernel::types::Opaque<bindings::miscdevice>,
}

// SAFETY: Registered once, taken away once.
unsafe impl Send for Device {}
// SAFETY: Nothing can be done with a shared one.
unsafe impl Sync for Device {}

impl Device {
    /// Registers `/dev/evfilter`, which everyone may open: the descriptor gives no rights over anybody but the caller.
    pub(crate) fn register() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            misc <- kernel::types::Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
                let mut misc: bindings::miscdevice = pin_init::zeroed();
                misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                misc.name = c"evfilter".as_ptr().cast();
                misc.fops = &CONTROL_FOPS.0;
                misc.mode = 0o666;
                // SAFETY: `slot` is valid for a write and will not move.
                unsafe {
                    slot.write(misc);
                    to_result(bindings::misc_register(slot))
                }
            }),
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for Device {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by `register`.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

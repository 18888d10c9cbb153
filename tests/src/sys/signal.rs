// SPDX-License-Identifier: GPL-2.0
//! SIGSYS as a process sees it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Words that [`caught`] gives: number of signals, si_signo, si_errno, si_code, si_call_addr, si_syscall, si_arch, and rax of the interrupted code.
pub const WORDS: usize = 8;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LAST: [AtomicI64; WORDS] = [const { AtomicI64::new(0) }; WORDS];

/// The head of `siginfo_t` and its `_sigsys` member.
#[repr(C)]
struct SigSys {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    call_addr: u64,
    syscall: i32,
    arch: u32,
}

extern "C" fn note(_signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a whole siginfo_t (128 bytes), of which SigSys is the head, and a ucontext_t.
    let (info, context) = unsafe {
        (
            &*info.cast::<SigSys>(),
            &*context.cast::<libc::ucontext_t>(),
        )
    };
    let count = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    let words = [
        count as i64,
        i64::from(info.signo),
        i64::from(info.errno),
        i64::from(info.code),
        info.call_addr as i64,
        i64::from(info.syscall),
        i64::from(info.arch),
        context.uc_mcontext.gregs[libc::REG_RAX as usize],
    ];
    for (slot, word) in LAST.iter().zip(words) {
        slot.store(word, Ordering::SeqCst);
    }
}

/// Catches SIGSYS from now on.
pub fn catch_sigsys() {
    handle(libc::SIGSYS, note as *const () as usize, libc::SA_SIGINFO);
}

/// Upper half of what a call returns that has raised SIGSYS, after [`answer_sigsys`]; the lower half is the filter's number.
pub const TRAPPED: u64 = 0x7ee1_0000_0000;

extern "C" fn answer(_signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as for `note`; nobody else has these while the handler runs.
    unsafe {
        let errno = (*info.cast::<SigSys>()).errno;
        let context = &mut *context.cast::<libc::ucontext_t>();
        context.uc_mcontext.gregs[libc::REG_RAX as usize] =
            (TRAPPED | u64::from(errno as u32)) as i64;
    }
}

/// From now on a call that raises SIGSYS returns [`TRAPPED`] and the number that the filter gave, in whichever thread it is made.
pub fn answer_sigsys() {
    handle(libc::SIGSYS, answer as *const () as usize, libc::SA_SIGINFO);
}

static COUNTED: AtomicUsize = AtomicUsize::new(0);
static INTERRUPTED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn add(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext_t.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let register = |at: i32| registers[at as usize];
    // The instruction that enters the kernel leaves its return address in rcx.
    if register(libc::REG_RCX) == register(libc::REG_RIP) {
        INTERRUPTED.store(register(libc::REG_RSI) as usize, Ordering::SeqCst);
    }
    COUNTED.fetch_add(1, Ordering::SeqCst);
}

/// Counts a signal from now on, with `flags` of sigaction(2): SA_RESTART or none.
pub fn count(signal: i32, flags: i32) {
    let flags = flags | libc::SA_SIGINFO;
    handle(signal, add as *const () as usize, flags);
}

/// The second argument of the system call during which the last counted signal has come; 0 if none has come during one since this was asked.
pub fn interrupted() -> usize {
    INTERRUPTED.swap(0, Ordering::SeqCst)
}

/// How many signals [`count`] has counted in this process.
pub fn counted() -> usize {
    COUNTED.load(Ordering::SeqCst)
}

fn handle(signal: i32, function: usize, flags: i32) {
    // SAFETY: zero is a valid sigaction; the functions given store to atomics, or to what the kernel hands them.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = function;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    assert_eq!(done, 0, "sigaction");
}

/// `struct kernel_sigaction` of `arch/x86/include/uapi/asm/signal.h`.
#[repr(C)]
struct KernelAction {
    action: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void),
    flags: u64,
    restorer: extern "C" fn(),
    mask: u64,
}

/// Returns from a signal handler. If the kernel refuses that, the process ends by SIGILL instead of running on into whatever comes next.
// SAFETY: the kernel jumps here by a return from the handler, with the stack as rt_sigreturn wants it; there is no way back to Rust.
#[unsafe(naked)]
extern "C" fn return_or_die() {
    std::arch::naked_asm!("mov eax, {nr}", "syscall", "ud2", nr = const libc::SYS_rt_sigreturn)
}

/// Catches SIGSYS from now on, also where the policy refuses the return from the handler.
pub fn catch_sigsys_or_die() {
    // SA_SIGINFO, and SA_RESTORER, which the C library keeps for itself.
    let action = KernelAction {
        action: note,
        flags: 0x0400_0004,
        restorer: return_or_die,
        mask: 0,
    };
    let done = crate::sys::sys!(
        libc::SYS_rt_sigaction,
        libc::SIGSYS,
        &raw const action,
        0,
        8
    );
    assert_eq!(done, Ok(0), "rt_sigaction");
}

/// Ends the process by SIGILL, without a system call.
pub fn illegal() -> ! {
    // SAFETY: the instruction does nothing but fault.
    unsafe { std::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// What the last SIGSYS said; all zero if there was none.
pub fn caught() -> [i64; WORDS] {
    std::array::from_fn(|at| LAST[at].load(Ordering::SeqCst))
}

/// Sets a signal to be ignored.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code.
    let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
    assert_ne!(old, libc::SIG_ERR);
}

/// Blocks a signal in the calling thread.
pub fn block(signal: i32) {
    let set = 1u64 << (signal - 1);
    let done = crate::sys::sys!(
        libc::SYS_rt_sigprocmask,
        libc::SIG_BLOCK,
        &raw const set,
        0,
        8
    );
    assert_eq!(done, Ok(0));
}

/// Lets a reader that has seen enough end the caller quietly, as it ends other programs; Rust's runtime would make a panic of it.
pub fn end_with_the_reader() {
    // SAFETY: sets a disposition of the system's own, before there are other threads.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

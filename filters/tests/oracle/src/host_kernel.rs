// SPDX-License-Identifier: GPL-2.0
//! The kernel that the tests run on, asked for its own opinion: seccomp filters are installed in child processes and watched.
//!
//! A child installs, calls, and writes down what it saw in memory shared with its parent; it uses system calls only, as a forked child of
//! a threaded program must. Its filters end with it.

use std::io;
use std::mem;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use filters::insn::Insn;

/// `AUDIT_ARCH_X86_64`.
pub const ARCH: u32 = 0xc000_003e;

/// System calls that ignore their arguments, do nothing and never return 0: getpid, getppid, gettid.
pub const CALLS: [u32; 3] = [39, 110, 186];

/// What a call under the filters came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The system call ran.
    Ran,
    /// It did not; this is what it returned (0 or a negative errno).
    Refused(i64),
    /// SIGSYS with this `si_errno`.
    Trapped(u32),
    /// The process was killed by SIGSYS.
    Killed,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Number, one of [`CALLS`].
    pub nr: u32,
    /// Argument registers.
    pub args: [u64; 6],
}

impl Call {
    /// The words of the call's `struct seccomp_data`, once it is known where the system call instruction lies.
    pub fn record(&self, instruction_pointer: u64) -> Vec<u32> {
        let mut words = vec![self.nr, ARCH];
        for long in [instruction_pointer].iter().chain(&self.args) {
            words.extend([*long as u32, (*long >> 32) as u32]);
        }
        words
    }
}

/// What a child saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// One entry a call, up to the one that killed the child.
    pub seen: Vec<Seen>,
    /// The instruction pointer that filters were shown.
    pub instruction_pointer: u64,
}

/// Whether this host lets a process install seccomp filters.
///
/// # Errors
///
/// A sentence that says why not.
pub fn available() -> Result<(), String> {
    if cfg!(miri) {
        return Err("an interpreter of the program has no kernel of its own to ask".into());
    }
    let call = Call {
        nr: CALLS[1],
        args: [0; 6],
    };
    let refuse = vec![Insn::stmt(0x06, 0x0005_0000 | 123)];
    let report = observe(&[refuse], &[call])?;
    match report.seen[..] {
        [Seen::Refused(-123)] => Ok(()),
        ref other => Err(format!(
            "a filter that refuses with errno 123 gave {other:?}"
        )),
    }
}

/// Runs `calls` under `layers`, oldest first, in a child.
///
/// Before each layer stands a prologue that lets every other system call pass, so that the child can go on and report.
///
/// # Errors
///
/// A sentence that says which step the host refused.
pub fn observe(layers: &[Vec<Insn>], calls: &[Call]) -> Result<Report, String> {
    let programs: Vec<Vec<u64>> = layers.iter().map(|layer| encode(&guarded(layer))).collect();
    // Two slots a call: kind and value; then the error of the installation and the instruction pointer.
    let shared = Shared::new(2 * calls.len() + 2)?;
    let (slots, ends) = shared.slots().split_at(2 * calls.len());
    let status = in_child(|| {
        let first = Call {
            nr: CALLS[0],
            args: [0; 6],
        };
        ends[1].store(raw_call(&first).1 as i64, Ordering::Relaxed);
        if let Err(error) = install_all(&programs) {
            ends[0].store(i64::from(error), Ordering::Relaxed);
            return;
        }
        for (call, slot) in calls.iter().zip(slots.chunks(2)) {
            TRAPPED.store(0, Ordering::Relaxed);
            let (value, _) = raw_call(call);
            slot[1].store(value, Ordering::Relaxed);
            slot[0].store(
                1 + i64::from(TRAPPED.load(Ordering::Relaxed)),
                Ordering::Relaxed,
            );
        }
    })?;
    let refused = ends[0].load(Ordering::Relaxed);
    if refused != 0 {
        let error = io::Error::from_raw_os_error(refused as i32);
        return Err(format!("the host refuses a seccomp filter: {error}"));
    }
    let mut report = Report {
        seen: Vec::new(),
        instruction_pointer: ends[1].load(Ordering::Relaxed) as u64,
    };
    for slot in slots.chunks_exact(2) {
        let (kind, value) = (
            slot[0].load(Ordering::Relaxed),
            slot[1].load(Ordering::Relaxed),
        );
        report.seen.push(match kind {
            0 => break,
            1 if value > 0 => Seen::Ran,
            1 => Seen::Refused(value),
            _ => Seen::Trapped((kind - 1) as u32 & 0xffff),
        });
    }
    if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS {
        report.seen.push(Seen::Killed);
        return Ok(report);
    }
    if status != 0 {
        return Err(format!("the child ended with wait status {status:#x}"));
    }
    Ok(report)
}

/// For each program, whether seccomp accepts it. None of them ever judges a call.
///
/// The child first installs filters up to the kernel's limit for all filters of a task together. A program that is acceptable then fails
/// with ENOMEM, one that is not with EINVAL, because the kernel verifies first.
///
/// # Errors
///
/// A sentence that says which step the host refused.
pub fn accepted(programs: &[Vec<Insn>]) -> Result<Vec<bool>, String> {
    let longest = encode(&vec![Insn::stmt(0x06, 0x7fff_0000); 4096]);
    let programs: Vec<Vec<u64>> = programs.iter().map(|program| encode(program)).collect();
    let shared = Shared::new(programs.len() + 1)?;
    let slots = shared.slots();
    let status = in_child(|| {
        if let Err(error) = fill(&longest) {
            slots[programs.len()].store(i64::from(error), Ordering::Relaxed);
            return;
        }
        for (program, slot) in programs.iter().zip(slots) {
            slot.store(
                i64::from(install(program).err().unwrap_or(0)),
                Ordering::Relaxed,
            );
        }
    })?;
    let refused = slots[programs.len()].load(Ordering::Relaxed);
    if refused != 0 || status != 0 {
        let error = io::Error::from_raw_os_error(refused as i32);
        return Err(format!(
            "the host refuses a seccomp filter: {error}, wait status {status:#x}"
        ));
    }
    let answer = |slot: &AtomicI64| match slot.load(Ordering::Relaxed) as i32 {
        libc::ENOMEM => Ok(true),
        libc::EINVAL => Ok(false),
        other => Err(format!(
            "unexpected answer {other} to a filter past the limit"
        )),
    };
    slots.iter().take(programs.len()).map(answer).collect()
}

/// Installs pieces of `longest`, which allows everything, until nothing more fits.
///
/// The kernel counts what it has compiled, not what it was given, so the length that still fits is searched downwards. The largest that fits
/// leaves less room than the count added for each further filter.
fn fill(longest: &[u64]) -> Result<(), i32> {
    install_all(&[])?;
    let mut len = longest.len();
    while len > 0 {
        match install(&longest[..len]) {
            Ok(()) => {}
            Err(libc::ENOMEM) => len -= 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `program` behind a prologue that allows whatever is not one of [`CALLS`], and puts A back to 0.
fn guarded(program: &[Insn]) -> Vec<Insn> {
    let mut out = vec![
        Insn::stmt(0x20, 0),
        Insn::jump(0x15, CALLS[0], 3, 0),
        Insn::jump(0x15, CALLS[1], 2, 0),
        Insn::jump(0x15, CALLS[2], 1, 0),
        Insn::stmt(0x06, 0x7fff_0000),
        Insn::stmt(0x00, 0),
    ];
    out.extend(program);
    out
}

fn encode(program: &[Insn]) -> Vec<u64> {
    let bytes = |insn: &Insn| {
        u64::from(insn.code)
            | u64::from(insn.jt) << 16
            | u64::from(insn.jf) << 24
            | u64::from(insn.k) << 32
    };
    program.iter().map(bytes).collect()
}

/// What the trap handler saw: `si_errno` and a bit above it.
static TRAPPED: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_sigsys(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid siginfo.
    let errno = unsafe { (*info).si_errno };
    TRAPPED.store(0x1_0000 | errno as u32, Ordering::Relaxed);
}

fn install_all(programs: &[Vec<u64>]) -> Result<(), i32> {
    let no_core = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain system calls on arguments that live as long as the calls; an all-zero sigaction is a valid one, and the handler
    // only stores to an atomic.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &no_core);
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = on_sigsys as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        if libc::sigaction(libc::SIGSYS, &action, ptr::null_mut()) != 0
            || libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        {
            return Err(errno());
        }
    }
    programs.iter().try_for_each(|program| install(program))
}

fn install(program: &[u64]) -> Result<(), i32> {
    let fprog = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel reads `len` instructions of 8 bytes at `filter`, which is what `program` holds.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const fprog,
        )
    };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

fn errno() -> i32 {
    // SAFETY: the C library's errno is always readable.
    unsafe { *libc::__errno_location() }
}

/// Does the call; returns its result and the address after its instruction.
///
/// Never inlined: that address must be the same for all calls.
#[inline(never)]
fn raw_call(call: &Call) -> (i64, u64) {
    let (value, ip): (i64, u64);
    // SAFETY: the calls of `CALLS` read and write no memory; the clobbered registers are those of the system call ABI.
    unsafe {
        std::arch::asm!(
            "lea {ip}, [rip + 2f]",
            "syscall",
            "2:",
            ip = out(reg) ip,
            inlateout("rax") u64::from(call.nr) => value,
            in("rdi") call.args[0],
            in("rsi") call.args[1],
            in("rdx") call.args[2],
            in("r10") call.args[3],
            in("r8") call.args[4],
            in("r9") call.args[5],
            out("rcx") _,
            out("r11") _,
        );
    }
    (value, ip)
}

/// Runs `work` in a forked child and returns its wait status.
fn in_child(work: impl FnOnce()) -> Result<i32, String> {
    // SAFETY: the child calls `work`, which allocates nothing and takes no lock, and leaves by _exit.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(format!("fork: {}", io::Error::last_os_error())),
        0 => {
            work();
            // SAFETY: ends the child at once, with nothing of the parent's state touched.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child; `status` outlives the call.
            while unsafe { libc::waitpid(child, &mut status, 0) } != child {
                if errno() != libc::EINTR {
                    return Err(format!("waitpid: {}", io::Error::last_os_error()));
                }
            }
            Ok(status)
        }
    }
}

/// Memory that parent and child both see, as numbers that start at 0.
struct Shared {
    memory: *mut libc::c_void,
    count: usize,
}

impl Shared {
    fn new(count: usize) -> Result<Shared, String> {
        let bytes = count * size_of::<AtomicI64>();
        // SAFETY: a fresh anonymous mapping disturbs no other memory.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(format!("mmap: {}", io::Error::last_os_error()));
        }
        Ok(Shared { memory, count })
    }

    fn slots(&self) -> &[AtomicI64] {
        // SAFETY: the mapping is page aligned, zeroed (0 is a valid atomic), `count` numbers long and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.memory.cast(), self.count) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped; `slots` cannot outlive `self`.
        unsafe { libc::munmap(self.memory, self.count * size_of::<AtomicI64>()) };
    }
}

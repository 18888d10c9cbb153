// SPDX-License-Identifier: GPL-2.0
//! Programs as machine code, made by the kernel's own BPF compiler from what `filters::native` translates them to.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use filters::event::Event;
use filters::native::{self, Frame, Insn64, Takes, Workspace};
use filters::policy::Policy;
use filters::program::Program;
use filters::record::Record;
use kernel::prelude::*;

extern "C" {
    fn evf_native_alloc(insns: u32, stack: u32, to: *mut *mut Insn64) -> *mut c_void;
    fn evf_native_compile(prog: *mut c_void, code: *mut MaybeUninit<Code>) -> *mut c_void;
    fn evf_native_call(function: usize) -> isize;
    fn bpf_prog_free(prog: *mut c_void);
}

/// `bpf_func_t`; compiled code does not look at the second argument.
type Code = unsafe extern "C" fn(*const c_void, *const c_void) -> u32;

/// One program as machine code, or several of `syscall.enter`.
pub(crate) struct Native {
    prog: NonNull<c_void>,
    /// INVARIANT: The code of `prog`, from programs of `event`, to be given what `takes` says.
    code: Code,
    event: Event,
    takes: Takes,
}

// SAFETY: The code never changes, and the program is freed by whoever drops it, wherever that is.
unsafe impl Send for Native {}
// SAFETY: As above.
unsafe impl Sync for Native {}

impl Native {
    /// Compiles `programs` of `event`. `None` if the kernel's compiler is off or refuses, or memory is short: the interpreter serves as well.
    pub(crate) fn compile<'a>(
        event: Event,
        programs: impl Iterator<Item = Program<'a>> + Clone,
        workspace: &mut Workspace,
    ) -> Option<Native> {
        let shape = native::shape(programs.clone(), workspace)?;
        let len = u32::try_from(shape.insns).ok()?;
        // SAFETY: No requirements.
        let call = unsafe { evf_native_call(evf_on_native_call as usize) };
        let call = i32::try_from(call).ok()?;
        let mut to = ptr::null_mut();
        // SAFETY: No requirements.
        let prog = NonNull::new(unsafe { evf_native_alloc(len, shape.stack_bytes, &mut to) })?;
        let mut written = 0;
        let lowered = native::lower(programs, call, workspace, &mut |insn| {
            if written < shape.insns {
                // SAFETY: The program has room for as many.
                unsafe { to.add(written).write(insn) };
            }
            written += 1;
        });
        if lowered.is_none() || written != shape.insns {
            // SAFETY: Ours, and nobody has seen it.
            unsafe { bpf_prog_free(prog.as_ptr()) };
            return None;
        }
        let mut code = MaybeUninit::uninit();
        // SAFETY: What was written is a translation of verified programs: it ends, and loads only from what it is given.
        let prog = NonNull::new(unsafe { evf_native_compile(prog.as_ptr(), &mut code) })?;
        Some(Native {
            prog,
            // SAFETY: Set where a program is returned.
            code: unsafe { code.assume_init() },
            event,
            takes: shape.takes,
        })
    }

    /// Runs it over `record`; `policy` has the program that it was made from. Returns the raw verdict. `None` if the record is none that it can be run over: the
    /// interpreter says what is to be said then.
    pub(crate) fn run<B: core::ops::Deref<Target = [u8]>>(
        &self,
        policy: &Policy<B>,
        record: &Record<'_>,
    ) -> Option<u32> {
        if self.takes == Takes::Words {
            let words = native::words(self.event, record)?;
            // SAFETY: Invariant of the type; there are as many words as the programs were verified for.
            return Some(unsafe { (self.code)(words.as_ptr().cast(), ptr::null()) });
        }
        let program = policy.program(self.event)?;
        let frame = Frame::new(&program, record, self.takes)?;
        // SAFETY: Invariant of the type; the frame lives until the code returns.
        Some(unsafe { (self.code)(ptr::from_ref(&frame).cast(), ptr::null()) })
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: Ours; the release itself happens in a work queue.
        unsafe { bpf_prog_free(self.prog.as_ptr()) };
    }
}

/// What compiled code calls where only Rust can tell.
extern "C" fn evf_on_native_call(frame: *const Frame<'_>, code: u64, k: u64) -> u64 {
    // SAFETY: The code passes on the frame that `run` gave it.
    unsafe { (*frame).answer(code as u32, k as u32) }
}

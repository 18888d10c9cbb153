// SPDX-License-Identifier: GPL-2.0
//! Programs as machine code, made by the kernel's own BPF compiler from what `filters::native` translates them to.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use filters::by_name::{ByName, Names};
use filters::by_path::{ByPath, Question};
use filters::event::Event;
use filters::native::{self, Frame, Insn64, Takes, Workspace};
use filters::policy::Policy;
use filters::program::Program;
use filters::record::Record;
use kernel::bindings;
use kernel::prelude::*;

extern "C" {
    fn evf_native_alloc(insns: u32, stack: u32, to: *mut *mut Insn64) -> *mut c_void;
    fn evf_native_compile(prog: *mut c_void, code: *mut MaybeUninit<Code>) -> *mut c_void;
    fn evf_native_serves() -> bool;
    fn evf_native_call(function: usize) -> isize;
    fn bpf_prog_free(prog: *mut c_void);
}

/// Instructions that are compiled, at most. Where constants are blinded (`bpf_jit_harden`) the time that it takes grows with the square.
const MAX_INSNS: usize = 8192;

/// `bpf_func_t`; compiled code does not look at the second argument.
type Code = unsafe extern "C" fn(*const c_void, *const c_void) -> u32;

/// One program as machine code, or several of `syscall.enter`.
pub(crate) struct Native {
    prog: NonNull<c_void>,
    /// INVARIANT: The code of `prog`, from programs of `event`, to be given what `takes` says.
    code: Code,
    event: Event,
    takes: Takes,
    /// Whether who had it compiled has CAP_SYS_ADMIN: for others the compiler adds barriers against speculation.
    trusted: bool,
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
        if shape.insns > MAX_INSNS {
            return None;
        }
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
            trusted: is_trusted(),
        })
    }

    /// Whether the caller may have the programs compiled anew, together with others: not if that would leave out barriers that this code has.
    pub(crate) fn may_be_merged(&self) -> bool {
        self.trusted || !is_trusted()
    }

    /// Runs it over `record`; `program` is what it was made from, or the first of several. Returns the raw verdict. `None` if the record is none that it can be
    /// run over: the interpreter says what is to be said then.
    #[inline]
    pub(crate) fn run(&self, program: &Program<'_>, record: &Record<'_>) -> Option<u32> {
        if self.takes == Takes::Words {
            let words = native::words(self.event, record)?;
            // SAFETY: Invariant of the type; there are as many words as the programs were verified for.
            return Some(unsafe { (self.code)(words.as_ptr().cast(), ptr::null()) });
        }
        let frame = Frame::new(program, record, self.takes)?;
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

/// A policy, with its programs at hand and, where the kernel's compiler has made it, their machine code.
pub(crate) struct Compiled {
    /// By event number.
    natives: [Option<Native>; Event::COUNT],
    /// INVARIANT: By event number, what `policy` has. They borrow from it and from its image, which both have their place in memory for as long as this exists, and
    /// are freed after them.
    programs: [Option<Program<'static>>; Event::COUNT],
    /// The names that are allowed by a table alone, which lies in the image too.
    names: Option<Names<'static>>,
    /// By event number: what is decided by paths alone, and what is asked, which lies in the image too.
    by_path: [Option<KBox<(ByPath, Question<'static>)>>; Event::COUNT],
    policy: KBox<Policy<KVVec<u8>>>,
}

impl Compiled {
    /// The policy alone: the interpreter will run it, always.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn interpreted(policy: Policy<KVVec<u8>>) -> Result<Compiled> {
        let policy = KBox::new(policy, GFP_KERNEL_ACCOUNT)?;
        let programs = Event::ALL.map(|event| {
            // SAFETY: See the invariant; nobody is given a program for longer than he borrows `self`, and `policy` is never changed.
            policy.program(event).map(|program| unsafe {
                core::mem::transmute::<Program<'_>, Program<'static>>(program)
            })
        });
        Ok(Compiled {
            natives: [const { None }; Event::COUNT],
            programs,
            names: None,
            by_path: [const { None }; Event::COUNT],
            policy,
        })
    }

    /// The same, with what is decided by names or paths alone, and with machine code as far as it can be had.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, if not even the interpreter can serve.
    pub(crate) fn new(policy: Policy<KVVec<u8>>) -> Result<Compiled> {
        let mut compiled = Compiled::interpreted(policy)?;
        compiled.names = compiled
            .programs
            .get(Event::VfsGetname.number() as usize)
            .and_then(Option::as_ref)
            .and_then(|program| ByName::of(program)?.names(program));
        for (program, by_path) in compiled.programs.iter().zip(&mut compiled.by_path) {
            let Some(program) = program else {
                continue;
            };
            let found = ByPath::of(program);
            if let Some((found, question)) =
                found.and_then(|found| found.question(program).map(|question| (found, question)))
            {
                *by_path = Some(KBox::new((found, question), GFP_KERNEL_ACCOUNT)?);
            }
        }
        // Without room to work in, the interpreter serves.
        if let Ok(mut workspace) = native_workspace() {
            let programs = Event::ALL.into_iter().zip(compiled.programs);
            for ((event, program), native) in programs.zip(&mut compiled.natives) {
                *native = program.and_then(|program| {
                    Native::compile(event, core::iter::once(program), &mut workspace)
                });
            }
        }
        Ok(compiled)
    }

    /// The policy.
    pub(crate) fn policy(&self) -> &Policy<KVVec<u8>> {
        &self.policy
    }

    /// The names that the program for them allows whatever else the record says, if there are such and it is not only interpreted.
    #[inline]
    pub(crate) fn names(&self) -> Option<Names<'_>> {
        self.names
    }

    /// What can be said about objects by their path alone, and what is to be asked of that.
    #[inline]
    pub(crate) fn by_path(&self, event: Event) -> Option<(&ByPath, &Question<'_>)> {
        let (by_path, question) = self.by_path.get(event.number() as usize)?.as_deref()?;
        Some((by_path, question))
    }

    /// The program for `event`, and its machine code.
    #[inline]
    pub(crate) fn program(&self, event: Event) -> Option<(&Program<'_>, Option<&Native>)> {
        let index = event.number() as usize;
        let program = self.programs.get(index)?.as_ref()?;
        Some((program, self.natives.get(index)?.as_ref()))
    }
}

/// Whether filters that are loaded now become machine code: whether the kernel's compiler is on.
pub(crate) fn natives_serve() -> bool {
    // SAFETY: Called in process context.
    unsafe { evf_native_serves() }
}

/// Whether the compiler takes the caller for one who may know what the kernel's memory holds.
fn is_trusted() -> bool {
    // SAFETY: The first user namespace is always there.
    unsafe {
        bindings::ns_capable_noaudit(
            core::ptr::addr_of_mut!(bindings::init_user_ns),
            bindings::CAP_SYS_ADMIN as c_int,
        )
    }
}

/// Room to compile in.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn native_workspace() -> Result<KVBox<Workspace>> {
    KVBox::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT)
}

/// What compiled code calls where only Rust can tell.
extern "C" fn evf_on_native_call(frame: *const Frame<'_>, code: u64, k: u64) -> u64 {
    // SAFETY: The code passes on the frame that `run` gave it.
    unsafe { (*frame).answer(code as u32, k as u32) }
}

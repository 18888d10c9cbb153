// SPDX-License-Identifier: GPL-2.0
//! Asking a program about any system call without making one.
//!
//! The oldest layer refuses every call with an errno of its own, [`MARK`]. The newer of two errnos is the one that is seen, so a program on top shows its
//! own errno, and the mark where it has nothing to object. Calls of the test's own carry [`PASS`] and go through.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use filters::insn::{Insn, JEQ, JMP, RET};
use uapi::control::{IOC_RESTRICT_SELF, RestrictSelf};

use crate::program::{ALLOW, Part, errno, image, load, syscalls};
use crate::sys::child::{End, fork, run_and_exit, wait};
use crate::sys::memory::Shared;
use crate::sys::signal::{WORDS, catch_sigsys_or_die, caught, illegal};
use crate::sys::{ia32, raw, sys};
use crate::{kernel, seccomp};

/// The errno that says: nobody else has refused.
pub const MARK: u16 = 1234;
/// The sixth argument of calls that the test itself makes.
pub const PASS: u32 = 0x5ea1_0f0a;
/// Offset of the lower half of the sixth argument.
pub const SIXTH: u32 = 56;

/// The lowest layer. Of calls without [`PASS`] it allows number `free` alone.
pub fn marker(free: u32) -> Vec<Insn> {
    vec![
        load(SIXTH),
        Insn::jump(JMP | JEQ, PASS, 2, 0),
        load(0),
        Insn::jump(JMP | JEQ, free, 0, 1),
        Insn::stmt(RET, ALLOW),
        Insn::stmt(RET, errno(i32::from(MARK))),
    ]
}

/// Who judges, and by what, the oldest first.
#[derive(Clone, Debug)]
pub enum Judge {
    /// Images for evfilter.
    Evfilter(Vec<Vec<u8>>),
    /// Images for evfilter, each with the flags that it is loaded with.
    Flagged(Vec<(u32, Vec<u8>)>),
    /// Programs for seccomp.
    Seccomp(Vec<Vec<u8>>),
}

impl Judge {
    /// evfilter with these classic programs.
    pub fn evfilter<'a>(programs: impl IntoIterator<Item = &'a [Insn]>) -> Judge {
        let image = |insns: &[Insn]| image(&[Part::syscall(insns.to_vec())]);
        Judge::Evfilter(programs.into_iter().map(image).collect())
    }

    /// evfilter with these classic programs, each loaded with its flags.
    pub fn flagged<'a>(programs: impl IntoIterator<Item = (u32, &'a [Insn])>) -> Judge {
        let image = |(flags, insns): (u32, &[Insn])| (flags, syscalls(insns.to_vec()));
        Judge::Flagged(programs.into_iter().map(image).collect())
    }

    /// seccomp with these classic programs.
    pub fn seccomp<'a>(programs: impl IntoIterator<Item = &'a [Insn]>) -> Judge {
        Judge::Seccomp(programs.into_iter().map(seccomp::code).collect())
    }

    /// Puts the caller under all of it; the errno of the first program that is refused.
    ///
    /// Everything is written down before the first one is installed, which need not allow that memory is asked for. What would be closed at the end may not
    /// be closable then, and is left to the end of the process.
    pub fn install(self) -> Result<(), i32> {
        match self {
            Judge::Seccomp(codes) => {
                let codes = ManuallyDrop::new(codes);
                for code in codes.iter() {
                    seccomp::try_install_code(code, 0, u64::from(PASS))?;
                }
            }
            Judge::Evfilter(images) => {
                let images = images.into_iter().map(|image| (0, image));
                return Judge::Flagged(images.collect()).install();
            }
            Judge::Flagged(images) => {
                let control = ManuallyDrop::new(kernel::control());
                let load = |(flags, image): &(u32, Vec<u8>)| kernel::try_load_with(*flags, image);
                let loaded = images.iter().map(load);
                let filters = ManuallyDrop::new(loaded.collect::<Result<Vec<OwnedFd>, i32>>()?);
                for filter in filters.iter() {
                    let argument = RestrictSelf {
                        size: size_of::<RestrictSelf>() as u32,
                        filter_fd: filter.as_raw_fd(),
                        ..RestrictSelf::default()
                    };
                    let control = control.as_fd().as_raw_fd();
                    sys!(
                        libc::SYS_ioctl,
                        control,
                        IOC_RESTRICT_SELF,
                        &raw const argument,
                        0,
                        0,
                        PASS
                    )?;
                }
                std::mem::forget(images);
            }
        }
        Ok(())
    }
}

/// A way into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The `syscall` instruction.
    Native,
    /// `int 0x80`.
    Int80,
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The way in.
    pub entry: Entry,
    /// All of rax; of which `int 0x80` takes the lower half.
    pub nr: u64,
    /// The arguments; of which `int 0x80` takes the lower halves.
    pub args: [u64; 6],
}

impl Call {
    /// Makes the call; its value, or its errno below zero.
    pub fn make(&self) -> i64 {
        match self.entry {
            Entry::Native => raw(self.nr, self.args) as i64,
            Entry::Int80 => match ia32::call(self.nr as u32, self.args.map(|arg| arg as u32)) {
                Ok(value) => value as i64,
                Err(errno) => -i64::from(errno),
            },
        }
    }
}

/// Ends the process with `status`, if the programs let it; what exit_group said is put first if they do not.
pub fn leave(put: impl FnOnce(i64), status: u64) -> ! {
    let args = [status, 0, 0, 0, 0, u64::from(PASS)];
    put(raw(libc::SYS_exit_group as u64, args) as i64);
    // A fault needs no call.
    illegal()
}

/// Results of many calls, in memory that a child shares with its parent.
#[repr(C)]
struct Answers {
    used: AtomicUsize,
    values: [AtomicI64; 1 << 15],
}

impl Answers {
    fn put(&self, value: i64) {
        let at = self.used.fetch_add(1, Ordering::SeqCst);
        self.values[at].store(value, Ordering::SeqCst);
    }
}

/// What a judge said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// How the asking process ended.
    pub end: End,
    /// One answer for each call that it came to: what the call returned, and the words of SIGSYS if it raised one.
    pub answers: Vec<(i64, Option<[i64; WORDS]>)>,
}

/// Asks a judge, which stands on a [`marker`] that lets signal handlers return, about each call in one child. Calls must not have [`PASS`].
#[track_caller]
pub fn ask_about(judge: &Judge, calls: &[Call]) -> Verdicts {
    let shared = Shared::<Answers>::new();
    let pid = match fork().expect("fork") {
        0 => run_and_exit(|| {
            catch_sigsys_or_die();
            judge.clone().install().expect("the program is accepted");
            let mut signals = 0;
            for call in calls {
                shared.put(call.make());
                let words = caught();
                let new = words[0] != signals;
                signals = words[0];
                shared.put(i64::from(new));
                if new {
                    words.into_iter().for_each(|word| shared.put(word));
                }
            }
            leave(|value| shared.put(value), 0)
        }),
        pid => pid,
    };
    let end = wait(pid);
    let used = shared.used.load(Ordering::SeqCst);
    let mut values = shared.values[..used]
        .iter()
        .map(|value| value.load(Ordering::SeqCst));
    let mut answers = Vec::new();
    while let (Some(value), Some(signal)) = (values.next(), values.next()) {
        let words = (signal == 1).then(|| std::array::from_fn(|_| values.next().unwrap_or(0)));
        answers.push((value, words));
    }
    drop(values);
    shared.unmap();
    Verdicts { end, answers }
}

/// rt_sigreturn, which the marker under [`ask_about`] lets through.
pub const RT_SIGRETURN: u32 = 15;

/// Every number up to 600 at every entry, and some far out, without arguments.
///
/// Left out are those that are carried out under the marker: rt_sigreturn, and the calls of uprobes, which pass every filter.
pub fn every_number() -> Vec<Call> {
    let call = |entry, nr: u32| Call {
        entry,
        nr: u64::from(nr),
        args: [0; 6],
    };
    let mut calls = Vec::new();
    for nr in (0..=600).filter(|nr| *nr != RT_SIGRETURN) {
        calls.push(call(Entry::Int80, nr));
        calls.push(call(Entry::Native, nr | 0x4000_0000));
        if nr != 335 && nr != 336 {
            calls.push(call(Entry::Native, nr));
        }
    }
    for nr in [
        0x3fff_ffff,
        0x4000_03e7,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        u32::MAX,
    ] {
        calls.push(call(Entry::Native, nr));
        calls.push(call(Entry::Int80, nr));
    }
    calls
}

/// The call with each of `values` in its argument `at`, at its native and x32 numbers, and at its number of i386.
pub fn with_argument(native: u32, i386: u32, at: usize, values: &[u64]) -> Vec<Call> {
    let mut calls = Vec::new();
    for value in values {
        let mut args = [0; 6];
        args[at] = *value;
        for (entry, nr) in [
            (Entry::Native, native),
            (Entry::Native, native | 0x4000_0000),
            (Entry::Int80, i386),
        ] {
            calls.push(Call {
                entry,
                nr: u64::from(nr),
                args,
            });
        }
    }
    calls
}

/// Numbers around each of `constants`, with other upper halves, and each single bit.
pub fn around(constants: &[u64]) -> Vec<u64> {
    let mut values = vec![0, 1, u64::MAX, u64::from(u32::MAX), 1 << 32];
    values.extend((0..64).map(|bit| 1 << bit));
    for constant in constants {
        let upper = 0xffff_ffff_0000_0000;
        values.extend([
            *constant,
            constant.wrapping_add(1),
            constant.wrapping_sub(1),
            !constant,
            constant ^ 1 << 32,
            constant | upper,
            constant & !upper,
        ]);
    }
    values.sort_unstable();
    values.dedup();
    values
}

/// Fails with the first call that two judges answer differently.
#[track_caller]
pub fn must_agree(name: &str, calls: &[Call], left: &Verdicts, right: &Verdicts) {
    for ((call, left), right) in calls.iter().zip(&left.answers).zip(&right.answers) {
        assert_eq!(left, right, "{name}: {call:x?}");
    }
    assert_eq!(left.answers.len(), right.answers.len(), "{name}");
    assert_eq!(left.end, right.end, "{name}");
}

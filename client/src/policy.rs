// SPDX-License-Identifier: GPL-2.0
//! A policy that is known to be good, not yet loaded.

use std::fs;
use std::path::Path;

use filters::event::Event;
use filters::image::MAGIC;
use filters::insn::{EXTENSION, INSN_BYTES, Insn};
use filters::lang::diagnostics::Diagnostics;
use filters::lang::image::{Builder, Code};
use filters::lang::map::{Explanation, Map};
use filters::lang::source::Files;
use filters::lang::{self, Compiled};
use filters::limits::MAX_INSNS;
use filters::policy::Policy as Verified;
use filters::record::Record;
use filters::refusal::{Reason, Refusal};
use filters::stack::Layer;
use filters::verdict::Verdict;
use filters::vm;

use crate::control::Control;
use crate::error::Error;
use crate::events::EventSet;
use crate::filter::Filter;

/// A compiled policy that has passed the verifier on this side.
///
/// ```
/// use evfilter::{Event, Policy};
///
/// let policy = Policy::parse(
///     r#"
///     on vfs.getname {
///         allow path under "/usr", "/lib"
///         default deny EACCES
///     }
///     "#,
/// )?;
/// assert!(policy.events().contains(Event::VfsGetname));
/// # Ok::<(), evfilter::Error>(())
/// ```
#[derive(Debug)]
pub struct Policy {
    verified: Verified<Vec<u8>>,
    map: Option<Map>,
    warnings: Diagnostics,
}

impl Policy {
    /// Compiles a policy text. `include` is relative to the current directory.
    ///
    /// # Errors
    ///
    /// [`Error::Language`]: the compiler's messages, with line and caret.
    pub fn parse(text: &str) -> Result<Policy, Error> {
        Policy::compile("<policy>", text)
    }

    /// Reads a policy from a file: a text, or an image that has been compiled before, told apart by the image's first bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], and those of [`Policy::parse`] or [`Policy::from_image`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Policy, Error> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Policy::from_bytes(&path.to_string_lossy(), bytes)
    }

    /// A policy from the contents of a file, text or image, that was read by other means. `name` is its name in messages, and what
    /// `include` is relative to.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::parse`] or [`Policy::from_image`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Policy, Error> {
        if bytes.starts_with(&MAGIC.to_le_bytes()) {
            return Policy::from_image(bytes);
        }
        match str::from_utf8(&bytes) {
            Ok(text) => Policy::compile(name, text),
            Err(error) => Err(Error::language(Diagnostics::message(format!(
                "{name} is neither a policy image nor UTF-8 text (byte {})",
                error.valid_up_to()
            )))),
        }
    }

    /// A policy from a compiled image.
    ///
    /// # Errors
    ///
    /// [`Error::Image`]: the verifier, the same as the kernel's, refuses it.
    pub fn from_image(image: impl Into<Vec<u8>>) -> Result<Policy, Error> {
        Ok(Policy {
            verified: Verified::verify(image.into(), &mut [0; MAX_INSNS])?,
            map: None,
            warnings: Diagnostics::default(),
        })
    }

    /// A policy from a program for seccomp: an array of `struct sock_filter`, as `seccomp_export_bpf` of libseccomp writes it, byte for byte.
    ///
    /// It judges `syscall.enter` and nothing else, and decides as it does in seccomp.
    ///
    /// ```
    /// // ret ALLOW
    /// let policy = evfilter::Policy::from_bpf(&[0x06, 0, 0, 0, 0, 0, 0xff, 0x7f])?;
    /// assert!(policy.events().contains(evfilter::Event::SyscallEnter));
    /// // ldh [0], which seccomp refuses
    /// let error = evfilter::Policy::from_bpf(&[0x28, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
    /// assert_eq!(error.errno(), Some(22)); // EINVAL, as of seccomp
    /// # Ok::<(), evfilter::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BrokenBpf`]: the length is no multiple of 8. [`Error::Image`]: what seccomp refuses too, and with the same errno; the instructions that evfilter has
    /// and classic BPF has not are among that.
    pub fn from_bpf(program: &[u8]) -> Result<Policy, Error> {
        let (insns, rest) = program.as_chunks::<INSN_BYTES>();
        if !rest.is_empty() {
            return Err(Error::BrokenBpf {
                insn: insns.len(),
                bytes: rest.len(),
            });
        }
        let insns: Vec<Insn> = insns.iter().copied().map(Insn::from_bytes).collect();
        if let Some(foreign) = insns.iter().position(|insn| insn.code & EXTENSION != 0) {
            return Err(Error::Image {
                source: Refusal {
                    event: Some(Event::SyscallEnter),
                    insn: u32::try_from(foreign).ok(),
                    reason: Reason::UnknownInstruction(insns[foreign].code),
                },
            });
        }
        let code = Code {
            insns,
            ..Code::default()
        };
        Policy::from_image(Builder::new().program(Event::SyscallEnter, &code).build())
    }

    fn compile(name: &str, text: &str) -> Result<Policy, Error> {
        let Compiled {
            image,
            map,
            warnings,
            ..
        } = lang::compile(name, text, &Files).map_err(Error::language)?;
        Ok(Policy {
            map: Some(map),
            warnings,
            ..Policy::from_image(image)?
        })
    }

    /// The image, as the kernel takes it.
    pub fn image(&self) -> &[u8] {
        self.verified.image()
    }

    /// The events that the policy judges. Others it leaves to the other layers.
    pub fn events(&self) -> EventSet {
        Event::ALL
            .into_iter()
            .filter(|&event| self.verified.program(event).is_some())
            .collect()
    }

    /// The compiler's warnings: the policy means what it says, but hardly what was meant.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// Leads from a verdict to its rule; `None` for a policy made from an image.
    pub fn map(&self) -> Option<&Map> {
        self.map.as_ref()
    }

    /// What the policy decides about `record`, by which instruction and which rule. Nothing is asked of the kernel: the same engine runs here.
    ///
    /// `None` if the policy does not judge such events.
    pub fn explain(&self, record: &Record<'_>) -> Option<Explanation<'_>> {
        if let Some(map) = &self.map {
            return map.explain(&self.verified, record);
        }
        let program = self.verified.program(record.event())?;
        let outcome = vm::run(&program, record);
        Some(Explanation {
            verdict: outcome.verdict,
            insn: outcome.insn as u32,
            rule: None,
        })
    }

    /// The verified programs, for evaluation and disassembly.
    pub fn verified(&self) -> &Verified<Vec<u8>> {
        &self.verified
    }

    /// Loads the policy into the kernel.
    ///
    /// # Errors
    ///
    /// Those of [`Control::open`] and [`Control::load`].
    pub fn load(&self) -> Result<Filter, Error> {
        Control::open()?.load(self)
    }
}

impl Layer for Policy {
    fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        self.verified.judge(record)
    }

    fn cost(&self, event: Event) -> u32 {
        self.verified.cost(event)
    }
}

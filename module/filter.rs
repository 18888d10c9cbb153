// SPDX-License-Identifier: GPL-2.0
//! A filter: a verified policy, loaded and not yet (or already many times) pushed.

use filters::by_name::Names;
use filters::by_number::{self, Places};
use filters::by_path::{ByPath, Question};
use filters::event::Event;
use filters::limits::MAX_IMAGE_BYTES;
use filters::native;
use filters::policy::{Policy, Workspace};
use filters::program::Program;
use filters::record::Record;
use filters::refusal::Refusal;
use filters::stack::Layer;
use filters::strict;
use filters::verdict::Verdict;
use filters::vm;
use kernel::alloc::AllocError;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::uaccess::{UserPtr, UserSlice};

use crate::attach::{self, Need};
use crate::ffi::{Compiled, Native, Root};
use crate::walks::What;

/// A loaded filter. Never changes; who holds a reference may judge by it.
pub(crate) struct Filter {
    compiled: Compiled,
    by_number: KBox<Places>,
    /// Two filters with different ones have different images.
    digest: u64,
}

/// Why a filter was not loaded.
pub(crate) enum LoadError {
    /// The image could not be fetched or stored.
    Kernel(Error),
    /// The verifier refused it.
    Refused(Refusal),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> LoadError {
        LoadError::Kernel(error)
    }
}

impl From<AllocError> for LoadError {
    fn from(error: AllocError) -> LoadError {
        LoadError::Kernel(error.into())
    }
}

impl From<Refusal> for LoadError {
    fn from(refusal: Refusal) -> LoadError {
        LoadError::Refused(refusal)
    }
}

impl Filter {
    /// Copies an image from user memory, once, and verifies the copy. The memory is charged to the caller.
    ///
    /// If it is to be `interpreted`, it is not compiled.
    pub(crate) fn load(
        image: UserPtr,
        len: usize,
        interpreted: bool,
    ) -> Result<Arc<Filter>, LoadError> {
        if len > MAX_IMAGE_BYTES {
            // The verifier would say the same, but only after 4 GiB were copied.
            return Err(LoadError::Kernel(Error::from_errno(
                -(kernel::bindings::EMSGSIZE as i32),
            )));
        }
        let mut bytes = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        UserSlice::new(image, len).read_all(&mut bytes, GFP_KERNEL_ACCOUNT)?;
        Filter::verified(bytes, interpreted)
    }

    /// The strict filter, which needs no policy from user space.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn strict() -> Result<Arc<Filter>> {
        let mut bytes = KVVec::new();
        bytes.extend_from_slice(&strict::image(), GFP_KERNEL_ACCOUNT)?;
        Filter::verified(bytes, false).map_err(|error| match error {
            LoadError::Kernel(error) => error,
            // Tests of `filters` rule it out; without a filter there is no restriction to speak of.
            LoadError::Refused(_) => EINVAL,
        })
    }

    fn verified(image: KVVec<u8>, interpreted: bool) -> Result<Arc<Filter>, LoadError> {
        let mut workspace = KBox::<Workspace>::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT)?;
        let policy = Policy::verify(image, &mut workspace)?;
        let events = Event::ALL
            .into_iter()
            .filter(|event| policy.program(*event).is_some());
        let bits = events.fold(0, |bits, event| bits | 1 << event.number());
        // Before the filter exists: what it speaks of is seen from now on.
        attach::need(Need::of(bits, policy.scopes()))?;
        let mut by_number = KBox::<Places>::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT)?;
        by_number::decide(policy.program(Event::SyscallEnter).as_ref(), &mut by_number);
        let compiled = if interpreted {
            Compiled::interpreted(policy)?
        } else {
            Compiled::new(policy)?
        };
        let filter = Filter {
            digest: digest(compiled.policy().image()),
            compiled,
            by_number,
        };
        Ok(Arc::new(filter, GFP_KERNEL_ACCOUNT)?)
    }

    /// The policy.
    pub(crate) fn policy(&self) -> &Policy<KVVec<u8>> {
        self.compiled.policy()
    }

    /// The program for `event`, and its machine code if it has been compiled.
    #[inline]
    pub(crate) fn program(&self, event: Event) -> Option<(&Program<'_>, Option<&Native>)> {
        self.compiled.program(event)
    }

    /// The strings by which it allows something whatever else the record says, if there are such.
    #[inline]
    pub(crate) fn strings(&self, what: What) -> Option<Names<'_>> {
        match what {
            What::Names => self.compiled.names(),
            What::Paths(event, deed) => {
                let (by_path, question) = self.by_path(event)?;
                by_path.paths(question, deed)
            }
        }
    }

    /// What can be said about objects by their path alone, and what is to be asked of that.
    #[inline]
    pub(crate) fn by_path(&self, event: Event) -> Option<(&ByPath, &Question<'_>)> {
        self.compiled.by_path(event)
    }

    /// The verdict on `record`, or `None` if there is no program for the event.
    #[inline]
    pub(crate) fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        let event = record.event();
        let (program, native) = self.program(event)?;
        let raw = native.and_then(|native| native.run(program, record));
        Some(match raw {
            Some(raw) => native::verdict(event, raw),
            None => vm::run(program, record).verdict,
        })
    }

    /// Whether all its programs are machine code.
    pub(crate) fn is_native(&self) -> bool {
        let mut programs = Event::ALL
            .into_iter()
            .filter_map(|event| self.program(event));
        programs.all(|(_, native)| native.is_some())
    }

    /// What it decides about a system call by its number alone.
    pub(crate) fn by_number(&self) -> &Places {
        &self.by_number
    }
}

/// Tells images apart at little cost. Who makes two that come to the same gains nothing: they are compared then.
fn digest(image: &[u8]) -> u64 {
    image.chunks(8).fold(image.len() as u64, |digest, bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        // By an odd number whose bits are in no order: 2^64 divided by the golden ratio.
        (digest ^ u64::from_le_bytes(word))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    })
}

/// A filter as a layer of a stack.
#[derive(Clone)]
pub(crate) struct FilterLayer {
    pub(crate) filter: Arc<Filter>,
    /// Where it looks at files from: the root directory of who pushed it.
    pub(crate) root: Root,
    /// Whether a newer layer decides everything as this one does: it need not be asked.
    pub(crate) repeated: bool,
}

impl FilterLayer {
    /// Whether two layers confine alike: one and the same filter, looking from the same place.
    pub(crate) fn same(&self, other: &FilterLayer) -> bool {
        Arc::ptr_eq(&self.filter, &other.filter) && self.root.same(&other.root)
    }

    /// Whether it decides everything as `filter` would that looks from `root`: the same policy, perhaps loaded another time, looking from the same place.
    pub(crate) fn decides_as(&self, filter: &Arc<Filter>, root: &Root) -> bool {
        let same = Arc::ptr_eq(&self.filter, filter)
            || self.filter.digest == filter.digest
                && self.filter.policy().image() == filter.policy().image();
        same && self.root.same(root)
    }
}

impl Layer for FilterLayer {
    #[inline]
    fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        if self.repeated {
            return None;
        }
        if record.is_about_object() {
            return self.filter.judge(&record.seen_from(self.root.view()));
        }
        self.filter.judge(record)
    }

    fn cost(&self, event: Event) -> u32 {
        self.filter.policy().cost(event)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A domain: the stack of layers that tasks are under.
//!
//! Immutable once made, and shared: fork gives the child its parent's domain. A domain is flat (it holds all its layers, not a link to an outer
//! domain), so judging follows no pointers from layer to layer and releasing it is a loop.

use filters::by_number::{ByNumber, PLACES};
use filters::event::Event;
use filters::record::Record;
use filters::scope::Scopes;
use filters::stack::{Decision, PushError, Stack};
use filters::verdict::Verdict;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::ffi::{ModulePin, Root};
use crate::filter::{Filter, FilterLayer};

/// See the module's documentation.
pub(crate) struct Domain {
    stack: Stack<FilterLayer>,
    /// Bit by event number: some layer has a program for it.
    events: u32,
    /// Bit by event number: some program for it asks for an id of the caller.
    asks_for_caller: u32,
    /// Bit by event number: some program for it looks at what only the object can tell.
    looks_at_object: u32,
    /// What all layers together decide about a system call by its number alone.
    by_number: ByNumber<KVec<u16>>,
    /// While a task has a domain the module must stay: its mark would lead into freed text.
    _pin: ModulePin,
}

impl Domain {
    /// A domain without layers, for a task whose first layer takes hold later.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn empty() -> Result<Arc<Domain>> {
        let places = KVec::from_elem(0, PLACES, GFP_KERNEL_ACCOUNT)?;
        let domain = Domain {
            stack: Stack::new(),
            events: 0,
            asks_for_caller: 0,
            looks_at_object: 0,
            by_number: ByNumber::of(None, places).ok_or(EINVAL)?,
            _pin: ModulePin::new(),
        };
        Ok(Arc::new(domain, GFP_KERNEL_ACCOUNT)?)
    }

    /// The domain of a task under this one that pushes `filter`, to look at files from `root`. This one is left as it is.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is no room for a layer, `ENOMEM` if the layers together would cost more than `MAX_STACK_COST` or memory is short.
    pub(crate) fn narrowed(&self, filter: &Arc<Filter>, root: &Root) -> Result<Arc<Domain>> {
        let mut stack = self.stack.clone();
        // Layers that look from the same place share it, and with it what is found from there.
        let roots = self.stack.layers().iter().map(|layer| &layer.root);
        let root = roots.clone().find(|held| held.same(root)).unwrap_or(root);
        stack
            .push(FilterLayer {
                filter: filter.clone(),
                root: root.clone(),
            })
            .map_err(|error| match error {
                PushError::Full => ENOSPC,
                PushError::TooCostly(_) => ENOMEM,
            })?;
        let (mut events, mut asks_for_caller) = (self.events, self.asks_for_caller);
        let mut looks_at_object = self.looks_at_object;
        for event in Event::ALL {
            let bit = 1 << event.number();
            if filter.policy().program(event).is_some() {
                events |= bit;
            }
            if filter.policy().asks_for_caller(event) {
                asks_for_caller |= bit;
            }
            if filter.policy().looks_at_object(event) {
                looks_at_object |= bit;
            }
        }
        let places = KVec::from_elem(0, PLACES, GFP_KERNEL_ACCOUNT)?;
        let mut by_number = ByNumber::copy(&self.by_number, places).ok_or(EINVAL)?;
        by_number.narrow(filter.by_number());
        let domain = Domain {
            stack,
            events,
            asks_for_caller,
            looks_at_object,
            by_number,
            _pin: ModulePin::new(),
        };
        Ok(Arc::new(domain, GFP_KERNEL_ACCOUNT)?)
    }

    /// Whether any layer has a program for `event`.
    pub(crate) fn judges(&self, event: Event) -> bool {
        self.events & 1 << event.number() != 0
    }

    /// Whether records of `event` need the ids of the caller.
    pub(crate) fn asks_for_caller(&self, event: Event) -> bool {
        self.asks_for_caller & 1 << event.number() != 0
    }

    /// Whether some layer's program for `event` looks at what only the object can tell.
    pub(crate) fn looks_at_object(&self, event: Event) -> bool {
        self.looks_at_object & 1 << event.number() != 0
    }

    /// The verdict of all layers on every system call with this number; `None` if it depends on more.
    pub(crate) fn by_number(&self, nr: u32, arch: u32) -> Option<Verdict> {
        self.by_number.verdict(nr, arch)
    }

    /// The verdict of all layers. Takes no lock, allocates nothing, does not sleep.
    pub(crate) fn judge(&self, record: &Record<'_>) -> Decision {
        self.stack.evaluate(record)
    }

    /// Number of layers.
    pub(crate) fn layers(&self) -> usize {
        self.stack.len()
    }

    /// Whether `filter` is one of the layers.
    pub(crate) fn has(&self, filter: &Arc<Filter>) -> bool {
        self.stack
            .layers()
            .iter()
            .any(|layer| Arc::ptr_eq(&layer.filter, filter))
    }

    /// Whether a task under this domain may reach one under `other`, as far as `scope` is concerned: all layers up to the last one that has it must be
    /// there too.
    pub(crate) fn may_reach(&self, other: Option<&Domain>, scope: Scopes) -> bool {
        let layers = self.stack.layers();
        let has_scope = |layer: &FilterLayer| layer.filter.policy().scopes().intersects(scope);
        let Some(last) = layers.iter().rposition(has_scope) else {
            return true;
        };
        let others = other.map_or(&[][..], |other| other.stack.layers());
        layers
            .iter()
            .take(last + 1)
            .all(|layer| others.iter().any(|other| layer.same(other)))
    }

    /// Whether a task under this domain is at least as confined as one under `other`.
    pub(crate) fn covers(&self, other: &Domain) -> bool {
        core::ptr::eq(self, other) || self.stack.covers(&other.stack, FilterLayer::same)
    }
}

/// What a task is under.
#[derive(Clone)]
pub(crate) struct Domains {
    /// Judges its events.
    pub(crate) now: Arc<Domain>,
    /// Takes the place of `now` when the task's next exec has succeeded. It has all layers that `now` has.
    pub(crate) at_exec: Option<Arc<Domain>>,
}

impl Domains {
    /// Those of a task that is under nothing.
    pub(crate) fn none() -> Result<Domains> {
        Ok(Domains {
            now: Domain::empty()?,
            at_exec: None,
        })
    }

    /// With `filter` pushed, at once and on what comes at the next exec.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::narrowed`].
    pub(crate) fn narrowed(&self, filter: &Arc<Filter>, root: &Root) -> Result<Domains> {
        Ok(Domains {
            now: self.now.narrowed(filter, root)?,
            at_exec: match &self.at_exec {
                Some(domain) => Some(domain.narrowed(filter, root)?),
                None => None,
            },
        })
    }

    /// With `filter` pushed on what comes at the next exec only.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::narrowed`].
    pub(crate) fn narrowed_at_exec(&self, filter: &Arc<Filter>, root: &Root) -> Result<Domains> {
        Ok(Domains {
            now: self.now.clone(),
            at_exec: Some(self.after_exec().narrowed(filter, root)?),
        })
    }

    /// Whether a task under these is at least as confined as one under `others`, now and after an exec.
    pub(crate) fn cover(&self, others: &Domains) -> bool {
        self.now.covers(&others.now) && self.after_exec().covers(others.after_exec())
    }

    /// Whether there is no layer, now or later.
    pub(crate) fn are_none(&self) -> bool {
        self.after_exec().layers() == 0
    }

    /// Whether both are the very same.
    pub(crate) fn same(&self, others: &Domains) -> bool {
        Arc::ptr_eq(&self.now, &others.now) && core::ptr::eq(self.after_exec(), others.after_exec())
    }

    fn after_exec(&self) -> &Domain {
        self.at_exec.as_ref().unwrap_or(&self.now)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A domain: the stack of layers that tasks are under.
//!
//! Immutable once made, and shared: fork gives the child its parent's domain. A domain is flat (it holds all its layers, not a link to an outer
//! domain), so judging follows no pointers from layer to layer and releasing it is a loop.

use filters::event::Event;
use filters::record::Record;
use filters::stack::{Decision, PushError, Stack};
use kernel::prelude::*;
use kernel::sync::{Arc, ArcBorrow};

use crate::ffi::ModulePin;
use crate::filter::{Filter, FilterLayer};

/// See the module's documentation.
pub(crate) struct Domain {
    stack: Stack<FilterLayer>,
    /// Bit by event number: some layer has a program for it.
    events: u32,
    /// While a task has a domain the module must stay: its mark would lead into freed text.
    _pin: ModulePin,
}

impl Domain {
    /// The domain of a task under `outer` that pushes `filter`. `outer` is left as it is.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if `outer` is full, `ENOMEM` if the layers together would cost more than `MAX_STACK_COST` or memory is short.
    pub(crate) fn narrowed(
        outer: Option<ArcBorrow<'_, Domain>>,
        filter: &Arc<Filter>,
    ) -> Result<Arc<Domain>> {
        let (mut stack, mut events) = match &outer {
            Some(outer) => (outer.stack.clone(), outer.events),
            None => (Stack::new(), 0),
        };
        stack
            .push(FilterLayer(filter.clone()))
            .map_err(|error| match error {
                PushError::Full => ENOSPC,
                PushError::TooCostly(_) => ENOMEM,
            })?;
        for event in Event::ALL {
            if filter.policy().program(event).is_some() {
                events |= 1 << event.number();
            }
        }
        let domain = Domain {
            stack,
            events,
            _pin: ModulePin::new(),
        };
        Ok(Arc::new(domain, GFP_KERNEL_ACCOUNT)?)
    }

    /// Whether any layer has a program for `event`.
    pub(crate) fn judges(&self, event: Event) -> bool {
        self.events & 1 << event.number() != 0
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
            .any(|layer| Arc::ptr_eq(&layer.0, filter))
    }

    /// Whether a task under this domain is at least as confined as one under `other`.
    pub(crate) fn covers(&self, other: &Domain) -> bool {
        core::ptr::eq(self, other) || self.stack.covers(&other.stack, FilterLayer::same)
    }
}

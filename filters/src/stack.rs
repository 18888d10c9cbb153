// SPDX-License-Identifier: GPL-2.0
//! The stack of layers on a task, and the law that it can only narrow.

use core::fmt;

use heapless::Vec;

use crate::event::Event;
use crate::limits::{MAX_LAYERS, MAX_STACK_COST};
use crate::record::Record;
use crate::verdict::Verdict;

/// Something that judges events: a loaded filter, or a reference to one.
pub trait Layer {
    /// The verdict on `record`, or `None` if this layer has no program for the event.
    fn judge(&self, record: &Record<'_>) -> Option<Verdict>;

    /// What judging one record of `event` costs at most, in units of a classic instruction; 0 if this layer has no program for the event.
    fn cost(&self, event: Event) -> u32;
}

/// What a stack decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The meet of all layers.
    pub verdict: Verdict,
    /// The layer whose verdict it is, counted from the oldest (0); `None` if no layer has a program for the event.
    pub layer: Option<usize>,
}

/// Why a layer was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There are as many layers as there may be.
    Full,
    /// All layers together would cost more than [`MAX_STACK_COST`] for this event.
    TooCostly(Event),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full => f.write_str("there is no room for another layer"),
            PushError::TooCostly(event) => write!(
                f,
                "{}: all layers together would cost more than {MAX_STACK_COST} units",
                event.schema().name
            ),
        }
    }
}

impl core::error::Error for PushError {}

/// Layers from the oldest to the newest. There is no way to take one away.
#[derive(Clone, Debug)]
pub struct Stack<L, const N: usize = MAX_LAYERS> {
    layers: Vec<L, N>,
}

impl<L, const N: usize> Stack<L, N> {
    /// A stack without layers: everything is allowed.
    pub const fn new() -> Stack<L, N> {
        Stack { layers: Vec::new() }
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers, oldest first.
    pub fn layers(&self) -> &[L] {
        &self.layers
    }

    /// Whether a task under this stack is at least as confined as one under `other`: whether each layer of `other` is also here.
    ///
    /// `same` tells whether two layers are one and the same filter.
    pub fn covers(&self, other: &Stack<L, N>, same: impl Fn(&L, &L) -> bool) -> bool {
        let here = |layer: &L| self.layers.iter().any(|mine| same(mine, layer));
        other.layers.iter().all(here)
    }
}

impl<L, const N: usize> Default for Stack<L, N> {
    fn default() -> Self {
        Stack::new()
    }
}

impl<L: Layer, const N: usize> Stack<L, N> {
    /// Adds a layer.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] if there are `N` already, [`PushError::TooCostly`] if the layers together cost too much for one event. The stack
    /// is unchanged then.
    pub fn push(&mut self, layer: L) -> Result<(), PushError> {
        if self.layers.is_full() {
            return Err(PushError::Full);
        }
        for event in Event::ALL {
            let held = self.layers.iter().map(|held| held.cost(event));
            if held.fold(layer.cost(event), u32::saturating_add) > MAX_STACK_COST {
                return Err(PushError::TooCostly(event));
            }
        }
        self.layers.push(layer).map_err(|_| PushError::Full)
    }

    /// The meet of all layers' verdicts on `record`; between equals the newest layer wins, as in `seccomp_run_filters`.
    pub fn evaluate(&self, record: &Record<'_>) -> Decision {
        let mut decision = Decision {
            verdict: Verdict::ALLOW,
            layer: None,
        };
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let Some(verdict) = layer.judge(record) else {
                continue;
            };
            // Newest first: an older layer takes over only if it is strictly stricter. This is `Verdict::meet`, with the place kept.
            let first = decision.layer.is_none();
            if first || !decision.verdict.at_least_as_strict_as(verdict) {
                decision = Decision {
                    verdict,
                    layer: Some(index),
                };
            }
        }
        decision
    }
}

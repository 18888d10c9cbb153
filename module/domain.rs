// SPDX-License-Identifier: GPL-2.0
//! A domain: the stack of layers that tasks are under.
//!
//! Immutable once made, and shared: fork gives the child its parent's domain. A domain is flat (it holds all its layers, not a link to an outer
//! domain), so judging follows no pointers from layer to layer and releasing it is a loop.

use filters::by_number::{self, Places};
use filters::by_path::Deed;
use filters::event::Event;
use filters::record::Record;
use filters::scope::Scopes;
use filters::stack::{Decision, PushError, Stack};
use filters::verdict::{Verdict, ACTION_MASK};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::ffi::{native_workspace, DomainRef, ModulePin, Native, Root};
use crate::filter::{Filter, FilterLayer};
use crate::paths::Paths;
use crate::walks::{Merging, Walks, What};

/// See the module's documentation.
#[repr(C)]
pub(crate) struct Domain {
    /// What all layers together decide about a system call by its number alone. First: the trampoline reads it.
    by_number: Places,
    /// Bit by event number: some layer has a program for it; and [`SCOPES`]. Second: as above.
    events: u32,
    stack: Stack<FilterLayer>,
    /// Bit by event number: some program for it asks for an id of the caller.
    asks_for_caller: u32,
    /// By event number, and in each bit by word of the record: some program for it may read that word.
    reads_words: [u32; Event::COUNT],
    /// By event number: which layer judges it, if it is a single one; else a number that no layer has.
    only: [u8; Event::COUNT],
    /// The programs for system calls of all layers as one, which says whether all of them allow a call. Without it, or if it says no, layer after layer is asked.
    merged: Option<Native>,
    /// What says of a name whether all layers allow it. If it says no, layer after layer is asked.
    names: Walks,
    /// By event number: the same for what happens to objects with a path, if several layers judge it.
    paths: [Option<Arc<Paths>>; Event::COUNT],
    /// Takes the place of this domain when the task's next exec has succeeded. It has all layers that this one has.
    at_exec: Option<DomainRef>,
    /// While a task has a domain the module must stay: its mark would lead into freed text.
    _pin: ModulePin,
}

/// Instructions of all layers together that are made into one program. More would make pushing a layer slow.
const MAX_MERGED: usize = 4096;

/// In the set of events: a layer has scopes. `EVF_SCOPES` of shim.h.
const SCOPES: u32 = 1 << 31;

/// `EVF_DOMAIN_EVENTS` and what follows it in shim.h.
const _: () = {
    assert!(core::mem::offset_of!(Domain, events) == 2048);
    assert!(Event::VfsGetname.number() == 1 && Event::VfsPick.number() == 2);
    assert!(Event::VfsWalk.number() == 3 && Event::FdReceive.number() == 4);
};

/// `EVF_BY_NUMBER_CALLS` and `EVF_BY_NUMBER_ALLOW`.
const _: () = assert!(filters::limits::NUMBERED_CALLS == 512 && by_number::ALLOW == 1);

impl Domain {
    /// A domain without layers, for a task whose first layer takes hold later.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn empty() -> Result<DomainRef> {
        Domain::finished(|domain| {
            by_number::decide(None, &mut domain.by_number);
            Ok(())
        })
    }

    /// The domain of a task under this one that pushes `filter`, to look at files from `root`. This one is left as it is.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is no room for a layer, `ENOMEM` if the layers together would cost more than `MAX_STACK_COST` or memory is short.
    pub(crate) fn narrowed(&self, filter: &Arc<Filter>, root: &Root) -> Result<DomainRef> {
        let at_exec = match &self.at_exec {
            Some(domain) => Some(domain.narrowed(filter, root)?),
            None => None,
        };
        Domain::finished(|domain| {
            domain.at_exec = at_exec;
            domain.take_over(self, Some((filter, root)))?;
            domain.push(filter, root)
        })
    }

    /// The same, for a layer that takes hold when the task's next exec has succeeded.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::narrowed`].
    pub(crate) fn narrowed_at_exec(&self, filter: &Arc<Filter>, root: &Root) -> Result<DomainRef> {
        let at_exec = Domain::finished(|domain| {
            domain.take_over(self.after_exec(), Some((filter, root)))?;
            domain.push(filter, root)
        })?;
        Domain::finished(|domain| {
            domain.at_exec = Some(at_exec);
            domain.take_over(self, None)
        })
    }

    /// A new domain, after `finish` has made of it what it is to be. It is made in place, being too large for a kernel stack.
    fn finished(finish: impl FnOnce(&mut Domain) -> Result) -> Result<DomainRef> {
        let mut domain = DomainRef::new(try_init!(Domain {
            by_number <- pin_init::init_zeroed(),
            events: 0,
            stack: Stack::new(),
            asks_for_caller: 0,
            reads_words: [0; Event::COUNT],
            only: [u8::MAX; Event::COUNT],
            merged: None,
            names: Walks::new(),
            paths: [const { None }; Event::COUNT],
            at_exec: None,
            _pin: ModulePin::new(),
        }? Error))?;
        let alone = domain.get_mut().ok_or(EINVAL)?;
        finish(alone)?;
        for event in Event::ALL {
            if let Some(only) = alone.only.get_mut(event.number() as usize) {
                *only = only_layer(&alone.stack, event).unwrap_or(u8::MAX);
            }
        }
        alone.merge();
        Ok(domain)
    }

    /// Makes one of the programs for system calls, if there are several and they are not too long.
    fn merge(&mut self) {
        let event = Event::SyscallEnter;
        let layers = self.stack.layers().iter().filter(|layer| !layer.repeated);
        let filters = layers.map(|layer| &layer.filter);
        let programs = filters.clone().filter_map(|filter| filter.program(event));
        let length: usize = programs.clone().map(|(program, _)| program.len()).sum();
        let all_native = programs
            .clone()
            .all(|(_, native)| native.is_some_and(Native::may_be_merged));
        if programs.clone().count() > 1 && all_native && length <= MAX_MERGED {
            let programs = programs.map(|(program, _)| *program);
            // Without memory, layer after layer is asked.
            self.merged = native_workspace()
                .ok()
                .and_then(|mut workspace| Native::compile(event, programs, &mut workspace));
        }
    }

    /// Takes over what judges now in `other`. Layers that decide everything as one that is `newer` does need not be asked any more; the newer one is, so that
    /// between equal verdicts the newest is seen.
    fn take_over(&mut self, other: &Domain, newer: Option<(&Arc<Filter>, &Root)>) -> Result {
        self.by_number = other.by_number;
        self.events = other.events;
        self.asks_for_caller = other.asks_for_caller;
        self.reads_words = other.reads_words;
        self.names = other.names.copy()?;
        self.paths = other.paths.clone();
        for layer in other.stack.layers() {
            let mut layer = layer.clone();
            layer.repeated |= newer.is_some_and(|(filter, root)| layer.decides_as(filter, root));
            self.stack.push(layer).map_err(no_room)?;
        }
        Ok(())
    }

    fn push(&mut self, filter: &Arc<Filter>, root: &Root) -> Result {
        // Layers that look from the same place share it, and with it what is found from there.
        let mut roots = self.stack.layers().iter().map(|layer| &layer.root);
        let root = roots.find(|held| held.same(root)).unwrap_or(root).clone();
        if filter.policy().scopes() != Scopes::NONE {
            self.events |= SCOPES;
        }
        self.walk(filter, &root)?;
        let layer = FilterLayer {
            repeated: false,
            filter: filter.clone(),
            root,
        };
        self.stack.push(layer).map_err(no_room)?;
        for (event, words) in Event::ALL.into_iter().zip(&mut self.reads_words) {
            let bit = 1 << event.number();
            if filter.policy().program(event).is_some() {
                self.events |= bit;
            }
            if filter.policy().asks_for_caller(event) {
                self.asks_for_caller |= bit;
            }
            *words |= filter.policy().reads_words(event);
        }
        by_number::narrow(&mut self.by_number, filter.by_number());
        Ok(())
    }

    /// Adds to the walks what `filter` allows, which is going to be the newest layer.
    fn walk(&mut self, filter: &Arc<Filter>, root: &Root) -> Result {
        let mut merging = Merging::new();
        let layers = self.stack.layers();
        // A policy that is among the layers already, whatever root it looks from there, allows no other names.
        let is_known = layers
            .iter()
            .any(|layer| layer.decides_as(filter, &layer.root));
        if !is_known && filter.program(Event::VfsGetname).is_some() {
            self.names.push(filter, What::Names, &mut merging)?;
        }
        // Nor other paths, from the same root.
        if layers.iter().any(|layer| layer.decides_as(filter, root)) {
            return Ok(());
        }
        for (event, paths) in Event::ALL.into_iter().zip(&mut self.paths) {
            if event.schema().reachable.is_none() || filter.program(event).is_none() {
                continue;
            }
            let judges =
                |layer: &&FilterLayer| !layer.repeated && layer.filter.program(event).is_some();
            let Some(first) = layers.iter().find(judges) else {
                continue;
            };
            let all = if !first.root.is(root) {
                Paths::none()
            } else if let Some(paths) = paths {
                paths.with(event, filter, &mut merging)?
            } else {
                let one = Paths::all()?.with(event, &first.filter, &mut merging)?;
                one.with(event, filter, &mut merging)?
            };
            *paths = Some(Arc::new(all, GFP_KERNEL_ACCOUNT)?);
        }
        Ok(())
    }

    /// Whether any layer has a program for `event`.
    pub(crate) fn judges(&self, event: Event) -> bool {
        self.events & 1 << event.number() != 0
    }

    /// Whether records of `event` need the ids of the caller.
    pub(crate) fn asks_for_caller(&self, event: Event) -> bool {
        self.asks_for_caller & 1 << event.number() != 0
    }

    /// Bit by word of its record: some layer's program for `event` may read that word.
    pub(crate) fn reads_words(&self, event: Event) -> u32 {
        self.reads_words[event.number() as usize]
    }

    /// The verdict of all layers on every system call with this number; `None` if it depends on more.
    pub(crate) fn by_number(&self, nr: u32, arch: u32) -> Option<Verdict> {
        by_number::verdict(&self.by_number, nr, arch)
    }

    /// Whether it has been found out, in the shortest way there is, that all layers allow the system call that `record` describes.
    #[inline]
    pub(crate) fn allows(&self, record: &Record<'_>) -> bool {
        let event = Event::SyscallEnter;
        let found = match (self.only(event), &self.merged) {
            (Some(layer), _) => layer.filter.program(event),
            (None, Some(merged)) => {
                let mut filters = self.stack.layers().iter().map(|layer| &layer.filter);
                let first = filters.find_map(|filter| filter.program(event));
                first.map(|(program, _)| (program, Some(merged)))
            }
            _ => None,
        };
        let Some((program, Some(native))) = found else {
            return false;
        };
        native
            .run(program, record)
            .is_some_and(|raw| raw & ACTION_MASK == Verdict::ALLOW.raw())
    }

    /// Whether it has been found out, in the shortest way there is, that all layers let this name pass.
    #[inline]
    pub(crate) fn allows_name(&self, name: &[u8]) -> bool {
        self.names.allow(What::Names, name)
    }

    /// Whether it has been found out, in the shortest way there is, that all layers allow `deed`. `find` gives the object's path as seen from a root, if the
    /// object exists, a name leads to it and it has no flags.
    #[inline]
    pub(crate) fn allows_path<'p>(
        &self,
        event: Event,
        deed: Deed,
        find: impl FnOnce(&Root) -> Option<&'p [u8]>,
    ) -> bool {
        let Some(layer) = self.only(event) else {
            return self.all_allow_path(event, deed, find).unwrap_or(false);
        };
        let Some((by_path, question)) = layer.filter.by_path(event) else {
            return false;
        };
        // Before a path is looked for: whether it is of any use.
        by_path.allows_some(deed)
            && find(&layer.root).is_some_and(|path| by_path.allows(question, deed, path))
    }

    #[inline(never)]
    fn all_allow_path<'p>(
        &self,
        event: Event,
        deed: Deed,
        find: impl FnOnce(&Root) -> Option<&'p [u8]>,
    ) -> Option<bool> {
        let walks = self
            .paths
            .get(event.number() as usize)?
            .as_ref()?
            .of(deed)?;
        // All that judge look from the same place.
        let mut layers = self.stack.layers().iter().rev();
        let judging = layers.find(|layer| layer.filter.program(event).is_some())?;
        Some(walks.allow(What::Paths(event, deed), find(&judging.root)?))
    }

    /// The layer that judges `event`, if it is a single one.
    #[inline]
    fn only(&self, event: Event) -> Option<&FilterLayer> {
        let index = self.only.get(event.number() as usize)?;
        self.stack.layers().get(usize::from(*index))
    }

    /// How many layers run as machine code.
    pub(crate) fn native_layers(&self) -> usize {
        let native = |layer: &&FilterLayer| layer.filter.is_native();
        self.stack.layers().iter().filter(native).count()
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

    /// Whether a task under this domain is at least as confined as one under `other`, now and after an exec.
    pub(crate) fn covers(&self, other: &Domain) -> bool {
        core::ptr::eq(self, other)
            || self.covers_now(other) && self.after_exec().covers_now(other.after_exec())
    }

    /// Whether a task under this domain is now at least as confined as one under `other`.
    pub(crate) fn covers_now(&self, other: &Domain) -> bool {
        core::ptr::eq(self, other) || self.stack.covers(&other.stack, FilterLayer::same)
    }

    /// Whether there is no layer, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.after_exec().layers() == 0
    }

    /// What takes the place of this domain when the task's next exec has succeeded, if that is another.
    pub(crate) fn at_exec(&self) -> Option<&DomainRef> {
        self.at_exec.as_ref()
    }

    fn after_exec(&self) -> &Domain {
        self.at_exec.as_deref().unwrap_or(self)
    }
}

/// The layer that judges `event`, if it is a single one.
fn only_layer(stack: &Stack<FilterLayer>, event: Event) -> Option<u8> {
    let layers = stack.layers().iter().enumerate();
    let judges = |layer: &FilterLayer| !layer.repeated && layer.filter.program(event).is_some();
    let mut judging = layers.filter(|(_, layer)| judges(layer));
    let (index, _) = judging.next()?;
    let is_only = judging.next().is_none();
    u8::try_from(index).ok().filter(|_| is_only)
}

fn no_room(error: PushError) -> Error {
    match error {
        PushError::Full => ENOSPC,
        PushError::TooCostly(_) => ENOMEM,
    }
}

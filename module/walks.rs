// SPDX-License-Identifier: GPL-2.0
//! The walks by which it is found out whether all layers of a domain allow something by a string alone: as few as possible, mostly one.
//!
//! They say "yes" only where each layer would, whatever else the record says. What is not said here, layer after layer says.

use filters::by_name::{Merged, Names, Product, Work, Workspace};
use filters::by_path::Deed;
use filters::event::Event;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::filter::Filter;

/// Walks that there are at most: they are made without preemption.
const MAX_WALKS: usize = 8;

/// Which strings.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// Names at `vfs.getname`. They are what was written, not what it leads to: it does not matter where a layer looks from.
    Names,
    /// Paths of objects to which this happens, at this event. Layers must look from the same place.
    Paths(Event, Deed),
}

/// See the module's documentation. Never changes once its domain is made.
pub(crate) struct Walks {
    /// `None` if some layer cannot say anything by the string alone, so that nothing can be said for all.
    walks: Option<KVec<Walk>>,
}

/// One walk, for one layer or several.
#[derive(Clone)]
enum Walk {
    Own(Arc<Filter>),
    Merged(Arc<Merged<KVVec<u8>>>),
}

/// What it takes to make one walk of two. All that is merged when a layer is pushed has to do with the same [`Work`].
pub(crate) struct Merging {
    work: Work,
    workspace: Option<KVBox<Workspace>>,
}

impl Merging {
    pub(crate) const fn new() -> Merging {
        Merging {
            work: Work::new(),
            workspace: None,
        }
    }

    /// What both sets have in common. `None` without memory, or if a limit is in the way.
    fn merge(&mut self, left: &Names<'_>, right: &Names<'_>) -> Option<Arc<Merged<KVVec<u8>>>> {
        let workspace = match &mut self.workspace {
            Some(workspace) => workspace,
            none => none.insert(
                KVBox::<Workspace>::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT).ok()?,
            ),
        };
        let product = Product::of(left, right, &mut self.work, workspace)?;
        let bytes = KVVec::from_elem(0, product.bytes(), GFP_KERNEL_ACCOUNT).ok()?;
        Arc::new(product.write(bytes)?, GFP_KERNEL_ACCOUNT).ok()
    }
}

impl Walks {
    /// Those of a domain without layers: everything is allowed.
    pub(crate) const fn new() -> Walks {
        Walks {
            walks: Some(KVec::new()),
        }
    }

    /// The same, for a domain that takes over all layers of another one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn copy(&self) -> Result<Walks> {
        let Some(own) = &self.walks else {
            return Ok(Walks { walks: None });
        };
        let mut walks = KVec::new();
        for walk in own {
            walks.push(walk.clone(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Walks { walks: Some(walks) })
    }

    /// Adds what `filter` allows, which has a program that judges `what`.
    ///
    /// It is merged with the newest walk with which that is possible; else the filter is walked by itself.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn push(
        &mut self,
        filter: &Arc<Filter>,
        what: What,
        merging: &mut Merging,
    ) -> Result {
        let (Some(walks), Some(strings)) = (&mut self.walks, filter.strings(what)) else {
            self.walks = None;
            return Ok(());
        };
        let has_room = walks.len() < MAX_WALKS;
        let merged = walks.iter_mut().rev().find_map(|walk| {
            let merged = merging.merge(&walk.strings(what)?, &strings)?;
            Some((walk, merged))
        });
        match merged {
            Some((walk, merged)) => *walk = Walk::Merged(merged),
            None if has_room => walks.push(Walk::Own(filter.clone()), GFP_KERNEL_ACCOUNT)?,
            None => self.walks = None,
        }
        Ok(())
    }

    /// Whether all layers allow this string, as far as that can be said by it alone.
    #[inline]
    pub(crate) fn allow(&self, what: What, string: &[u8]) -> bool {
        self.walks
            .as_ref()
            .is_some_and(|walks| walks.iter().all(|walk| walk.allows(what, string)))
    }

    /// Whether anything can be said.
    #[inline]
    pub(crate) const fn speak(&self) -> bool {
        self.walks.is_some()
    }
}

impl Walk {
    #[inline]
    fn allows(&self, what: What, string: &[u8]) -> bool {
        match self {
            Walk::Own(filter) => filter
                .strings(what)
                .is_some_and(|strings| strings.allow(string)),
            Walk::Merged(merged) => merged.allow(string),
        }
    }

    fn strings(&self, what: What) -> Option<Names<'_>> {
        match self {
            Walk::Own(filter) => filter.strings(what),
            Walk::Merged(merged) => Some(merged.names()),
        }
    }
}

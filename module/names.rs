// SPDX-License-Identifier: GPL-2.0
//! The walks by which it is found out whether all layers of a domain allow a name: as few as possible, mostly one.
//!
//! They say "yes" only where each layer would, whatever else the record says. That does not depend on where a layer looks from: the name at
//! `vfs.getname` is what was written, not what it leads to, so layers from different roots are walked together. What is not said here, layer after layer says.

use filters::by_name::{self, Merged, Product, Work, Workspace};
use filters::event::Event;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::filter::Filter;

/// See the module's documentation. Never changes once its domain is made.
pub(crate) struct Names {
    /// `None` if some layer cannot say anything by the name alone, so that nothing can be said for all.
    walks: Option<KVec<Walk>>,
}

/// One walk, for one layer or several.
#[derive(Clone)]
enum Walk {
    Own(Arc<Filter>),
    Merged(Arc<Merged<KVVec<u8>>>),
}

impl Names {
    /// Those of a domain without layers: all names are allowed.
    pub(crate) const fn new() -> Names {
        Names {
            walks: Some(KVec::new()),
        }
    }

    /// The same, for a domain that takes over all layers of another one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn copy(&self) -> Result<Names> {
        let Some(own) = &self.walks else {
            return Ok(Names { walks: None });
        };
        let mut walks = KVec::new();
        for walk in own {
            walks.push(walk.clone(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Names { walks: Some(walks) })
    }

    /// Adds what `filter` allows.
    ///
    /// Its names are merged with those of the newest walk with which that is possible. This takes [`Work`] in all, whatever is tried. Without memory the filter is
    /// walked by itself.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn push(&mut self, filter: &Arc<Filter>) -> Result {
        if filter.policy().program(Event::VfsGetname).is_none() {
            return Ok(());
        }
        let (Some(walks), Some(names)) = (&mut self.walks, filter.names()) else {
            self.walks = None;
            return Ok(());
        };
        match merge(walks, &names) {
            Some((walk, merged)) => *walk = Walk::Merged(merged),
            None => walks.push(Walk::Own(filter.clone()), GFP_KERNEL_ACCOUNT)?,
        }
        Ok(())
    }

    /// Whether all layers allow this name, as far as that can be said by the name alone.
    #[inline]
    pub(crate) fn allow(&self, name: &[u8]) -> bool {
        self.walks
            .as_ref()
            .is_some_and(|walks| walks.iter().all(|walk| walk.allows(name)))
    }
}

impl Walk {
    #[inline]
    fn allows(&self, name: &[u8]) -> bool {
        match self {
            Walk::Own(filter) => filter.names().is_some_and(|names| names.allow(name)),
            Walk::Merged(merged) => merged.allow(name),
        }
    }

    fn names(&self) -> Option<by_name::Names<'_>> {
        match self {
            Walk::Own(filter) => filter.names(),
            Walk::Merged(merged) => Some(merged.names()),
        }
    }
}

/// The walk that `names` can be merged with, and what becomes of it.
fn merge<'a>(
    walks: &'a mut [Walk],
    names: &by_name::Names<'_>,
) -> Option<(&'a mut Walk, Arc<Merged<KVVec<u8>>>)> {
    if walks.is_empty() {
        return None;
    }
    let mut workspace =
        KVBox::<Workspace>::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT).ok()?;
    let mut work = Work::new();
    walks.iter_mut().rev().find_map(|walk| {
        let product = Product::of(&walk.names()?, names, &mut work, &mut workspace)?;
        let bytes = KVVec::from_elem(0, product.bytes(), GFP_KERNEL_ACCOUNT).ok()?;
        let merged = Arc::new(product.write(bytes)?, GFP_KERNEL_ACCOUNT).ok()?;
        Some((walk, merged))
    })
}

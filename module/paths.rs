// SPDX-License-Identifier: GPL-2.0
//! What several layers that look from the same place allow by an object's path, at one event.
//!
//! Deeds to which all layers allow the same paths are a group, and each group has its walks: mostly one.

use filters::by_path::Deed;
use filters::event::Event;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::filter::Filter;
use crate::walks::{Merging, Walks, What};

/// Groups that there are at most, those of the commonest deeds. A policy about paths has six.
const MAX_GROUPS: usize = 8;

/// A deed without a group: nothing can be said of it.
const NONE: u8 = u8::MAX;

/// See the module's documentation.
pub(crate) struct Paths {
    /// By deed.
    group: [u8; Deed::COUNT],
    groups: KVec<Walks>,
}

impl Paths {
    /// Nothing can be said.
    pub(crate) const fn none() -> Paths {
        Paths {
            group: [NONE; Deed::COUNT],
            groups: KVec::new(),
        }
    }

    /// No layers: everything is allowed.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn all() -> Result<Paths> {
        let mut groups = KVec::new();
        groups.push(Walks::new(), GFP_KERNEL_ACCOUNT)?;
        Ok(Paths {
            group: [0; Deed::COUNT],
            groups,
        })
    }

    /// The same with one more layer, which has a program for `event`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn with(
        &self,
        event: Event,
        filter: &Arc<Filter>,
        merging: &mut Merging,
    ) -> Result<Paths> {
        let mut paths = Paths::none();
        let Some((by_path, _)) = filter.by_path(event) else {
            return Ok(paths);
        };
        // By new group: the old one that it is a part of, and a deed in it.
        let mut parts: KVec<(u8, Deed)> = KVec::new();
        for deed in Deed::each() {
            let old = self.number(deed);
            let Some(walks) = self.groups.get(usize::from(old)) else {
                continue;
            };
            if !by_path.allows_some(deed) {
                continue;
            }
            let same =
                |(part, other): &(u8, Deed)| *part == old && by_path.allows_alike(*other, deed);
            let new = match parts.iter().position(same) {
                Some(known) => known,
                None if parts.len() < MAX_GROUPS => {
                    let mut walks = walks.copy()?;
                    walks.push(filter, What::Paths(event, deed), merging)?;
                    paths.groups.push(walks, GFP_KERNEL_ACCOUNT)?;
                    parts.push((old, deed), GFP_KERNEL_ACCOUNT)?;
                    parts.len() - 1
                }
                None => continue,
            };
            if let Some(group) = paths.group.get_mut(deed.number()) {
                *group = new as u8;
            }
        }
        Ok(paths)
    }

    /// The walks that tell by which paths the deed is allowed, if anything does.
    #[inline]
    pub(crate) fn of(&self, deed: Deed) -> Option<&Walks> {
        let walks = self.groups.get(usize::from(self.number(deed)))?;
        walks.speak().then_some(walks)
    }

    fn number(&self, deed: Deed) -> u8 {
        self.group.get(deed.number()).copied().unwrap_or(NONE)
    }
}

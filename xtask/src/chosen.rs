// SPDX-License-Identifier: GPL-2.0

//! What a verb works with: the cache filled as far as it needs it, and the kernel that is built against.

use anyhow::Result;

use crate::cache::{Cache, Lock};
use crate::debug::DebugKernel;
use crate::flavour::Flavour;
use crate::module::{OwnTree, Target};
use crate::run::BuildArgs;
use crate::setup::{self, Kit, Wish};
use crate::workspace::Workspace;

/// The kit, and the user's own tree or the debug kernel if that was named.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) kit: Kit,
    pub(crate) own: Option<OwnTree>,
    pub(crate) flavour: Flavour,
    debug: Option<DebugKernel>,
    /// Keeps the cache's entries in place while they are used.
    _kept: Lock,
}

impl Chosen {
    /// Looks at the user's tree first, which costs nothing, and then fills the cache where needed.
    pub(crate) fn new(workspace: &Workspace, cache: &Cache, args: &BuildArgs) -> Result<Self> {
        let own = args.kdir.as_deref().map(OwnTree::open).transpose()?;
        let wish = Wish {
            own_kernel: own.is_some(),
            clang: args.kernel != Flavour::Stock,
            ..Wish::default()
        };
        let (kit, kept) = setup::ensure(workspace.repo(), cache, wish)?;
        let recipe = args.kernel.recipe();
        let debug = recipe
            .map(|recipe| DebugKernel::ensure(workspace, &kit, recipe))
            .transpose()?;
        Ok(Self {
            kit,
            own,
            flavour: args.kernel,
            debug,
            _kept: kept,
        })
    }

    /// What is built against and booted.
    pub(crate) fn target(&self) -> Target<'_> {
        match (&self.own, &self.debug) {
            (Some(tree), _) => Target::Own(tree),
            (None, Some(kernel)) => Target::Debug(kernel),
            (None, None) => Target::Stock(&self.kit),
        }
    }
}

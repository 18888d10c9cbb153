// SPDX-License-Identifier: GPL-2.0
//! Attaching: the kernel functions that a filter needs are directed to their handlers when the first such filter is loaded, and only then. They
//! stay so until the module goes.
//!
//! That they exist and can be traced is found out when the module is loaded: a kernel on which one is missing does not get it.

use core::ffi::CStr;

use filters::event::Event;
use filters::scope::Scopes;
use kernel::prelude::*;
use kernel::sync::SetOnce;

use crate::ffi::{self, Answer, Arguments, Function, Trampoline};
use crate::symbol;

/// Functions that lead through one trampoline, and whose filters need them.
pub(crate) struct AttachPoint {
    pub(crate) hooks: &'static [Hook],
    pub(crate) trampoline: Trampoline,
    pub(crate) needed_by: Need,
}

/// One kernel function that is hooked.
#[derive(Clone, Copy)]
pub(crate) struct Hook {
    pub(crate) symbol: &'static CStr,
    /// What answers for it, if its trampoline is shared with others; a trampoline of its own has its handler inside.
    pub(crate) handler: Option<Handler>,
    /// Functions of the same source file that must call it: a compiler can also put its body into them, where no hook sees it.
    callers: &'static [&'static CStr],
}

/// Answers for a function whose arguments these are.
pub(crate) type Handler = fn(&Arguments) -> Answer;

impl Hook {
    /// A place in a list that is being put together.
    pub(crate) const fn none() -> Hook {
        Hook::own(c"")
    }

    /// A function with a trampoline of its own.
    pub(crate) const fn own(symbol: &'static CStr) -> Hook {
        Hook {
            symbol,
            handler: None,
            callers: &[],
        }
    }

    /// The same, if these functions lead to it.
    pub(crate) const fn called_by(self, callers: &'static [&'static CStr]) -> Hook {
        Hook { callers, ..self }
    }

    /// A function whose trampoline is shared.
    pub(crate) const fn shared(symbol: &'static CStr, handler: Handler) -> Hook {
        Hook {
            symbol,
            handler: Some(handler),
            callers: &[],
        }
    }
}

/// What filters need attach points for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bit by event number.
    events: u32,
    scopes: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By nobody in particular: attached with the module.
    Module,
    /// By every filter.
    Filters,
    /// By some.
    Some,
}

impl Need {
    /// The module itself.
    pub(crate) const MODULE: Need = Need {
        events: 0,
        scopes: 0,
        kind: Kind::Module,
    };

    /// Every filter: what keeps tasks under their domains.
    pub(crate) const FILTERS: Need = Need {
        kind: Kind::Filters,
        ..Need::MODULE
    };

    /// Filters with programs for these events.
    pub(crate) const fn events(events: &[Event]) -> Need {
        let mut bits = 0;
        let mut rest = events;
        while let [event, tail @ ..] = rest {
            bits |= 1 << event.number();
            rest = tail;
        }
        Need {
            events: bits,
            kind: Kind::Some,
            ..Need::MODULE
        }
    }

    /// Filters with these scopes.
    pub(crate) const fn scopes(scopes: Scopes) -> Need {
        Need {
            scopes: scopes.bits(),
            kind: Kind::Some,
            ..Need::MODULE
        }
    }

    /// What one filter needs.
    pub(crate) fn of(events: u32, scopes: Scopes) -> Need {
        Need {
            events,
            scopes: scopes.bits(),
            kind: Kind::Filters,
        }
    }

    /// What there is not to be without it.
    fn refused(self) -> &'static CStr {
        match self.kind {
            Kind::Module => c"not loaded",
            Kind::Filters | Kind::Some => c"filter refused",
        }
    }

    /// Whether an attach point with this need is needed by a filter that needs `filter`.
    fn is_met_by(self, filter: Need) -> bool {
        match self.kind {
            Kind::Module => filter.kind == Kind::Module,
            Kind::Filters => filter.kind == Kind::Filters,
            Kind::Some => self.events & filter.events != 0 || self.scopes & filter.scopes != 0,
        }
    }
}

/// Functions of all attach points, at most.
const MAX_FUNCTIONS: usize = 96;

/// All attach points, in the order of attaching, and where their functions lie, in the same order.
struct Found {
    points: &'static [AttachPoint],
    functions: [Function; MAX_FUNCTIONS],
}

/// Places of [`Shared`], as a power of two: five times as many as functions, so that a multiplier without collisions is soon found.
const SHARED_BITS: u32 = 9;

/// The handlers of functions that share a trampoline, by where that is entered from. A perfect hash: one multiplication and one comparison.
struct Shared {
    places: [(usize, Option<Handler>); 1 << SHARED_BITS],
    multiplier: usize,
}

impl Shared {
    /// Without a single function.
    const NONE: Shared = Shared {
        places: [(0, None); 1 << SHARED_BITS],
        multiplier: FIRST_MULTIPLIER,
    };

    /// Takes in the functions with these sites, which are all different.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if no multiplier keeps them apart; with so many places that does not happen.
    fn take(&mut self, sites: &[(usize, Handler)]) -> Result {
        for _ in 0..100_000 {
            self.places.fill((0, None));
            let apart = sites.iter().all(|&(site, handler)| {
                let place = &mut self.places[place_of(site, self.multiplier)];
                let free = place.1.is_none();
                *place = (site, Some(handler));
                free
            });
            if apart {
                return Ok(());
            }
            self.multiplier = self.multiplier.wrapping_mul(FIRST_MULTIPLIER);
        }
        Err(ENOSPC)
    }
}

static FOUND: SetOnce<Found> = SetOnce::new();
static SHARED: ffi::Filled<Shared> = ffi::Filled::new(Shared::NONE);

/// Finds the functions of all attach points; once, when the module is loaded.
///
/// # Errors
///
/// `ENOENT` if a function is missing, `EINVAL` if it cannot be traced, `EOPNOTSUPP` if the compiler has made copies of it, on their own or inside of others. One line in the kernel log
/// names it.
pub(crate) fn find(points: &'static [AttachPoint]) -> Result {
    let mut functions = [Function::NONE; MAX_FUNCTIONS];
    let mut sites = KVec::new();
    let hooks = points.iter().flat_map(|point| point.hooks);
    if points.len() > ffi::hooks_max() || hooks.clone().count() > MAX_FUNCTIONS {
        pr_err!("not loaded: more attach points than there is room for\n");
        return Err(ENOSPC);
    }
    for (hook, function) in hooks.zip(&mut functions) {
        *function = symbol::find_traceable(hook.symbol)?;
        symbol::expect_calls(hook.callers, hook.symbol, *function)?;
        if let Some(handler) = hook.handler {
            sites.push((function.site()?, handler), GFP_KERNEL)?;
        }
    }
    SHARED.fill(|shared| shared.take(&sites))?;
    FOUND.populate(Found { points, functions });
    Ok(())
}

/// An odd number whose bits are in no order: 2^64 divided by the golden ratio.
const FIRST_MULTIPLIER: usize = 0x9e37_79b9_7f4a_7c15;

const fn place_of(site: usize, multiplier: usize) -> usize {
    site.wrapping_mul(multiplier) >> (usize::BITS - SHARED_BITS)
}

/// What answers for the shared function that `site`, where the patched call at its entry returns to, lies in.
pub(crate) fn handler_at(site: usize) -> Option<Handler> {
    let shared = SHARED.get()?;
    let (known, handler) = shared.places[place_of(site, shared.multiplier)];
    handler.filter(|_| known == site)
}

/// Attaches what is needed and is not attached yet.
///
/// # Errors
///
/// `EBUSY` if somebody else directs one of the functions (a BPF trampoline) or ftrace is switched off; a line in the kernel log names each such function and who
/// has it. What was attached before stays.
pub(crate) fn need(need: Need) -> Result {
    let found = FOUND.as_ref().ok_or(EINVAL)?;
    let mut attached = ffi::attached();
    for (index, point, functions) in found.each() {
        if point.needed_by.is_met_by(need) && *attached >> index & 1 == 0 {
            ffi::hook(index, functions, point.trampoline)
                .inspect_err(|error| point.blame(functions, need, *error))?;
            *attached |= 1 << index;
        }
    }
    Ok(())
}

impl Found {
    /// Each attach point with its number and its functions.
    fn each(&self) -> impl Iterator<Item = (usize, &'static AttachPoint, &[Function])> {
        let mut rest = &self.functions[..];
        self.points.iter().enumerate().map(move |(index, point)| {
            let (functions, behind) = rest.split_at(point.hooks.len());
            rest = behind;
            (index, point, functions)
        })
    }
}

impl AttachPoint {
    /// Says in the kernel log which functions cannot be hooked, and who has them. ftrace is asked, nothing is hooked to find out: anybody who may load a filter can
    /// make us come here.
    fn blame(&self, functions: &[Function], need: Need, error: Error) {
        let what = need.refused();
        let mut named = false;
        for (hook, function) in self.hooks.iter().zip(functions) {
            if let Ok(Some(holder)) = function.holder() {
                ffi::log_taken(what, hook.symbol, holder);
                named = true;
            }
        }
        if let (false, [hook, ..]) = (named, self.hooks) {
            ffi::log_unhooked(what, hook.symbol, error);
        }
    }
}

/// The attached hooks; dropping it detaches them.
pub(crate) struct Attached(());

impl Attached {
    /// Attaches what the module itself needs.
    ///
    /// # Errors
    ///
    /// Those of [`need`].
    pub(crate) fn new() -> Result<Attached> {
        let attached = Attached(());
        need(Need::MODULE)?;
        Ok(attached)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut attached = ffi::attached();
        for (index, point, _) in FOUND.as_ref().into_iter().flat_map(Found::each) {
            if *attached >> index & 1 != 0 && ffi::unhook(index, point.trampoline).is_err() {
                let symbol = point.hooks[0].symbol;
                pr_err!("{symbol:?} and what goes with it cannot be released\n");
            }
        }
        *attached = 0;
        drop(attached);
        ffi::quiesce();
    }
}

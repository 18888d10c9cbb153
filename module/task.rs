// SPDX-License-Identifier: GPL-2.0
//! Who is under which domain: pushing a layer on the caller, giving a child its parent's, comparing two tasks.

use kernel::prelude::*;
use kernel::sync::{rcu, Arc};

use crate::domain::Domain;
use crate::ffi::{self, NewSlot, Task, ATTACH};
use crate::filter::Filter;

/// Number of layers on `task`.
pub(crate) fn layers(task: Task) -> usize {
    let rcu = rcu::read_lock();
    ffi::domain_of(task, &rcu).map_or(0, |domain| domain.layers())
}

/// The domain of `task`.
fn domain_of(task: Task) -> Option<Arc<Domain>> {
    let rcu = rcu::read_lock();
    ffi::domain_of(task, &rcu).map(Into::into)
}

/// Pushes `filter` on the calling thread and on the threads that the kernel runs for its process: io_uring's workers and SQPOLL threads act for
/// whoever can write to a ring, and those made before would otherwise stay as free as the caller was.
///
/// # Errors
///
/// `EACCES` without no_new_privs or CAP_SYS_ADMIN, else those of [`Domain::narrowed`]. Nothing has changed then.
pub(crate) fn restrict_self(filter: &Arc<Filter>) -> Result {
    if !ffi::may_restrict() {
        return Err(EACCES);
    }
    let _attach = ATTACH.lock();
    let current = Task::current();
    let outer = domain_of(current);
    let inner = Domain::narrowed(outer.as_ref().map(|outer| outer.as_arc_borrow()), filter)?;
    let own_slot = NewSlot::new(inner.clone(), false)?;

    // Everything that can fail comes first.
    let workers = ffi::user_workers()?;
    let mut prepared = KVec::with_capacity(workers.len(), GFP_KERNEL)?;
    for worker in &workers {
        prepared.push(
            prepare_worker(worker.task(), &outer, &inner, filter)?,
            GFP_KERNEL,
        )?;
    }

    for (worker, slot) in workers.iter().zip(prepared) {
        slot.give_to(worker.task());
    }
    own_slot.give_to(current);
    cover_new_workers(&outer, &inner, filter);
    Ok(())
}

/// A slot with the worker's domain, narrowed by `filter`. Most workers were made by the caller and share its domain, before and after.
fn prepare_worker(
    worker: Task,
    outer: &Option<Arc<Domain>>,
    inner: &Arc<Domain>,
    filter: &Arc<Filter>,
) -> Result<NewSlot> {
    let own = domain_of(worker);
    let shared = match (&own, outer) {
        (Some(own), Some(outer)) => Arc::ptr_eq(own, outer),
        (None, None) => true,
        _ => false,
    };
    let domain = if shared {
        inner.clone()
    } else {
        Domain::narrowed(own.as_ref().map(|own| own.as_arc_borrow()), filter)?
    };
    NewSlot::new(domain, false)
}

/// Covers the workers that a worker made while its own domain was being changed.
///
/// A new thread gets its creator's domain when it is allocated, and [`adopt`] compares again when it is woken. Between the two the creator may
/// have been narrowed. After the barrier either the creator sees its new domain in `adopt`, or the loop here sees its new thread.
fn cover_new_workers(outer: &Option<Arc<Domain>>, inner: &Arc<Domain>, filter: &Arc<Filter>) {
    loop {
        ffi::barrier();
        let Ok(workers) = ffi::user_workers() else {
            // Who cannot be counted cannot be covered: fail closed.
            return ffi::kill_process();
        };
        let mut found = false;
        for worker in &workers {
            let worker = worker.task();
            if domain_of(worker).is_some_and(|domain| domain.has(filter)) {
                continue;
            }
            found = true;
            match prepare_worker(worker, outer, inner, filter) {
                Ok(slot) => slot.give_to(worker),
                Err(_) => return ffi::kill_process(),
            }
        }
        if !found {
            return;
        }
    }
}

/// Gives `child`, which is being forked and does not run yet, the caller's domain.
///
/// # Errors
///
/// `ENOMEM`; the child must not come to life then.
pub(crate) fn inherit(child: Task) -> Result {
    // The caller has the mark. Without a domain there is nothing that the child could safely be given.
    let domain = domain_of(Task::current()).ok_or(EPERM)?;
    NewSlot::new(domain, false)?.give_to(child);
    Ok(())
}

/// Makes sure, just before `child` runs for the first time, that it is at least as confined as its creator, the caller, is by now.
pub(crate) fn adopt(child: Task) {
    ffi::barrier();
    if at_least_as_confined(child, Task::current()) {
        return;
    }
    let _attach = ATTACH.lock();
    let slot = domain_of(Task::current()).ok_or(EPERM);
    match slot.and_then(|domain| NewSlot::new(domain, true)) {
        Ok(slot) => slot.give_to(child),
        Err(_) => ffi::kill_process(),
    }
}

/// Whether `task` is under all layers that `other` is under.
pub(crate) fn at_least_as_confined(task: Task, other: Task) -> bool {
    let rcu = rcu::read_lock();
    match (ffi::domain_of(task, &rcu), ffi::domain_of(other, &rcu)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(task), Some(other)) => task.covers(&other),
    }
}

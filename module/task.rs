// SPDX-License-Identifier: GPL-2.0
//! Who is under which domain: pushing a layer on the caller, giving a child its parent's, comparing two tasks.

use kernel::prelude::*;
use kernel::sync::{rcu, Arc};

use crate::domain::Domain;
use crate::ffi::{self, NewSlot, Task};
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
/// `EACCES` without no_new_privs or CAP_SYS_ADMIN; `EBUSY` if the caller traces a task, through which it could go on acting freely; `EINTR` if
/// it is being killed; else those of [`Domain::narrowed`]. Nothing has changed then.
pub(crate) fn restrict_self(filter: &Arc<Filter>) -> Result {
    if !ffi::may_restrict() {
        return Err(EACCES);
    }
    let _process = ffi::lock_process()?;
    if ffi::traces_others() {
        return Err(EBUSY);
    }
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
    if ffi::traces_others() {
        // A child asked to be traced in between, when there was nothing to compare it with yet. The layer cannot be taken back.
        ffi::kill_process();
    }
    Ok(())
}

/// How often the workers are looked through for new ones. Only a worker that was making a worker can need a second look; whoever needs more keeps making
/// them on purpose.
const ROUNDS: usize = 16;

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
    for _ in 0..ROUNDS {
        match cover_workers(outer, inner, filter) {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    // Who cannot be covered must not run: fail closed.
    ffi::kill_process();
}

/// Covers the workers that are not yet; returns how many there were.
fn cover_workers(
    outer: &Option<Arc<Domain>>,
    inner: &Arc<Domain>,
    filter: &Arc<Filter>,
) -> Result<usize> {
    ffi::barrier();
    let mut found = 0;
    for worker in &ffi::user_workers()? {
        let worker = worker.task();
        if !domain_of(worker).is_some_and(|domain| domain.has(filter)) {
            prepare_worker(worker, outer, inner, filter)?.give_to(worker);
            found += 1;
        }
    }
    Ok(found)
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
///
/// Takes no lock: the creator may be dying together with a process whose lock is held. Whoever narrows the creator meanwhile is seen in the next round.
pub(crate) fn adopt(child: Task) {
    // Pairs with the barrier in `cover_workers`. The test of the mark in the trampoline comes before it; between that and the child's entry into the
    // list of threads lie locked instructions of the kernel (io-wq's and SQPOLL's locks, cgroup_post_fork).
    ffi::barrier();
    while !at_least_as_confined(child, Task::current()) {
        let domain = domain_of(Task::current()).ok_or(EPERM);
        match domain.and_then(|domain| NewSlot::new(domain, true)) {
            Ok(slot) => slot.give_to(child),
            Err(_) => return ffi::kill_process(),
        }
        ffi::barrier();
    }
}

/// Whether `task` is under all layers that `other` is under.
fn at_least_as_confined(task: Task, other: Task) -> bool {
    covers(&rcu::read_lock(), task, other)
}

/// Whether every thread of the process of `task` is under all layers that `other` is under.
pub(crate) fn process_at_least_as_confined(task: Task, other: Task) -> bool {
    let rcu = rcu::read_lock();
    task.all_threads(&rcu, |thread| covers(&rcu, thread, other))
}

fn covers(rcu: &rcu::Guard, task: Task, other: Task) -> bool {
    match (ffi::domain_of(task, rcu), ffi::domain_of(other, rcu)) {
        // A mark without a domain cannot be: fail closed.
        (_, None) => !other.has_mark(),
        (None, Some(_)) => false,
        (Some(task), Some(other)) => task.covers(&other),
    }
}

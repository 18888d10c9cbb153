// SPDX-License-Identifier: GPL-2.0
//! Who is under which domain: pushing a layer on the caller, giving a child its parent's, comparing two tasks.

use kernel::alloc::AllocError;
use kernel::prelude::*;
use kernel::sync::{rcu, Arc};

use filters::scope::Scopes;
use uapi::argument::Whom;

use crate::domain::Domain;
use crate::ffi::{self, DomainRef, Root, Sock, Task};
use crate::filter::Filter;

/// Number of layers on `task`.
pub(crate) fn layers(task: Task) -> usize {
    let rcu = rcu::read_lock();
    ffi::domain_of(task, &rcu).map_or(0, |domain| domain.layers())
}

/// Number of layers on `task` that are machine code.
pub(crate) fn native_layers(task: Task) -> usize {
    let rcu = rcu::read_lock();
    ffi::domain_of(task, &rcu).map_or(0, Domain::native_layers)
}

/// Why a filter was not pushed. Nothing has changed then.
pub(crate) enum Obstacle {
    /// As the errno says.
    Error(Error),
    /// The thread with this id cannot be taken along.
    Thread(u32),
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Obstacle {
        Obstacle::Error(error)
    }
}

impl From<AllocError> for Obstacle {
    fn from(error: AllocError) -> Obstacle {
        Obstacle::Error(error.into())
    }
}

/// A change of what tasks are under: `filter` is pushed.
struct Push<'f> {
    filter: &'f Arc<Filter>,
    root: Root,
    whom: Whom,
    /// What the caller was under before, and will be under.
    outer: DomainRef,
    inner: DomainRef,
}

/// Pushes `filter` on whom it is meant for, and always on the threads that the kernel runs for the caller's process: io_uring's workers and SQPOLL
/// threads act for whoever can write to a ring, and those made before would otherwise stay as free as the caller was. (Not if it is for the
/// next exec: that ends them.)
///
/// # Errors
///
/// `EACCES` without no_new_privs or CAP_SYS_ADMIN; `EBUSY` if the caller traces a task, through which it could go on acting freely; `EINTR` if
/// it is being killed; else those of [`Domain::narrowed`].
pub(crate) fn restrict_self(filter: &Arc<Filter>, whom: Whom) -> Result<(), Obstacle> {
    if !ffi::may_restrict() {
        return Err(EACCES.into());
    }
    let _process = ffi::lock_process()?;
    let current = Task::current();
    if current.traces_others() {
        return Err(EBUSY.into());
    }
    let outer = domain_or_none(current)?;
    let root = Root::of_caller()?;
    let inner = match whom {
        Whom::Caller | Whom::AllThreads => outer.narrowed(filter, &root)?,
        Whom::CallerAtExec => outer.narrowed_at_exec(filter, &root)?,
    };
    if whom == Whom::CallerAtExec {
        inner.give_to(current);
        return Ok(());
    }
    let push = Push {
        filter,
        root,
        whom,
        outer,
        inner,
    };

    // Everything that can fail comes first.
    let threads = push.threads()?;
    let mut prepared = KVec::with_capacity(threads.len(), GFP_KERNEL)?;
    for thread in &threads {
        prepared.push(push.prepare(thread.task())?, GFP_KERNEL)?;
    }

    for (thread, domain) in threads.iter().zip(prepared) {
        push.give(domain, thread.task());
    }
    push.inner.clone().give_to(current);
    push.cover_new_threads();
    if push.traces_others() {
        // A child asked to be traced in between, when there was nothing to compare it with yet. The layer cannot be taken back.
        ffi::kill_process();
    }
    Ok(())
}

/// The domain of `task`; one without layers if it has none.
fn domain_or_none(task: Task) -> Result<DomainRef> {
    match ffi::domain_ref_of(task) {
        Some(domain) => Ok(domain),
        None => Domain::empty(),
    }
}

/// How often the threads are looked through for new ones. Only a thread that was making a thread can need a second look; whoever needs more keeps making
/// them on purpose.
const ROUNDS: usize = 16;

impl Push<'_> {
    /// The threads that the filter is pushed on besides the caller.
    fn threads(&self) -> Result<KVec<ffi::Thread>> {
        ffi::other_threads(self.whom != Whom::AllThreads)
    }

    /// What `thread` will be under. Most threads were made by the caller and share its domain, before and after.
    ///
    /// If the filter is for the caller, a worker has its own domain narrowed, whatever it is. If it is for all threads they get what the caller
    /// will be under, workers too, so none may be under anything else.
    fn prepare(&self, thread: Task) -> Result<DomainRef, Obstacle> {
        let own = domain_or_none(thread)?;
        let domain = if own.same(&self.outer) || own.is_empty() && self.outer.is_empty() {
            self.inner.clone()
        } else if self.whom == Whom::Caller {
            own.narrowed(self.filter, &self.root)?
        } else if self.inner.covers(&own) {
            self.inner.clone()
        } else {
            return Err(Obstacle::Thread(thread.id()));
        };
        if thread.traces_others() {
            return Err(Obstacle::Thread(thread.id()));
        }
        Ok(domain)
    }

    fn give(&self, domain: DomainRef, thread: Task) {
        if self.whom == Whom::AllThreads {
            // Before the domain: with it, but still able to gain privileges, the thread could use them on those who do not expect it confined.
            thread.take_no_new_privs();
        }
        domain.give_to(thread);
    }

    /// Covers the threads that a thread made while its own domain was being changed.
    ///
    /// A new thread gets its creator's domain when it is allocated, and [`adopt`] compares again when it is woken. Between the two the creator may
    /// have been narrowed. After the barrier either the creator sees its new domain in `adopt`, or the loop here sees its new thread.
    fn cover_new_threads(&self) {
        for _ in 0..ROUNDS {
            match self.cover_threads() {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        // Who cannot be covered must not run: fail closed.
        ffi::kill_process();
    }

    /// Covers the threads that are not yet; returns how many there were.
    fn cover_threads(&self) -> Result<usize, Obstacle> {
        ffi::barrier();
        let mut found = 0;
        for thread in &self.threads()? {
            let thread = thread.task();
            if !ffi::domain_ref_of(thread).is_some_and(|domain| self.covers(&domain)) {
                self.give(self.prepare(thread)?, thread);
                found += 1;
            }
        }
        Ok(found)
    }

    /// Whether a thread that is under `domain` has got what it should.
    fn covers(&self, domain: &Domain) -> bool {
        match self.whom {
            Whom::AllThreads => domain.covers(&self.inner),
            _ => domain.has(self.filter),
        }
    }

    /// Whether anybody whom the filter was pushed on is a tracer.
    fn traces_others(&self) -> bool {
        Task::current().traces_others()
            || self.whom == Whom::AllThreads
                && !self.threads().is_ok_and(|threads| {
                    threads.iter().all(|thread| !thread.task().traces_others())
                })
    }
}

/// The caller's exec has succeeded: what was pushed for this moment takes hold.
pub(crate) fn exec_succeeded() {
    let current = Task::current();
    let rcu = rcu::read_lock();
    let Some(domain) = ffi::domain_of(current, &rcu) else {
        // A mark without a domain cannot be: fail closed.
        return ffi::kill_process();
    };
    let Some(next) = domain.at_exec() else {
        return;
    };
    // The other threads are gone: nobody gives the caller another one meanwhile.
    next.clone().give_to(current);
    if current.traces_others() {
        // What it traces since the layer was pushed for now would go on acting freely for it.
        ffi::kill_process();
    }
}

/// Gives `child`, which is being forked and does not run yet, the caller's domain.
///
/// # Errors
///
/// `EPERM` if the caller, which has the mark, has no domain, which cannot be; the child must not come to life then.
pub(crate) fn inherit(child: Task) -> Result {
    ffi::domain_ref_of(Task::current())
        .ok_or(EPERM)?
        .give_to_child(child);
    Ok(())
}

/// Makes sure, just before `child` runs for the first time, that it is at least as confined as its creator, the caller, is by now, and has no_new_privs
/// if the caller has it: another thread may have given the caller both after the child's flags were copied. (`copy_seccomp` in `kernel/fork.c` does the same.)
///
/// Takes no lock: the creator may be dying together with a process whose lock is held. Whoever narrows the creator meanwhile is seen in the next round.
pub(crate) fn adopt(child: Task) {
    // Pairs with the barrier in `cover_threads`, as does the one in the trampoline. The test of the mark in the trampoline comes before it; between that and the child's entry into the
    // list of threads lie locked instructions of the kernel (io-wq's and SQPOLL's locks, cgroup_post_fork).
    ffi::barrier();
    child.take_no_new_privs();
    while !at_least_as_confined(child, Task::current()) {
        match ffi::domain_ref_of(Task::current()) {
            Some(domain) => domain.give_to(child),
            None => return ffi::kill_process(),
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

/// Whether the caller may signal `target`: itself, and processes that are at least as confined where its layers scope signals.
pub(crate) fn may_signal(target: Task) -> bool {
    let rcu = rcu::read_lock();
    target.is_of_process_of(Task::current())
        || target.all_threads(&rcu, |thread| {
            may_reach(&rcu, ffi::domain_of(thread, &rcu), Scopes::SIGNAL)
        })
}

/// Whether the caller may connect or send to a UNIX socket: any with a path or without a name, and abstract ones that were bound under at least as many
/// layers where its own scope them.
pub(crate) fn may_reach_sock(sock: Sock) -> bool {
    let rcu = rcu::read_lock();
    !sock.is_abstract() || may_reach(&rcu, ffi::domain_of_sock(sock, &rcu), Scopes::ABSTRACT)
}

/// Notes down under which domain the caller binds a socket.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn note_sock(sock: Sock) -> Result {
    sock.note(ffi::domain_ref_of(Task::current()).ok_or(EPERM)?)
}

fn may_reach(rcu: &rcu::Guard, target: Option<&Domain>, scope: Scopes) -> bool {
    match ffi::domain_of(Task::current(), rcu) {
        Some(domain) => domain.may_reach(target, scope),
        // A mark without a domain cannot be: fail closed.
        None => false,
    }
}

fn covers(rcu: &rcu::Guard, task: Task, other: Task) -> bool {
    match (ffi::domain_of(task, rcu), ffi::domain_of(other, rcu)) {
        (_, None) => true,
        // A domain without layers waits for an exec.
        (None, Some(other)) => other.layers() == 0,
        (Some(task), Some(other)) => task.covers_now(other),
    }
}

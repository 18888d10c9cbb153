// SPDX-License-Identifier: GPL-2.0
//! Fork and attach, one step at a time. Between two steps anything else may happen.

use std::sync::Arc;

use spin::MutexGuard;

use super::{Domain, Filter, Refused, Stage, Task, TaskId, Tree};

/// What is forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another process: fork, vfork, clone.
    Process,
    /// A thread of the same process.
    Thread,
    /// A thread that the kernel runs for the process.
    Worker,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// There is more to do.
    Going,
    /// A lock is held by someone else.
    Blocked,
    /// It is done.
    Done(Result<T, Refused>),
}

/// A fork in progress: `copy_process`, then `wake_up_new_task`.
#[derive(Debug)]
pub struct Fork<'t> {
    tree: &'t Tree,
    creator: TaskId,
    child: TaskId,
    kind: Kind,
    stage: ForkStage,
}

#[derive(Clone, Copy, Debug)]
enum ForkStage {
    Allocate,
    Inherit,
    List,
    Adopt,
    AdoptLocked,
    Run,
}

impl<'t> Fork<'t> {
    /// `creator` forks, if it runs and is free to. Workers make workers only.
    pub fn begin(tree: &'t Tree, creator: TaskId, kind: Kind) -> Option<Fork<'t>> {
        if tree.is_worker(creator) && kind != Kind::Worker {
            return None;
        }
        let child = tree.fresh();
        tree.engage(creator).then_some(Fork {
            tree,
            creator,
            child,
            kind,
            stage: ForkStage::Allocate,
        })
    }

    /// The child's name; it need not exist.
    pub fn child(&self) -> TaskId {
        self.child
    }

    /// Who forks.
    pub fn creator(&self) -> TaskId {
        self.creator
    }

    /// One step. With `fail`, memory runs out in it, where that is possible.
    pub fn step(&mut self, fail: bool) -> Progress<TaskId> {
        match self.stage {
            // dup_task_struct: the mark is copied with thread_info.
            ForkStage::Allocate => {
                let mut tasks = self.tree.tasks.write();
                let Some(creator) = tasks.get(&self.creator).cloned() else {
                    unreachable!("a busy task does not exit");
                };
                let process = if self.kind == Kind::Process {
                    self.child
                } else {
                    creator.process
                };
                let child = Task {
                    process,
                    worker: self.kind == Kind::Worker,
                    creator: Some(self.creator),
                    stage: Stage::Allocated,
                    mark: creator.mark,
                    domain: None,
                    busy: false,
                    killed: creator.killed && self.kind != Kind::Process,
                };
                tasks.insert(self.child, child);
                self.stage = ForkStage::Inherit;
                Progress::Going
            }
            // security_task_alloc, whose trampoline looks at the creator's mark of now.
            ForkStage::Inherit => {
                let marked = self.tree.task(self.creator).is_some_and(|task| task.mark);
                if marked {
                    match self.tree.domain_of(self.creator) {
                        Some(domain) if !fail => self.tree.give(self.child, domain),
                        _ => return self.abandon(),
                    }
                }
                self.stage = ForkStage::List;
                Progress::Going
            }
            // The rest of copy_process may fail as well; then the child becomes a thread of its process.
            ForkStage::List => {
                if fail {
                    return self.abandon();
                }
                if let Some(child) = self.tree.tasks.write().get_mut(&self.child) {
                    child.stage = Stage::Listed;
                }
                self.stage = ForkStage::Adopt;
                Progress::Going
            }
            // wake_up_new_task, whose trampoline looks at the creator's mark again.
            ForkStage::Adopt => {
                let tasks = self.tree.tasks.read();
                let confined = match (tasks.get(&self.child), tasks.get(&self.creator)) {
                    (Some(child), Some(creator)) => !creator.mark || child.covers(creator),
                    _ => true,
                };
                self.stage = if confined {
                    ForkStage::Run
                } else {
                    ForkStage::AdoptLocked
                };
                Progress::Going
            }
            ForkStage::AdoptLocked => {
                let Some(_attach) = self.tree.try_attach_lock() else {
                    return Progress::Blocked;
                };
                if let Some(domain) = self.tree.domain_of(self.creator) {
                    self.tree.give(self.child, domain);
                }
                self.stage = ForkStage::Run;
                Progress::Going
            }
            ForkStage::Run => {
                if let Some(child) = self.tree.tasks.write().get_mut(&self.child) {
                    child.stage = Stage::Running;
                }
                self.tree.release(self.child);
                self.tree.release(self.creator);
                Progress::Done(Ok(self.child))
            }
        }
    }

    /// security_task_free: the child never was.
    fn abandon(&mut self) -> Progress<TaskId> {
        self.tree.tasks.write().remove(&self.child);
        self.tree.release(self.creator);
        Progress::Done(Err(Refused::NoMemory))
    }
}

/// A push in progress: `restrict_self`.
#[derive(Debug)]
pub struct Attach<'t> {
    tree: &'t Tree,
    caller: TaskId,
    filter: Filter,
    lock: Option<MutexGuard<'t, ()>>,
    stage: AttachStage,
}

#[derive(Debug)]
enum AttachStage {
    Lock,
    Prepare,
    Give(Vec<(TaskId, Arc<Domain>)>),
    Scan,
}

impl<'t> Attach<'t> {
    /// `caller` pushes `filter` on itself and the workers of its process, if it runs and is free to.
    pub fn begin(tree: &'t Tree, caller: TaskId, filter: Filter) -> Option<Attach<'t>> {
        // Workers run no system calls.
        if tree.is_worker(caller) || !tree.engage(caller) {
            return None;
        }
        Some(Attach {
            tree,
            caller,
            filter,
            lock: None,
            stage: AttachStage::Lock,
        })
    }

    /// Who pushes.
    pub fn caller(&self) -> TaskId {
        self.caller
    }

    /// What is pushed.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// One step. With `fail`, memory runs out in it, where that is possible.
    pub fn step(&mut self, fail: bool) -> Progress<()> {
        match &mut self.stage {
            AttachStage::Lock => match self.tree.try_attach_lock() {
                Some(lock) => {
                    self.lock = Some(lock);
                    self.stage = AttachStage::Prepare;
                    Progress::Going
                }
                None => Progress::Blocked,
            },
            // Everything that can fail comes first, for all who are to be given something.
            AttachStage::Prepare => {
                if fail {
                    return self.end(Err(Refused::NoMemory));
                }
                // The oldest worker first, as they stand in their process, and the caller itself last; `Give` takes from the end.
                let mut whom = vec![self.caller];
                whom.extend(self.tree.workers(self.caller).into_iter().rev());
                let prepared = whom.into_iter().map(|task| Ok((task, self.inner(task)?)));
                match prepared.collect::<Result<Vec<_>, Refused>>() {
                    Ok(prepared) => {
                        self.stage = AttachStage::Give(prepared);
                        Progress::Going
                    }
                    Err(refused) => self.end(Err(refused)),
                }
            }
            AttachStage::Give(prepared) => {
                match prepared.pop() {
                    Some((task, domain)) => self.tree.give(task, domain),
                    None => self.stage = AttachStage::Scan,
                }
                Progress::Going
            }
            // Workers that came to be meanwhile. Who cannot be covered any more must not go on.
            AttachStage::Scan => {
                let missed = self.tree.workers(self.caller).into_iter().find(|worker| {
                    let domain = self.tree.domain_of(*worker);
                    !domain.is_some_and(|domain| domain.has(&self.filter))
                });
                match missed.map(|worker| (worker, self.inner(worker))) {
                    Some((worker, Ok(domain))) => {
                        self.tree.give(worker, domain);
                        Progress::Going
                    }
                    Some((_, Err(_))) => {
                        self.tree.kill_process_of(self.caller);
                        self.end(Err(Refused::Killed))
                    }
                    None => self.end(Ok(())),
                }
            }
        }
    }

    fn inner(&self, task: TaskId) -> Result<Arc<Domain>, Refused> {
        let outer = self.tree.domain_of(task);
        Domain::narrowed(outer.as_deref(), &self.filter).map_err(Refused::Push)
    }

    fn end(&mut self, result: Result<(), Refused>) -> Progress<()> {
        self.tree.release(self.caller);
        self.lock = None;
        Progress::Done(result)
    }
}

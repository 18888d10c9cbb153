// SPDX-License-Identifier: GPL-2.0
//! Fork and attach, one step at a time. Between two steps anything else may happen.

use std::sync::Arc;

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

#[derive(Clone, Debug)]
enum ForkStage {
    Allocate,
    Inherit,
    List,
    Adopt,
    /// With what the creator was under when the child was compared with it.
    Give(Arc<Domain>),
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
        match self.stage.clone() {
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
                    no_new_privs: creator.no_new_privs,
                    domain: None,
                    born_under: None,
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
                let marked = self.tree.task(self.creator).is_some_and(|task| task.mark);
                if marked {
                    self.tree.take_no_new_privs(self.child, self.creator);
                }
                let mut tasks = self.tree.tasks.write();
                let creator_s = tasks
                    .get(&self.creator)
                    .and_then(|creator| creator.domain.clone());
                if let Some(child) = tasks.get_mut(&self.child) {
                    child.born_under = creator_s;
                }
                self.stage = match (tasks.get(&self.child), tasks.get(&self.creator)) {
                    (Some(child), Some(creator)) if creator.mark && !child.covers(creator) => {
                        let Some(domain) = creator.domain.clone() else {
                            unreachable!("who covers nothing of it has a domain");
                        };
                        ForkStage::Give(domain)
                    }
                    _ => ForkStage::Run,
                };
                Progress::Going
            }
            // Without a lock: the creator may have been narrowed since, so they are compared once more.
            ForkStage::Give(domain) => {
                self.tree.give(self.child, domain);
                self.stage = ForkStage::Adopt;
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

/// Whom a filter is pushed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The caller, and the workers of its process.
    Caller,
    /// All threads of its process, or none.
    AllThreads,
}

/// A push in progress: `restrict_self`.
#[derive(Debug)]
pub struct Attach<'t> {
    tree: &'t Tree,
    caller: TaskId,
    process: u32,
    filter: Filter,
    whom: Whom,
    stage: AttachStage,
}

#[derive(Debug)]
enum AttachStage {
    Lock,
    Prepare,
    /// With what the caller will be under.
    Give(Arc<Domain>, Vec<(TaskId, Arc<Domain>)>),
    Scan(Arc<Domain>),
}

impl<'t> Attach<'t> {
    /// `caller` pushes `filter`, if it runs and is free to.
    pub fn begin(tree: &'t Tree, caller: TaskId, filter: Filter, whom: Whom) -> Option<Attach<'t>> {
        // Workers run no system calls.
        if tree.is_worker(caller) || !tree.engage(caller) {
            return None;
        }
        let mut tasks = tree.tasks.write();
        let task = tasks.get_mut(&caller)?;
        task.no_new_privs = true;
        Some(Attach {
            tree,
            caller,
            process: task.process,
            filter,
            whom,
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

    /// Whom it is pushed on.
    pub fn whom(&self) -> Whom {
        self.whom
    }

    /// One step. With `fail`, memory runs out in it, where that is possible.
    pub fn step(&mut self, fail: bool) -> Progress<()> {
        match &mut self.stage {
            AttachStage::Lock => {
                if !self.tree.try_lock(self.process) {
                    return Progress::Blocked;
                }
                self.stage = AttachStage::Prepare;
                Progress::Going
            }
            // Everything that can fail comes first, for all who are to be given something.
            AttachStage::Prepare if fail => self.end(Err(Refused::NoMemory)),
            AttachStage::Prepare => match self.prepare_all() {
                Ok((inner, prepared)) => {
                    self.stage = AttachStage::Give(inner, prepared);
                    Progress::Going
                }
                Err(refused) => self.end(Err(refused)),
            },
            AttachStage::Give(inner, prepared) => {
                match prepared.pop() {
                    Some((task, domain)) => self.give(task, domain),
                    None => self.stage = AttachStage::Scan(Arc::clone(inner)),
                }
                Progress::Going
            }
            // Threads that came to be meanwhile. Who cannot be covered any more must not go on.
            AttachStage::Scan(inner) => {
                let inner = Arc::clone(inner);
                let missed = self.threads().into_iter().find(|thread| {
                    let domain = self.tree.domain_of(*thread);
                    !domain.is_some_and(|domain| match self.whom {
                        Whom::Caller => domain.has(&self.filter),
                        Whom::AllThreads => domain.covers(&inner),
                    })
                });
                match missed.map(|thread| (thread, self.prepare(&inner, thread))) {
                    Some((thread, Ok(domain))) => {
                        self.give(thread, domain);
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

    /// What the caller will be under, and what everybody is to be given. The oldest thread comes first, as they stand in their process, and
    /// the caller itself last; `Give` takes from the end.
    #[expect(clippy::type_complexity, reason = "used once, just above")]
    fn prepare_all(&self) -> Result<(Arc<Domain>, Vec<(TaskId, Arc<Domain>)>), Refused> {
        let inner = self.narrowed(self.caller)?;
        let mut prepared = vec![(self.caller, Arc::clone(&inner))];
        for thread in self.threads().into_iter().rev() {
            prepared.push((thread, self.prepare(&inner, thread)?));
        }
        Ok((inner, prepared))
    }

    /// What a thread is to be given.
    fn prepare(&self, inner: &Arc<Domain>, thread: TaskId) -> Result<Arc<Domain>, Refused> {
        if self.whom == Whom::Caller {
            return self.narrowed(thread);
        }
        match self.tree.domain_of(thread) {
            Some(own) if !inner.covers(&own) => Err(Refused::InTheWay(thread)),
            _ => Ok(Arc::clone(inner)),
        }
    }

    fn threads(&self) -> Vec<TaskId> {
        self.tree.threads(self.caller, self.whom == Whom::Caller)
    }

    fn give(&self, task: TaskId, domain: Arc<Domain>) {
        if self.whom == Whom::AllThreads {
            self.tree.take_no_new_privs(task, self.caller);
        }
        self.tree.give(task, domain);
    }

    fn narrowed(&self, task: TaskId) -> Result<Arc<Domain>, Refused> {
        let outer = self.tree.domain_of(task);
        Domain::narrowed(outer.as_deref(), &self.filter).map_err(Refused::Push)
    }

    fn end(&mut self, result: Result<(), Refused>) -> Progress<()> {
        self.tree.unlock(self.process);
        self.tree.release(self.caller);
        Progress::Done(result)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A model of tasks and their domains: the protocol of the module's `task.rs`, in steps small enough to be interleaved.
//!
//! What is real: policies, layers and stacks are those of `filters`. What is modelled: the table from tasks to domains, the mark that fork
//! copies, the threads of a process, and the kernel functions between which others can run. Threads that the kernel runs for a process
//! (io_uring workers, SQPOLL threads) are *workers* here.
//!
//! The locks are spin locks, because a kernel lock cannot be had outside a kernel, and this is where `spin` belongs: the module itself uses
//! the kernel's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use filters::event::Event;
use filters::policy::Policy;
use filters::record::Record;
use filters::stack::{Decision, Layer, PushError, Stack};
use filters::verdict::Verdict;
use spin::{Mutex, RwLock};

mod operation;

pub use operation::{Attach, Fork, Kind, Progress, Whom};

/// A loaded filter; a copy is another reference to the same one.
#[derive(Clone)]
pub struct Filter(Arc<Policy<Vec<u8>>>);

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({:p})", self.0)
    }
}

impl Filter {
    /// A filter of its own, even if another has the same policy.
    pub fn new(policy: Policy<Vec<u8>>) -> Filter {
        Filter(Arc::new(policy))
    }

    /// Its policy.
    pub fn policy(&self) -> &Policy<Vec<u8>> {
        &self.0
    }

    /// Whether both are one and the same filter.
    pub fn same(&self, other: &Filter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Layer for Filter {
    fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        self.0.judge(record)
    }

    fn cost(&self, event: Event) -> u32 {
        self.0.cost(event)
    }
}

/// A task's stack of layers. Never changed: who is narrowed gets another one.
#[derive(Debug)]
pub struct Domain {
    stack: Stack<Filter>,
}

impl Domain {
    fn narrowed(outer: Option<&Domain>, filter: &Filter) -> Result<Arc<Domain>, PushError> {
        let mut stack = outer.map_or_else(Stack::new, |outer| outer.stack.clone());
        stack.push(filter.clone())?;
        Ok(Arc::new(Domain { stack }))
    }

    /// Its layers, oldest first.
    pub fn layers(&self) -> &[Filter] {
        self.stack.layers()
    }

    /// Whether `filter` is one of the layers.
    pub fn has(&self, filter: &Filter) -> bool {
        self.layers().iter().any(|layer| layer.same(filter))
    }

    /// Whether each layer of `other` is one of these.
    pub fn covers(&self, other: &Domain) -> bool {
        self.stack.covers(&other.stack, Filter::same)
    }

    /// What all layers say.
    pub fn evaluate(&self, record: &Record<'_>) -> Decision {
        self.stack.evaluate(record)
    }
}

/// Names a task; never used again.
pub type TaskId = u32;

/// How far a task has come into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `security_task_alloc` has seen it; nobody can find it yet.
    Allocated,
    /// A thread of its process, but it has not run.
    Listed,
    /// It runs.
    Running,
}

/// What is known of one task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its process.
    pub process: u32,
    /// Whether the kernel runs it for its process.
    pub worker: bool,
    /// Who made it; `None` for the first one.
    pub creator: Option<TaskId>,
    /// How far it has come.
    pub stage: Stage,
    /// The bit that sends it into the hooks; copied by fork, never cleared.
    pub mark: bool,
    /// Whether exec can give it no privileges any more; copied by fork, never cleared. Whoever attaches has it.
    pub no_new_privs: bool,
    /// Its domain; `None`: not in the table.
    pub domain: Option<Arc<Domain>>,
    /// What its creator was under when the two were compared for the last time, just before it ran. Whoever narrows the creator after that, although it has not
    /// returned from its fork yet, comes after the fork.
    pub born_under: Option<Arc<Domain>>,
    /// Whether it is in the middle of something and so cannot exit.
    pub busy: bool,
    /// Whether it ends as soon as it is no longer busy.
    pub killed: bool,
}

impl Task {
    /// Its layers, oldest first.
    pub fn layers(&self) -> &[Filter] {
        self.domain.as_ref().map_or(&[], |domain| domain.layers())
    }

    /// What its layers say; allowed without any.
    pub fn evaluate(&self, record: &Record<'_>) -> Verdict {
        self.domain
            .as_ref()
            .map_or(Verdict::ALLOW, |domain| domain.evaluate(record).verdict)
    }

    /// Whether it is under all layers that its creator was under when it was about to run.
    pub fn covers_its_birth(&self) -> bool {
        match (&self.domain, &self.born_under) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(born_under)) => own.covers(born_under),
        }
    }

    /// Whether it is under all layers that `other` is under: `at_least_as_confined` of the module.
    pub fn covers(&self, other: &Task) -> bool {
        match (&self.domain, &other.domain) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own.covers(other),
        }
    }
}

/// Why something did not happen; nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Memory ran out, where the scenario said so.
    NoMemory,
    /// The stack has no room, or would cost too much.
    Push(PushError),
    /// The process was killed, because one of its threads could not be covered.
    Killed,
    /// This thread cannot be taken along.
    InTheWay(TaskId),
    /// A task may act only through tasks at least as confined.
    NotAsConfined,
}

/// All tasks.
#[derive(Debug)]
pub struct Tree {
    tasks: RwLock<BTreeMap<TaskId, Task>>,
    /// Processes whose lock is held.
    locked: Mutex<BTreeSet<u32>>,
    next: AtomicU32,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// The first task, number 0 in process 0, without a domain.
    pub fn new() -> Tree {
        let first = Task {
            process: 0,
            worker: false,
            creator: None,
            stage: Stage::Running,
            mark: false,
            no_new_privs: false,
            domain: None,
            born_under: None,
            busy: false,
            killed: false,
        };
        Tree {
            tasks: RwLock::new(BTreeMap::from([(0, first)])),
            locked: Mutex::new(BTreeSet::new()),
            next: AtomicU32::new(1),
        }
    }

    /// All tasks as they are at one moment.
    pub fn snapshot(&self) -> BTreeMap<TaskId, Task> {
        self.tasks.read().clone()
    }

    /// A task as it is at this moment, if it is alive.
    pub fn task(&self, task: TaskId) -> Option<Task> {
        self.tasks.read().get(&task).cloned()
    }

    /// The task ends. `false` if it is busy, or gone already.
    pub fn exit(&self, task: TaskId) -> bool {
        let mut tasks = self.tasks.write();
        match tasks.get(&task) {
            Some(found) if !found.busy && found.stage == Stage::Running => {
                tasks.remove(&task);
                true
            }
            _ => false,
        }
    }

    /// The task executes another program: all other threads of its process end, workers too, and it keeps its domain. `false` if one of them
    /// is busy, or if the task is a worker or gone.
    pub fn exec(&self, task: TaskId) -> bool {
        let mut tasks = self.tasks.write();
        let Some(process) = tasks
            .get(&task)
            .filter(|found| !found.worker && !found.busy)
            .map(|found| found.process)
        else {
            return false;
        };
        let dies = |id: TaskId, other: &Task| other.process == process && id != task;
        if tasks
            .iter()
            .any(|(id, other)| dies(*id, other) && (other.busy || other.stage != Stage::Running))
        {
            return false;
        }
        tasks.retain(|id, other| !dies(*id, other));
        true
    }

    /// Whether `tracer` may trace `traced`; `None` if one of them is gone or does not run.
    pub fn trace(&self, tracer: TaskId, traced: TaskId) -> Option<Result<(), Refused>> {
        let tasks = self.tasks.read();
        let runs = |id| tasks.get(&id).filter(|task| task.stage == Stage::Running);
        let (tracer, traced) = (runs(tracer)?, runs(traced)?);
        Some(if !tracer.mark || traced.covers(tracer) {
            Ok(())
        } else {
            Err(Refused::NotAsConfined)
        })
    }

    fn is_worker(&self, task: TaskId) -> bool {
        self.tasks.read().get(&task).is_some_and(|task| task.worker)
    }

    /// Marks a running task as busy; `false` if it is busy already, gone, or does not run yet.
    fn engage(&self, task: TaskId) -> bool {
        match self.tasks.write().get_mut(&task) {
            Some(task) if !task.busy && task.stage == Stage::Running => {
                task.busy = true;
                true
            }
            _ => false,
        }
    }

    fn release(&self, task: TaskId) {
        let mut tasks = self.tasks.write();
        if let Some(found) = tasks.get_mut(&task) {
            found.busy = false;
            if found.killed {
                tasks.remove(&task);
            }
        }
    }

    fn kill_process_of(&self, task: TaskId) {
        let mut tasks = self.tasks.write();
        let Some(process) = tasks.get(&task).map(|task| task.process) else {
            return;
        };
        tasks.retain(|_, task| {
            task.killed |= task.process == process;
            !task.killed || task.busy || task.stage != Stage::Running
        });
    }

    fn domain_of(&self, task: TaskId) -> Option<Arc<Domain>> {
        self.tasks.read().get(&task)?.domain.clone()
    }

    /// `evf_slot_set`: domain and mark, in one step as under the table's lock.
    fn give(&self, task: TaskId, domain: Arc<Domain>) {
        if let Some(task) = self.tasks.write().get_mut(&task) {
            task.domain = Some(domain);
            task.mark = true;
        }
    }

    /// `task_set_no_new_privs`, if `from` has it.
    fn take_no_new_privs(&self, task: TaskId, from: TaskId) {
        let mut tasks = self.tasks.write();
        let has = tasks.get(&from).is_some_and(|from| from.no_new_privs);
        if let Some(task) = tasks.get_mut(&task) {
            task.no_new_privs |= has;
        }
    }

    /// The other threads of the process of `caller` that can be found, or only its workers: `evf_other_threads`.
    fn threads(&self, caller: TaskId, workers_only: bool) -> Vec<TaskId> {
        let tasks = self.tasks.read();
        let Some(process) = tasks.get(&caller).map(|task| task.process) else {
            return Vec::new();
        };
        tasks
            .iter()
            .filter(|(id, task)| {
                **id != caller
                    && (task.worker || !workers_only)
                    && task.process == process
                    && task.stage >= Stage::Listed
            })
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether anybody in the process of `task` is attaching.
    pub fn attaching(&self, task: TaskId) -> bool {
        let process = self.tasks.read().get(&task).map(|task| task.process);
        process.is_some_and(|process| self.locked.lock().contains(&process))
    }

    /// Takes the lock of a process; `false` if somebody has it.
    fn try_lock(&self, process: u32) -> bool {
        self.locked.lock().insert(process)
    }

    fn unlock(&self, process: u32) {
        self.locked.lock().remove(&process);
    }

    fn fresh(&self) -> TaskId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

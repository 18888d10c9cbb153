// SPDX-License-Identifier: GPL-2.0
//! Tasks fork, attach, execute, trace and end in every order that chance brings up, one small step at a time; the laws hold after each step.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by a panic when something is not as expected"
)]

use std::collections::BTreeMap;
use std::thread;

use filters::insn::Insn;
use filters::verdict::Verdict;
use oracle::generate::{self, OwnedRecord};
use oracle::image::{self, Draft};
use oracle::task_tree::{
    Attach, Filter, Fork, Kind, Progress, Refused, Stage, Task, TaskId, Tree, Whom,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What may happen next.
#[derive(Clone, Debug)]
enum Move {
    /// A task begins to fork.
    Fork(Index, Kind),
    /// A task begins to push one of the filters.
    Attach(Index, Index, Whom),
    /// One of the operations in progress takes a step; memory may run out in it.
    Step(Index, bool),
    /// The oldest operation in progress takes a step.
    Finish,
    /// A task ends.
    Exit(Index),
    /// A task executes another program.
    Exec(Index),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let kind = prop::sample::select(vec![
        Kind::Process,
        Kind::Thread,
        Kind::Worker,
        Kind::Worker,
    ]);
    let whom = prop::sample::select(vec![Whom::Caller, Whom::AllThreads]);
    let one = prop_oneof![
        3 => (any::<Index>(), kind).prop_map(|(task, kind)| Move::Fork(task, kind)),
        2 => (any::<Index>(), any::<Index>(), whom).prop_map(|(task, filter, whom)| Move::Attach(task, filter, whom)),
        20 => (any::<Index>(), proptest::bool::weighted(0.03)).prop_map(|(which, fail)| Move::Step(which, fail)),
        1 => any::<Index>().prop_map(Move::Exit),
        1 => any::<Index>().prop_map(Move::Exec),
    ];
    vec(one, 1..120)
}

fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let filter = generate::drafts().prop_map(|drafts| {
        Filter::new(image::verify(image::encode(&drafts)).expect("generated programs are sound"))
    });
    vec(filter, 1..5)
}

type Snapshot = BTreeMap<TaskId, Task>;

/// What just happened, beyond the change of the snapshot.
enum Happened<'a> {
    Nothing,
    Forked(TaskId),
    ForkFailed(TaskId),
    Attached(TaskId, &'a Filter, Whom),
    AttachFailed(TaskId, usize),
    Executed(TaskId),
}

enum Operation<'t> {
    Fork(Fork<'t>),
    /// With the number of layers that its caller has without it.
    Attach(Attach<'t>, usize),
}

/// Plays the moves and shows `check` the state before and after each, and what happened.
fn play(
    moves: &[Move],
    filters: &[Filter],
    mut check: impl FnMut(&Tree, &Snapshot, &Snapshot, Happened<'_>),
) {
    let tree = Tree::new();
    let mut operations: Vec<Operation<'_>> = Vec::new();
    let mut before = tree.snapshot();
    // After the moves, all that was begun is brought to its end.
    let rest = std::iter::repeat_n(Move::Finish, 3000);
    for (turn, one) in moves.iter().cloned().chain(rest).enumerate() {
        if turn >= moves.len() && operations.is_empty() {
            return;
        }
        // Everything may have ended: then nothing is left to pick.
        let pick = |task: &Index| before.keys().nth(task.index(before.len().max(1))).copied();
        let mut done: Option<Filter> = None;
        let mut acting = None;
        let happened = match &one {
            Move::Fork(task, kind) => {
                operations.extend(
                    pick(task)
                        .and_then(|task| Fork::begin(&tree, task, *kind))
                        .map(Operation::Fork),
                );
                Happened::Nothing
            }
            Move::Attach(task, filter, whom) => {
                let filter = filters[filter.index(filters.len())].clone();
                let attach = pick(task).and_then(|task| {
                    let layers = before.get(&task)?.layers().len();
                    Some(Operation::Attach(
                        Attach::begin(&tree, task, filter, *whom)?,
                        layers,
                    ))
                });
                operations.extend(attach);
                Happened::Nothing
            }
            Move::Exit(task) => {
                // Not the first task, or most scenarios would end early.
                pick(task)
                    .filter(|task| *task != 0)
                    .map(|task| tree.exit(task));
                Happened::Nothing
            }
            Move::Exec(task) => match pick(task) {
                Some(task) if tree.exec(task) => Happened::Executed(task),
                _ => Happened::Nothing,
            },
            Move::Step(_, _) | Move::Finish if operations.is_empty() => Happened::Nothing,
            Move::Step(_, _) | Move::Finish => {
                let (which, fail) = match &one {
                    Move::Step(which, fail) => (which.index(operations.len()), fail),
                    _ => (0, &false),
                };
                match &mut operations[which] {
                    Operation::Fork(fork) => match fork.step(*fail) {
                        Progress::Done(result) => {
                            let child = fork.child();
                            operations.remove(which);
                            if result.is_ok() {
                                Happened::Forked(child)
                            } else {
                                Happened::ForkFailed(child)
                            }
                        }
                        Progress::Blocked => {
                            // Someone else's turn, or the end would not come.
                            operations.rotate_left(1);
                            Happened::Nothing
                        }
                        Progress::Going => Happened::Nothing,
                    },
                    Operation::Attach(attach, layers) => match attach.step(*fail) {
                        Progress::Done(result) => {
                            acting = Some(attach.caller());
                            let (caller, layers) = (attach.caller(), *layers);
                            let whom = attach.whom();
                            let filter = done.insert(attach.filter().clone());
                            operations.remove(which);
                            match result {
                                Ok(()) => Happened::Attached(caller, filter, whom),
                                Err(Refused::Killed) => Happened::Nothing,
                                Err(_) => Happened::AttachFailed(caller, layers),
                            }
                        }
                        Progress::Blocked => {
                            operations.rotate_left(1);
                            Happened::Nothing
                        }
                        Progress::Going => {
                            acting = Some(attach.caller());
                            Happened::Nothing
                        }
                    },
                }
            }
        };
        let after = tree.snapshot();
        // What an attach finds on its caller may have come from another thread's, until it goes on itself.
        for operation in &mut operations {
            if let Operation::Attach(attach, layers) = operation {
                let caller = attach.caller();
                if acting != Some(caller) {
                    *layers = after
                        .get(&caller)
                        .map_or(*layers, |task| task.layers().len());
                }
            }
        }
        check(&tree, &before, &after, happened);
        before = after;
    }
    panic!("something never came to its end");
}

/// Whether `layers` begins with `first`.
fn extends(layers: &[Filter], first: &[Filter]) -> bool {
    layers.len() >= first.len() && layers.iter().zip(first).all(|(a, b)| a.same(b))
}

/// Whether each of `some` is among `layers`.
fn includes(layers: &[Filter], some: &[Filter]) -> bool {
    let here = |one: &Filter| layers.iter().any(|layer| layer.same(one));
    some.iter().all(here)
}

fn runs(task: &Task) -> bool {
    task.stage == Stage::Running
}

proptest! {
    #![proptest_config(generate::cases(250, 3))]

    #[test]
    fn law_1_narrow_only_no_step_weakens_a_verdict(
        moves in moves(),
        filters in filters(),
        records in vec(generate::record(), 4),
    ) {
        let judge = |task: &Task| -> Vec<Verdict> {
            records.iter().map(|record: &OwnedRecord| record.view(|record| task.evaluate(record))).collect()
        };
        // Judging is dear: once for each domain that a task has had.
        let mut held: BTreeMap<TaskId, (usize, Vec<Verdict>)> = BTreeMap::new();
        play(&moves, &filters, |_, _, after, _| {
            for (id, task) in after {
                let layers = task.layers().len();
                match held.get(id) {
                    Some((judged, _)) if *judged == layers => continue,
                    Some((_, before)) => for (before, now) in before.iter().zip(judge(task)) {
                        assert!(now.at_least_as_strict_as(*before), "task {id}: {before:?} became {now:?}");
                    },
                    None => {}
                }
                held.insert(*id, (layers, judge(task)));
            }
        });
    }

    #[test]
    fn law_3_inherited_whole_a_child_runs_under_all_its_creator_is_under(moves in moves(), filters in filters()) {
        play(&moves, &filters, |tree, before, after, happened| {
            match happened {
                // While an attach goes round, a child may be behind its creator; that it ends well is another test's subject.
                Happened::Forked(child) if after.get(&child).and_then(|task| task.creator).is_some_and(|creator| tree.attaching(creator)) => {}
                Happened::Forked(child) => {
                    // Killed together with its process, in the same step.
                    let Some(task) = after.get(&child) else { return };
                    let creator = task.creator.and_then(|creator| before.get(&creator)).expect("a creator that waits for its child to run");
                    assert!(task.covers_its_birth(), "{task:?} runs under less than {creator:?}");
                    if task.process == creator.process {
                        assert!(task.covers(creator), "{task:?} runs under less than {creator:?}");
                    } else if !task.worker && !creator.worker {
                        // Perhaps not as often: who was given a layer that he had already covers his child as it is.
                        let no_more = match (&task.born_under, &task.domain) {
                            (Some(born_under), Some(own)) => born_under.covers(own),
                            (None, Some(own)) => own.layers().is_empty(),
                            (_, None) => true,
                        };
                        assert!(no_more, "{task:?} runs under layers that are not its creator's");
                    }
                }
                Happened::ForkFailed(child) => {
                    assert!(!after.contains_key(&child), "a failed fork left a task");
                }
                Happened::Executed(task) => {
                    let (was, is) = (&before[&task], &after[&task]);
                    assert!(was.layers().len() == is.layers().len() && extends(is.layers(), was.layers()));
                }
                _ => {}
            }
            // Who runs under layers is sent into the hooks, and who is sent there is found in the table.
            for task in after.values().filter(|task| runs(task)) {
                assert_eq!(task.mark, task.domain.is_some(), "{task:?}");
            }
        });
    }

    #[test]
    fn law_3_inherited_whole_threads_are_covered_by_an_attach(moves in moves(), filters in filters()) {
        // For each attach that succeeded: the filter, whom it was for, and who is bound by it ever after.
        let mut bound: Vec<(Filter, Whom, Vec<TaskId>)> = Vec::new();
        play(&moves, &filters, |_, _, after, happened| {
            if let Happened::Attached(caller, filter, whom) = happened {
                if let Some(task) = after.get(&caller) {
                    let found = after.iter().filter(|(_, other)| {
                        let meant = other.worker || whom == Whom::AllThreads;
                        meant && other.process == task.process && other.stage >= Stage::Listed
                    });
                    let members = found.map(|(id, _)| *id).chain([caller]).collect();
                    bound.push((filter.clone(), whom, members));
                    if whom == Whom::AllThreads {
                        for other in after.values().filter(|other| other.process == task.process && runs(other)) {
                            assert!(includes(other.layers(), task.layers()), "{other:?} has not got all that {task:?} has");
                        }
                    }
                }
            }
            for (filter, whom, members) in &mut bound {
                for (id, task) in after.iter().filter(|(_, task)| runs(task)) {
                    let made_by_one = task.creator.is_some_and(|creator| members.contains(&creator));
                    let in_process = task.creator.and_then(|creator| after.get(&creator)).is_some_and(|creator| creator.process == task.process);
                    // A thread that one of them makes is bound like them, even if its making began before the attach.
                    if members.contains(id) || (made_by_one && (task.worker || *whom == Whom::AllThreads && in_process)) {
                        assert!(task.layers().iter().any(|layer| layer.same(filter)), "task {id} escaped: {task:?}");
                        if !members.contains(id) {
                            members.push(*id);
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn law_4_not_removable_no_task_ever_loses_a_layer(moves in moves(), filters in filters()) {
        play(&moves, &filters, |_, before, after, happened| {
            for (id, task) in after {
                // Until it has run, a child may be given now its creator's layers, now those of an attach.
                if let Some(was) = before.get(id).filter(|was| runs(was)) {
                    assert!(includes(task.layers(), was.layers()), "task {id} had {was:?}, has {task:?}");
                }
            }
            match happened {
                Happened::Attached(caller, filter, _) => if let Some(task) = after.get(&caller) {
                    assert!(task.layers().last().is_some_and(|layer| layer.same(filter)));
                },
                Happened::AttachFailed(caller, layers) => if let Some(task) = after.get(&caller) {
                    assert_eq!(task.layers().len(), layers, "a failed attach changed its caller");
                },
                _ => {}
            }
        });
    }

    #[test]
    fn law_7_unprivileged_whoever_is_under_layers_gains_no_privileges(moves in moves(), filters in filters()) {
        play(&moves, &filters, |_, _, after, _| {
            // Workers execute no programs.
            for task in after.values().filter(|task| runs(task) && !task.worker) {
                assert!(task.no_new_privs || task.layers().is_empty(), "{task:?}");
            }
        });
    }

    #[test]
    fn law_7_unprivileged_a_task_traces_only_tasks_at_least_as_confined(
        moves in moves(),
        filters in filters(),
        pairs in vec((any::<Index>(), any::<Index>()), 8),
    ) {
        play(&moves, &filters, |tree, _, after, _| {
            for (tracer, traced) in &pairs {
                let pick = |index: &Index| after.iter().nth(index.index(after.len().max(1)));
                let (Some((tracer_id, tracer)), Some((traced_id, traced))) = (pick(tracer), pick(traced)) else { continue };
                let Some(answer) = tree.trace(*tracer_id, *traced_id) else { continue };
                // Layer by layer, without the engine's `covers`.
                let confined = tracer.layers().iter().all(|own| traced.layers().iter().any(|layer| layer.same(own)));
                assert_eq!(answer, if confined { Ok(()) } else { Err(Refused::NotAsConfined) });
            }
        });
    }
}

/// A filter of its own that refuses one system call number with `errno`.
fn refusing(errno: u32) -> Filter {
    let insns = vec![
        Insn::stmt(0x20, 0),
        Insn::jump(0x15, errno, 0, 1),
        Insn::stmt(0x06, 0x0005_0000 | errno),
        Insn::stmt(0x06, 0x7fff_0000),
    ];
    Filter::new(image::verify(image::encode(&[Draft::new(0, insns)])).expect("sound"))
}

fn finish_fork(mut fork: Fork<'_>) -> Result<TaskId, Refused> {
    loop {
        match fork.step(false) {
            Progress::Done(result) => return result,
            Progress::Blocked => thread::yield_now(),
            Progress::Going => {}
        }
    }
}

fn finish_attach(mut attach: Attach<'_>) -> Result<(), Refused> {
    loop {
        match attach.step(false) {
            Progress::Done(result) => return result,
            Progress::Blocked => thread::yield_now(),
            Progress::Going => {}
        }
    }
}

fn fork(tree: &Tree, creator: TaskId, kind: Kind) -> TaskId {
    finish_fork(Fork::begin(tree, creator, kind).expect("free to fork")).expect("memory")
}

fn attach(tree: &Tree, caller: TaskId, filter: &Filter) {
    finish_attach(
        Attach::begin(tree, caller, filter.clone(), Whom::Caller).expect("free to attach"),
    )
    .expect("room");
}

/// For whom an attach is, and the kind of thread that it then must not lose.
const RACERS: [(Whom, Kind); 3] = [
    (Whom::Caller, Kind::Worker),
    (Whom::AllThreads, Kind::Worker),
    (Whom::AllThreads, Kind::Thread),
];

/// The race that `adopt` is for, at each point of a thread's creation: the creating thread is narrowed while its child comes into being.
#[test]
fn law_3_inherited_whole_a_thread_made_during_an_attach_is_covered() {
    for (whom, kind) in RACERS {
        for confined_before in [false, true] {
            for steps in 0..=4 {
                let (outer, inner) = (refusing(1), refusing(2));
                let tree = Tree::new();
                if confined_before {
                    attach(&tree, 0, &outer);
                }
                let creator = fork(&tree, 0, kind);
                let mut creation = Fork::begin(&tree, creator, kind).expect("free");
                for _ in 0..steps {
                    assert_eq!(creation.step(false), Progress::Going);
                }
                let attachment = Attach::begin(&tree, 0, inner, whom).expect("free to attach");
                assert_eq!(finish_attach(attachment), Ok(()));
                let child = finish_fork(creation).expect("memory");
                let child = tree.task(child).expect("alive");
                assert_eq!(
                    child.layers().len(),
                    1 + usize::from(confined_before),
                    "{whom:?} {kind:?} created after {steps} steps"
                );
                assert!(
                    child.no_new_privs || whom == Whom::Caller,
                    "{whom:?} {kind:?} created after {steps} steps"
                );
            }
        }
    }
}

/// The creator is narrowed twice, the second time perhaps between the moment in which it compares its child with itself and that in which it acts on it.
#[test]
fn law_3_inherited_whole_a_thread_made_during_two_attaches_is_covered() {
    for (whom, kind) in RACERS {
        for (first, second) in (0..=5).flat_map(|first| (0..=3).map(move |second| (first, second)))
        {
            let tree = Tree::new();
            let creator = fork(&tree, 0, kind);
            let mut creation = Fork::begin(&tree, creator, kind).expect("free");
            let mut done = None;
            for (steps, filter) in [(first, refusing(1)), (second, refusing(2))] {
                for _ in 0..steps {
                    if done.is_none() {
                        match creation.step(false) {
                            Progress::Done(child) => done = Some(child.expect("memory")),
                            progress => assert_eq!(progress, Progress::Going),
                        }
                    }
                }
                let attachment = Attach::begin(&tree, 0, filter, whom).expect("free to attach");
                assert_eq!(finish_attach(attachment), Ok(()));
            }
            let child = done.unwrap_or_else(|| finish_fork(creation).expect("memory"));
            let layers = tree.task(child).expect("alive").layers().len();
            assert_eq!(layers, 2, "{whom:?} {kind:?}, {first} and {second} steps");
        }
    }
}

/// A thread that has the filter already is not therefore under all that the others are under.
#[test]
fn law_3_inherited_whole_a_filter_pushed_again_brings_the_other_layers_too() {
    for steps in 0..=5 {
        let (own, again) = (refusing(1), refusing(2));
        let tree = Tree::new();
        let creator = fork(&tree, 0, Kind::Thread);
        attach(&tree, creator, &again);
        attach(&tree, 0, &own);
        attach(&tree, 0, &again);
        let mut all = Attach::begin(&tree, 0, again, Whom::AllThreads).expect("free");
        for _ in 0..steps {
            assert_eq!(all.step(false), Progress::Going);
        }
        let creation = Fork::begin(&tree, creator, Kind::Thread).expect("free");
        let child = finish_fork(creation).expect("memory");
        assert_eq!(finish_attach(all), Ok(()));
        for task in [creator, child] {
            let task = tree.task(task).expect("alive");
            assert!(
                task.layers().iter().any(|layer| layer.same(&own)),
                "{steps} steps: {task:?}"
            );
        }
    }
}

/// The other side of that race: a whole thread comes into being after the attach has looked who is there.
#[test]
fn law_3_inherited_whole_a_thread_made_behind_an_attachs_back_is_covered() {
    for (whom, kind) in RACERS {
        for steps in 0..=5 {
            let filter = refusing(1);
            let tree = Tree::new();
            let creator = fork(&tree, 0, kind);
            let mut attachment =
                Attach::begin(&tree, 0, filter.clone(), whom).expect("free to attach");
            for _ in 0..steps {
                assert_eq!(attachment.step(false), Progress::Going);
            }
            let creation = Fork::begin(&tree, creator, kind).expect("free to make another");
            let child = finish_fork(creation).expect("memory");
            assert_eq!(finish_attach(attachment), Ok(()));
            for task in [0, creator, child] {
                let layers = tree.task(task).expect("alive");
                assert!(
                    layers.layers().iter().any(|layer| layer.same(&filter)),
                    "task {task} escaped an attach for {whom:?} that had taken {steps} steps"
                );
            }
        }
    }
}

#[test]
fn law_1_narrow_only_a_thread_with_layers_of_its_own_is_in_the_way() {
    let tree = Tree::new();
    let thread = fork(&tree, 0, Kind::Thread);
    let other = fork(&tree, 0, Kind::Thread);
    attach(&tree, thread, &refusing(1));
    let all = Attach::begin(&tree, 0, refusing(2), Whom::AllThreads).expect("free");
    assert_eq!(finish_attach(all), Err(Refused::InTheWay(thread)));
    for (task, layers) in [(0, 0), (thread, 1), (other, 0)] {
        assert_eq!(tree.task(task).expect("alive").layers().len(), layers);
    }
    // The thread itself is free to take the others along: they are under nothing that it is not under.
    let all = Attach::begin(&tree, thread, refusing(3), Whom::AllThreads).expect("free");
    assert_eq!(finish_attach(all), Ok(()));
    for task in [0, thread, other] {
        assert_eq!(tree.task(task).expect("alive").layers().len(), 2);
    }
}

#[test]
fn law_3_inherited_whole_a_fork_that_cannot_give_the_domain_fails() {
    let tree = Tree::new();
    attach(&tree, 0, &refusing(1));
    for kind in [Kind::Process, Kind::Thread, Kind::Worker] {
        for failing in [1, 2] {
            let mut creation = Fork::begin(&tree, 0, kind).expect("free");
            for step in 0..failing {
                assert_eq!(creation.step(false), Progress::Going, "step {step}");
            }
            assert_eq!(creation.step(true), Progress::Done(Err(Refused::NoMemory)));
            assert_eq!(tree.snapshot().len(), 1);
            assert!(!tree.task(0).expect("alive").busy, "the creator goes on");
        }
    }
}

#[test]
fn law_3_inherited_whole_sixty_four_generations() {
    let tree = Tree::new();
    let mut task = 0;
    for layer in 1..=64 {
        attach(&tree, task, &refusing(layer));
        task = fork(
            &tree,
            task,
            if layer % 2 == 0 {
                Kind::Thread
            } else {
                Kind::Process
            },
        );
        assert_eq!(
            tree.task(task).expect("alive").layers().len(),
            layer as usize
        );
    }
    let more = Attach::begin(&tree, task, refusing(65), Whom::Caller).expect("free");
    let full = Refused::Push(filters::stack::PushError::Full);
    assert_eq!(finish_attach(more), Err(full));
    assert_eq!(tree.task(task).expect("alive").layers().len(), 64);
    assert_eq!(
        tree.task(0).expect("alive").layers().len(),
        1,
        "the ancestors keep theirs"
    );
}

/// The same with real threads: nobody schedules them but the machine.
#[test]
fn laws_3_and_4_hold_when_real_threads_race() {
    const TURNS: u32 = if cfg!(miri) { 20 } else { 4000 };
    let tree = Tree::new();
    let filters: Vec<Filter> = (1..8).map(refusing).collect();
    thread::scope(|scope| {
        for seed in 1..=4u32 {
            let (tree, filters) = (&tree, &filters);
            scope.spawn(move || race(tree, filters, seed, TURNS));
        }
    });
    for (id, task) in tree.snapshot() {
        assert!(
            runs(&task) && !task.busy && !task.killed,
            "task {id} was left in the middle: {task:?}"
        );
        assert_eq!(task.mark, task.domain.is_some());
    }
}

fn race(tree: &Tree, filters: &[Filter], seed: u32, turns: u32) {
    let mut state = seed;
    let mut next = |below: usize| {
        // xorshift32
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let mut seen: Snapshot = Snapshot::new();
    for _ in 0..turns {
        let now = tree.snapshot();
        for (id, task) in &now {
            if let Some(was) = seen.get(id) {
                assert!(
                    !runs(was) || includes(task.layers(), was.layers()),
                    "task {id} lost a layer"
                );
            }
        }
        let task = now
            .keys()
            .nth(next(now.len()))
            .copied()
            .expect("the first process never ends");
        seen = now;
        match next(8) {
            0..4 if seen.len() < 64 => {
                let kind = [Kind::Process, Kind::Thread, Kind::Worker, Kind::Worker][next(4)];
                let Some(creation) = Fork::begin(tree, task, kind) else {
                    continue;
                };
                let creator = tree.task(task).expect("busy, so alive");
                let child = finish_fork(creation).expect("memory");
                if let Some(child) = tree.task(child) {
                    assert!(
                        child.covers(&creator),
                        "{child:?} runs under less than {creator:?}"
                    );
                }
            }
            4 => {
                let whom = [Whom::Caller, Whom::AllThreads][next(2)];
                let filter = filters[next(filters.len())].clone();
                let Some(attachment) = Attach::begin(tree, task, filter, whom) else {
                    continue;
                };
                let filter = attachment.filter().clone();
                match finish_attach(attachment) {
                    Ok(()) => {
                        if let Some(task) = tree.task(task) {
                            assert!(task.layers().iter().any(|layer| layer.same(&filter)));
                        }
                    }
                    Err(refused) => assert!(matches!(
                        refused,
                        Refused::Push(_) | Refused::Killed | Refused::InTheWay(_)
                    )),
                }
            }
            5 if seen[&task].process != 0 => {
                tree.exec(task);
            }
            _ if task != 0 => {
                tree.exit(task);
            }
            _ => {}
        }
    }
}

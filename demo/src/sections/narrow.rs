// SPDX-License-Identifier: GPL-2.0
//! Nesting: a confined child adds a layer of its own, and finds no way to be less confined than before.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;

use super::{Expect, Show};
use crate::attempt::{Act, Attempt};
use crate::cell::{Cell, Seen, note, perform, seen};
use crate::judge::{Policy, Question, decide};
use crate::stage::{self, KEY, NOTES, PIT};
use crate::sys::child::{self, Note, Outbox};
use crate::sys::raw::prctl;
use crate::way::{EarlyRings, Way};

/// Where in the story the attempts are made, and how many layers are in force there.
const PHASES: [(&str, usize); 6] = [
    ("the sandbox alone", 1),
    ("its child, one layer more (narrow.evf)", 2),
    ("the child pushes a layer that allows everything", 3),
    ("the child, after these tricks", 3),
    ("a child of the child", 3),
    ("the parent, after the child", 1),
];

/// What is tried in each phase; the narrower layer leaves only the first of what the sandbox allows.
const ATTEMPTS: [(Act, &str); 4] = [
    (Act::Open, NOTES),
    (Act::Open, KEY),
    (Act::Create, "/home/sandbox/new.txt"),
    (Act::Open, PIT),
];

/// Tells the notes on tricks and on layers from those on attempts.
const TRICKS_FROM: i64 = 1000;
const LAYERS_FROM: i64 = 2000;

/// What a child might try to get out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// Unload the module.
    Unload,
    /// Become another program.
    Execute,
    /// Take no_new_privs back.
    NewPrivileges,
    /// Switch seccomp off, should that be what holds it.
    SeccompOff,
    /// Ask the module for something that it does not offer.
    UnknownRequest,
    /// Close every descriptor, the filters' among them.
    CloseAll,
}

const TRICKS: [Trick; 6] = [
    Trick::Unload,
    Trick::Execute,
    Trick::NewPrivileges,
    Trick::SeccompOff,
    Trick::UnknownRequest,
    Trick::CloseAll,
];

impl Trick {
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Trick::Unload => ("delete_module", "evfilter"),
            Trick::Execute => ("execve", stage::PROBE),
            Trick::NewPrivileges => ("prctl", "PR_SET_NO_NEW_PRIVS 0"),
            Trick::SeccompOff => ("prctl", "PR_SET_SECCOMP 0"),
            Trick::UnknownRequest => ("prctl", "PR_EVFILTER 2"),
            Trick::CloseAll => ("close_range", "every descriptor"),
        }
    }

    fn call(self) -> (i64, [u64; 6]) {
        let prctl = |option: u64, a| (libc::SYS_prctl, [option, a, 0, 0, 0, 0]);
        match self {
            Trick::Unload => (libc::SYS_delete_module, [0; 6]),
            Trick::Execute => (libc::SYS_execve, [0; 6]),
            Trick::NewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS as u64, 0),
            Trick::SeccompOff => prctl(libc::PR_SET_SECCOMP as u64, 0),
            Trick::UnknownRequest => prctl(uapi::control::PR_EVFILTER as u64, 2),
            Trick::CloseAll => (libc::SYS_close_range, [3, u64::from(u32::MAX), 0, 0, 0, 0]),
        }
    }

    fn perform(self, out: &Outbox) -> Result<(), Errno> {
        match self {
            Trick::Execute => {
                let me = Path::new(stage::PROBE);
                Way::Exec.open(c"/home/sandbox/notes.txt", &mut EarlyRings::none(), me)
            }
            Trick::Unload => rustix::system::delete_module(c"evfilter", libc::O_NONBLOCK),
            Trick::NewPrivileges | Trick::SeccompOff | Trick::UnknownRequest => {
                let (_, [option, a, b, c, d, _]) = self.call();
                prctl([option, a, b, c, d]).map(drop)
            }
            Trick::CloseAll => out.close_all_others(),
        }
    }

    /// What the kernel answers if no layer minds the call.
    const fn bare(self) -> Result<(), Errno> {
        match self {
            Trick::Unload => Err(Errno::PERM),
            Trick::NewPrivileges | Trick::SeccompOff | Trick::UnknownRequest => Err(Errno::INVAL),
            Trick::Execute | Trick::CloseAll => Ok(()),
        }
    }

    /// What the kernel asks the filters about it.
    fn questions(self) -> Vec<Question> {
        let (number, args) = self.call();
        let number = number as i32;
        let mut questions = vec![Question::syscall(number, args)];
        if self == Trick::Execute {
            questions.push(Question::name(number, args, stage::PROBE.as_bytes()));
        }
        questions
    }
}

/// Tells the story and checks each line of it.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let sandbox = show.policy("sandbox-nest.evf")?;
    let narrow = show.policy("narrow.evf")?;
    let all = show.policy("allow-all.evf")?;
    let layers = [&sandbox, &narrow, &all];
    let cell = Cell::load(&layers)?;

    let attempts: Vec<Attempt> = ATTEMPTS
        .iter()
        .map(|(act, path)| Attempt::new(*act, path))
        .collect::<Result<_>>()?;
    let bare = perform(None, &attempts)?;
    let child = child::spawn(|out| parent(&cell, &attempts, out)).context("forking")?;
    let (notes, end) = child.collect().context("listening to the sandbox")?;
    ensure!(end.is_clean(), "the sandboxed parent: {end}");

    let about = |from: i64, to: i64| -> Vec<Note> {
        let mine = notes.iter().filter(|note| (from..to).contains(&note[0]));
        mine.map(|&[index, rest @ ..]| {
            let [a, b, c, d, e] = rest;
            [index - from, a, b, c, d, e]
        })
        .collect()
    };
    let judged = seen(&about(0, TRICKS_FROM), PHASES.len() * attempts.len())?;
    let tricks = seen(&about(TRICKS_FROM, LAYERS_FROM), TRICKS.len())?;
    let counts = about(LAYERS_FROM, i64::MAX);

    for (phase, (title, depth)) in PHASES.into_iter().enumerate() {
        if phase == 3 {
            show_tricks(show, &layers, &tricks)?;
        }
        let s = if depth == 1 { "" } else { "s" };
        show.report
            .say(&format!("  -- {title}: {depth} layer{s}"))?;
        show.report.head()?;
        for (index, attempt) in attempts.iter().enumerate() {
            let ruling = decide(&layers[..depth], &attempt.questions());
            let expect = expectation(&attempt.path, depth);
            let seen = (bare[index], judged[phase * attempts.len() + index]);
            show.attempt(attempt.act.name(), &attempt.path, expect, seen, &ruling)?;
        }
    }
    let counted: Vec<i64> = counts.iter().map(|note| note[1]).collect();
    let line = format!("layers that the kernel counts on the task as it goes: {counted:?}");
    show.report.check(counted == [1, 2, 3, 1], &line)?;
    show.report.legend()?;
    Ok(())
}

/// [`NOTES`] is always allowed, [`PIT`] never; the rest the sandbox allows and the narrower layer does not.
fn expectation(path: &str, depth: usize) -> Expect {
    match (path, depth) {
        (NOTES, _) => Expect::Works,
        (PIT, _) => Expect::Refused,
        (_, 1) => Expect::Works,
        (_, _) => Expect::Refused,
    }
}

fn show_tricks(show: &mut Show, layers: &[&Policy], tricks: &[Seen]) -> Result<()> {
    show.report
        .say("  -- tricks of the child, under all three layers")?;
    show.report.head()?;
    for (trick, seen) in TRICKS.into_iter().zip(tricks) {
        let ruling = decide(layers, &trick.questions());
        let (what, on) = trick.name();
        show.trick(what, on, (trick.bare(), *seen), &ruling)?;
    }
    Ok(())
}

/// The sandboxed parent: attempts, the child's story, attempts again.
fn parent(cell: &Cell, attempts: &[Attempt], out: &mut Outbox) -> Result<()> {
    evfilter::set_no_new_privs()?;
    cell.add(0)?;
    tell_layers(cell, 0, out)?;
    tell(0, attempts, out)?;
    // The child speaks through this pipe as well; its own carries nothing.
    let child = child::spawn(|_| nested(cell, attempts, out)).context("forking")?;
    let (_, end) = child.collect()?;
    if !end.is_clean() {
        bail!("the nested child: {end}");
    }
    tell_layers(cell, 3, out)?;
    tell(5, attempts, out)
}

fn nested(cell: &Cell, attempts: &[Attempt], out: &mut Outbox) -> Result<()> {
    cell.add(1)?;
    tell_layers(cell, 1, out)?;
    tell(1, attempts, out)?;
    cell.add(2)?;
    tell_layers(cell, 2, out)?;
    tell(2, attempts, out)?;
    for (index, trick) in TRICKS.into_iter().enumerate() {
        let [_, errno, rest @ ..] = note(index, trick.perform(out));
        let [a, b, c, d] = rest;
        out.post([TRICKS_FROM + index as i64, errno, a, b, c, d])?;
    }
    tell(3, attempts, out)?;
    let child = child::spawn(|_| tell(4, attempts, out)).context("forking")?;
    let (_, end) = child.collect()?;
    ensure!(end.is_clean(), "the child of the child: {end}");
    Ok(())
}

fn tell(phase: usize, attempts: &[Attempt], out: &mut Outbox) -> Result<()> {
    for (index, attempt) in attempts.iter().enumerate() {
        out.post(note(phase * attempts.len() + index, attempt.perform()))?;
    }
    Ok(())
}

fn tell_layers(cell: &Cell, place: i64, out: &mut Outbox) -> Result<()> {
    let layers = cell.layers()?;
    out.post([LAYERS_FROM + place, i64::from(layers), 0, 0, 0, 0])?;
    Ok(())
}

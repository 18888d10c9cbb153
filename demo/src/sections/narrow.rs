// SPDX-License-Identifier: GPL-2.0
//! Nesting: a confined child adds a layer of its own, and finds no way to be less confined than before.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;

use super::{Expect, Show};
use crate::attempt::{Act, Attempt};
use crate::cell::{Cell, Seen, note, perform, seen};
use crate::judge::{Policy, Question, decide};
use crate::stage::{self, DOOR, NOTES, PIT};
use crate::sys::child::{self, Note, Outbox};
use crate::sys::raw::prctl;
use crate::way::{EarlyRings, Way};

/// Where in the story the attempts are made, and how many layers are in force there.
const PHASES: [(&str, usize); 6] = [
    ("the sandbox alone", 1),
    ("its child, one layer more (narrow.evf)", 2),
    ("the child pushes a layer that allows everything", 3),
    ("the child, after these tricks", 3),
    ("a program that the child executes", 3),
    ("the parent, after the child", 1),
];

const NAMES: [&str; 3] = [NOTES, DOOR, PIT];

/// Tells the notes on tricks and on layers from those on attempts.
const TRICKS_FROM: i64 = 1000;
const LAYERS_FROM: i64 = 2000;

/// What a child might try to get out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// Unload the module.
    Unload,
    /// Take no_new_privs back.
    NewPrivileges,
    /// Switch seccomp off, should that be what holds it.
    SeccompOff,
    /// Ask the module for something that it does not offer.
    UnknownRequest,
    /// Close every descriptor, the filters' among them.
    CloseAll,
}

const TRICKS: [Trick; 5] = [
    Trick::Unload,
    Trick::NewPrivileges,
    Trick::SeccompOff,
    Trick::UnknownRequest,
    Trick::CloseAll,
];

impl Trick {
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Trick::Unload => ("delete_module", "evfilter"),
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
            Trick::NewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS as u64, 0),
            Trick::SeccompOff => prctl(libc::PR_SET_SECCOMP as u64, 0),
            Trick::UnknownRequest => prctl(uapi::control::PR_EVFILTER as u64, 2),
            Trick::CloseAll => (libc::SYS_close_range, [3, u64::from(u32::MAX), 0, 0, 0, 0]),
        }
    }

    fn perform(self, out: &Outbox) -> Result<(), Errno> {
        match self {
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
            Trick::CloseAll => Ok(()),
        }
    }
}

/// Tells the story and checks each line of it.
pub(crate) fn run(show: &mut Show) -> Result<()> {
    let sandbox = show.policy("sandbox-nest.evf")?;
    let narrow = show.policy("narrow.evf")?;
    let all = show.policy("allow-all.evf")?;
    let layers = [&sandbox, &narrow, &all];
    let cell = Cell::load(&layers)?;
    let me = Path::new(stage::PROBE);

    let attempts: Vec<Attempt> = NAMES
        .iter()
        .map(|path| Attempt::new(Act::Open, path))
        .collect::<Result<_>>()?;
    let bare = perform(None, &attempts)?;
    let child = child::spawn(|out| parent(&cell, &attempts, me, out)).context("forking")?;
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

/// The sandbox allows [`NOTES`] and [`DOOR`]; the narrower layer leaves only [`NOTES`].
fn expectation(path: &str, depth: usize) -> Expect {
    match (path, depth) {
        (NOTES, _) | (DOOR, 1) => Expect::Works,
        _ => Expect::Refused,
    }
}

fn show_tricks(show: &mut Show, layers: &[&Policy], tricks: &[Seen]) -> Result<()> {
    show.report
        .say("  -- tricks of the child, under all three layers")?;
    show.report.head()?;
    for (trick, seen) in TRICKS.into_iter().zip(tricks) {
        let (number, args) = trick.call();
        let ruling = decide(layers, &[Question::syscall(number as i32, args)]);
        let (what, on) = trick.name();
        show.trick(what, on, (trick.bare(), *seen), &ruling)?;
    }
    Ok(())
}

/// The sandboxed parent: attempts, the child's story, attempts again.
fn parent(cell: &Cell, attempts: &[Attempt], me: &Path, out: &mut Outbox) -> Result<()> {
    evfilter::set_no_new_privs()?;
    cell.add(0)?;
    tell_layers(cell, 0, out)?;
    tell(0, attempts, Way::Direct, me, out)?;
    // The child speaks through this pipe as well; its own carries nothing.
    let child = child::spawn(|_| nested(cell, attempts, me, out)).context("forking")?;
    let (_, end) = child.collect()?;
    if !end.is_clean() {
        bail!("the nested child: {end}");
    }
    tell_layers(cell, 3, out)?;
    tell(5, attempts, Way::Direct, me, out)
}

fn nested(cell: &Cell, attempts: &[Attempt], me: &Path, out: &mut Outbox) -> Result<()> {
    cell.add(1)?;
    tell_layers(cell, 1, out)?;
    tell(1, attempts, Way::Direct, me, out)?;
    cell.add(2)?;
    tell_layers(cell, 2, out)?;
    tell(2, attempts, Way::Direct, me, out)?;
    for (index, trick) in TRICKS.into_iter().enumerate() {
        let [_, errno, rest @ ..] = note(index, trick.perform(out));
        let [a, b, c, d] = rest;
        out.post([TRICKS_FROM + index as i64, errno, a, b, c, d])?;
    }
    tell(3, attempts, Way::Direct, me, out)?;
    tell(4, attempts, Way::Exec, me, out)
}

fn tell(phase: usize, attempts: &[Attempt], way: Way, me: &Path, out: &mut Outbox) -> Result<()> {
    let mut rings = EarlyRings::none();
    for (index, attempt) in attempts.iter().enumerate() {
        let result = way.open(attempt.name(), &mut rings, me);
        out.post(note(phase * attempts.len() + index, result))?;
    }
    Ok(())
}

fn tell_layers(cell: &Cell, place: i64, out: &mut Outbox) -> Result<()> {
    let layers = cell.layers()?;
    out.post([LAYERS_FROM + place, i64::from(layers), 0, 0, 0, 0])?;
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0
//! A cell: the layers that a child is put under, loaded beforehand by the process that it is forked from.

use anyhow::{Context as _, Result, bail};
use evfilter::{Control, Filter};
use rustix::io::Errno;

use crate::attempt::Attempt;
use crate::judge::Policy;
use crate::sys::child::{self, Note, Outbox};

/// Loaded filters and the descriptor to push them with. Both are inherited by a forked child, so that it needs no name and no
/// `prctl` to enter.
pub(crate) struct Cell {
    control: Control,
    filters: Vec<Filter>,
}

impl Cell {
    /// Loads `layers`, oldest first.
    ///
    /// # Errors
    ///
    /// If the module is not there or refuses a policy.
    pub(crate) fn load(layers: &[&Policy]) -> Result<Cell> {
        let control = Control::open().context("evfilter")?;
        let load = |policy: &&Policy| {
            control
                .load_image(policy.image())
                .with_context(|| format!("loading {}", policy.file))
        };
        let filters = layers.iter().map(load).collect::<Result<_>>()?;
        Ok(Cell { control, filters })
    }

    /// Puts the calling thread under all layers.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn enter(&self) -> Result<()> {
        evfilter::set_no_new_privs()?;
        for index in 0..self.filters.len() {
            self.add(index)?;
        }
        Ok(())
    }

    /// Puts the calling thread under layer `index` alone.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn add(&self, index: usize) -> Result<()> {
        let filter = self.filters.get(index).context("no such layer")?;
        self.control
            .restrict_self(filter)
            .with_context(|| format!("pushing layer {index}"))
    }

    /// How many layers the kernel counts on the calling thread.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn layers(&self) -> Result<u32> {
        Ok(self.control.info()?.layers)
    }
}

/// What an attempt came to; `None` if the child did not live to tell.
pub(crate) type Seen = Option<Result<(), Errno>>;

/// A note on attempt `index`.
pub(crate) fn note(index: usize, result: Result<(), Errno>) -> Note {
    let errno = match result {
        Ok(()) => 0,
        Err(errno) => errno.raw_os_error(),
    };
    [index as i64, i64::from(errno), 0, 0, 0, 0]
}

/// The notes of `count` attempts, by index.
///
/// # Errors
///
/// If a note is about an attempt that there is not.
pub(crate) fn seen(notes: &[Note], count: usize) -> Result<Vec<Seen>> {
    let mut all = vec![None; count];
    for &[index, errno, ..] in notes {
        let place = usize::try_from(index)
            .ok()
            .and_then(|index| all.get_mut(index));
        let Some(place) = place else {
            bail!("a note on attempt {index} of {count}");
        };
        *place = Some(match i32::try_from(errno)? {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno)),
        });
    }
    Ok(all)
}

/// Makes all attempts in a child that is under `cell`, or under nothing.
///
/// # Errors
///
/// If the child cannot be made or put under the layers.
pub(crate) fn perform(cell: Option<&Cell>, attempts: &[Attempt]) -> Result<Vec<Seen>> {
    in_child(cell, attempts.len(), |out| {
        for (index, attempt) in attempts.iter().enumerate() {
            out.post(note(index, attempt.perform()))?;
        }
        Ok(())
    })
}

/// Runs `work`, which posts notes on `count` attempts, in a child that is under `cell`, or under nothing.
///
/// # Errors
///
/// If the child cannot be made, put under the layers, or does not come to a good end.
pub(crate) fn in_child(
    cell: Option<&Cell>,
    count: usize,
    work: impl FnOnce(&mut Outbox) -> Result<()>,
) -> Result<Vec<Seen>> {
    let child = child::spawn(|out| {
        if let Some(cell) = cell {
            cell.enter()?;
        }
        work(out)
    })
    .context("forking")?;
    let (notes, end) = child.collect().context("listening to the child")?;
    if !end.is_clean() {
        bail!(
            "the child ended badly: {end}, after {} of {count} attempts",
            notes.len()
        );
    }
    seen(&notes, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_was_not_told_of_is_not_taken_for_a_success() {
        let notes = [note(2, Err(Errno::ACCESS)), note(0, Ok(()))];
        let all = seen(&notes, 3).unwrap();
        assert_eq!(all, [Some(Ok(())), None, Some(Err(Errno::ACCESS))]);
    }

    #[test]
    fn a_note_on_no_attempt_is_an_error() {
        assert!(seen(&[note(3, Ok(()))], 3).is_err());
        assert!(seen(&[[-1, 0, 0, 0, 0, 0]], 3).is_err());
    }

    #[test]
    fn a_child_that_breaks_half_way_is_an_error() {
        let half = in_child(None, 2, |out| {
            out.post(note(0, Ok(())))?;
            bail!("as the test wants it")
        });
        assert!(half.is_err());
    }
}

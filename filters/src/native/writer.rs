// SPDX-License-Identifier: GPL-2.0
//! Where the instructions go: first they are only counted, so that jumps know how far to go, then they are handed out.

use super::code::{self, Insn64, Operand, Reg, Test};
use super::flow::Nodes;

/// Where a jump leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// To an instruction of the program.
    Insn(usize),
    /// To the place where the program returns R0.
    Stop,
    /// To the place where it returns zero.
    Zero,
    /// Behind the program, where the next one begins.
    Next,
    /// Over so many instructions.
    Over(u16),
}

/// Places at the end of a program.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) stop: u16,
    pub(super) zero: u16,
    pub(super) next: u16,
}

/// Writes the code of one program.
pub(super) struct Writer<'w, 'n> {
    pub(super) nodes: &'w mut Nodes<'n>,
    pub(super) ends: Ends,
    /// Takes the instructions; while they are counted, nobody does.
    emit: Option<&'w mut dyn FnMut(Insn64)>,
    /// Instructions so far.
    pub(super) at: u16,
    /// Whether somebody wants to know where [`To::Stop`] and [`To::Zero`] are.
    pub(super) stops: bool,
    pub(super) zeros: bool,
}

impl<'w, 'n> Writer<'w, 'n> {
    pub(super) fn new(
        nodes: &'w mut Nodes<'n>,
        ends: Ends,
        emit: Option<&'w mut dyn FnMut(Insn64)>,
    ) -> Writer<'w, 'n> {
        Writer {
            nodes,
            ends,
            emit,
            at: 0,
            stops: false,
            zeros: false,
        }
    }

    /// Whether the instructions are only counted: nothing is known of places ahead.
    pub(super) const fn counts(&self) -> bool {
        self.emit.is_none()
    }

    /// Writes an instruction.
    pub(super) fn put(&mut self, insn: Insn64) -> Option<()> {
        self.at = self.at.checked_add(1)?;
        if let Some(emit) = &mut self.emit {
            emit(insn);
        }
        Some(())
    }

    /// Writes a jump.
    pub(super) fn goto(&mut self, to: To) -> Option<()> {
        let distance = self.distance(to)?;
        self.put(code::jump(distance))
    }

    /// Writes a jump on a condition.
    pub(super) fn goto_if(&mut self, test: Test, left: Reg, right: Operand, to: To) -> Option<()> {
        let distance = self.distance(to)?;
        self.put(code::jump_if(test, left, right, distance))
    }

    /// Writes a jump that is taken if bit 63 of the register is set.
    pub(super) fn goto_if_negative(&mut self, reg: Reg, to: To) -> Option<()> {
        let distance = self.distance(to)?;
        self.put(code::jump_if_negative(reg, distance))
    }

    /// Instructions between the next one to be written, a jump, and the place that it leads to.
    fn distance(&mut self, to: To) -> Option<i16> {
        match to {
            To::Insn(at) => self.nodes.need(at)?,
            To::Stop => self.stops = true,
            To::Zero => self.zeros = true,
            To::Next | To::Over(_) => {}
        }
        if self.counts() {
            return Some(0);
        }
        let place = match to {
            To::Insn(at) => self.nodes.place(at),
            To::Stop => self.ends.stop,
            To::Zero => self.ends.zero,
            To::Next => self.ends.next,
            To::Over(count) => return i16::try_from(count).ok(),
        };
        i16::try_from(place.checked_sub(self.at)?.checked_sub(1)?).ok()
    }

    /// How many instructions `write` writes.
    pub(super) fn length(
        &mut self,
        write: impl FnOnce(&mut Writer<'_, '_>) -> Option<()>,
    ) -> Option<u16> {
        let mut counting = Writer::new(&mut *self.nodes, self.ends, None);
        write(&mut counting)?;
        Some(counting.at)
    }
}

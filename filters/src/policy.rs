// SPDX-License-Identifier: GPL-2.0
//! A policy: a verified image, with at most one program for each event.

use core::ops::Deref;

use crate::event::Event;
use crate::image::{self, Section};
use crate::program::Program;
use crate::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::scope::Scopes;
use crate::stack::Layer;
use crate::verdict::Verdict;
use crate::verifier::{self, Findings};
use crate::vm;

pub use crate::verifier::Workspace;

/// A verified policy over the bytes that hold it.
///
/// `B` owns (or borrows) the image and must give the same bytes each time; the kernel's and the host's vectors do. What was verified holds of those bytes only: with
/// others a run comes to [`Verdict::KILL_PROCESS`] at best, and a walk through a table need not end.
#[derive(Debug)]
pub struct Policy<B> {
    image: B,
    sections: [Option<Section>; Event::COUNT],
    scopes: Scopes,
}

impl<B: Deref<Target = [u8]>> Policy<B> {
    /// Verifies `image` and makes a policy of it. `workspace` is overwritten.
    ///
    /// # Errors
    ///
    /// The first fault found, with the event and instruction it lies in.
    pub fn verify(image: B, workspace: &mut Workspace) -> Result<Policy<B>, Refusal> {
        let mut sections = [const { None }; Event::COUNT];
        let (programs, scopes) = image::header(&image)?;
        let mut at = image::HEADER_BYTES;
        for _ in 0..programs {
            let (mut section, end) = image::section(&image, at)?;
            let event = section.event;
            let program = Program::view(&image, &section)
                .ok_or(Refusal::program(event, Reason::BadLength))?;
            section.findings = verifier::verify(&program, workspace)?;
            match sections.get_mut(event.number() as usize) {
                Some(place @ None) => *place = Some(section),
                _ => return Err(Refusal::program(event, Reason::DuplicateEvent)),
            }
            at = end;
        }
        if at != image.len() {
            return Err(Refusal::image(Reason::BadLength));
        }
        Ok(Policy {
            image,
            sections,
            scopes,
        })
    }

    /// The program for `event`, if the policy has one.
    pub fn program(&self, event: Event) -> Option<Program<'_>> {
        let section = self.sections.get(event.number() as usize)?.as_ref()?;
        Program::view(&self.image, section)
    }

    /// What one run of the program for `event` costs at most, in units of a classic instruction; 0 if there is none.
    ///
    /// The costs of all layers together must not exceed [`crate::limits::MAX_STACK_COST`].
    pub fn cost(&self, event: Event) -> u32 {
        self.findings(event).cost
    }

    /// Whether the program for `event` asks for an id of the caller, so that records need [`Record::called_by`].
    pub fn asks_for_caller(&self, event: Event) -> bool {
        self.findings(event).asks_for_caller
    }

    /// Bit by word of the record: the program for `event` may read it. Who gathers a record may leave out what costs something and nobody reads.
    pub fn reads_words(&self, event: Event) -> u32 {
        self.findings(event).words
    }

    fn findings(&self, event: Event) -> Findings {
        match self.sections.get(event.number() as usize) {
            Some(Some(section)) => section.findings,
            _ => Findings::default(),
        }
    }

    /// Whom its tasks may reach.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// The image.
    pub fn image(&self) -> &[u8] {
        &self.image
    }
}

impl<B: Deref<Target = [u8]>> Layer for Policy<B> {
    fn judge(&self, record: &Record<'_>) -> Option<Verdict> {
        let program = self.program(record.event())?;
        Some(vm::run(&program, record).verdict)
    }

    fn cost(&self, event: Event) -> u32 {
        Policy::cost(self, event)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A policy image of any bytes: it is refused, or its programs run to a verdict on any record.
//!
//! The input is an image and behind it, if the image says so by its size, what the record is made of.

use filters::event::Event;
use filters::policy::Policy;
use filters::record::{Caller, Record};

use crate::outcome;

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let size = data.get(4..8).map_or(0, |size| {
        u32::from_le_bytes([size[0], size[1], size[2], size[3]])
    });
    let (image, rest) = data.split_at_checked(size as usize).unwrap_or((data, &[]));
    let mut workspace = Box::new([0; filters::limits::MAX_INSNS]);
    let policy = match Policy::verify(image, &mut workspace) {
        Ok(policy) => policy,
        Err(refusal) => {
            // What the module writes to the caller's buffer.
            assert!(!refusal.to_string().is_empty() && refusal.errno().0 > 0);
            return;
        }
    };
    for event in Event::ALL {
        let schema = event.schema();
        let word = |at: usize| {
            rest.get(4 * at..4 * at + 4).map_or(at as u32, |word| {
                u32::from_le_bytes([word[0], word[1], word[2], word[3]])
            })
        };
        let words: Vec<u32> = (0..schema.record_bytes as usize / 4).map(word).collect();
        let path = &rest[..rest.len().min(4095)];
        let strings = vec![path; schema.strings as usize];
        let record = Record::new(event, &words, &strings).expect("a record by its schema");
        let record = record.called_by(Caller {
            process: word(0),
            thread: word(1),
        });
        outcome::check(&policy, &record);
    }
}

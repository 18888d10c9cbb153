// SPDX-License-Identifier: GPL-2.0
//! Any text: the compiler says what is wrong with it, or makes an image that the verifier accepts and whose verdicts it can explain.

use filters::event::Event;
use filters::lang::{self, Memory};
use filters::policy::Policy;
use filters::record::Record;
use filters::stack::Layer;

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let loader = Memory::new().with("base.evf", "set @base = openat, close\n");
    let compiled = match lang::compile("fuzz.evf", text, &loader) {
        Ok(compiled) => compiled,
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty(), "refused without a reason");
            assert!(!diagnostics.render(false).is_empty());
            return;
        }
    };
    let mut workspace = Box::new([0; filters::limits::MAX_INSNS]);
    let policy = Policy::verify(&compiled.image[..], &mut workspace)
        .expect("the compiler makes sound images");
    lang::disassemble(&compiled.image).expect("what is sound can be shown");
    for event in Event::ALL {
        let schema = event.schema();
        for word in [0, 1, 59, 257, 0xc000_003e, u32::MAX] {
            let mut words = vec![word; schema.record_bytes as usize / 4];
            words[1] = 0xc000_003e;
            let strings = vec![&b"/home/../.env"[..]; schema.strings as usize];
            let record = Record::new(event, &words, &strings).expect("a record by its schema");
            let explained = compiled
                .explain(&record)
                .map(|explanation| explanation.verdict);
            assert_eq!(explained, policy.judge(&record));
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Any classic program: accepted exactly when the second checker accepts it, and then returning what the second interpreter returns.

use arbitrary::{Arbitrary, Unstructured};
use filters::event::Event;
use filters::insn::Insn;
use filters::record::Record;
use filters::stack::Layer;
use filters::verdict::Verdict;
use oracle::image::{self, Draft};
use oracle::{checker, interpreter};

/// The words of the record, and the instructions: code, distances, operand.
type Input = ([u32; 16], Vec<(u8, u8, u8, u32)>);

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Ok((words, raw)) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    // Few programs are sound by chance: distances and operands are small more often than not.
    let program: Vec<Insn> = raw
        .into_iter()
        .map(|(code, jt, jf, k)| Insn {
            code: code.into(),
            jt: jt % 16,
            jf: jf % 16,
            k: if k & 0x100 == 0 { k & 0x3f } else { k },
        })
        .collect();
    let policy = image::verify(image::encode(&[Draft::new(
        Event::SyscallEnter.number(),
        program.clone(),
    )]));
    assert_eq!(policy.is_ok(), checker::accepts(&program), "{program:x?}");
    if let Ok(policy) = policy {
        let record = Record::new(Event::SyscallEnter, &words, &[]).expect("16 words");
        let expected = interpreter::run(&program, &words).map(Verdict::from_raw);
        assert_eq!(policy.judge(&record), expected, "{program:x?}");
    }
}

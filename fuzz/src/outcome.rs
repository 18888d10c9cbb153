// SPDX-License-Identifier: GPL-2.0
//! What holds of every run of a verified program.

use filters::policy::Policy;
use filters::record::Record;
use filters::stack::Layer;
use filters::verdict::Action;
use filters::vm;

/// Runs the program of `policy` for the record's event, if it has one, and asserts that it ends as a verified program must.
pub(crate) fn check(policy: &Policy<impl std::ops::Deref<Target = [u8]>>, record: &Record<'_>) {
    let event = record.event();
    let Some(program) = policy.program(event) else {
        assert_eq!(policy.judge(record), None);
        return;
    };
    let schema = event.schema();
    let outcome = vm::run(&program, record);
    assert_eq!(policy.judge(record), Some(outcome.verdict));
    assert!(policy.cost(event) <= filters::limits::MAX_STACK_COST);
    assert!(schema.actions.contains(outcome.verdict.action()));
    if schema.max_errno < 4095 && outcome.verdict.action() == Action::Errno {
        assert!((1..=schema.max_errno).contains(&outcome.verdict.data()));
    }
    let last = program.insn(outcome.insn);
    let last = last.expect("it ends at one of its own instructions");
    // A return, a division by the X that was zero, or, of an object, a look at a string that cannot be had.
    let looks = record.is_about_object() && last.code & 0x100 != 0;
    assert!(
        matches!(last.code, 0x06 | 0x16 | 0x3c) || looks,
        "ended at {last:x?}"
    );
}

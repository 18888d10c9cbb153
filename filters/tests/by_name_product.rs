// SPDX-License-Identifier: GPL-2.0
//! One walk for several programs: a product of their automata allows the names that all of them allow, or there is none.

#![cfg(feature = "lang")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by a panic when something is not as expected"
)]

#[path = "by_name_product/bounds.rs"]
mod bounds;
#[path = "by_name_product/hostile.rs"]
mod hostile;
#[path = "by_name_product/random.rs"]
mod random;

use filters::by_name::{ByName, Merged, Names, Product, Work, Workspace};
use filters::event::Event;
use filters::insn::{Insn, JEQ, JMP, K, RET, SMATCH};
use filters::lang::pattern::Pattern;
use filters::lang::table::table;
use filters::lang::{compile, Memory};
use filters::policy::Policy;
use filters::record::Record;
use filters::verdict::{Action, Verdict};
use oracle::image::{self, Draft};

/// A policy over one table, which allows the names that it gives one of these values.
fn policy_of(table: Vec<u8>, allowed: &[u32]) -> Option<Policy<Vec<u8>>> {
    let errno = Insn::stmt(RET | K, Verdict::errno(13).raw());
    let allow = Insn::stmt(RET | K, Verdict::ALLOW.raw());
    let one = |value: &u32| [Insn::jump(JMP | JEQ | K, *value, 0, 1), allow];
    let mut insns = vec![Insn::stmt(SMATCH, Insn::string_operand(0, 0))];
    insns.extend(allowed.iter().flat_map(one));
    insns.push(errno);
    let draft = Draft {
        tables: vec![table],
        ..Draft::getname(&insns)
    };
    image::verify(image::encode(&[draft])).ok()
}

/// The same for patterns; their values are counted from 1.
fn policy_of_patterns(patterns: &[Pattern], allowed: &[u32]) -> Policy<Vec<u8>> {
    let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
    let table = table(&numbered).expect("few states");
    policy_of(table.bytes, allowed).expect("a sound policy")
}

/// A policy with these rules about names.
fn policy_of_rules(rules: &str) -> Policy<Vec<u8>> {
    let text = format!("on vfs.getname {{\n{rules}\n}}\n");
    let compiled = compile("t.evf", &text, &Memory::new()).expect("a sound text");
    image::verify(compiled.image).expect("a sound image")
}

/// What it allows by the name alone. `None` if there is no such name.
fn names(policy: &Policy<Vec<u8>>) -> Option<Names<'_>> {
    let program = policy.program(Event::VfsGetname).expect("it has one");
    ByName::of(&program)?.names(&program)
}

/// Whether the whole program allows a name.
fn allows(policy: &Policy<Vec<u8>>, name: &[u8]) -> bool {
    let program = policy.program(Event::VfsGetname).expect("it has one");
    let mut words = [0; 20];
    words[18] = name.len() as u32;
    let strings = [name];
    let record = Record::new(Event::VfsGetname, &words, &strings).expect("a record");
    filters::vm::run(&program, &record).verdict.action() == Action::Allow
}

fn workspace() -> Box<Workspace> {
    // Whatever it holds.
    vec![0xa5a5_a5a5; size_of::<Workspace>() / 4]
        .into_boxed_slice()
        .try_into()
        .expect("its length")
}

/// The product of two sets, after another verifier's look at its table.
fn product(
    left: &Names<'_>,
    right: &Names<'_>,
    workspace: &mut Workspace,
) -> Option<Merged<Vec<u8>>> {
    let product = Product::of(left, right, &mut Work::new(), workspace)?;
    let merged = written(product);
    assert!(
        policy_of(merged.table().to_vec(), &[1]).is_some(),
        "an unsound table"
    );
    Some(merged)
}

fn written(product: Product<'_>) -> Merged<Vec<u8>> {
    let bytes = vec![0x5a; product.bytes()];
    product.write(bytes).expect("a sound table of its length")
}

/// What all of `policies` allow, as far as it can be had in one table: two at a time, as layers are pushed.
fn product_of_all(
    policies: &[Policy<Vec<u8>>],
    workspace: &mut Workspace,
) -> Option<Merged<Vec<u8>>> {
    let mut merged: Option<Merged<Vec<u8>>> = None;
    let (first, rest) = policies.split_first()?;
    for policy in rest {
        let new = match &merged {
            Some(merged) => product(&merged.names(), &names(policy)?, workspace)?,
            None => product(&names(first)?, &names(policy)?, workspace)?,
        };
        merged = Some(new);
    }
    merged
}

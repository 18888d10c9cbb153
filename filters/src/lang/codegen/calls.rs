// SPDX-License-Identifier: GPL-2.0
//! `syscall.enter`: a search by number to the rules that can decide that call.
//!
//! For each number the rules that apply to it form a chain: conditions in the order of the text, up to the first rule without one. Equal ends of
//! chains are shared, so a rule for all calls is there once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::prelude::rust_2021::*;
use std::vec;

use super::super::assembler::{Assembler, Label, Origin};
use super::super::calls::{Arch, X32_BIT};
use super::super::cond::Cond;
use super::search::{push, search};
use super::{condition, Checked, Failure};
use crate::insn::*;

/// Byte offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;

/// To which calls a rule applies, and under which condition: arguments lie elsewhere in each call.
#[derive(Clone, Debug)]
pub(crate) enum Applies {
    /// To these numbers.
    To(BTreeMap<u32, Cond>),
    /// To every call.
    All(Cond),
}

/// A rule of a `syscall.enter` block.
#[derive(Clone, Debug)]
pub(crate) struct CallRule {
    pub(crate) rule: Checked,
    pub(crate) applies: Applies,
}

impl CallRule {
    /// The condition under which the rule decides call `number`; `None` for a number that no rule names.
    fn condition(&self, number: Option<u32>) -> Option<&Cond> {
        match &self.applies {
            Applies::All(cond) => Some(cond),
            Applies::To(calls) => calls.get(&number?),
        }
    }
}

/// One block: the rules for one architecture.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) rules: Vec<CallRule>,
    pub(crate) default: Checked,
}

/// The blocks of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    pub(crate) native: Block,
    pub(crate) i386: Option<Block>,
    pub(crate) x32: Option<Block>,
    /// Entries that no other block judges.
    pub(crate) other: Block,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Rule(usize),
    Node(usize),
    Default,
}

struct Node {
    rule: usize,
    cond: Cond,
    next: Target,
}

/// The chains of one block.
struct Chains<'b> {
    block: &'b Block,
    nodes: Vec<Node>,
    known: HashMap<(usize, Cond, Target), usize>,
    /// Start of the chain of each number that a rule names, and of all others.
    by_number: BTreeMap<u32, Target>,
    others: Target,
}

impl<'b> Chains<'b> {
    fn new(block: &'b Block) -> Chains<'b> {
        let mut numbers = BTreeSet::new();
        for rule in &block.rules {
            if let Applies::To(calls) = &rule.applies {
                numbers.extend(calls.keys().copied());
            }
        }
        let mut chains = Chains {
            block,
            nodes: Vec::new(),
            known: HashMap::new(),
            by_number: BTreeMap::new(),
            others: Target::Default,
        };
        chains.others = chains.chain(None);
        for number in numbers {
            let start = chains.chain(Some(number));
            chains.by_number.insert(number, start);
        }
        chains
    }

    fn chain(&mut self, number: Option<u32>) -> Target {
        let block = self.block;
        let mut steps = Vec::new();
        let mut target = Target::Default;
        for (index, rule) in block.rules.iter().enumerate() {
            match rule.condition(number) {
                None | Some(Cond::Const(false)) => {}
                Some(Cond::Const(true)) => {
                    target = Target::Rule(index);
                    break;
                }
                Some(cond) => steps.push((index, cond)),
            }
        }
        for (rule, cond) in steps.into_iter().rev() {
            let key = (rule, cond.clone(), target);
            let nodes = &mut self.nodes;
            let node = *self.known.entry(key).or_insert_with(|| {
                nodes.push(Node {
                    rule,
                    cond: cond.clone(),
                    next: target,
                });
                nodes.len() - 1
            });
            target = Target::Node(node);
        }
        target
    }

    /// Rules that are in no chain.
    fn unreached(&self) -> Vec<usize> {
        let mut reached: BTreeSet<usize> = self.nodes.iter().map(|node| node.rule).collect();
        let starts = self.by_number.values().copied();
        let nexts = self.nodes.iter().map(|node| node.next);
        for target in starts.chain(nexts).chain([self.others]) {
            if let Target::Rule(rule) = target {
                reached.insert(rule);
            }
        }
        (0..self.block.rules.len())
            .filter(|rule| !reached.contains(rule))
            .collect()
    }
}

/// For each block the rules that nothing reaches, by index, with a rule that stands in the way.
pub(crate) fn unreached(block: &Block) -> Vec<(usize, Option<usize>)> {
    let chains = Chains::new(block);
    let blocker = |rule: usize| {
        let numbers: Vec<Option<u32>> = match &block.rules[rule].applies {
            Applies::All(_) => vec![None],
            Applies::To(calls) => calls.keys().map(|&number| Some(number)).collect(),
        };
        let first = numbers.first()?;
        block.rules[..rule]
            .iter()
            .position(|earlier| earlier.condition(*first) == Some(&Cond::Const(true)))
    };
    chains
        .unreached()
        .into_iter()
        .map(|rule| (rule, blocker(rule)))
        .collect()
}

/// Emits the program for all blocks.
pub(crate) fn generate(asm: &mut Assembler, blocks: &Blocks) -> Result<(), Failure> {
    let native = asm.label();
    let i386 = blocks.i386.as_ref().map(|_| asm.label());
    let x32 = blocks.x32.as_ref().map(|_| asm.label());
    let other = asm.label();

    let mut arches = vec![(0, other)];
    for (arch, label) in [(Arch::I386, i386.unwrap_or(other)), (Arch::X86_64, native)] {
        push(&mut arches, arch.audit(), label);
        push(&mut arches, arch.audit() + 1, other);
    }
    asm.insn(Insn::stmt(LD | ABS, ARCH));
    search(asm, &arches);

    asm.bind(native);
    emit(asm, &blocks.native, Some(x32.unwrap_or(other)))?;
    for (label, block) in [(i386, &blocks.i386), (x32, &blocks.x32)] {
        if let (Some(label), Some(block)) = (label, block) {
            asm.bind(label);
            emit(asm, block, None)?;
        }
    }
    asm.bind(other);
    emit(asm, &blocks.other, None)
}

/// Emits one block; numbers with the x32 bit go to `x32`, if given.
fn emit(asm: &mut Assembler, block: &Block, x32: Option<Label>) -> Result<(), Failure> {
    let chains = Chains::new(block);
    let returns: Vec<Label> = block.rules.iter().map(|_| asm.label()).collect();
    let nodes: Vec<Label> = chains.nodes.iter().map(|_| asm.label()).collect();
    let default = asm.label();
    let label = |target: Target| match target {
        Target::Rule(rule) => returns[rule],
        Target::Node(node) => nodes[node],
        Target::Default => default,
    };

    let others = label(chains.others);
    let mut intervals = vec![(0, others)];
    for (&number, &target) in &chains.by_number {
        push(&mut intervals, number, label(target));
        if let Some(next) = number.checked_add(1) {
            push(&mut intervals, next, others);
        }
    }
    if let Some(x32) = x32 {
        intervals.retain(|&(start, _)| start < X32_BIT);
        push(&mut intervals, X32_BIT, x32);
        // -1 is no x32 call: it is what a program passes that wants no call at all.
        push(&mut intervals, u32::MAX, others);
    }
    if intervals.len() > 1 {
        asm.insn(Insn::stmt(LD | ABS, NR));
    }
    search(asm, &intervals);

    let unreached: BTreeSet<usize> = chains.unreached().into_iter().collect();
    for (index, rule) in block.rules.iter().enumerate() {
        for (node, bind) in chains.nodes.iter().zip(&nodes) {
            if node.rule == index {
                asm.bind(*bind);
                let (yes, no) = (returns[index], label(node.next));
                condition(asm, &node.cond, rule.rule.span, yes, no)?;
            }
        }
        if !unreached.contains(&index) {
            asm.bind(returns[index]);
            asm.ret(rule.rule.verdict.raw(), Origin::Rule(rule.rule.id));
        }
    }
    asm.bind(default);
    asm.ret(block.default.verdict.raw(), Origin::Rule(block.default.id));
    Ok(())
}

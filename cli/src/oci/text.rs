// SPDX-License-Identifier: GPL-2.0
//! The policy text: one block for each architecture, one rule for each entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use filters::lang::calls::{Arch, calls};
use filters::verdict::{Action, Verdict};

use super::arch::{Listed, argument_bits};
use super::comparison::Comparison;
use super::decision::{Decision, Rule, decide};
use super::multiplex;
use super::profile::Profile;
use super::selection::{Selected, State};
use super::{Container, Refusal};
use crate::verdict_text::words;

/// Lines are broken here.
const COLUMNS: usize = 110;

/// Entries with more calls than this get a set, so that the blocks can share it.
const INLINE: usize = 6;

/// What the user chose.
#[derive(Debug)]
pub struct Options<'o> {
    /// The file, as it is named in the text.
    pub source: &'o str,
    /// Name of the policy.
    pub policy: &'o str,
    /// Answer calls newer than all that the profile names with ENOSYS, as runc does.
    pub enosys: bool,
}

/// A condition: one of several alternatives, each of which is a list of comparisons that must all hold.
type Alternatives = Vec<Vec<Comparison>>;

/// What one entry says on one architecture.
#[derive(Default)]
struct OfEntry<'p> {
    /// Calls that it decides whatever the arguments.
    whole: Vec<&'p str>,
    /// Calls that it decides for some arguments.
    parted: Vec<Parted<'p>>,
}

/// Calls that are decided under the same condition.
struct Parted<'p> {
    names: Vec<&'p str>,
    /// The condition, in the policy language.
    condition: String,
}

/// What a profile says on one architecture.
struct Block<'p> {
    arch: Arch,
    by_entry: BTreeMap<usize, OfEntry<'p>>,
    /// Calls about which several entries say different things.
    ordered: Vec<(&'p str, Vec<Rule>)>,
}

/// The text for `profile`.
pub(super) fn write(
    profile: &Profile,
    arches: &Listed,
    entries: &[Selected<'_>],
    container: &Container,
    options: &Options<'_>,
) -> Result<String, Refusal> {
    let blocks: Vec<Block<'_>> = arches
        .here
        .iter()
        .map(|&arch| Block::new(arch, entries))
        .collect::<Result<_, _>>()?;
    let default = profile.default_verdict()?;
    let sets = sets(&blocks, entries);

    let mut text = head(profile, arches, entries, container, options);
    for (at, names) in &sets {
        write_comment(&mut text, "", &title(entries, *at));
        let start = format!("set @{} = ", set_name(*at));
        write_list(&mut text, &start, names, "    ");
        text.push('\n');
    }
    for block in &blocks {
        let arch = match block.arch {
            Arch::X86_64 => String::new(),
            arch => format!(" arch {}", arch.name()),
        };
        let _infallible = writeln!(text, "on syscall.enter{arch} {{");
        if options.enosys {
            write_enosys(&mut text, block.arch, arches, entries, default);
        }
        block.write(&mut text, entries, &sets);
        let _infallible = writeln!(text, "    default {}\n}}\n", words(default));
    }
    text.push_str(
        "# Entries of an architecture that the profile does not list: libseccomp's default.\n",
    );
    text.push_str("on syscall.enter arch other {\n    default kill-thread\n}\n");
    Ok(text)
}

impl<'p> Block<'p> {
    fn new(arch: Arch, entries: &[Selected<'p>]) -> Result<Block<'p>, Refusal> {
        let mut rules: BTreeMap<&'p str, Vec<Rule>> = BTreeMap::new();
        for selected in entries {
            let State::Counts(verdict) = selected.state else {
                continue;
            };
            for name in &selected.names {
                for conditions in alternatives(selected, argument_bits(arch)) {
                    let rule = Rule {
                        at: selected.at,
                        verdict,
                        conditions,
                    };
                    if arch == Arch::I386
                        && let Some((gate, number)) = multiplex::through(name)
                    {
                        rules.entry(gate).or_default().push(through(&rule, number));
                    }
                    if calls(arch).by_name(name).is_some() {
                        rules.entry(name).or_default().push(rule);
                    }
                }
            }
        }
        let mut block = Block {
            arch,
            by_entry: BTreeMap::new(),
            ordered: Vec::new(),
        };
        for (name, rules) in rules {
            match decide(name, rules)? {
                None => {}
                Some(Decision::Whole(rule)) => {
                    block.by_entry.entry(rule.at).or_default().whole.push(name);
                }
                Some(Decision::Parted(rules)) => block.add_parted(name, rules),
                Some(Decision::Ordered(rules)) => block.ordered.push((name, rules)),
            }
        }
        Ok(block)
    }

    fn add_parted(&mut self, name: &'p str, rules: Vec<Rule>) {
        let mut by_entry: BTreeMap<usize, Alternatives> = BTreeMap::new();
        for rule in rules {
            by_entry.entry(rule.at).or_default().push(rule.conditions);
        }
        for (at, alternatives) in by_entry {
            let new = Parted::new(self.arch, name, &alternatives);
            let all = &mut self.by_entry.entry(at).or_default().parted;
            let same = |it: &&mut Parted<'_>| it.condition == new.condition;
            match all.iter_mut().find(same) {
                Some(parted) => parted.names.push(name),
                None => all.push(new),
            }
        }
    }

    fn write(
        &self,
        text: &mut String,
        entries: &[Selected<'_>],
        sets: &BTreeMap<usize, Vec<&str>>,
    ) {
        for (&at, of_entry) in &self.by_entry {
            let State::Counts(verdict) = entries[at].state else {
                continue;
            };
            let verdict = words(verdict);
            write_comment(text, "    ", &title(entries, at));
            if !of_entry.whole.is_empty() {
                match sets.contains_key(&at) {
                    true => {
                        let _infallible = writeln!(text, "    {verdict} @{}", set_name(at));
                    }
                    false => {
                        let start = format!("    {verdict} ");
                        write_list(text, &start, &of_entry.whole, "        ");
                    }
                }
            }
            for parted in &of_entry.parted {
                parted.write(text, &verdict);
            }
        }
        for (name, rules) in &self.ordered {
            let comment = format!(
                "several entries decide `{name}`, each otherwise: asked in libseccomp's order"
            );
            write_comment(text, "    ", &comment);
            for rule in rules {
                let alternatives = std::slice::from_ref(&rule.conditions);
                let parted = Parted::new(self.arch, name, alternatives);
                parted.write(text, &words(rule.verdict));
            }
        }
    }
}

/// The alternatives of an entry: conditions on different arguments must all hold, of several on the same argument each is enough alone.
fn alternatives(selected: &Selected<'_>, bits: u32) -> Alternatives {
    let mut conditions: Vec<Comparison> = selected
        .entry
        .args
        .iter()
        .map(|arg| Comparison::new(arg, bits))
        .collect();
    let mut seen = [false; 6];
    let again = conditions
        .iter()
        .any(|condition| std::mem::replace(&mut seen[condition.index], true));
    // What libseccomp makes no code for is no condition.
    let real = |conditions: Vec<Comparison>| {
        conditions
            .into_iter()
            .filter(|condition| !condition.is_empty())
            .collect()
    };
    if again {
        return conditions.into_iter().map(|it| real(vec![it])).collect();
    }
    conditions.sort_by_key(|condition| condition.index);
    vec![real(conditions)]
}

/// The same rule for the call that `number` goes through; the number takes the place of the first argument.
fn through(rule: &Rule, number: u64) -> Rule {
    let first = Comparison::equals(0, number, argument_bits(Arch::I386));
    let others = rule.conditions.iter().filter(|it| it.index != 0).cloned();
    Rule {
        conditions: [first].into_iter().chain(others).collect(),
        ..rule.clone()
    }
}

/// The entries whose calls become a set: they name many, and the same on each architecture that has them.
fn sets<'p>(blocks: &[Block<'p>], entries: &[Selected<'p>]) -> BTreeMap<usize, Vec<&'p str>> {
    let mut sets = BTreeMap::new();
    for selected in entries {
        let whole = |block: &Block<'p>| match block.by_entry.get(&selected.at) {
            Some(of_entry) => of_entry.whole.clone(),
            None => Vec::new(),
        };
        let mut names: Vec<&str> = blocks.iter().flat_map(whole).collect();
        names.sort_unstable();
        names.dedup();
        let shared = blocks.iter().all(|block| {
            let has = |name: &&str| calls(block.arch).by_name(name).is_some();
            whole(block).len() == names.iter().filter(|name| has(name)).count()
        });
        if names.len() > INLINE && shared {
            sets.insert(selected.at, names);
        }
    }
    sets
}

fn set_name(at: usize) -> String {
    format!("syscalls-{at}")
}

fn title(entries: &[Selected<'_>], at: usize) -> String {
    match entries[at].entry.comment.as_str() {
        "" => format!("syscalls[{at}]"),
        comment => format!("syscalls[{at}]: {comment}"),
    }
}

/// What stands above the policy: where it comes from, for whom it is, and what is not in it.
fn head(
    profile: &Profile,
    arches: &Listed,
    entries: &[Selected<'_>],
    container: &Container,
    options: &Options<'_>,
) -> String {
    let mut text = String::new();
    let mut say = |line: &str| write_comment(&mut text, "", line);
    say(&format!(
        "Made by `evf import oci` from {}: what libseccomp and runc make of it on x86-64.",
        options.source
    ));
    let capabilities: Vec<&str> = container.capabilities.iter().map(String::as_str).collect();
    say(&match capabilities.is_empty() {
        true => format!("For kernel {} and no capabilities.", container.kernel),
        false => format!(
            "For kernel {} and the capabilities {}.",
            container.kernel,
            capabilities.join(", ")
        ),
    });
    if !arches.elsewhere.is_empty() {
        say(&format!(
            "Architectures of other machines are left out: {}.",
            arches.elsewhere.join(", ")
        ));
    }
    if !profile.flags.is_empty() {
        say(&format!(
            "Flags for seccomp have no meaning here: {}.",
            profile.flags.join(", ")
        ));
    }
    let exists = |name: &str| {
        let on = |&arch: &Arch| calls(arch).by_name(name).is_some();
        arches.here.iter().any(on) || multiplex::through(name).is_some()
    };
    let mut unknown: Vec<&str> = Vec::new();
    for selected in entries {
        if !matches!(selected.state, State::LeftOut(_)) {
            unknown.extend(selected.names.iter().filter(|name| !exists(name)));
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        say(&format!(
            "Calls that these architectures do not have, or that are newer than this compiler, are left out: {}.",
            unknown.join(", ")
        ));
    }
    for selected in entries {
        let why = match &selected.state {
            State::Counts(_) => continue,
            State::Default => "it does what happens anyway",
            State::LeftOut(why) => why,
        };
        let mut names = selected.names.iter().take(4).copied().collect::<Vec<_>>();
        if selected.names.len() > names.len() {
            names.push("...");
        }
        say(&format!(
            "Left out: syscalls[{}] ({}): {why}.",
            selected.at,
            names.join(", ")
        ));
    }
    let _infallible = writeln!(text, "\npolicy {}\n", options.policy);
    text
}

/// runc's answer to calls that are newer than the profile: those above the largest number that it names (`patchbpf/enosys_linux.go`).
fn write_enosys(
    text: &mut String,
    arch: Arch,
    arches: &Listed,
    entries: &[Selected<'_>],
    default: Verdict,
) {
    // A profile that allows what it does not name gets no such answer.
    if matches!(
        default.action(),
        Action::Allow | Action::Log | Action::Trace
    ) {
        return;
    }
    let newest = entries
        .iter()
        .filter(|selected| !matches!(selected.state, State::LeftOut(_)))
        .flat_map(|selected| &selected.names)
        // libseccomp knows these by the call that they go through, whose number says nothing.
        .filter(|name| arch != Arch::I386 || multiplex::through(name).is_none())
        .filter_map(|name| calls(arch).by_name(name))
        .map(|call| call.number)
        .max();
    let Some(newest) = newest else {
        return;
    };
    // -1 has the bit of x32, and is looked at as such if there is x32.
    let x32 = arches.here.iter().any(|arch| arch.name() == "x32");
    let but = match arch == Arch::X86_64 && !x32 {
        true => " and nr != 0xffffffff",
        false => "",
    };
    write_comment(text, "    ", "newer than all calls of the profile");
    let _infallible = writeln!(text, "    deny ENOSYS when nr > {newest}{but}");
}

impl<'p> Parted<'p> {
    fn new(arch: Arch, name: &'p str, alternatives: &[Vec<Comparison>]) -> Parted<'p> {
        let several = alternatives.len() > 1;
        let texts = alternatives.iter().map(|conditions| {
            let parts: Vec<String> = conditions.iter().map(|it| it.text(arch, name)).collect();
            match several && parts.len() > 1 {
                true => format!("({})", parts.join(" and ")),
                false => parts.join(" and "),
            }
        });
        Parted {
            names: vec![name],
            condition: texts.collect::<Vec<String>>().join(" or\n        "),
        }
    }

    fn write(&self, text: &mut String, verdict: &str) {
        let names = self.names.join(", ");
        let _infallible = writeln!(text, "    {verdict} {names} when {}", self.condition);
    }
}

/// Writes `start`, then the names with commas, on as many lines as it takes.
fn write_list(text: &mut String, start: &str, names: &[&str], indent: &str) {
    let mut line = start.to_owned();
    let mut fresh = true;
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        if !fresh && line.len() + name.len() + 2 > COLUMNS {
            text.push_str(line.trim_end());
            text.push('\n');
            line = indent.to_owned();
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(name);
        line.push_str(comma);
        fresh = false;
    }
    text.push_str(&line);
    text.push('\n');
}

/// Writes a comment, whatever is in it, on as many lines as it takes.
fn write_comment(text: &mut String, indent: &str, comment: &str) {
    let mut line = format!("{indent}#");
    let empty = line.len();
    for word in comment.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if line.len() > empty && line.len() + word.len() + 1 > COLUMNS {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

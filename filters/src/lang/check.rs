// SPDX-License-Identifier: GPL-2.0
//! From names to meaning: events, verdicts, fields, system calls, constants. What passes here can be generated.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::ast::{self, DefaultRule, ElementKind, VerdictWord};
use super::calls::{calls, known, Arch};
use super::codegen::calls::{Applies, Block, Blocks, CallRule};
use super::codegen::paths::Places;
use super::codegen::run::PlainRule;
use super::codegen::Checked;
use super::cond::Id;
use super::constants;
use super::diagnostics::{Report, Reports};
use super::map::{Map, Rule as MapRule};
use super::paths::Paths;
use super::source::{Sources, Span};
use super::units::Units;
use crate::event::Event;
use crate::limits::MAX_ERRNO;
use crate::scope::Scopes;
use crate::verdict::{Action, Verdict};

mod call_list;
mod comparison;
mod field;
mod paths;
mod text;
mod unreached;
mod verdict;

pub(crate) use paths::undecided;
pub(crate) use unreached::shadowed;
use unreached::unreachable;

/// One event's rules, ready for the code generator.
#[derive(Debug)]
pub(crate) enum Program {
    /// `syscall.enter`.
    Calls(Blocks),
    /// Any other event.
    Plain {
        event: Event,
        rules: Vec<PlainRule>,
        default: Checked,
        /// `on EVENT`.
        head: Span,
        /// It was made from a `paths` block, whose places have been looked at already.
        expanded: bool,
    },
    /// An event that a `paths` block judges by the rights at a path.
    Places(Places),
}

/// A policy whose names are resolved.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) programs: Vec<Program>,
    /// Its `paths` block, not yet expanded.
    pub(crate) paths: Option<Paths>,
}

/// Which entries a block judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Arch(Arch),
    Other,
}

/// All blocks for the same event and entry, taken together.
struct Group<'a> {
    event: Event,
    entry: Option<Entry>,
    blocks: Vec<&'a ast::Block>,
}

/// Checks everything; what is wrong is in `reports`.
pub(crate) fn check(
    units: &Units,
    sources: &Sources,
    map: &mut Map,
    reports: &mut Reports,
) -> Resolved {
    let mut checker = Checker {
        units,
        sources,
        map,
        reports,
    };
    checker.sets();
    let groups = checker.groups();
    let paths = checker.paths(&groups);
    let judges = !groups.is_empty() || paths.is_some() || units.scopes != Scopes::NONE;
    if !judges && checker.reports.errors() == 0 {
        checker.reports.add(
            Report::error("the policy judges nothing")
                .help("write at least one block, such as: on vfs.getname { default allow }"),
        );
    }
    Resolved {
        programs: checker.programs(&groups),
        paths,
    }
}

struct Checker<'u, 'a> {
    units: &'u Units,
    sources: &'a Sources,
    map: &'a mut Map,
    reports: &'a mut Reports,
}

impl<'u> Checker<'u, '_> {
    /// Names in sets must be known somewhere, also in sets that nothing uses.
    fn sets(&mut self) {
        for set in self.units.own_sets() {
            for element in &set.elements {
                let ElementKind::Value(value) = &element.kind else {
                    continue;
                };
                let Some(name) = value.name() else { continue };
                if !known(name) && constants::find(name).is_none() && Id::named(name).is_none() {
                    let names = calls(Arch::X86_64).iter().map(|call| call.name);
                    let mut report =
                        Report::error(format!("`{name}` is neither a system call nor a constant"))
                            .label(element.span, "not known");
                    if self.units.has_set(name) {
                        report = report.help(format!("the set is written `@{name}`"));
                    }
                    self.reports.add(report.suggest(name, names));
                }
            }
        }
    }

    fn groups(&mut self) -> Vec<Group<'u>> {
        let units = self.units;
        let mut groups: Vec<Group<'u>> = Vec::new();
        for block in &units.blocks {
            let Some(event) = self.event(block) else {
                continue;
            };
            let Some(entry) = self.entry(event, block) else {
                continue;
            };
            match groups
                .iter_mut()
                .find(|group| group.event == event && group.entry == entry)
            {
                Some(group) => group.blocks.push(block),
                None => groups.push(Group {
                    event,
                    entry,
                    blocks: vec![block],
                }),
            }
        }
        groups
    }

    fn event(&mut self, block: &ast::Block) -> Option<Event> {
        let name = &block.event;
        let event = Event::from_name(&name.text);
        if event.is_none() {
            let names: Vec<&str> = Event::ALL.iter().map(|e| e.schema().name).collect();
            let mut report = Report::error(format!("there is no event `{}`", name.text))
                .label(name.span, "not an event")
                .suggest(&name.text, names.iter().copied());
            if !report.has_help() {
                report = report.help(format!("the events are {}", names.join(", ")));
            }
            self.reports.add(report);
        }
        event
    }

    /// The entry that a block judges: none for events other than `syscall.enter`. The outer `None` is an error.
    fn entry(&mut self, event: Event, block: &ast::Block) -> Option<Option<Entry>> {
        let Some(arch) = &block.arch else {
            let native = event == Event::SyscallEnter;
            return Some(native.then_some(Entry::Arch(Arch::X86_64)));
        };
        if event != Event::SyscallEnter {
            self.reports.add(
                Report::error("only `syscall.enter` has a block for each architecture")
                    .label(arch.span, "not possible here")
                    .help("in a rule, test the field: arch == i386"),
            );
            return None;
        }
        if arch.text == "other" {
            return Some(Some(Entry::Other));
        }
        let found = Arch::from_name(&arch.text);
        if found.is_none() {
            self.reports.add(
                Report::error(format!("there is no architecture `{}`", arch.text))
                    .label(arch.span, "not known")
                    .help("the architectures are x86_64 (also without saying so), i386, x32, and `other` for all entries that have no block of their own"),
            );
        }
        found.map(|arch| Some(Entry::Arch(arch)))
    }

    fn programs(&mut self, groups: &[Group<'_>]) -> Vec<Program> {
        let mut programs = Vec::new();
        for event in Event::ALL {
            let of_event: Vec<&Group<'_>> =
                groups.iter().filter(|group| group.event == event).collect();
            if of_event.is_empty() {
                continue;
            }
            let program = if event == Event::SyscallEnter {
                self.calls_program(&of_event).map(Program::Calls)
            } else {
                of_event.first().and_then(|group| self.plain_program(group))
            };
            programs.extend(program);
        }
        programs
    }

    /// All rules of a group, and its default: there is exactly one, in the last block.
    /// Without a default the rules are still worth looking at.
    fn rules<'g>(&mut self, group: &Group<'g>) -> (Vec<&'g ast::Rule>, Option<&'g DefaultRule>) {
        let mut default: Option<&'g DefaultRule> = None;
        let mut rules = Vec::new();
        for block in &group.blocks {
            let late = block.rules.first().map(|rule| rule.span);
            let late = late.or(block.default.as_ref().map(|rule| rule.span));
            if let (Some(default), Some(late)) = (default, late) {
                self.reports.add(
                    Report::error("a rule after `default` is never reached")
                        .label(late, "never reached")
                        .label(default.span, "this decides everything that is left")
                        .help("blocks for the same event are read one after another; only the last one has a `default`"),
                );
            }
            rules.extend(&block.rules);
            default = block.default.as_ref();
        }
        // A default that could not be read was reported already.
        let broken = group.blocks.iter().any(|block| block.broken_default);
        if let (None, Some(last), false) = (default, group.blocks.last(), broken) {
            let verdict = if group.event == Event::SyscallEnter {
                "deny ENOSYS"
            } else {
                "deny EACCES"
            };
            self.reports.add(
                Report::error("the block has no `default`")
                    .label(last.head, "what no rule decides is left open")
                    .help(format!(
                        "end the block with `default {verdict}` or `default allow`"
                    )),
            );
        }
        (rules, default)
    }

    fn map_rule(&mut self, span: Span) -> u32 {
        self.map.add_rule(MapRule {
            file: self.sources.name(span).to_string(),
            line: self.sources.line(span),
            text: one_line(self.sources.text(span)),
        })
    }

    fn checked(&mut self, event: Event, word: &VerdictWord, span: Span) -> Option<Checked> {
        let verdict = self.verdict(event, word)?;
        Some(Checked {
            id: self.map_rule(span),
            verdict,
            span,
        })
    }

    fn plain_program(&mut self, group: &Group<'_>) -> Option<Program> {
        let (list, default) = self.rules(group);
        let mut rules = Vec::new();
        for rule in list {
            if let Some(first) = rule.calls.first() {
                self.reports.add(
                    Report::error(format!(
                        "{} rules do not begin with system calls",
                        group.event.schema().name
                    ))
                    .label(first.span, "only `syscall.enter` decides by call")
                    .help("test the field instead: when nr in {openat, open}"),
                );
                continue;
            }
            let mut patterns = Vec::new();
            let scope = field::Scope::event(group.event);
            let cond = match &rule.condition {
                Some(expr) => self.lower(&scope, expr, &mut patterns),
                None => None,
            };
            let checked = self.checked(group.event, &rule.verdict, rule.span);
            if let (Some(cond), Some(rule)) = (cond, checked) {
                self.constant(&cond, rule.span);
                rules.push(PlainRule {
                    rule,
                    cond,
                    patterns,
                });
            }
        }
        self.behind_always(&rules);
        let default = default?;
        let default = self.checked(group.event, &default.verdict, default.span)?;
        let head = group.blocks.first().map(|block| block.head)?;
        Some(Program::Plain {
            event: group.event,
            rules,
            default,
            head,
            expanded: false,
        })
    }

    /// Rules behind one whose condition always holds.
    fn behind_always(&mut self, rules: &[PlainRule]) {
        let always = |rule: &PlainRule| rule.cond == super::cond::Cond::Const(true);
        if let Some(at) = rules.iter().position(always) {
            for rule in &rules[at + 1..] {
                self.unreachable(&rule.rule, Some(&rules[at].rule));
            }
        }
    }

    /// Warns of a condition that does not depend on anything.
    fn constant(&mut self, cond: &super::cond::Cond, span: Span) {
        if let super::cond::Cond::Const(value) = cond {
            let what = if *value { "always" } else { "never" };
            self.reports.add(
                Report::warning(format!("the condition {what} holds"))
                    .label(span, format!("{what} true, whatever the record says")),
            );
        }
    }

    fn calls_program(&mut self, groups: &[&Group<'_>]) -> Option<Blocks> {
        let of = |entry| groups.iter().find(|group| group.entry == Some(entry));
        let Some(native) = of(Entry::Arch(Arch::X86_64)) else {
            let head = groups.first()?.blocks.first()?.head;
            self.reports.add(
                Report::error("there is no block for native system calls")
                    .label(head, "this one judges other entries only")
                    .help("add a block `on syscall.enter { ... }`"),
            );
            return None;
        };
        let head = native.blocks.first()?.head;
        let native = self.block(native, Some(Arch::X86_64));
        let mut of_arch = |arch| match of(Entry::Arch(arch)) {
            Some(group) => self.block(group, Some(arch)).map(Some),
            None => Some(None),
        };
        let i386 = of_arch(Arch::I386)?;
        let x32 = of_arch(Arch::X32)?;
        let other = match of(Entry::Other) {
            Some(group) => self.block(group, None)?,
            None => Block {
                rules: Vec::new(),
                default: self.foreign(head, i386.is_some(), x32.is_some()),
            },
        };
        Some(Blocks {
            native: native?,
            i386,
            x32,
            other,
        })
    }

    /// What happens to entries that no block is about: the process is killed, as a program that was meant for the native entry never gets there.
    fn foreign(&mut self, head: Span, has_i386: bool, has_x32: bool) -> Checked {
        let which = match (has_i386, has_x32) {
            (false, false) => "i386, x32 and other foreign entries",
            (false, true) => "i386 and other foreign entries",
            (true, false) => "x32 and other foreign entries",
            (true, true) => "other foreign entries",
        };
        let id = self.map.add_rule(MapRule {
            file: self.sources.name(head).to_string(),
            line: self.sources.line(head),
            text: format!("kill ({which}: no block is about them)"),
        });
        Checked {
            id,
            verdict: Verdict::KILL_PROCESS,
            span: head,
        }
    }

    fn block(&mut self, group: &Group<'_>, arch: Option<Arch>) -> Option<Block> {
        let (list, default) = self.rules(group);
        let mut rules = Vec::new();
        for rule in list {
            let applies = self.applies(rule, arch);
            let checked = self.checked(group.event, &rule.verdict, rule.span);
            if let (Some(applies), Some(rule)) = (applies, checked) {
                rules.push(CallRule { rule, applies });
            }
        }
        let default = default?;
        let default = self.checked(group.event, &default.verdict, default.span)?;
        let block = Block { rules, default };
        self.unreachable_calls(&block);
        Some(block)
    }

    fn unreachable_calls(&mut self, block: &Block) {
        for (index, blocker) in super::codegen::calls::unreached(block) {
            let rule = &block.rules[index];
            let never = match &rule.applies {
                Applies::To(calls) => calls
                    .values()
                    .all(|cond| *cond == super::cond::Cond::Const(false)),
                Applies::All(cond) => *cond == super::cond::Cond::Const(false),
            };
            if never {
                self.reports.add(
                    Report::error("the condition never holds")
                        .label(rule.rule.span, "this rule decides nothing"),
                );
                continue;
            }
            let by = blocker.map(|by| &block.rules[by].rule);
            self.unreachable(&rule.rule, by);
        }
    }

    /// A rule that decides nothing because of those before it: an error if that changes what happens, else a warning.
    pub(crate) fn unreachable(&mut self, rule: &Checked, by: Option<&Checked>) {
        unreachable(rule, by, self.reports);
    }
}

/// The text of a rule on one line, without comments.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines() {
        let mut quoted = false;
        let mut escaped = false;
        let mut end = part.len();
        for (at, c) in part.char_indices() {
            if !quoted && (c == '#' || part[at..].starts_with("//")) {
                end = at;
                break;
            }
            if c == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && c == '\\' && !escaped;
        }
        let words = part[..end].trim();
        if !line.is_empty() && !words.is_empty() {
            line.push(' ');
        }
        let mut blank = false;
        for c in words.chars() {
            let white = c == ' ' || c == '\t';
            if !(white && blank) {
                line.push(if white { ' ' } else { c });
            }
            blank = white;
        }
    }
    line
}

/// Largest errno of an event, for messages.
fn errno_limit(event: Event) -> u32 {
    u32::from(event.schema().max_errno).min(MAX_ERRNO)
}

/// Whether the event can carry out the action.
fn possible(event: Event, action: Action) -> bool {
    event.schema().actions.contains(action)
}

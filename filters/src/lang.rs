// SPDX-License-Identifier: GPL-2.0
//! The policy language: text to verified programs. Host only.
//!
//! Rules are read from top to bottom; the first one that matches decides; `default` decides the rest. `docs/language.md` explains the language with
//! examples; this is its grammar:
//!
//! ```text
//! file      = { item [";"] } .
//! item      = "policy" NAME
//!           | "include" STRING
//!           | "set" SET "=" element { "," element }
//!           | "on" EVENT [ "arch" NAME ] "{" { rule [";"] } "}"
//!           | "paths" "{" { statement [";"] } "}"
//!           | "scope" scope { "," scope } .
//! statement = verb element { "," element }
//!           | "default" ( "deny" [ ERRNO | NUMBER ] | "hidden" ) .
//! verb      = "read" | "write" | "exec" | "connect" | "deny" | "hidden" .
//! scope     = "signal" | "abstract" .
//! rule      = verdict [ calls ] [ "when" ] condition
//!           | verdict calls
//!           | "default" verdict .
//! verdict   = "allow" | "log" | "deny" [ ERRNO | NUMBER ] | "trap" [ NUMBER ] | "trace" [ NUMBER ]
//!           | "kill" | "kill-process" | "kill-thread" .
//! calls     = ( NAME | SET ) { "," ( NAME | SET ) } .             before "when"; only in syscall.enter
//! condition = conjunction { ( "or" | "||" ) conjunction } .
//! conjunction = unary { ( "and" | "&&" ) unary } .
//! unary     = ( "not" | "!" ) unary | "(" condition ")" | test .
//! test      = FIELD [ "&" ( value | "(" value ")" ) ] compare ( value | "(" value ")" )
//!           | FIELD [ "not" ] "has" value
//!           | FIELD [ "not" ] "in" ( "{" element { "," element } "}" | element )
//!           | FIELD ( "==" | "!=" ) element { "," element }
//!           | FIELD [ "not" ] textual element { "," element } .
//! compare   = "==" | "!=" | "<" | "<=" | ">" | ">=" .
//! textual   = "under" | "prefix" | "suffix" | "contains" | "matches" .
//! element   = SET | STRING | value [ ".." value ] .
//! value     = term { "|" term } .
//! term      = [ "-" ] NUMBER | NAME .
//! ```
//!
//! A rule ends with its line, unless the line ends inside a list or before an operand; several rules on a line are separated by `;`. `#` and `//` begin a comment. `SET`
//! is a name with `@` before it. Numbers are decimal, `0x` hexadecimal, or octal with a leading `0` or `0o`. Strings are bytes in double
//! quotes, with `\n \t \\ \" \xNN`.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host only: an index or a sum out of range is a bug that ends a process, not a machine; sizes are limited by MAX_SOURCE_BYTES"
)]

use std::format;
use std::path::Path;
use std::prelude::rust_2021::*;

use crate::event::Event;
use crate::limits::{MAX_IMAGE_BYTES, MAX_INSNS, MAX_STACK_COST, MAX_STRINGS, MAX_TABLES};
use crate::policy::Policy;
use crate::record::Record;
use crate::refusal::Reason;

mod assembler;
mod ast;
mod automaton;
pub mod calls;
mod check;
mod codegen;
mod cond;
pub mod constants;
pub mod coverage;
pub mod diagnostics;
pub mod disasm;
pub mod event_line;
pub mod image;
mod lexer;
pub mod map;
mod parser;
mod paths;
pub mod pattern;
mod ranges;
pub mod source;
pub mod table;
mod units;

pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use disasm::disassemble;
pub use map::{Explanation, Map};
pub use source::{Files, Loaded, Loader, Memory};

use assembler::{Assembled, Assembler, Origin, TooLong};
use check::Program;
use codegen::Failure;
use diagnostics::{Report, Reports};
use source::{Sources, Span};

/// A compiled policy.
#[derive(Debug)]
pub struct Compiled {
    /// Its name: from its `policy` line, else from its file.
    pub name: String,
    /// What the kernel loads.
    pub image: Vec<u8>,
    /// Which rule is behind which instruction.
    pub map: Map,
    /// What is allowed but hardly meant.
    pub warnings: Diagnostics,
    policy: Policy<Vec<u8>>,
}

impl Compiled {
    /// The policy as the kernel has it after loading.
    pub fn policy(&self) -> &Policy<Vec<u8>> {
        &self.policy
    }

    /// The verdict on `record` and the rule that gives it; `None` if the policy says nothing about the event.
    pub fn explain(&self, record: &Record<'_>) -> Option<Explanation<'_>> {
        self.map.explain(&self.policy, record)
    }
}

/// Compiles `source`; `name` is shown in messages, and included files are found relative to it.
///
/// ```
/// use filters::lang::{compile, event_line, Memory};
///
/// let source = "on vfs.getname { allow path under \"/lib\"; default deny EACCES }";
/// let policy = compile("demo.evf", source, &Memory::new()).unwrap();
/// let record = event_line::parse("vfs.getname path=/etc/shadow").unwrap();
/// let rule = record.lend(|record| policy.explain(record).unwrap().rule.unwrap().text.clone());
/// assert_eq!(rule.unwrap(), "default deny EACCES");
/// ```
///
/// # Errors
///
/// Everything that is wrong with the policy, as far as one run can tell.
pub fn compile(name: &str, source: &str, loader: &dyn Loader) -> Result<Compiled, Diagnostics> {
    let mut sources = Sources::default();
    let mut reports = Reports::default();
    let units = units::collect(name, source, loader, &mut sources, &mut reports);
    let policy_name = match &units.name {
        Some(name) => name.text.clone(),
        None => stem(name),
    };
    let mut map = Map::new(&policy_name);
    let resolved = check::check(&units, &sources, &mut map, &mut reports);
    if reports.errors() > 0 {
        return Err(reports.finish(&sources));
    }
    let mut programs = resolved.programs;
    if let Some(block) = &resolved.paths {
        match paths::expand(block, &mut map) {
            Ok(expanded) => {
                check::undecided(block, &expanded.deciding, &mut reports);
                programs.extend(expanded.programs);
            }
            Err(failure) => reports.add(refused(failure, PLACES_MULTIPLY)),
        }
    }
    programs.sort_by_key(Program::event);
    let mut builder = image::Builder::new().scopes(units.scopes);
    for program in &programs {
        let event = program.event();
        if let Some(assembled) = generate(program, &mut map, &mut reports) {
            builder = builder.program(event, &assembled.code);
        }
    }
    if reports.errors() > 0 {
        return Err(reports.finish(&sources));
    }
    let image = builder.build();
    match image::verified(image.clone()) {
        Ok(policy) => Ok(Compiled {
            name: policy_name,
            image,
            map,
            warnings: reports.finish(&sources),
            policy,
        }),
        Err(refusal) => {
            let head = refusal.event.and_then(|event| {
                let of_event = |program: &&Program| program.event() == event;
                programs.iter().find(of_event).map(Program::head)
            });
            let report = match refusal.reason {
                Reason::TooCostly => Report::error(format!(
                    "the rules cost more than {MAX_STACK_COST} units, the most that the kernel accepts"
                ))
                .help("rules that only test one string cost little when they follow each other: put mixed ones before or after them"),
                Reason::ImageTooLarge => Report::error(format!(
                    "the policy is {} bytes long, more than {MAX_IMAGE_BYTES}",
                    image.len()
                )),
                _ => Report::error(format!(
                    "internal error: the verifier refuses what the compiler made: {refusal}"
                ))
                .help("this is a bug of the compiler: please report it with the policy"),
            };
            reports.add(match head {
                Some(head) => report.label(head, "in this block"),
                None => report,
            });
            Err(reports.finish(&sources))
        }
    }
}

/// Compiles the policy in the file `path`; includes are read from the file system.
///
/// # Errors
///
/// The file cannot be read, or what [`compile`] reports.
pub fn compile_file(path: impl AsRef<Path>) -> Result<Compiled, Diagnostics> {
    let path = path.as_ref();
    let text = source::read(path).map_err(Diagnostics::message)?;
    compile(&path.display().to_string(), &text, &Files)
}

fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem();
    stem.map_or_else(
        || name.to_string(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

impl Program {
    fn event(&self) -> Event {
        match self {
            Program::Calls(_) => Event::SyscallEnter,
            Program::Plain { event, .. } => *event,
            Program::Places(places) => places.event,
        }
    }

    fn head(&self) -> Span {
        match self {
            Program::Calls(blocks) => blocks.native.default.span,
            Program::Plain { head, .. } => *head,
            Program::Places(places) => places.head,
        }
    }
}

/// Generates one program and enters its returns into the map.
fn generate(program: &Program, map: &mut Map, reports: &mut Reports) -> Option<Assembled> {
    let mut asm = Assembler::default();
    let mut tables = Vec::new();
    let generated = match program {
        Program::Calls(blocks) => codegen::calls::generate(&mut asm, blocks),
        Program::Places(places) => {
            codegen::paths::generate(&mut asm, places);
            Ok(())
        }
        Program::Plain {
            rules,
            default,
            expanded,
            ..
        } => codegen::run::generate(&mut asm, rules, default).map(|findings| {
            if !expanded {
                check::shadowed(rules, &findings.shadowed, reports);
            }
            tables = findings.tables;
        }),
    };
    if let Err(failure) = generated {
        reports.add(refused(failure, PATTERNS_MULTIPLY));
        return None;
    }
    let head = program.head();
    if asm.strings() > MAX_STRINGS {
        reports.add(
            Report::error(format!("more than {MAX_STRINGS} strings outside of tables"))
                .label(head, "in this block"),
        );
        return None;
    }
    let assembled = match asm.finish() {
        Ok(assembled) => assembled,
        Err(TooLong(len)) => {
            reports.add(
                Report::error(format!(
                    "the block needs {len} instructions, a program has at most {MAX_INSNS}"
                ))
                .label(head, "in this block")
                .help("rules that test one string and nothing else take no space when they follow each other; so do calls without a condition"),
            );
            return None;
        }
    };
    let event = program.event();
    for &(insn, origin) in &assembled.returns {
        match origin {
            Origin::Rule(rule) => map.add_return(event, insn, rule),
            Origin::Place { field, wanted } => map.add_place_return(event, insn, field, wanted),
            Origin::Table(index) => {
                if let Some(behind) = tables.get(index as usize) {
                    let rules = behind.rules.clone();
                    map.add_table_return(event, insn, behind.table, behind.field, rules);
                }
            }
        }
    }
    Some(assembled)
}

/// Advice on rules whose patterns multiply each other.
const PATTERNS_MULTIPLY: &str = "patterns with several `*` or `**`, and many `contains`, are what grows; separate them from the others by a rule with another condition, or use `under` and `prefix`";

/// Advice on places that do.
const PLACES_MULTIPLY: &str = "patterns with several `*` or `**` are what grows: name directories instead, which cost nothing however many they are";

fn refused(failure: Failure, advice: &str) -> Report {
    match failure {
        Failure::States {
            states,
            open,
            patterns,
            spans,
        } => {
            let first = spans.first().copied().unwrap_or_default();
            let mut report = Report::error(format!(
                "these patterns multiply each other: the automaton for all of them has more than {states} states"
            ))
            .label(
                first,
                format!("{patterns} patterns from here on, {open} of them with a wildcard or a search"),
            );
            if let (Some(last), true) = (spans.last(), spans.len() > 1) {
                report = report.label(*last, "to here");
            }
            report.help(advice)
        }
        Failure::Tables(span) => Report::error(format!(
            "more than {MAX_TABLES} separate lists of patterns in one block"
        ))
        .label(span, "one too many")
        .help("rules that only test one string share a table when they follow each other: put mixed ones before or after them"),
    }
}

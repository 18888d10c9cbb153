// SPDX-License-Identifier: GPL-2.0
//! Events written by hand, to try a policy on: `vfs.getname path=/etc/shadow origin=user nr=openat`.
//!
//! First the event, then fields as `name=value`, in any order; what is not given is 0, `arch` is x86_64, `reachable` is yes. A value is a number, a name that the
//! policy language knows for the field (also joined by `|`), or for string fields the text itself, in double quotes if it has blanks, with
//! the escapes of the language. A word without `=` is the system call: `syscall.enter socket domain=AF_INET type=SOCK_STREAM`.
//!
//! `arch=x32` is the native entry with the bit for x32 in the number. `self=ID` and `self.thread=ID` say who the caller is; a value may then be `self`:
//! `syscall.enter kill pid=self`. Without them the caller has an id that no task can have, so that no other number is taken for it.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::calls::{calls, Arch, Call, X32_BIT};
use super::cond::Id;
use super::constants;
use super::diagnostics::{Diagnostics, Report, Reports};
use super::source::{Sources, Span};
use crate::event::{Event, Field, Place};
use crate::record::{Caller, Record};

/// Byte offset of the first argument in `struct seccomp_data`.
const ARGS: usize = 16;

/// An id above `PID_MAX_LIMIT` of `include/linux/threads.h`.
const NOBODY: u32 = 0x7fff_ffff;

/// A record that owns its strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    event: Event,
    words: Vec<u32>,
    strings: Vec<Vec<u8>>,
    caller: Caller,
}

impl OwnedRecord {
    /// A record with all numbers 0 and all strings empty, except `arch`, which is x86_64, the ids of the caller, which are nobody's, and `reachable`,
    /// which is yes: an event that somebody writes down is about an object that a layer can see.
    pub fn new(event: Event) -> OwnedRecord {
        let schema = event.schema();
        let mut record = OwnedRecord {
            event,
            words: vec![0; schema.record_bytes as usize / 4],
            strings: vec![Vec::new(); usize::from(schema.strings)],
            caller: Caller {
                process: NOBODY,
                thread: NOBODY,
            },
        };
        record.set_word(4, Arch::X86_64.audit());
        if let Some(offset) = schema.reachable {
            record.set_word(offset as usize, 1);
        }
        record
    }

    /// The event.
    pub fn event(&self) -> Event {
        self.event
    }

    /// Sets the word at byte `offset`; nothing happens outside the record.
    pub fn set_word(&mut self, offset: usize, value: u32) {
        if let Some(word) = self.words.get_mut(offset / 4) {
            *word = value;
        }
    }

    /// Sets the 64-bit number at byte `offset`.
    pub fn set_long(&mut self, offset: usize, value: u64) {
        self.set_word(offset, value as u32);
        self.set_word(offset + 4, (value >> 32) as u32);
    }

    /// Sets string `index`. A field that holds the length of the string `path` follows it.
    pub fn set_string(&mut self, index: usize, text: &[u8]) {
        if let Some(string) = self.strings.get_mut(index) {
            *string = text.to_vec();
        }
        if index == 0 {
            if let Some(Place::Word(offset)) =
                self.event.schema().field("path_len").map(|f| f.place)
            {
                self.set_word(offset as usize, text.len() as u32);
            }
        }
    }

    /// Sets who is calling.
    pub fn set_caller(&mut self, caller: Caller) {
        self.caller = caller;
    }

    /// Lends the record to `use_it`. `None` is not possible: the parts always fit the schema.
    pub fn lend<R>(&self, use_it: impl FnOnce(&Record<'_>) -> R) -> Option<R> {
        let strings: Vec<&[u8]> = self.strings.iter().map(Vec::as_slice).collect();
        let record = Record::new(self.event, &self.words, &strings)?;
        Some(use_it(&record.called_by(self.caller)))
    }
}

/// Reads an event.
///
/// ```
/// use filters::lang::event_line::parse;
///
/// let record = parse("vfs.getname path=/etc/shadow origin=user nr=openat").unwrap();
/// assert_eq!(record.event().schema().name, "vfs.getname");
/// assert!(parse("vfs.getname paht=/etc/shadow").is_err());
/// ```
///
/// # Errors
///
/// What is not understood, with its place in the line.
pub fn parse(line: &str) -> Result<OwnedRecord, Diagnostics> {
    let mut sources = Sources::default();
    let file = sources.add("event", line);
    let mut reader = Reader {
        file,
        line,
        reports: Reports::default(),
    };
    let record = reader.read();
    match record {
        Some(record) if reader.reports.errors() == 0 => Ok(record),
        _ => Err(reader.reports.finish(&sources)),
    }
}

/// A word of the line; quotes and escapes are still in it.
#[derive(Clone, Copy)]
struct Word<'l> {
    text: &'l str,
    start: usize,
}

impl<'l> Word<'l> {
    fn from(self, start: usize) -> Word<'l> {
        Word {
            text: &self.text[start..],
            start: self.start + start,
        }
    }
}

struct Reader<'l> {
    file: u32,
    line: &'l str,
    reports: Reports,
}

impl<'l> Reader<'l> {
    fn span(&self, word: Word<'_>) -> Span {
        Span {
            file: self.file,
            start: word.start as u32,
            end: (word.start + word.text.len()) as u32,
        }
    }

    fn words(&self) -> Vec<Word<'l>> {
        let mut words = Vec::new();
        let mut start = None;
        let mut quoted = false;
        let mut escaped = false;
        for (at, c) in self.line.char_indices().chain([(self.line.len(), ' ')]) {
            if c.is_whitespace() && (!quoted || at == self.line.len()) {
                if let Some(start) = start.take() {
                    let text = &self.line[start..at];
                    words.push(Word { text, start });
                }
                continue;
            }
            start = start.or(Some(at));
            if c == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && c == '\\' && !escaped;
        }
        words
    }

    fn read(&mut self) -> Option<OwnedRecord> {
        let words = self.words();
        let names: Vec<&str> = Event::ALL.iter().map(|event| event.schema().name).collect();
        let Some((first, rest)) = words.split_first() else {
            self.reports.add(
                Report::error("no event is given")
                    .label(Span::default(), "empty")
                    .help(format!("the events are {}", names.join(", "))),
            );
            return None;
        };
        let Some(event) = Event::from_name(first.text) else {
            let report = Report::error(format!("there is no event `{}`", first.text))
                .label(self.span(*first), "not an event")
                .suggest(first.text, names.iter().copied());
            let report = if report.has_help() {
                report
            } else {
                report.help(format!("the events are {}", names.join(", ")))
            };
            self.reports.add(report);
            return None;
        };
        let mut record = OwnedRecord::new(event);
        let mut pairs = Vec::new();
        let mut call_word = None;
        for &word in rest {
            match word.text.find('=') {
                Some(at) => pairs.push((
                    Word {
                        text: &word.text[..at],
                        start: word.start,
                    },
                    word.from(at + 1),
                )),
                None => call_word = Some(word),
            }
        }
        // The architecture first: it says what the number of a call means, and the call what its arguments are called.
        let mut arch = Arch::X86_64;
        if let Some(&(_, value)) = pairs.iter().find(|(name, _)| name.text == "arch") {
            if value.text == Arch::X32.name() {
                arch = Arch::X32;
            } else {
                let number = self.number(event.schema().field("arch")?, value)?;
                record.set_word(4, number as u32);
                arch = Arch::from_audit(number as u32).unwrap_or(arch);
            }
        }
        self.caller(&mut record, &pairs)?;
        let named = pairs
            .iter()
            .find(|(name, _)| name.text == "nr")
            .map(|pair| pair.1);
        let call = match call_word.or(named) {
            Some(word) => self.call(arch, word, call_word.is_some(), &mut record)?,
            None => {
                if arch == Arch::X32 {
                    record.set_word(0, X32_BIT);
                }
                None
            }
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name.text) {
                let span = self.span(name);
                self.reports.add(
                    Report::error(format!("`{}` is given twice", name.text)).label(span, "again"),
                );
            }
            seen.push(name.text);
            if !matches!(name.text, "arch" | "nr") && Id::named(name.text).is_none() {
                self.set(&mut record, call, name, value);
            }
        }
        Some(record)
    }

    /// Reads who is calling. A thread without an id of its own is the first of its process.
    fn caller(&mut self, record: &mut OwnedRecord, pairs: &[(Word<'_>, Word<'_>)]) -> Option<()> {
        let mut caller = record.caller;
        for (name, id) in Id::NAMES {
            let Some(&(_, value)) = pairs.iter().find(|(found, _)| found.text == name) else {
                continue;
            };
            let number = integer(value.text).and_then(|number| u32::try_from(number).ok());
            let Some(number) = number else {
                let span = self.span(value);
                self.reports.add(
                    Report::error(format!("`{name}` is an id"))
                        .label(span, "not a number from 0 to 4294967295"),
                );
                return None;
            };
            match id {
                Id::Process => {
                    caller = Caller {
                        process: number,
                        thread: number,
                    }
                }
                Id::Thread => caller.thread = number,
            }
        }
        record.set_caller(caller);
        Some(())
    }

    /// The call of this name or number; an unknown number is a call without a name.
    fn call(
        &mut self,
        arch: Arch,
        word: Word<'_>,
        bare: bool,
        record: &mut OwnedRecord,
    ) -> Option<Option<&'static Call>> {
        if let Some(call) = calls(arch).by_name(word.text) {
            record.set_word(0, call.number);
            return Some(Some(call));
        }
        if let (Some(number), false) = (integer(word.text), bare) {
            let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
            let number = number as u32 | bit;
            record.set_word(0, number);
            let arch = Arch::of_entry(arch.audit(), number).unwrap_or(arch);
            return Some(calls(arch).by_number(number));
        }
        let span = self.span(word);
        let mut report = Report::error(format!(
            "{} has no system call `{}`",
            arch.name(),
            word.text
        ))
        .label(span, "not known")
        .suggest(word.text, calls(arch).iter().map(|call| call.name));
        if bare && !report.has_help() {
            report = report.help("fields are given as name=value");
        }
        self.reports.add(report);
        None
    }

    fn set(
        &mut self,
        record: &mut OwnedRecord,
        call: Option<&'static Call>,
        name: Word<'_>,
        value: Word<'_>,
    ) {
        let schema = record.event.schema();
        // The event's own fields first: readlink has an argument `path`, too.
        let Some(field) = schema.field(name.text) else {
            if let Some((index, arg)) = call.and_then(|call| call.arg(name.text)) {
                let groups: Vec<_> = arg
                    .groups
                    .iter()
                    .filter_map(|g| constants::group(g))
                    .collect();
                let caller = record.caller;
                let known = |word: &str| {
                    let named = groups.iter().find_map(|group| group.value(word));
                    named.or_else(|| Some(own(caller, Id::named(word)?)))
                };
                if let Some(number) = self.joined(value, known) {
                    record.set_long(ARGS + 8 * index, number as u64);
                }
                return;
            }
            let span = self.span(name);
            let arguments = call.map_or(&[][..], |call| &call.args);
            let names = schema.fields.iter().map(|field| field.name);
            let names: Vec<&str> = names.chain(arguments.iter().map(|arg| arg.name)).collect();
            let report = Report::error(format!("{} has no field `{}`", schema.name, name.text))
                .label(span, "not known")
                .suggest(name.text, names.iter().copied());
            let report = if report.has_help() {
                report
            } else {
                report.help(format!("the fields are {}", names.join(", ")))
            };
            self.reports.add(report);
            return;
        };
        match field.place {
            Place::String(index) => {
                if let Some(text) = self.text(value) {
                    record.set_string(usize::from(index), &text);
                }
            }
            Place::Word(offset) => {
                if let Some(number) = self.field_value(field, record.caller, value) {
                    record.set_word(offset as usize, number as u32);
                }
            }
            Place::Long(offset) => {
                if let Some(number) = self.field_value(field, record.caller, value) {
                    record.set_long(offset as usize, number as u64);
                }
            }
        }
    }

    fn number(&mut self, field: &'static Field, value: Word<'_>) -> Option<i128> {
        self.joined(value, |word| value_of(field, word))
    }

    /// The same for a field that may also hold an id of the caller.
    fn field_value(
        &mut self,
        field: &'static Field,
        caller: Caller,
        value: Word<'_>,
    ) -> Option<i128> {
        self.joined(value, |word| {
            value_of(field, word).or_else(|| Some(own(caller, Id::named(word)?)))
        })
    }

    /// Numbers and names joined by `|`.
    fn joined(&mut self, value: Word<'_>, known: impl Fn(&str) -> Option<i128>) -> Option<i128> {
        let mut all = None;
        for part in value.text.split('|') {
            let number = integer(part)
                .or_else(|| known(part))
                .or_else(|| constants::find(part).map(|(_, value)| value));
            let Some(number) = number else {
                let span = self.span(value);
                self.reports.add(
                    Report::error(format!("`{part}` is no number and no name for one"))
                        .label(span, "not understood"),
                );
                return None;
            };
            all = Some(all.unwrap_or(0) | number);
        }
        all
    }

    /// The text itself, or a string as the language writes it.
    fn text(&mut self, value: Word<'_>) -> Option<Vec<u8>> {
        if !value.text.starts_with('"') {
            return Some(value.text.as_bytes().to_vec());
        }
        let mut inner = Reports::default();
        let tokens = super::lexer::tokens(self.file, value.text, &mut inner);
        match (tokens.as_slice(), inner.errors()) {
            ([string, _end], 0) => match &string.kind {
                super::lexer::Kind::Text(bytes) => Some(bytes.clone()),
                _ => None,
            },
            _ => {
                let span = self.span(value);
                self.reports.add(
                    Report::error("not a string")
                        .label(span, "expected \"...\" and nothing after it"),
                );
                None
            }
        }
    }
}

fn value_of(field: &'static Field, word: &str) -> Option<i128> {
    let found = field.values.iter().find(|(name, _)| *name == word);
    found.map(|&(_, value)| i128::from(value))
}

fn own(caller: Caller, id: Id) -> i128 {
    i128::from(match id {
        Id::Process => caller.process,
        Id::Thread => caller.thread,
    })
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x") {
        i128::from(u64::from_str_radix(hex, 16).ok()?)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from(u64::from_str_radix(digits.get(1..)?, 8).ok()?)
    } else {
        i128::from(digits.parse::<u64>().ok()?)
    };
    Some(if negative { -number } else { number })
}

// SPDX-License-Identifier: GPL-2.0
//! The block `paths { ... }` and the item `scope`.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::ast::*;
use super::super::diagnostics::Report;
use super::super::lexer::Kind;
use super::super::source::Span;
use super::{report_or, Failed, Parsed, Parser};
use crate::scope::Scopes;

/// What other tools call the verbs.
const MEANT: [(&str, &str); 11] = [
    ("allow", "a grant says what may be done: read, write, exec or connect"),
    ("grant", "a grant says what may be done: read, write, exec or connect"),
    ("ro", "did you mean `read`?"),
    ("rw", "did you mean `write`? It includes `read`"),
    ("rx", "did you mean `exec`? It includes `read`"),
    ("execute", "did you mean `exec`?"),
    ("hide", "did you mean `hidden`?"),
    ("create", "making and removing names is part of `write`"),
    ("delete", "making and removing names is part of `write`"),
    ("list", "listing a directory is part of `read`"),
    ("log", "a `paths` block grants and refuses; to log, write a block `on vfs.pick` in a policy of its own"),
];

impl Parser<'_> {
    pub(super) fn starts_statement(&self) -> bool {
        self.word()
            .is_some_and(|word| word == "default" || Verb::from_word(word).is_some())
    }

    pub(super) fn paths(&mut self, head: Span) -> Parsed<PathsBlock> {
        let open = self.expect_sign("{", "after `paths`")?;
        let mut block = PathsBlock {
            statements: Vec::new(),
            default: None,
            broken: false,
            head,
        };
        loop {
            if self.eat_sign("}") {
                return Ok(block);
            }
            if *self.kind() == Kind::End || self.starts_item() {
                let report = Report::error("a block does not end")
                    .label(open, "this bracket is never closed")
                    .label(self.span(), "expected `}` before this");
                self.reports.add(report);
                block.broken = true;
                return Ok(block);
            }
            if self.statement(&mut block).is_err() {
                block.broken = true;
                self.skip_to_statement();
            }
        }
    }

    fn skip_to_statement(&mut self) {
        loop {
            if self.is_sign("}") || *self.kind() == Kind::End || self.starts_item() {
                return;
            }
            if self.eat_sign(";") {
                return;
            }
            // Lists go on with strings and sets: a word on a new line is meant to begin a statement.
            if self.token().first_on_line && self.word().is_some() {
                return;
            }
            self.advance();
        }
    }

    fn statement(&mut self, block: &mut PathsBlock) -> Parsed<()> {
        let start = self.span();
        if self.eat_word("default") {
            return self.paths_default(block, start);
        }
        let word = self.word().unwrap_or_default().to_string();
        let Some(verb) = Verb::from_word(&word) else {
            let failed = self.unknown_verb(&word);
            self.advance();
            return Err(failed);
        };
        self.advance();
        if self.is_statement_end() {
            let report = Report::error(format!("`{word}` without a place"))
                .label(start, "nothing says what this is about")
                .help(if verb.refuses() {
                    format!("{word} \"/home/me/secret\"; for whatever nothing grants, write `default {word}`")
                } else {
                    format!("{word} \"/usr\", \"/lib\"")
                });
            return Err(self.fail(report));
        }
        let mut places = vec![self.place(verb)?];
        while self.eat_sign(",") {
            places.push(self.place(verb)?);
        }
        if !self.is_statement_end() {
            let mut report = self.expectation("the end of the statement");
            if matches!(self.kind(), Kind::Text(_) | Kind::Set(_)) {
                report = report.help("places are separated by commas");
            }
            return Err(self.fail(report));
        }
        let span = start.to(self.last_span());
        self.eat_sign(";");
        block.statements.push(Statement { verb, places, span });
        Ok(())
    }

    fn unknown_verb(&mut self, word: &str) -> Failed {
        let mut report = self.expectation("a statement");
        let meant = MEANT.iter().find(|(other, _)| *other == word);
        if let Some((_, help)) = meant {
            report = report.help(*help);
        } else if !word.is_empty() {
            let words = Verb::WORDS.iter().map(|&(word, _)| word);
            report = report.suggest(word, words.chain(["default"]));
        }
        report = report_or(
            report,
            "a statement begins with read, write, exec, connect, deny, hidden or default; places are separated by commas",
        );
        self.fail(report)
    }

    fn place(&mut self, verb: Verb) -> Parsed<Element> {
        if let Some(word) = self.word() {
            let errno = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
            if verb.refuses() && errno {
                let report = self
                    .expectation("a place in double quotes")
                    .help("`deny` always answers EACCES, `hidden` ENOENT; only `default deny` takes an error");
                return Err(self.fail(report));
            }
            let report = self
                .expectation("a place in double quotes, or a set")
                .help("read \"/usr\", @libraries");
            return Err(self.fail(report));
        }
        self.element()
    }

    fn paths_default(&mut self, block: &mut PathsBlock, start: Span) -> Parsed<()> {
        let verdict = match self.word() {
            Some("hidden") => VerdictWord {
                word: self.expect_name("`hidden`")?,
                data: None,
            },
            Some("deny") => self.verdict()?,
            _ => {
                let report = self.expectation("`deny` or `hidden`").help(
                    "`default deny` refuses with EACCES or the error that follows, `default hidden` with ENOENT; what is to be allowed is granted: read \"/\"",
                );
                return Err(self.fail(report));
            }
        };
        let span = start.to(verdict.span());
        if !self.is_statement_end() {
            let report = self
                .expectation("the end of the statement")
                .help("`default` decides about whatever nothing grants; it takes no places");
            return Err(self.fail(report));
        }
        self.eat_sign(";");
        if let Some(first) = &block.default {
            let report = Report::error("a block has one `default`")
                .label(span, "a second `default`")
                .label(first.span, "the first one");
            return Err(self.fail(report));
        }
        block.default = Some(DefaultRule { verdict, span });
        Ok(())
    }

    /// Whether a statement may end here: with its line, before `;` or `}`.
    fn is_statement_end(&self) -> bool {
        self.is_sign("}")
            || self.is_sign(";")
            || *self.kind() == Kind::End
            || self.token().first_on_line && !self.is_sign(",")
    }

    pub(super) fn scope(&mut self) -> Parsed<Item> {
        let names = || Scopes::NAMES.iter().map(|&(name, _)| name);
        let mut scopes = Vec::new();
        loop {
            let known = self
                .word()
                .is_some_and(|word| names().any(|name| name == word));
            if !known {
                let mut report = self.expectation("`signal` or `abstract`");
                if let Some(word) = self.word() {
                    report = report.suggest(word, names());
                }
                report = report_or(
                    report,
                    "`scope signal` is about signals, `scope abstract` about UNIX sockets with an abstract address",
                );
                return Err(self.fail(report));
            }
            scopes.push(self.expect_name("a scope")?);
            if !self.eat_sign(",") {
                return Ok(Item::Scope(scopes));
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The parser: tokens to the tree of `ast`. After an error it goes on at the next rule or item, so that one run shows several errors.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::ast::*;
use super::diagnostics::{Report, Reports};
use super::lexer::{tokens, Kind, Token};
use super::source::Span;

mod calls;
mod condition;
mod paths;

/// Words that begin a rule.
pub(crate) const VERDICTS: [&str; 9] = [
    "allow",
    "log",
    "deny",
    "trap",
    "kill",
    "kill-process",
    "kill-thread",
    "trace",
    "notify",
];

const ITEMS: [&str; 6] = ["policy", "include", "set", "on", "paths", "scope"];

/// Brackets and `not` inside each other, at most.
const MAX_DEPTH: usize = 64;

/// Parses one file.
pub(crate) fn parse(file: u32, text: &str, reports: &mut Reports) -> Vec<Item> {
    let tokens = tokens(file, text, reports);
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        reports,
    };
    parser.file()
}

/// The error is already reported; the caller skips to where it can go on.
struct Failed;

type Parsed<T> = Result<T, Failed>;

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    reports: &'a mut Reports,
}

impl Parser<'_> {
    /// The current token. The list ends with `End`, which is never passed.
    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn kind(&self) -> &Kind {
        &self.token().kind
    }

    fn span(&self) -> Span {
        self.token().span
    }

    /// The span of the token before the current one.
    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn ahead(&self) -> &Token {
        self.tokens.get(self.at + 1).unwrap_or(self.token())
    }

    fn advance(&mut self) -> Token {
        let token = self.token().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind(), Kind::Sign(found) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Kind::Name(found) if found == word)
    }

    fn word(&self) -> Option<&str> {
        match self.kind() {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }

    fn eat_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Reports that something else was expected here.
    fn expected(&mut self, what: &str) -> Failed {
        let report = self.expectation(what);
        self.fail(report)
    }

    fn expectation(&self, what: &str) -> Report {
        let found = self.kind().describe();
        Report::error(format!("expected {what}, found {found}"))
            .label(self.span(), format!("expected {what}"))
    }

    fn fail(&mut self, report: Report) -> Failed {
        self.reports.add(report);
        Failed
    }

    fn expect_sign(&mut self, sign: &str, after: &str) -> Parsed<Span> {
        let span = self.span();
        if self.eat_sign(sign) {
            Ok(span)
        } else {
            Err(self.expected(&format!("`{sign}` {after}")))
        }
    }

    fn expect_name(&mut self, what: &str) -> Parsed<Name> {
        match self.kind() {
            Kind::Name(text) => {
                let text = text.clone();
                let span = self.advance().span;
                Ok(Name { text, span })
            }
            _ => Err(self.expected(what)),
        }
    }

    fn starts_item(&self) -> bool {
        self.token().first_on_line && self.word().is_some_and(|word| ITEMS.contains(&word))
    }

    fn starts_rule(&self) -> bool {
        self.word()
            .is_some_and(|word| word == "default" || VERDICTS.contains(&word))
    }

    fn file(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while *self.kind() != Kind::End {
            match self.item() {
                Ok(item) => {
                    items.push(item);
                    self.eat_sign(";");
                }
                Err(Failed) => self.skip_to_item(),
            }
        }
        items
    }

    fn skip_to_item(&mut self) {
        self.advance();
        while *self.kind() != Kind::End && !self.starts_item() {
            self.advance();
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let start = self.span();
        if self.eat_word("policy") {
            return Ok(Item::Policy(self.expect_name("the policy's name")?));
        }
        if self.eat_word("include") {
            return self.include(start);
        }
        if self.eat_word("set") {
            return self.set();
        }
        if self.eat_word("on") {
            return Ok(Item::Block(self.block(start)?));
        }
        if self.eat_word("paths") {
            return Ok(Item::Paths(self.paths(start)?));
        }
        if self.eat_word("scope") {
            return self.scope();
        }
        let mut report = self.expectation("`on`, `paths`, `scope`, `set`, `include` or `policy`");
        if self.starts_rule() {
            report = report.help("rules stand in a block: on vfs.getname { ... }");
        } else if self.starts_statement() {
            report = report.help("statements about places stand in a block: paths { ... }");
        } else if self.is_sign("}") {
            report = report.help("this bracket closes nothing");
        } else if let Some(word) = self.word() {
            report = report.suggest(word, ITEMS);
        }
        Err(self.fail(report))
    }

    fn include(&mut self, start: Span) -> Parsed<Item> {
        match self.kind() {
            Kind::Text(bytes) => {
                let path = String::from_utf8(bytes.clone());
                let span = self.advance().span;
                match path {
                    Ok(path) if !path.is_empty() => Ok(Item::Include {
                        path,
                        span: start.to(span),
                    }),
                    _ => Err(self.fail(
                        Report::error("an included file needs a name in UTF-8")
                            .label(span, "no such name"),
                    )),
                }
            }
            _ => {
                let report = self
                    .expectation("the file's name in double quotes")
                    .help("include \"common.evf\"");
                Err(self.fail(report))
            }
        }
    }

    fn set(&mut self) -> Parsed<Item> {
        let name = match self.kind() {
            Kind::Set(text) => Name {
                text: text.clone(),
                span: self.span(),
            },
            _ => {
                let report = self
                    .expectation("the set's name, with its `@`")
                    .help("set @libraries = \"/lib\", \"/usr/lib\"");
                return Err(self.fail(report));
            }
        };
        self.advance();
        self.expect_sign("=", "after the set's name")?;
        let mut elements = vec![self.element()?];
        while self.eat_sign(",") {
            elements.push(self.element()?);
        }
        Ok(Item::Set(SetDef { name, elements }))
    }

    fn block(&mut self, start: Span) -> Parsed<Block> {
        let event = self.expect_name("an event such as `vfs.getname`")?;
        let arch = if self.eat_word("arch") {
            Some(self.expect_name("an architecture: `x86_64`, `i386` or `other`")?)
        } else {
            None
        };
        let head = start.to(self.last_span());
        let open = self.expect_sign("{", "after the event")?;
        let mut block = Block {
            event,
            arch,
            rules: Vec::new(),
            default: None,
            broken_default: false,
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
                // What follows is an item of its own: the block as far as it came is good enough to be checked.
                return Ok(block);
            }
            let at_default = self.is_word("default");
            if self.rule(&mut block).is_err() {
                block.broken_default |= at_default;
                self.skip_to_rule();
            }
        }
    }

    fn skip_to_rule(&mut self) {
        loop {
            if self.is_sign("}") || *self.kind() == Kind::End || self.starts_item() {
                return;
            }
            if self.eat_sign(";") {
                return;
            }
            if self.token().first_on_line && self.starts_rule() {
                return;
            }
            self.advance();
        }
    }

    fn rule(&mut self, block: &mut Block) -> Parsed<()> {
        let start = self.span();
        if self.eat_word("default") {
            let verdict = self.verdict()?;
            let span = start.to(verdict.span());
            if !self.is_rule_end() {
                let report = self
                    .expectation("the end of the rule")
                    .help("`default` decides whatever no rule before it has decided; it takes no condition");
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
            return Ok(());
        }
        if !self.starts_rule() {
            let mut report = self.expectation("a rule");
            if self.at > 0 && self.word().is_some() {
                let word = self.word().unwrap_or_default().to_string();
                report = report.suggest(&word, VERDICTS.into_iter().chain(["default"]));
            }
            report = report_or(report, "a rule begins with its verdict: allow, log, deny, trap, trace, kill or default; items of a list are separated by commas");
            let failed = self.fail(report);
            self.advance();
            return Err(failed);
        }
        let verdict = self.verdict()?;
        let calls = if self.at_calls() {
            self.calls()?
        } else {
            Vec::new()
        };
        let when = self.eat_word("when");
        let condition = if when || calls.is_empty() && !self.is_rule_end() {
            Some(self.condition()?)
        } else {
            None
        };
        if calls.is_empty() && condition.is_none() {
            let verdict_span = verdict.span();
            let report = Report::error("a rule needs a condition")
                .label(verdict_span, "nothing says what this applies to")
                .help(format!(
                    "for whatever no other rule decides, write `default {}`",
                    verdict.word.text
                ));
            return Err(self.fail(report));
        }
        let span = start.to(self.last_span());
        if !self.is_rule_end() {
            let mut report = self.expectation("the end of the rule");
            if matches!(self.kind(), Kind::Text(_) | Kind::Set(_)) {
                report = report.help("items of a list are separated by commas");
            }
            return Err(self.fail(report));
        }
        self.eat_sign(";");
        if let Some(default) = &block.default {
            let report = Report::error("a rule after `default` is never reached")
                .label(span, "never reached")
                .label(default.span, "this decides everything that is left")
                .help("move the `default` to the end of the block");
            self.reports.add(report);
        }
        block.rules.push(Rule {
            verdict,
            calls,
            condition,
            span,
        });
        Ok(())
    }

    /// Whether a rule may end here: its end is the next line, `;` or `}`.
    fn is_rule_end(&self) -> bool {
        self.is_sign("}")
            || self.is_sign(";")
            || *self.kind() == Kind::End
            || self.token().first_on_line && !self.is_sign(",")
            || self.starts_rule()
    }

    fn verdict(&mut self) -> Parsed<VerdictWord> {
        let word = match self.word() {
            Some(word) if VERDICTS.contains(&word) => self.expect_name("a verdict")?,
            _ => {
                let mut report = self.expectation("a verdict");
                if let Some(word) = self.word() {
                    report = report.suggest(word, VERDICTS);
                }
                report = report_or(
                    report,
                    "the verdicts are allow, log, deny, trap, trace, kill, kill-process and kill-thread",
                );
                return Err(self.fail(report));
            }
        };
        let data = if self.at_data() {
            Some(self.value()?)
        } else {
            None
        };
        Ok(VerdictWord { word, data })
    }

    /// Whether the errno or number of a verdict stands here: a number, or a name in capitals on the same line.
    fn at_data(&self) -> bool {
        match self.kind() {
            Kind::Number(_) | Kind::Sign("-") => true,
            Kind::Name(name) => {
                !self.token().first_on_line
                    && name.len() > 1
                    && name.starts_with('E')
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            }
            _ => false,
        }
    }
}

/// Adds help where there is none yet.
fn report_or(report: Report, help: &str) -> Report {
    if report.has_help() {
        report
    } else {
        report.help(help)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The list of system calls before `when`.

use std::prelude::rust_2021::*;

use super::super::ast::*;
use super::super::lexer::Kind;
use super::{Parsed, Parser, VERDICTS};

impl Parser<'_> {
    /// Whether a list of system calls stands here, and not the field of a condition.
    pub(super) fn at_calls(&self) -> bool {
        match self.kind() {
            Kind::Set(_) => true,
            Kind::Name(name) => {
                if matches!(name.as_str(), "when" | "not") {
                    return false;
                }
                let keyword = name == "default" || VERDICTS.contains(&name.as_str());
                if self.token().first_on_line && keyword {
                    return false;
                }
                let next = self.ahead();
                match &next.kind {
                    Kind::Sign(sign) => matches!(*sign, "," | ";" | "}"),
                    Kind::Name(word) => word == "when" || next.first_on_line,
                    Kind::End => true,
                    _ => next.first_on_line,
                }
            }
            _ => false,
        }
    }

    pub(super) fn calls(&mut self) -> Parsed<Vec<Element>> {
        let mut calls = Vec::new();
        loop {
            let span = self.span();
            let kind = match self.kind() {
                Kind::Set(name) => ElementKind::Set(name.clone()),
                Kind::Name(name) => ElementKind::Value(Value {
                    terms: vec![Term {
                        kind: TermKind::Name(name.clone()),
                        span,
                    }],
                    span,
                }),
                _ => return Err(self.expected("a system call or a set")),
            };
            self.advance();
            calls.push(Element { kind, span });
            if !self.eat_sign(",") {
                return Ok(calls);
            }
        }
    }
}

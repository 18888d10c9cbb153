// SPDX-License-Identifier: GPL-2.0
//! Conditions: `and`, `or`, `not`, brackets, and the comparison of one field.

use std::format;
use std::prelude::rust_2021::*;
use std::vec;

use super::super::ast::*;
use super::super::diagnostics::Report;
use super::super::lexer::Kind;
use super::{Failed, Parsed, Parser, MAX_DEPTH};

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.conjunction()?];
        while self.eat_word("or") || self.eat_sign("||") {
            parts.push(self.conjunction()?);
        }
        Ok(single_or(parts, Expr::Or))
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.unary()?];
        while self.eat_word("and") || self.eat_sign("&&") {
            parts.push(self.unary()?);
        }
        Ok(single_or(parts, Expr::And))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        if self.depth >= MAX_DEPTH {
            return Err(self.fail(
                Report::error(format!("more than {MAX_DEPTH} brackets inside each other"))
                    .label(span, "too deep"),
            ));
        }
        self.depth += 1;
        let expr = self.primary();
        self.depth -= 1;
        expr
    }

    fn primary(&mut self) -> Parsed<Expr> {
        if self.eat_word("not") || self.eat_sign("!") {
            return Ok(Expr::Not(Box::new(self.unary()?)));
        }
        if self.eat_sign("(") {
            let expr = self.condition()?;
            self.expect_sign(")", "to close the bracket")?;
            return Ok(expr);
        }
        self.test()
    }

    fn test(&mut self) -> Parsed<Expr> {
        let start = self.span();
        if let Kind::Set(_) | Kind::Text(_) | Kind::Number(_) = self.kind() {
            let report = self
                .expectation("a field")
                .help("the field stands on the left: path under \"/lib\"");
            return Err(self.fail(report));
        }
        let field = self.expect_name("a field, `not` or `(`")?;
        let mask = if self.eat_sign("&") {
            if self.eat_sign("(") {
                let value = self.value()?;
                self.expect_sign(")", "to close the bracket")?;
                Some(value)
            } else {
                Some(self.value()?)
            }
        } else {
            None
        };
        let negated = self.is_word("not");
        if negated {
            self.advance();
        }
        let op_span = self.span();
        let op = self.operator(&field)?;
        if negated && !(op.is_textual() || op == Op::In || op == Op::Has) {
            return Err(self.fail(
                Report::error(format!("`not {}` is not an operator", op.word())).label(
                    op_span,
                    "write the opposite operator, or `not` before the field",
                ),
            ));
        }
        let operands = self.operands(op)?;
        let test = Expr::Test(Test {
            field,
            mask,
            op,
            op_span,
            operands,
            span: start.to(self.last_span()),
        });
        Ok(if negated {
            Expr::Not(Box::new(test))
        } else {
            test
        })
    }

    fn operator(&mut self, field: &Name) -> Parsed<Op> {
        let found = match self.kind() {
            Kind::Name(word) => Op::from_word(word),
            Kind::Sign(sign) => Op::from_word(sign),
            _ => None,
        };
        if let Some(op) = found {
            self.advance();
            return Ok(op);
        }
        let mut report = self.expectation(&format!("an operator after `{}`", field.text));
        if self.is_sign("=") {
            report = report.help("equality is written `==`");
        } else if let Some(word) = self.word() {
            report = report.suggest(word, Op::WORDS.iter().map(|&(word, _)| word));
        }
        if !report.has_help() {
            report = report.help(
                "the operators are == != < <= > >= in has, and for strings == != under prefix suffix contains matches; system calls in a list are separated by commas",
            );
        }
        Err(self.fail(report))
    }

    fn operands(&mut self, op: Op) -> Parsed<Vec<Element>> {
        if op == Op::In && self.eat_sign("{") {
            let mut elements = vec![self.element()?];
            while self.eat_sign(",") {
                if self.is_sign("}") {
                    break;
                }
                elements.push(self.element()?);
            }
            self.expect_sign("}", "after the list")?;
            return Ok(elements);
        }
        let bracket = self.eat_sign("(");
        let first = self.element()?;
        if bracket {
            self.expect_sign(")", "to close the bracket")?;
        }
        let mut elements = vec![first];
        // Only strings make a list without brackets; after a number a comma can only be a slip.
        while matches!(
            elements.last().map(|element| &element.kind),
            Some(ElementKind::Text(_) | ElementKind::Set(_))
        ) && self.eat_sign(",")
        {
            elements.push(self.element()?);
        }
        if self.is_sign(",") && op != Op::In {
            let report = self
                .expectation("the end of the rule")
                .help("several values are written `in {A, B}`");
            return Err(self.fail(report));
        }
        Ok(elements)
    }

    /// An element of a list: a set, a string, a value, or a range of values.
    pub(super) fn element(&mut self) -> Parsed<Element> {
        let span = self.span();
        let kind = match self.kind() {
            Kind::Set(name) => ElementKind::Set(name.clone()),
            Kind::Text(bytes) => ElementKind::Text(bytes.clone()),
            _ => {
                let low = self.value()?;
                let kind = if self.eat_sign("..") {
                    ElementKind::Range(low, self.value()?)
                } else {
                    ElementKind::Value(low)
                };
                return Ok(Element {
                    kind,
                    span: span.to(self.last_span()),
                });
            }
        };
        self.advance();
        Ok(Element { kind, span })
    }

    /// A number or a name for one, or several joined by `|`.
    pub(super) fn value(&mut self) -> Parsed<Value> {
        let start = self.span();
        let mut terms = vec![self.term()?];
        while self.eat_sign("|") {
            terms.push(self.term()?);
        }
        Ok(Value {
            terms,
            span: start.to(self.last_span()),
        })
    }

    fn term(&mut self) -> Parsed<Term> {
        let start = self.span();
        let negative = self.eat_sign("-");
        let kind = match self.kind() {
            Kind::Number(number) => TermKind::Number {
                negative,
                magnitude: *number,
            },
            Kind::Name(name) if !negative => TermKind::Name(name.clone()),
            _ => return Err(self.value_expected()),
        };
        self.advance();
        Ok(Term {
            kind,
            span: start.to(self.last_span()),
        })
    }

    fn value_expected(&mut self) -> Failed {
        self.expected("a string, a number or a name")
    }
}

fn single_or(mut parts: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

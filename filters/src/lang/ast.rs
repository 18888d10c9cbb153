// SPDX-License-Identifier: GPL-2.0
//! What the parser makes of the text: names are still names.

use std::prelude::rust_2021::*;

use super::source::Span;

/// A name and its place.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// What stands at the top level of a file.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Policy(Name),
    Include { path: String, span: Span },
    Set(SetDef),
    Block(Block),
    Paths(PathsBlock),
    Scope(Vec<Name>),
}

/// `set @name = ...`
#[derive(Clone, Debug)]
pub(crate) struct SetDef {
    pub(crate) name: Name,
    pub(crate) elements: Vec<Element>,
}

/// One element of a set or of a list in a rule.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) kind: ElementKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ElementKind {
    Set(String),
    Text(Vec<u8>),
    Value(Value),
    Range(Value, Value),
}

/// A number, a name for one, or several joined by `|`.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) terms: Vec<Term>,
    pub(crate) span: Span,
}

impl Value {
    /// The name, if the value is a single one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.terms.as_slice() {
            [Term {
                kind: TermKind::Name(name),
                ..
            }] => Some(name),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) kind: TermKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum TermKind {
    Name(String),
    Number { negative: bool, magnitude: u64 },
}

/// `on EVENT { ... }`
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) event: Name,
    pub(crate) arch: Option<Name>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<DefaultRule>,
    /// A `default` was there, but could not be read.
    pub(crate) broken_default: bool,
    /// `on EVENT`, for messages about the block as a whole.
    pub(crate) head: Span,
}

/// `default VERDICT`
#[derive(Clone, Debug)]
pub(crate) struct DefaultRule {
    pub(crate) verdict: VerdictWord,
    pub(crate) span: Span,
}

/// `paths { ... }`
#[derive(Clone, Debug)]
pub(crate) struct PathsBlock {
    pub(crate) statements: Vec<Statement>,
    pub(crate) default: Option<DefaultRule>,
    /// Something in it could not be read, so that what is missing says nothing.
    pub(crate) broken: bool,
    /// The word `paths`.
    pub(crate) head: Span,
}

/// `VERB "place", ...`
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) verb: Verb,
    pub(crate) places: Vec<Element>,
    pub(crate) span: Span,
}

/// What a statement of a `paths` block does with its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Read,
    Write,
    Exec,
    Connect,
    Deny,
    Hidden,
}

impl Verb {
    pub(crate) const WORDS: [(&'static str, Verb); 6] = [
        ("read", Verb::Read),
        ("write", Verb::Write),
        ("exec", Verb::Exec),
        ("connect", Verb::Connect),
        ("deny", Verb::Deny),
        ("hidden", Verb::Hidden),
    ];

    pub(crate) fn from_word(word: &str) -> Option<Verb> {
        let mut words = Verb::WORDS.iter();
        words.find(|(name, _)| *name == word).map(|&(_, verb)| verb)
    }

    pub(crate) fn word(self) -> &'static str {
        let mut words = Verb::WORDS.iter();
        words
            .find(|&&(_, verb)| verb == self)
            .map_or("", |&(word, _)| word)
    }

    /// Whether it takes rights instead of giving them.
    pub(crate) fn refuses(self) -> bool {
        matches!(self, Verb::Deny | Verb::Hidden)
    }
}

/// A verdict as written.
#[derive(Clone, Debug)]
pub(crate) struct VerdictWord {
    pub(crate) word: Name,
    pub(crate) data: Option<Value>,
}

impl VerdictWord {
    pub(crate) fn span(&self) -> Span {
        match &self.data {
            Some(data) => self.word.span.to(data.span),
            None => self.word.span,
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) verdict: VerdictWord,
    /// System calls before `when`.
    pub(crate) calls: Vec<Element>,
    pub(crate) condition: Option<Expr>,
    pub(crate) span: Span,
}

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

/// A comparison of one field.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) field: Name,
    pub(crate) mask: Option<Value>,
    pub(crate) op: Op,
    pub(crate) op_span: Span,
    pub(crate) operands: Vec<Element>,
    pub(crate) span: Span,
}

/// Operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Has,
    Under,
    Prefix,
    Suffix,
    Contains,
    Matches,
}

impl Op {
    pub(crate) const WORDS: [(&'static str, Op); 13] = [
        ("==", Op::Eq),
        ("!=", Op::Ne),
        ("<", Op::Lt),
        ("<=", Op::Le),
        (">", Op::Gt),
        (">=", Op::Ge),
        ("in", Op::In),
        ("has", Op::Has),
        ("under", Op::Under),
        ("prefix", Op::Prefix),
        ("suffix", Op::Suffix),
        ("contains", Op::Contains),
        ("matches", Op::Matches),
    ];

    pub(crate) fn from_word(word: &str) -> Option<Op> {
        Op::WORDS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|&(_, op)| op)
    }

    pub(crate) fn word(self) -> &'static str {
        Op::WORDS
            .iter()
            .find(|&&(_, op)| op == self)
            .map_or("", |&(word, _)| word)
    }

    /// Whether it compares strings only.
    pub(crate) fn is_textual(self) -> bool {
        matches!(
            self,
            Op::Under | Op::Prefix | Op::Suffix | Op::Contains | Op::Matches
        )
    }
}

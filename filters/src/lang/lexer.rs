// SPDX-License-Identifier: GPL-2.0
//! Words of the language.

use std::format;
use std::prelude::rust_2021::*;

use super::diagnostics::{Report, Reports};
use super::source::Span;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Name(String),
    /// `@name`.
    Set(String),
    /// A number without sign.
    Number(u64),
    /// A string, unescaped.
    Text(Vec<u8>),
    /// An operator or bracket.
    Sign(&'static str),
    /// The end of the file.
    End,
}

impl Kind {
    /// How the token is called in messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Kind::Name(name) => format!("`{name}`"),
            Kind::Set(name) => format!("`@{name}`"),
            Kind::Number(_) => "a number".to_string(),
            Kind::Text(_) => "a string".to_string(),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::End => "the end of the file".to_string(),
        }
    }
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Nothing but white space lies before it on its line.
    pub(crate) first_on_line: bool,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "..", "{", "}", "(", ")", ",", ";", "=", "<", ">", "&",
    "|", "!", "-",
];

/// Splits `text` into tokens; the last is always [`Kind::End`]. What is no token is reported and skipped.
pub(crate) fn tokens(file: u32, text: &str, reports: &mut Reports) -> Vec<Token> {
    let mut lexer = Lexer {
        file,
        text,
        at: 0,
        reports,
    };
    let mut tokens = Vec::new();
    let mut first_on_line = true;
    loop {
        first_on_line |= lexer.skip_blank();
        let start = lexer.at;
        let Some(kind) = lexer.next() else {
            continue;
        };
        let end = kind == Kind::End;
        tokens.push(Token {
            kind,
            span: lexer.span(start),
            first_on_line,
        });
        if end {
            return tokens;
        }
        first_on_line = false;
    }
}

struct Lexer<'a> {
    file: u32,
    text: &'a str,
    at: usize,
    reports: &'a mut Reports,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn span(&self, start: usize) -> Span {
        Span {
            file: self.file,
            start: start as u32,
            end: self.at as u32,
        }
    }

    /// Skips white space and comments; tells whether a line ended.
    fn skip_blank(&mut self) -> bool {
        let mut newline = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => newline = true,
                b' ' | b'\t' | b'\r' => {}
                b'#' => {
                    self.skip_line();
                    continue;
                }
                b'/' if self.rest().starts_with("//") => {
                    self.skip_line();
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        newline
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        let taken = rest[..len].to_string();
        self.at += len;
        taken
    }

    /// The next token, or `None` if what stands here is none: it is reported and skipped.
    fn next(&mut self) -> Option<Kind> {
        let start = self.at;
        let Some(byte) = self.peek() else {
            return Some(Kind::End);
        };
        match byte {
            b'"' => return Some(self.string()),
            b'0'..=b'9' => return self.number(),
            b'@' => {
                self.at += 1;
                let name = self.name();
                if name.is_empty() {
                    self.reports.add(
                        Report::error("a set needs a name")
                            .label(self.span(start), "expected a name after `@`"),
                    );
                    return None;
                }
                return Some(Kind::Set(name));
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => return Some(Kind::Name(self.name())),
            b'\'' | b'/' => return Some(self.unquoted(byte)),
            _ => {}
        }
        for sign in SIGNS {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return Some(Kind::Sign(sign));
            }
        }
        self.unknown(start);
        None
    }

    /// A string in single quotes or a path without any: reported, and then taken for the string that is meant.
    fn unquoted(&mut self, first: u8) -> Kind {
        let start = self.at;
        let text = if first == b'\'' {
            self.at += 1;
            let text = self.take_while(|c| c != '\'' && c != '\n');
            self.at += usize::from(self.peek() == Some(b'\''));
            text
        } else {
            self.take_while(|c| !c.is_whitespace() && !",;{}()\"".contains(c))
        };
        let quoted = format!("\"{text}\"");
        self.reports.add(
            Report::error("strings stand in double quotes")
                .label(self.span(start), "a string?")
                .help(format!("write {quoted}")),
        );
        Kind::Text(text.into_bytes())
    }

    fn unknown(&mut self, start: usize) {
        let odd = self.take_while(|c| !c.is_ascii() || c.is_ascii_control() && c != '\n');
        let odd = if odd.is_empty() {
            self.take_while(|c| "`$%^*+:?[]\\~.".contains(c))
        } else {
            odd
        };
        let shown: String = odd
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        let report = Report::error(format!("`{shown}` has no meaning here"))
            .label(self.span(start), "not part of the language");
        let report = if odd.starts_with(['*', '.']) {
            report.help("paths and patterns stand in double quotes: \"/lib\"")
        } else {
            report
        };
        self.reports.add(report);
    }

    /// A name: letters, digits, `_`; `-` and `.` only between them, so that `lo..hi` is three tokens.
    fn name(&mut self) -> String {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while let Some(byte) = self.peek() {
            let part = byte.is_ascii_alphanumeric()
                || byte == b'_'
                || byte == b'-'
                    && bytes
                        .get(self.at + 1)
                        .is_some_and(u8::is_ascii_alphanumeric)
                || byte == b'.' && bytes.get(self.at + 1).is_some_and(u8::is_ascii_alphabetic);
            if !part {
                break;
            }
            self.at += 1;
        }
        self.text[start..self.at].to_string()
    }

    fn number(&mut self) -> Option<Kind> {
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let digits: String = word.chars().filter(|&c| c != '_').collect();
        let (digits, radix) = if let Some(hex) = digits.strip_prefix("0x") {
            (hex, 16)
        } else if let Some(octal) = digits.strip_prefix("0o") {
            (octal, 8)
        } else if digits.len() > 1 && digits.starts_with('0') {
            (&digits[1..], 8)
        } else {
            (digits.as_str(), 10)
        };
        match u64::from_str_radix(digits, radix) {
            Ok(number) => Some(Kind::Number(number)),
            Err(error) => {
                let why = if *error.kind() == std::num::IntErrorKind::PosOverflow {
                    "larger than 64 bits"
                } else {
                    "not a number"
                };
                let mut report =
                    Report::error(format!("`{word}` is {why}")).label(self.span(start), why);
                if radix == 8 && why == "not a number" {
                    report = report.help("a leading 0 means octal, as in C");
                }
                self.reports.add(report);
                Some(Kind::Number(0))
            }
        }
    }

    fn string(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let escape = self.at;
            match self.peek() {
                None | Some(b'\n') => {
                    self.reports.add(
                        Report::error("the string does not end on its line")
                            .label(self.span(start), "a closing `\"` is missing")
                            .help("a line break inside a string is written \\n"),
                    );
                    break;
                }
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.escape() {
                        Some(byte) => bytes.push(byte),
                        None => {
                            let span = self.span(escape);
                            self.reports.add(
                                Report::error("unknown escape in a string")
                                    .label(span, "not an escape")
                                    .help("the escapes are \\n \\t \\\\ \\\" and \\xNN; a glob's own backslash is written \\\\"),
                            );
                        }
                    }
                }
                Some(byte) => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        if bytes.contains(&0) {
            self.reports.add(
                Report::error("a string of the kernel never contains a NUL byte")
                    .label(self.span(start), "contains \\x00"),
            );
        }
        Kind::Text(bytes)
    }

    fn escape(&mut self) -> Option<u8> {
        let letter = self.text[self.at..].chars().next()?;
        if letter == '\n' {
            return None;
        }
        self.at += letter.len_utf8();
        match letter {
            'n' => Some(b'\n'),
            't' => Some(b'\t'),
            '\\' => Some(b'\\'),
            '"' => Some(b'"'),
            'x' => {
                let digits = self.text.get(self.at..self.at + 2)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                self.at += 2;
                u8::from_str_radix(digits, 16).ok()
            }
            _ => None,
        }
    }
}

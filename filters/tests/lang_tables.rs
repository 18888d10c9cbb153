// SPDX-License-Identifier: GPL-2.0
//! The table builder against the definitions: patterns one by one, and globs against regular expressions.

#![cfg(feature = "lang")]
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a test fails by a panic"
)]

use filters::event::Event;
use filters::insn::{Insn, A, RET, SMATCH};
use filters::lang::event_line::OwnedRecord;
use filters::lang::image::{verified, Builder, Code};
use filters::lang::pattern::Pattern;
use filters::lang::table::table;
use filters::policy::Policy;
use proptest::prelude::*;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// A policy whose verdict data is the value of the table: 0x7fff0000 | value is "allow" with data.
fn policy(patterns: &[(&Pattern, u32)]) -> Policy<Vec<u8>> {
    let table = table(patterns).expect("few states").bytes;
    let allow = 0x7fff_0000;
    let code = Code {
        insns: vec![
            Insn::stmt(SMATCH, Insn::string_operand(0, 0)),
            Insn::stmt(filters::insn::ALU | filters::insn::OR, allow),
            Insn::stmt(RET | A, 0),
        ],
        tables: vec![table],
        ..Code::default()
    };
    verified(Builder::new().program(Event::VfsGetname, &code).build()).expect("a valid table")
}

fn value(policy: &Policy<Vec<u8>>, text: &[u8]) -> u32 {
    let mut record = OwnedRecord::new(Event::VfsGetname);
    record.set_string(0, text);
    let program = policy.program(Event::VfsGetname).expect("the program");
    let outcome = record.lend(|record| filters::vm::run(&program, record));
    outcome.expect("a record").verdict.raw() & 0xffff
}

/// The first pattern that matches, from 1; 0 for none.
fn naive(patterns: &[Pattern], text: &[u8]) -> u32 {
    let first = patterns.iter().position(|pattern| pattern.matches(text));
    first.map_or(0, |index| index as u32 + 1)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(b"ab/.".to_vec()), 0..12),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn literal() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"ab/.".to_vec()), 1..7)
}

fn glob() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "b", "/", ".", "*", "?", "**", "**/", "/**", "[ab]", "[!a]", "[.-b]", "\\*", "/**/",
    ]);
    prop::collection::vec(part, 0..6)
        .prop_map(|parts| parts.concat())
        .prop_filter("three stars", |glob| !glob.contains("***"))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        literal().prop_map(Pattern::Equal),
        literal().prop_map(Pattern::Prefix),
        literal().prop_map(Pattern::Suffix),
        literal().prop_map(Pattern::Contains),
        literal().prop_map(|tree| Pattern::under(&tree)),
        glob().prop_map(|glob| Pattern::glob(glob.as_bytes()).expect("a valid glob")),
    ]
}

/// An independent reading of the glob, as a regular expression over bytes.
fn regex(glob: &str) -> Regex {
    let bytes = glob.as_bytes();
    let mut expression = String::from("\\A(?:");
    let mut at = 0;
    while at < bytes.len() {
        let rest = &glob[at..];
        let component = at == 0 || bytes[at - 1] == b'/';
        if component && rest.starts_with("**/") {
            expression.push_str("(?:.*/)?");
            at += 3;
        } else if rest.starts_with("**") {
            expression.push_str(".*");
            at += 2;
        } else if rest.starts_with('*') {
            expression.push_str("[^/]*");
            at += 1;
        } else if rest.starts_with('?') {
            expression.push_str("[^/]");
            at += 1;
        } else if rest.starts_with("[!") {
            let end = at + rest.find(']').expect("a closed class");
            expression.push_str(&format!("[^/{}]", &glob[at + 2..end]));
            at = end + 1;
        } else if rest.starts_with('[') {
            let end = at + rest.find(']').expect("a closed class");
            expression.push_str(&format!("[{}&&[^/]]", &glob[at + 1..end]));
            at = end + 1;
        } else {
            at += usize::from(bytes[at] == b'\\');
            expression.push_str(&format!("\\x{:02x}", bytes[at]));
            at += 1;
        }
    }
    expression.push_str(")\\z");
    Regex::builder()
        .syntax(
            syntax::Config::new()
                .unicode(false)
                .utf8(false)
                .dot_matches_new_line(true),
        )
        .configure(Regex::config().utf8_empty(false))
        .build(&expression)
        .expect("a valid expression")
}

proptest! {
    #![proptest_config(oracle::generate::cases(200, 4))]

    #[test]
    fn a_table_gives_the_first_pattern_that_matches(
        patterns in prop::collection::vec(pattern(), 1..12),
        texts in prop::collection::vec(text(), 1..60),
    ) {
        let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
        let policy = policy(&numbered);
        for text in texts.iter().cloned().chain(patterns.iter().map(Pattern::example)) {
            prop_assert_eq!(value(&policy, &text), naive(&patterns, &text), "{:?}", text.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_shadowed_pattern_never_decides_and_others_do(
        patterns in prop::collection::vec(pattern(), 1..8),
        texts in prop::collection::vec(text(), 1..60),
    ) {
        let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
        let shadowed = table(&numbered).expect("few states").shadowed;
        for text in texts {
            let first = naive(&patterns, &text);
            prop_assert!(first == 0 || !shadowed.contains(&(first - 1)));
        }
    }

    #[test]
    fn a_glob_is_what_its_regular_expression_says(glob in glob(), texts in prop::collection::vec(text(), 1..40)) {
        let pattern = Pattern::glob(glob.as_bytes()).expect("a valid glob");
        let regex = regex(&glob);
        let policy = policy(&[(&pattern, 1)]);
        for text in texts {
            prop_assert_eq!(pattern.matches(&text), regex.is_match(&text), "{} on {:?}", glob, text.escape_ascii().to_string());
            prop_assert_eq!(value(&policy, &text) == 1, regex.is_match(&text));
        }
    }
}

#[test]
fn zeros_in_patterns_are_bytes_like_others() {
    let patterns = [
        Pattern::Equal(b"long\0and\0\0".to_vec()),
        Pattern::Prefix(b"long\0and\0/".to_vec()),
        Pattern::Suffix(b"a\0b".to_vec()),
        Pattern::Contains(b"\0\0c".to_vec()),
    ];
    let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
    let policy = policy(&numbered);
    let mut matched = [0; 5];
    let texts: [&[u8]; 10] = [
        b"long\0and\0\0",
        b"long\0and\0/",
        b"long\0and\0/x",
        b"a\0b",
        b"xa\0b",
        b"\0\0c",
        b"long\0\0\0cx",
        b"a",
        b"a\0",
        b"long\0and\0",
    ];
    for text in texts {
        // Zeros behind the end of a string are none of its bytes: also all that is cut off is looked at.
        for end in 0..=text.len() {
            let text = &text[..end];
            let expected = naive(&patterns, text);
            assert_eq!(
                value(&policy, text),
                expected,
                "{:?}",
                text.escape_ascii().to_string()
            );
            matched[expected as usize] += 1;
        }
    }
    assert!(matched.iter().all(|&count| count > 0), "{matched:?}");
}

/// Names as they occur in trees of files.
fn names(count: u32) -> Vec<String> {
    (0..count)
        .map(|i| {
            let (a, b, c) = (i % 17, i / 17 % 29, i.wrapping_mul(2_654_435_761) >> 12);
            format!("/srv/projects/team-{a}/service-{b}/src/module_{c:x}/part{i}")
        })
        .collect()
}

/// Ten thousand in a release build, fewer where the compiler under test is not optimised.
const MANY: u32 = if cfg!(debug_assertions) {
    2_000
} else {
    10_000
};

#[test]
fn thousands_of_directories_of_one_rule_stay_small() {
    let patterns: Vec<Pattern> = names(MANY)
        .iter()
        .map(|n| Pattern::under(n.as_bytes()))
        .collect();
    let one: Vec<(&Pattern, u32)> = patterns.iter().map(|pattern| (pattern, 1)).collect();
    let bytes = table(&one).expect("a trie").bytes.len();
    assert!(bytes < 100 * MANY as usize, "{bytes} bytes");
    println!("{MANY} directories, one value: {bytes} bytes");
}

#[test]
fn thousands_of_rules_find_their_own_value() {
    let names = names(MANY);
    let patterns: Vec<Pattern> = names
        .iter()
        .map(|name| Pattern::under(name.as_bytes()))
        .collect();
    let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(1..).collect();
    let start = std::time::Instant::now();
    let bytes = table(&numbered).expect("a trie").bytes.len();
    assert!(bytes < 120 * MANY as usize, "{bytes} bytes");
    println!("{MANY} rules: {bytes} bytes in {:?}", start.elapsed());
    let policy = policy(&numbered);
    for (index, name) in names.iter().enumerate().step_by(97) {
        assert_eq!(
            value(&policy, format!("{name}/x").as_bytes()),
            index as u32 + 1
        );
        assert_eq!(value(&policy, format!("{name}x").as_bytes()), 0);
    }
}

#[test]
fn patterns_that_multiply_each_other_are_refused() {
    let globs: Vec<Pattern> = (0..40)
        .map(|i| {
            Pattern::glob(format!("**/a{i}*b{i}*c{i}*d{i}/**/e{i}").as_bytes()).expect("a glob")
        })
        .collect();
    let numbered: Vec<(&Pattern, u32)> = globs.iter().zip(1..).collect();
    let error = table(&numbered).expect_err("too many states");
    assert!(error.0 < 1 << 20, "found out only after {} states", error.0);
}

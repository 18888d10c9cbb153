// SPDX-License-Identifier: GPL-2.0
//! Compiled conditions against a direct reading of them: random conditions, random records.

#![cfg(feature = "lang")]
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

use filters::event::Event;
use filters::lang::event_line::OwnedRecord;
use filters::lang::{compile, Compiled, Memory};
use filters::record::Caller;
use filters::verdict::Verdict;
use proptest::prelude::*;

/// A number field as the test knows it: its name, where it lies, how wide and whether signed.
#[derive(Clone, Copy, Debug)]
struct Number {
    name: &'static str,
    offset: usize,
    bits: u32,
    signed: bool,
}

/// Arguments of mmap, openat and kill by their kernel types, and fields of vfs.getname.
const OPENAT: &[Number] = &[
    Number {
        name: "dfd",
        offset: 16,
        bits: 32,
        signed: true,
    },
    Number {
        name: "flags",
        offset: 32,
        bits: 32,
        signed: true,
    },
    Number {
        name: "mode",
        offset: 40,
        bits: 16,
        signed: false,
    },
    Number {
        name: "filename",
        offset: 24,
        bits: 64,
        signed: false,
    },
    Number {
        name: "arg4",
        offset: 48,
        bits: 64,
        signed: false,
    },
];
const GETNAME: &[Number] = &[
    Number {
        name: "origin",
        offset: 64,
        bits: 32,
        signed: false,
    },
    Number {
        name: "path_len",
        offset: 72,
        bits: 32,
        signed: false,
    },
    Number {
        name: "arg3",
        offset: 40,
        bits: 64,
        signed: false,
    },
];

/// Who calls, in every record.
const CALLER: Caller = Caller {
    process: 0x8001,
    thread: 4,
};

/// Fields whose values have no names of their own.
const PLAIN: [&str; 5] = ["dfd", "filename", "arg4", "path_len", "arg3"];

#[derive(Clone, Debug)]
enum Test {
    Compare(&'static str, i128),
    In(Vec<(i128, i128)>),
    Masked(u64, u64, bool),
    Has(u64),
    /// A mask, `==`, and the caller's thread instead of its process.
    Own(Option<u64>, bool, bool),
}

fn own_id(thread: bool) -> u32 {
    if thread {
        CALLER.thread
    } else {
        CALLER.process
    }
}

#[derive(Clone, Debug)]
enum Cond {
    Number(Number, Test),
    Text(&'static str, bool, Vec<String>),
    Not(Box<Cond>),
    And(Vec<Cond>),
    Or(Vec<Cond>),
}

impl Number {
    fn read(&self, words: &[u32]) -> i128 {
        let low = u64::from(words[self.offset / 4]);
        let raw = if self.bits == 64 || self.offset < 64 {
            low | u64::from(words[self.offset / 4 + 1]) << 32
        } else {
            low
        };
        let raw = i128::from(raw) & ((1 << self.bits) - 1);
        if self.signed && raw >> (self.bits - 1) != 0 {
            raw - (1 << self.bits)
        } else {
            raw
        }
    }

    fn bits_of(&self, words: &[u32]) -> u64 {
        (self.read(words) & ((1 << self.bits) - 1)) as u64
    }
}

impl Cond {
    fn source(&self) -> String {
        match self {
            Cond::Number(number, test) => {
                let name = number.name;
                match test {
                    Test::Compare(op, value) => format!("{name} {op} {value}"),
                    Test::In(ranges) => {
                        let ranges: Vec<String> = ranges
                            .iter()
                            .map(|(low, high)| match low == high {
                                true => format!("{low}"),
                                false => format!("{low}..{high}"),
                            })
                            .collect();
                        format!("{name} in {{{}}}", ranges.join(", "))
                    }
                    Test::Masked(mask, value, equal) => {
                        let op = if *equal { "==" } else { "!=" };
                        format!("{name} & {mask:#x} {op} {value:#x}")
                    }
                    Test::Has(mask) => format!("{name} has {mask:#x}"),
                    Test::Own(mask, equal, thread) => {
                        let mask = mask.map_or(String::new(), |mask| format!(" & {mask:#x}"));
                        let op = if *equal { "==" } else { "!=" };
                        let own = if *thread { "self.thread" } else { "self" };
                        format!("{name}{mask} {op} {own}")
                    }
                }
            }
            Cond::Text(op, negated, list) => {
                let not = if *negated { "not " } else { "" };
                let list: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
                format!("{not}(path {op} {})", list.join(", "))
            }
            Cond::Not(inner) => format!("not ({})", inner.source()),
            Cond::And(parts) => join(parts, " and "),
            Cond::Or(parts) => join(parts, " or "),
        }
    }

    fn holds(&self, words: &[u32], path: &str) -> bool {
        match self {
            Cond::Number(number, test) => {
                let value = number.read(words);
                match test {
                    Test::Compare(op, right) => match *op {
                        "==" => value == *right,
                        "!=" => value != *right,
                        "<" => value < *right,
                        "<=" => value <= *right,
                        ">" => value > *right,
                        _ => value >= *right,
                    },
                    Test::In(ranges) => ranges.iter().any(|(a, b)| (*a..=*b).contains(&value)),
                    Test::Masked(mask, right, equal) => {
                        (number.bits_of(words) & mask == *right) == *equal
                    }
                    Test::Has(mask) => number.bits_of(words) & mask == *mask,
                    Test::Own(mask, equal, thread) => {
                        let masked = number.bits_of(words) & mask.unwrap_or(u64::MAX);
                        (masked == u64::from(own_id(*thread))) == *equal
                    }
                }
            }
            Cond::Text(op, negated, list) => {
                let holds = list.iter().any(|text| match *op {
                    "==" => path == text,
                    "prefix" => path.starts_with(text),
                    "suffix" => path.ends_with(text),
                    "contains" => path.contains(text),
                    _ => {
                        let tree = text.trim_end_matches('/');
                        path == tree || path.starts_with(&format!("{tree}/"))
                    }
                });
                holds != *negated
            }
            Cond::Not(inner) => !inner.holds(words, path),
            Cond::And(parts) => parts.iter().all(|part| part.holds(words, path)),
            Cond::Or(parts) => parts.iter().any(|part| part.holds(words, path)),
        }
    }
}

fn join(parts: &[Cond], word: &str) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| format!("({})", part.source()))
        .collect();
    parts.join(word)
}

/// Values near the borders of words.
fn value(number: Number) -> BoxedStrategy<i128> {
    let size = 1i128 << number.bits;
    let (low, high) = match number.signed {
        true => (-size / 2, size / 2 - 1),
        false => (0, size - 1),
    };
    prop_oneof![
        Just(low),
        Just(high),
        (low.max(-4)..=4i128),
        (0..=u64::MAX).prop_map(move |raw| low + i128::from(raw) % size),
        (-2..=2i128).prop_map(move |near| ((1i128 << 32) + near).clamp(low, high)),
    ]
    .boxed()
}

fn number_test(number: Number) -> BoxedStrategy<Cond> {
    let limit = if number.bits == 64 {
        u64::MAX
    } else {
        (1 << number.bits) - 1
    };
    let ops = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let mask = prop_oneof![Just(1u64), Just(0x8000), any::<u64>(), Just(1 << 40)]
        .prop_map(move |mask| (mask & limit).max(1));
    let range = (value(number), value(number)).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let own = (prop::option::of(mask.clone()), any::<bool>(), any::<bool>())
        .prop_map(|(mask, equal, thread)| Test::Own(mask, equal, thread));
    let plain = u32::from(PLAIN.contains(&number.name));
    prop_oneof![
        plain => own,
        1 => (ops, value(number)).prop_map(|(op, value)| Test::Compare(op, value)),
        1 => prop::collection::vec(range, 1..4).prop_map(Test::In),
        1 => (mask.clone(), any::<u64>(), any::<bool>())
            .prop_map(move |(mask, value, equal)| Test::Masked(mask, value & mask, equal)),
        1 => mask.prop_map(Test::Has),
    ]
    .prop_map(move |test| Cond::Number(number, test))
    .boxed()
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["/", "a", "b", "lib", "."]), 0..6)
        .prop_map(|parts| parts.concat())
}

fn text_test() -> BoxedStrategy<Cond> {
    let ops = prop::sample::select(vec!["==", "prefix", "suffix", "contains", "under"]);
    let texts = path()
        .prop_filter("a name", |text| text.trim_end_matches('/').len() > 1)
        .boxed();
    let lists = prop_oneof![
        3 => prop::collection::vec(texts.clone(), 1..4),
        1 => prop::collection::vec(texts, 17..22),
    ];
    (ops, any::<bool>(), lists)
        .prop_map(|(op, negated, list)| Cond::Text(op, negated, list))
        .boxed()
}

fn cond(leaf: BoxedStrategy<Cond>) -> impl Strategy<Value = Cond> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|cond| Cond::Not(Box::new(cond))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Cond::And),
            prop::collection::vec(inner, 1..4).prop_map(Cond::Or),
        ]
    })
}

fn leaves(numbers: &'static [Number]) -> BoxedStrategy<Cond> {
    prop::sample::select(numbers.to_vec())
        .prop_flat_map(number_test)
        .boxed()
}

/// Numbers of a record: some that the conditions name, some random.
fn words(count: usize) -> impl Strategy<Value = Vec<u32>> {
    let word = prop_oneof![
        0..5u32,
        Just(u32::MAX),
        Just(0x8000_0000),
        any::<u32>(),
        Just(0x8000)
    ];
    prop::collection::vec(word, count)
}

/// The numbers that a condition names, with their fields.
fn borders(cond: &Cond, found: &mut Vec<(Number, i128)>) {
    match cond {
        Cond::Number(number, test) => match test {
            Test::Compare(_, value) => found.push((*number, *value)),
            Test::In(ranges) => {
                for (low, high) in ranges {
                    found.extend([(*number, *low), (*number, *high)]);
                }
            }
            Test::Masked(mask, value, _) => {
                found.push((*number, i128::from(value | !mask)));
                found.push((*number, i128::from(*value)));
            }
            Test::Has(mask) => found.push((*number, i128::from(*mask))),
            Test::Own(_, _, thread) => {
                let id = i128::from(own_id(*thread));
                found.extend([(*number, id), (*number, id | 1 << 32)]);
            }
        },
        Cond::Text(..) => {}
        Cond::Not(inner) => borders(inner, found),
        Cond::And(parts) | Cond::Or(parts) => {
            for part in parts {
                borders(part, found);
            }
        }
    }
}

/// Puts numbers that the rules name, or their neighbours, into a random record: what is wrong is wrong at a border.
fn aim(words: &mut [u32], rules: &[Cond], picks: &[(prop::sample::Index, i128)]) {
    let mut found = Vec::new();
    for rule in rules {
        borders(rule, &mut found);
    }
    for (pick, delta) in picks.iter().filter(|_| !found.is_empty()) {
        let (number, value) = found[pick.index(found.len())];
        let value = (value + delta) as u64;
        words[number.offset / 4] = value as u32;
        if number.offset < 64 && number.bits == 64 {
            words[number.offset / 4 + 1] = (value >> 32) as u32;
        }
    }
}

fn picks() -> impl Strategy<Value = Vec<(prop::sample::Index, i128)>> {
    prop::collection::vec((any::<prop::sample::Index>(), -1..=1i128), 0..4)
}

fn compiled(source: &str) -> Compiled {
    match compile("test.evf", source, &Memory::new()) {
        Ok(policy) => policy,
        Err(error) => panic!("{source}\n{}", error.render(false)),
    }
}

fn verdict(policy: &Compiled, record: &OwnedRecord) -> Verdict {
    let explanation = record.lend(|record| {
        let explanation = policy.explain(record).expect("a program");
        assert!(explanation.rule.is_some());
        explanation.verdict
    });
    explanation.expect("a record")
}

/// The verdicts of the rules, in turn; the default is different from all.
const ERRNOS: [u16; 4] = [1, 2, 13, 22];

proptest! {
    #![proptest_config(oracle::generate::cases(300, 4))]

    #[test]
    fn rules_on_arguments_decide_as_they_read(
        rules in prop::collection::vec(cond(leaves(OPENAT)), 1..4),
        records in prop::collection::vec((words(16), picks()), 1..20),
    ) {
        let mut source = String::from("on syscall.enter {\n");
        for (rule, errno) in rules.iter().zip(ERRNOS) {
            source += &format!("deny {errno} openat when {}\n", rule.source());
        }
        source += "allow close\ndefault kill-thread\n}\n";
        // A rule behind one that always holds is refused, rightly.
        let Ok(policy) = compile("test.evf", &source, &Memory::new()) else { return Ok(()) };
        for (mut words, picks) in records {
            aim(&mut words, &rules, &picks);
            let mut record = OwnedRecord::new(Event::SyscallEnter);
            record.set_caller(CALLER);
            for (at, word) in words.iter().enumerate().skip(2) {
                record.set_word(at * 4, *word);
            }
            record.set_word(0, 257);
            let first = rules.iter().zip(ERRNOS).find(|(rule, _)| rule.holds(&words, ""));
            let expected = first.map_or(Verdict::KILL_THREAD, |(_, errno)| Verdict::errno(errno));
            prop_assert_eq!(verdict(&policy, &record), expected, "{} {:x?}", source, words);
        }
    }

    #[test]
    fn rules_on_names_decide_as_they_read(
        rules in prop::collection::vec(
            prop_oneof![2 => cond(prop_oneof![2 => text_test(), 1 => leaves(GETNAME)].boxed()), 3 => text_test()],
            1..5,
        ),
        records in prop::collection::vec((words(20), picks(), path()), 1..20),
    ) {
        let mut source = String::from("on vfs.getname {\n");
        for (rule, errno) in rules.iter().zip(ERRNOS) {
            source += &format!("deny {errno} {}\n", rule.source());
        }
        source += "default log\n}\n";
        let Ok(policy) = compile("test.evf", &source, &Memory::new()) else { return Ok(()) };
        for (mut words, picks, path) in records {
            aim(&mut words, &rules, &picks);
            words[18] = path.len() as u32;
            let mut record = OwnedRecord::new(Event::VfsGetname);
            record.set_caller(CALLER);
            for (at, word) in words.iter().enumerate() {
                record.set_word(at * 4, *word);
            }
            record.set_string(0, path.as_bytes());
            let first = rules.iter().zip(ERRNOS).find(|(rule, _)| rule.holds(&words, &path));
            let expected = first.map_or(Verdict::LOG, |(_, errno)| Verdict::errno(errno));
            prop_assert_eq!(verdict(&policy, &record), expected, "{} {:x?} {:?}", source, words, path);
        }
    }

    #[test]
    fn any_text_is_accepted_or_refused_without_a_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "on", "syscall.enter", "vfs.getname", "{", "}", "allow", "deny", "EPERM", "kill", "default", "when", "path", "under", "\"/a\"",
            "\"**/x[a-\"", "in", "..", "1", "-", "|", "&", "@basic-io", "@", "set", "=", "==", "include", "socket", "domain", "AF_UNIX", "not",
            "(", ")", ",", "and", "or", "\n", "arch", "i386", "policy", "'", "/", "\"", "\\", "has", "matches", "\u{e9}", "0x", "nr", "#",
        ]), 0..40),
    ) {
        let source = words.join(" ");
        match compile("test.evf", &source, &Memory::new()) {
            Ok(policy) => prop_assert!(filters::lang::disassemble(&policy.image).is_ok()),
            Err(error) => {
                prop_assert!(error.errors() > 0);
                prop_assert!(!error.render(true).is_empty());
                prop_assert!(!error.render(false).contains("internal error"), "{}", error.render(false));
            }
        }
    }
}

/// More rules than a run gives returns of its own: the table's value still leads to the rule.
#[test]
fn a_thousand_rules_are_explained_by_their_value() {
    let mut source = String::from("on vfs.getname {\n");
    for i in 0..1000 {
        let verdict = ["allow", "deny EPERM", "deny ENOENT"][i % 3];
        source += &format!("{verdict} path under \"/srv/{i}\"\n");
    }
    source += "default deny EACCES\n}\n";
    let policy = compiled(&source);
    let map = filters::lang::Map::from_json(&policy.map.to_json()).expect("its own text");
    assert_eq!(map, policy.map);
    for i in [0usize, 1, 2, 511, 512, 998, 999] {
        let mut record = OwnedRecord::new(Event::VfsGetname);
        record.set_string(0, format!("/srv/{i}/x").as_bytes());
        let text = record.lend(|record| {
            let explanation = map.explain(policy.policy(), record).expect("a program");
            explanation.rule.expect("a rule").text.clone()
        });
        assert!(text
            .expect("a record")
            .ends_with(&format!("path under \"/srv/{i}\"")));
    }
    let insns = policy
        .policy()
        .program(Event::VfsGetname)
        .expect("it")
        .len();
    assert!(insns < 20, "{insns} instructions");
}

/// Many directories behind a search: the search gets a table of its own, and the order of the rules stays what it is.
#[test]
fn searches_before_many_directories_keep_the_image_small() {
    let mut source = String::from("on vfs.getname {\ndeny EPERM path contains \"..\"\n");
    for i in 0..600 {
        source += &format!("allow path under \"/srv/projects/{i}/module\"\n");
    }
    source += "deny ENOENT path suffix \".key\"\ndefault deny EACCES\n}\n";
    let policy = compiled(&source);
    for (path, expected) in [
        ("/srv/projects/7/module/..", Verdict::errno(1)),
        ("/srv/projects/7/module/a.key", Verdict::ALLOW),
        ("/srv/projects/600/module/a.key", Verdict::errno(2)),
        ("/srv/projects/600/module", Verdict::errno(13)),
    ] {
        let mut record = OwnedRecord::new(Event::VfsGetname);
        record.set_string(0, path.as_bytes());
        assert_eq!(verdict(&policy, &record), expected, "{path}");
    }
    let bytes = policy.image.len();
    assert!(bytes < 60_000, "{bytes} bytes");
}

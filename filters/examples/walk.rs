// SPDX-License-Identifier: GPL-2.0
//! What a walk through a table costs: instructions and cache misses per lookup, counted by valgrind's cachegrind.
//!
//! ```text
//! walk                                       the report: policies of 3, 100 and 10,000 places, names of 5 to 200 bytes
//! walk POLICY NAME EVENT                     the same figures for one policy (text or image), name and event
//! walk --count N HOW IMAGE NAME EVENT        N times HOW (table, run or judge) and nothing else: what runs under cachegrind
//! walk --count N turns IMAGE FILE EVENT      the table's walk for N of the names in a file, one after the other
//! ```
//!
//! A name that is looked up over and over has its part of the table in the cache. With all places in turn each walk comes to another part.
//!
//! Two counts are run, and the difference is divided by the difference of the counts: what comes before the loop cancels out, and the figure
//! repeats exactly. To measure what the kernel's compiler flags make of the code:
//!
//! ```text
//! CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
//!     cargo run --release -p filters --features lang --example walk
//! ```

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for developers ends by a panic when something is not as expected"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use filters::event::Event;
use filters::insn::{Insn, SMATCH};
use filters::lang::event_line::OwnedRecord;
use filters::lang::image::verified;
use filters::lang::{compile, compile_file, Memory};
use filters::policy::Policy;
use filters::stack::Layer;
use filters::vm;

/// What is counted: the table's walk alone, with finding the table; the interpreter's run of the whole program; the same from the policy on.
const HOWS: [&str; 3] = ["table", "run", "judge"];

/// The two counts.
const FEW: u32 = 1_000;
const MANY: u32 = 3_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => report(),
        ["--count", count, how, image, name, event] => {
            count_only(count.parse().expect("a count"), how, image, name, event);
        }
        [policy, name, event] => {
            let image = image_of(policy);
            println!("{}", title());
            println!("{}", figures(policy, &image, name, event));
            if image != *policy {
                fs::remove_file(image).expect("the temporary file");
            }
        }
        _ => panic!("walk [POLICY NAME EVENT], or walk --count N HOW IMAGE NAME EVENT"),
    }
}

/// The loop under cachegrind.
fn count_only(count: u32, how: &str, image: &str, name: &str, event: &str) {
    let policy = verified(fs::read(image).expect("an image")).expect("a valid image");
    let event = event_named(event);
    let program = policy.program(event).expect("a program for the event");
    let walk = first_walk(&policy, event);
    if how == "turns" {
        let table = program.table(walk.expect("a table").index());
        let table = table.expect("the table of a program");
        let names = fs::read_to_string(name).expect("a file of names");
        let names = names.lines().cycle().take(count as usize);
        names.for_each(|name| {
            black_box(table.lookup(black_box(name.as_bytes())));
        });
        return;
    }
    let mut record = OwnedRecord::new(event);
    record.set_string(walk.map_or(0, |walk| walk.field()), name.as_bytes());
    let index = walk.map_or(0, |walk| walk.index());
    record
        .lend(|record| match how {
            "table" => (0..count).for_each(|_| {
                let program = black_box(&program);
                let table = program.table(black_box(index));
                black_box(table.and_then(|table| table.lookup(black_box(name.as_bytes()))));
            }),
            "run" => (0..count).for_each(|_| {
                black_box(vm::run(black_box(&program), black_box(record)));
            }),
            "judge" => (0..count).for_each(|_| {
                let policy: &Policy<Vec<u8>> = black_box(&policy);
                black_box(policy.judge(black_box(record)));
            }),
            _ => panic!("{how}: table, run or judge"),
        })
        .expect("a record of the event");
}

/// The first instruction that walks through a table. Programs with few rules may have none: they compare strings one by one.
fn first_walk(policy: &Policy<Vec<u8>>, event: Event) -> Option<Insn> {
    let program = policy.program(event).expect("a program for the event");
    let insns = (0..program.len()).filter_map(|at| program.insn(at));
    insns.into_iter().find(|insn| insn.code == SMATCH)
}

fn event_named(name: &str) -> Event {
    let named = |event: &Event| event.schema().name == name;
    Event::ALL.into_iter().find(named).expect("an event's name")
}

/// A policy's image as a file: a temporary one for a text.
fn image_of(policy: &str) -> String {
    if Path::new(policy)
        .extension()
        .is_none_or(|extension| extension != "evf")
    {
        return policy.to_string();
    }
    match compile_file(policy) {
        Ok(compiled) => stored("policy", &compiled.image),
        Err(error) => panic!("{}", error.render(false)),
    }
}

fn stored(name: &str, image: &[u8]) -> String {
    let file = env::temp_dir().join(format!("walk-{}-{name}.image", std::process::id()));
    fs::write(&file, image).expect("the temporary file");
    file.to_str().expect("a name in UTF-8").to_string()
}

/// Instructions, and misses of the first-level data cache and of the last level, of `count` turns.
fn counted(count: u32, how: &str, image: &str, name: &str, event: &str) -> [f64; 3] {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=yes",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(env::current_exe().expect("this program's name"))
        .args(["--count", &count.to_string(), how, image, name, event])
        .stdout(Stdio::null())
        .output()
        .expect("valgrind, of the package valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    ["I   refs:", "D1  misses:", "LLd misses:"].map(|label| {
        let line = text
            .lines()
            .find_map(|line| Some(line.split_once(label)?.1));
        let number = line.and_then(|line| line.split_whitespace().next());
        let digits = number.expect("a line of cachegrind's").replace(',', "");
        digits.parse().expect("a number of cachegrind's")
    })
}

fn title() -> String {
    let mut title = format!("{:32}{:>6}", "policy, name", "bytes");
    for how in HOWS {
        write!(title, "{how:>10}{:>7}{:>7}", "D1", "LL").expect("a String takes everything");
    }
    title
}

/// A line of the report.
fn figures(label: &str, image: &str, name: &str, event: &str) -> String {
    let mut line = format!("{label:32}{:6}", name.len());
    let policy = verified(fs::read(image).expect("an image")).expect("a valid image");
    let walks = first_walk(&policy, event_named(event)).is_some();
    for how in HOWS {
        if how == "table" && !walks {
            write!(line, "{:>10}{:>7}{:>7}", "-", "-", "-").expect("a String takes everything");
            continue;
        }
        line.push_str(&figure(how, image, name, event));
    }
    line
}

/// Instructions and misses of one turn.
fn figure(how: &str, image: &str, name: &str, event: &str) -> String {
    let few = counted(FEW, how, image, name, event);
    let many = counted(MANY, how, image, name, event);
    let turns = f64::from(MANY - FEW);
    let each = |index: usize| (many[index] - few[index]) / turns;
    format!("{:10.1}{:7.2}{:7.2}", each(0), each(1), each(2))
}

/// A line of the report for all places in turn. Finding the next name counts, too.
fn in_turn(places: u32, image: &str, event: &str) -> String {
    let names: Vec<String> = (0..places - 3).map(place).collect();
    let bytes = names.iter().map(String::len).sum::<usize>() / names.len();
    let file = stored("names", names.join("\n").as_bytes());
    let figure = figure("turns", image, &file, event);
    fs::remove_file(file).expect("the temporary file");
    format!("{:32}{bytes:6}{figure}", "  all places in turn")
}

/// Names as they occur in trees of files.
fn place(index: u32) -> String {
    let (a, b, c) = (
        index % 17,
        index / 17 % 29,
        index.wrapping_mul(2_654_435_761) >> 12,
    );
    format!("/srv/projects/team-{a}/service-{b}/src/module_{c:x}/part{index}")
}

/// A policy text with so many places, and the event that its tables are measured at.
fn policy(kind: &str, places: u32) -> (String, &'static str) {
    // Beside places that only the larger policies have stand those that the measured names lie under.
    let fixed = ["/usr/lib", "/etc", "/home/user/work"].map(str::to_string);
    let places: Vec<String> = fixed
        .into_iter()
        .chain((0..places - 3).map(place))
        .collect();
    let listed: Vec<String> = places.iter().map(|place| format!("{place:?}")).collect();
    let listed = listed.join(", ");
    let (text, event) = match kind {
        "under" => (format!("on vfs.getname {{ allow path under {listed}\n default deny EACCES }}\n"), "vfs.getname"),
        "under, search" => (
            format!(
                "on vfs.getname {{ deny EACCES path matches \"**/.env\"\n deny EACCES path contains \"..\"\n\
                 allow path under {listed}\n default deny EACCES }}\n"
            ),
            "vfs.getname",
        ),
        "paths" => (format!("paths {{ read {listed} }}\n"), "vfs.pick"),
        _ => (format!("paths {{ deny \"**/.env\", \"**/*.key\"\n read {listed} }}\n"), "vfs.pick"),
    };
    (text, event)
}

fn report() {
    println!("{}", title());
    for kind in ["under", "under, search", "paths", "paths, search"] {
        for places in [3, 100, 10_000] {
            let (text, event) = policy(kind, places);
            let compiled = match compile("walk.evf", &text, &Memory::new()) {
                Ok(compiled) => compiled,
                Err(error) => panic!("{}", error.render(false)),
            };
            let image = stored("report", &compiled.image);
            println!(
                "{kind}, {places} places: image of {} bytes",
                compiled.image.len()
            );
            for (label, name) in names(places) {
                println!("{}", figures(&format!("  {label}"), &image, &name, event));
            }
            if places > 3 {
                println!("{}", in_turn(places, &image, event));
            }
            fs::remove_file(image).expect("the temporary file");
        }
    }
}

/// The names that are looked up: allowed early and late, refused, and long.
fn names(places: u32) -> Vec<(&'static str, String)> {
    let mut names = vec![
        ("a library, 20 bytes", "/usr/lib/libgcc_s.so".to_string()),
        ("short, refused", "/opt/".to_string()),
        (
            "allowed, 200 bytes",
            format!("/home/user/work{}", "/directory".repeat(20)),
        ),
        (
            "refused, 200 bytes",
            format!("/home/user/wxyz{}", "/directory".repeat(20)),
        ),
    ];
    names.iter_mut().for_each(|(_, name)| name.truncate(200));
    if places > 3 {
        let last = place(places - 4);
        names.push(("the last place", last.clone()));
        names.push((
            "below the last place",
            format!("{last}/{}", "x".repeat(200 - last.len() - 1)),
        ));
        names.push(("beside the last place", last[..last.len() - 1].to_string()));
    }
    names
}

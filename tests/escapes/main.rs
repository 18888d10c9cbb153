// SPDX-License-Identifier: GPL-2.0
//! `evf-escapes`: tries the ways out of a sandbox, one at a time.
//!
//! For a guest only, as root: cases mount, trace, kill, and set what the kernel runs.

use std::process::{Command, ExitCode};

use guest_tests::corpus;
use guest_tests::corpus::case::{Case, Expect, Under};
use guest_tests::corpus::judge::{Finding, judge};
use guest_tests::slow;
use guest_tests::sys::signal::end_with_the_reader;

const HELP: &str = "\
Tries ways out of a sandbox, to see which of them a policy stops. Run it in a guest only, as root.

Usage: evf-escapes --list [--class CLASS]
       evf-escapes --case CLASS::NAME [--policy POLICY] [--show] [--slow N]
       evf-escapes --table [--class CLASS]

  --list           print class, name, what is tried, what counts as out, the reference, and what is expected
  --class CLASS    only cases of this class
  --case NAME      run this case
  --policy POLICY  under which policy: none, name-only or paths (the default)
  --show           print the policy before the case runs
  --slow N         this kernel takes N times the stock one's time: a case has so much longer
  --table          run all cases under all policies and print a table; each case in a process of its own
  --help           print this

The status is 0 if the case ended as expected, 1 if not, 2 for wrong arguments, and 77 if it cannot run here.
Without a policy each case must get out: that is what proves that it works. In the table, a result in capitals is not the expected one.
";

/// Exit status of a case that cannot run in this guest.
const SKIPPED: u8 = 77;

#[derive(Default)]
struct Arguments {
    list: bool,
    table: bool,
    show: bool,
    class: Option<String>,
    case: Option<String>,
    policy: Option<String>,
    slow: Option<u32>,
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
        let mut arguments = Arguments::default();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--slow" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let number = number.filter(|&number| number > 0);
                    arguments.slow = Some(number.ok_or("--slow needs a number above 0")?);
                }
                "--list" => arguments.list = true,
                "--table" => arguments.table = true,
                "--show" => arguments.show = true,
                "--class" | "--case" | "--policy" => {
                    let value = words.next().ok_or(format!("{word} needs a word"))?;
                    let slot = match word.as_str() {
                        "--class" => &mut arguments.class,
                        "--case" => &mut arguments.case,
                        _ => &mut arguments.policy,
                    };
                    *slot = Some(value);
                }
                _ => return Err(format!("unknown argument {word:?}; see --help")),
            }
        }
        Ok(Some(arguments))
    }

    fn under(&self) -> Result<Under, String> {
        let word = self.policy.as_deref().unwrap_or("paths");
        Under::ALL
            .into_iter()
            .find(|under| under.word() == word)
            .ok_or(format!("no policy {word:?}: none, name-only or paths"))
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => return wrong(&message),
    };
    slow::FACTOR.get_or_init(|| arguments.slow.unwrap_or(1));
    let mut cases = corpus::all();
    if let Some(class) = &arguments.class {
        cases.retain(|case| case.class == class);
    }
    if let Some(name) = &arguments.case {
        cases.retain(|case| case.full_name() == *name);
    }
    if cases.is_empty() {
        return wrong("no such case; see --list");
    }
    if arguments.list || arguments.table {
        end_with_the_reader();
    }
    if arguments.list {
        for case in &cases {
            println!(
                "{}\n    {}\n    out if {}; see {}\n    name-only: {}; paths: {}",
                case.full_name(),
                case.tries,
                case.proof.text(),
                case.reference,
                expected(case.names),
                expected(case.paths)
            );
        }
        return ExitCode::SUCCESS;
    }
    if arguments.table {
        return table(&cases);
    }
    match (arguments.under(), &arguments.case) {
        (Err(message), _) => wrong(&message),
        (_, None) => wrong("--list, --table or --case NAME; see --help"),
        (Ok(under), Some(_)) => one(&cases[0], under, arguments.show),
    }
}

fn expected(expect: Expect) -> &'static str {
    match expect {
        Expect::Escapes => "out",
        Expect::Stopped => "stopped",
        Expect::Limit(_) => "out (a known limit)",
    }
}

fn wrong(message: &str) -> ExitCode {
    eprintln!("evf-escapes: {message}");
    ExitCode::from(2)
}

/// The word for a finding; what was met comes behind it.
fn word(finding: &Finding) -> (&'static str, &str) {
    match finding {
        Finding::Out => ("out", ""),
        Finding::In(text) => ("stopped", text),
        Finding::Skipped(text) => ("skipped", text),
        Finding::Broken(text) => ("broken", text),
    }
}

fn one(case: &Case, under: Under, show: bool) -> ExitCode {
    if show {
        match corpus::policy::text(case, under) {
            Some(text) => print!("{text}"),
            None => println!("no policy"),
        }
    }
    let finding = judge(case, under);
    let (word, text) = word(&finding);
    let expect = case.expect(under);
    println!("{word} {text}");
    if let Finding::Skipped(_) = finding {
        return ExitCode::from(SKIPPED);
    }
    if finding.is(expect) {
        if let Expect::Limit(sentence) = expect {
            println!("a known limit: {sentence}");
        }
        return ExitCode::SUCCESS;
    }
    println!(
        "{} under {}: expected was {}\ntried: {}\nreference: {}",
        case.full_name(),
        under.word(),
        expected(expect),
        case.tries,
        case.reference
    );
    ExitCode::FAILURE
}

/// Runs all cases under all policies, each by a program of its own, since a case gives up the mounts of its process.
fn table(cases: &[Case]) -> ExitCode {
    let program = std::env::current_exe().expect("the program's own name");
    let mut bad = 0;
    println!(
        "{:<44} {:<10} {:<10} {:<10} reference",
        "case", "none", "name-only", "paths"
    );
    for case in cases {
        let mut cells = Vec::new();
        for under in Under::ALL {
            let output = Command::new(&program)
                .args(["--case", &case.full_name(), "--policy", under.word()])
                .output()
                .expect("run a case");
            let said = String::from_utf8_lossy(&output.stdout);
            let cell = said.split_whitespace().next().unwrap_or("nothing");
            let expected = output.status.success() || output.status.code() == Some(77);
            bad += usize::from(!expected);
            let limit = matches!(case.expect(under), Expect::Limit(_));
            cells.push(match (expected, limit) {
                (false, _) => format!("{}!", cell.to_uppercase()),
                (true, true) => format!("{cell} (limit)"),
                (true, false) => cell.to_owned(),
            });
        }
        println!(
            "{:<44} {:<10} {:<10} {:<10} {}",
            case.full_name(),
            cells[0],
            cells[1],
            cells[2],
            case.reference
        );
    }
    println!("{} cases, {bad} results not as expected", cases.len());
    ExitCode::from(u8::from(bad != 0))
}

// SPDX-License-Identifier: GPL-2.0
//! The live demonstration: the sandbox that Ingo Molnar described in 2011, at work on an unmodified kernel.
//!
//! Each attempt is made twice, by a child without a filter and by one under it. What the kernel answered is printed beside the rule
//! that decides, which is found by judging the same record in user space; where the two do not agree, the line is a failure.

#![deny(unsafe_code)]

mod attempt;
mod cell;
mod judge;
mod race;
mod report;
mod sections;
mod stage;
#[expect(
    unsafe_code,
    reason = "the attacker's side of the demonstration: raw system calls on memory that changes under them"
)]
mod sys;
mod way;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::report::Report;
use crate::sections::Show;

/// Shows the filter at work: every line is something that was tried just now, and ends in the rule that decided it.
///
/// Started as root it lays out a few files under /home and becomes the ordinary user 1000; all the rest is done by that
/// user. It ends with the number of checks that held and failed, and with status 1 if one failed.
#[derive(Debug, Parser)]
#[command(name = "evf-demo", version, after_help = EXAMPLES)]
struct Options {
    /// List the sections and do nothing else
    #[arg(long)]
    list: bool,

    /// Show this section only; may be repeated
    #[arg(long = "section", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=sections::ALL.len() as i64))]
    sections: Vec<u32>,

    /// Opens of the race against the kernel's filter
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    opens: u64,

    /// Opens of the races against no filter and against the supervisor in user space, which is far slower
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    supervised: u64,

    /// Directory of the policies
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/usr/share/evfilter/policies"
    )]
    policies: PathBuf,

    /// The evf command
    #[arg(long, value_name = "PATH", default_value = "/usr/bin/evf")]
    evf: PathBuf,

    /// Open this name, exit with the errno: what a confined child executes
    #[arg(long, value_name = "NAME", hide = true, exclusive = true)]
    probe: Option<OsString>,
}

const EXAMPLES: &str = "Examples:
  evf-demo                          everything
  evf-demo --section 5              the race alone
  evf-demo --section 5 --opens 1000000";

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(name) = &options.probe {
        return ExitCode::from(way::probe(name));
    }
    match demonstrate(options) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("evf-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(options: Options) -> Result<u8> {
    if options.list {
        for section in &sections::ALL {
            println!("{} {}", section.number, section.title);
        }
        return Ok(0);
    }
    if rustix::process::geteuid().is_root() {
        stage::set_up().context("laying out the files")?;
        match stage::become_user()? {}
    }
    stage::check()?;
    let policies = options.policies;
    ensure!(
        policies.is_dir(),
        "{}: no such directory",
        policies.display()
    );
    std::env::set_current_dir(stage::HOME).context(stage::HOME)?;

    let mut show = Show {
        report: Report::new(std::io::stdout()),
        policies,
        evf: options.evf,
        opens: options.opens,
        fewer: options.supervised,
    };
    let wanted = |number| options.sections.is_empty() || options.sections.contains(&number);
    for section in sections::ALL
        .iter()
        .filter(|section| wanted(section.number))
    {
        section.show(&mut show)?;
    }
    Ok(show.report.finish()?)
}

// SPDX-License-Identifier: GPL-2.0
//! `evf man`: manual pages, made from the same definitions as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::failure::Failure;

/// Write manual pages, or print one
///
/// With --output the pages evf.1, evf-run.1, ... are written into a directory; without it one page goes to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evf man | man -l -        read evf(1)
  evf man run | man -l -    read evf-run(1)
  evf man --output ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The verb whose page is printed; without it the page of evf itself
    #[arg(conflicts_with = "output")]
    verb: Option<String>,

    /// Write all pages into this directory, which is made if need be
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// A page: its name without the section, and its text in roff.
struct Page {
    name: String,
    roff: Vec<u8>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let pages = pages().map_err(|error| Failure::new(format!("cannot make the pages: {error}")))?;
    if let Some(directory) = &args.output {
        let failed = |error: io::Error| {
            Failure::new(format!("cannot write to {}: {error}", directory.display()))
        };
        fs::create_dir_all(directory).map_err(failed)?;
        for page in &pages {
            fs::write(directory.join(format!("{}.1", page.name)), &page.roff).map_err(failed)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name = match &args.verb {
        Some(verb) => format!("evf-{verb}"),
        None => "evf".to_owned(),
    };
    let page = pages.iter().find(|page| page.name == name).ok_or_else(|| {
        Failure::new(format!("there is no page {name}(1)")).help("`evf --help` lists the verbs")
    })?;
    io::stdout()
        .write_all(&page.roff)
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn pages() -> io::Result<Vec<Page>> {
    let mut root = crate::args::Args::command();
    root.build();
    let mut pages = vec![page("evf".to_owned(), root.clone())?];
    add_pages("evf", &root, &mut pages)?;
    Ok(pages)
}

/// Adds a page for each verb below `command`, whose own page is `name`.
fn add_pages(name: &str, command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    for verb in command.get_subcommands() {
        let name = format!("{name}-{}", verb.get_name());
        pages.push(page(name.clone(), verb.clone().name(name.clone()))?);
        add_pages(&name, verb, pages)?;
    }
    Ok(())
}

fn page(name: String, command: Command) -> io::Result<Page> {
    let mut roff = Vec::new();
    Man::new(command).manual("evfilter").render(&mut roff)?;
    Ok(Page { name, roff })
}

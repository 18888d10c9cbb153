// SPDX-License-Identifier: GPL-2.0
//! The order of a whole run: quiet, then setting by setting, each in a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::deed::Deed;
use crate::plan;
use crate::programs;
use crate::report;
use crate::setting::{Setting, System};
use crate::stage;
use crate::sys::{address, call, checked, number};

const MODULE: &str = "/lib/modules/evfilter.ko";
/// Until then the kernel is still busy with what it left for later at boot. The emulator skips time in which nothing happens.
const QUIET: Duration = Duration::from_secs(30);

/// The two passes over all settings. Memory is the last: once there is a control group, everybody's memory is counted, and making a process costs more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Instructions,
    Memory,
}

/// What is measured under one setting.
struct Work {
    setting: &'static str,
    parsed: Setting,
    deeds: Vec<String>,
}

impl Work {
    /// The deeds of a pass, process by process: setting up is measured apart, so that it leaves nothing behind where the others are.
    fn runs(&self, pass: Pass) -> Vec<Vec<String>> {
        let kind = |deed: &str| match Deed::parse(deed) {
            Some(Deed::Memory) => (Pass::Memory, false),
            Some(Deed::Setup) => (Pass::Instructions, true),
            _ => (Pass::Instructions, false),
        };
        let of = |apart: bool| -> Vec<String> {
            let wanted = |deed: &&String| kind(deed) == (pass, apart);
            self.deeds.iter().filter(wanted).cloned().collect()
        };
        let runs = [of(true), of(false)];
        runs.into_iter().filter(|deeds| !deeds.is_empty()).collect()
    }
}

/// Measures the figures that `filters` choose (all of them if there is none), and those without a filter that they are compared with.
pub(crate) fn run(filters: &[String]) -> Result<(), String> {
    let work = chosen(filters)?;
    if work.is_empty() {
        return Err("no figure has such a name; `evf-bench --list` shows them".to_owned());
    }
    let places = work.iter().map(|it| it.parsed.places()).max().unwrap_or(1);
    stage::set(places).map_err(|error| format!("make the files: {error}"))?;
    let is_program = |deed: &String| matches!(Deed::parse(deed), Some(Deed::Program(_)));
    if work.iter().any(|it| it.deeds.iter().any(is_program)) {
        report::now("making a tree for programs").map_err(|error| error.to_string())?;
        programs::set()?;
    }
    report::now("waiting until the kernel is quiet").map_err(|error| error.to_string())?;
    std::thread::sleep(QUIET);
    let mut loaded = false;
    for pass in [Pass::Instructions, Pass::Memory] {
        for it in &work {
            let runs = it.runs(pass);
            if runs.is_empty() {
                continue;
            }
            if it.parsed.wants_module() && !loaded {
                load_module()?;
                loaded = true;
                std::thread::sleep(QUIET);
            }
            report::now(it.setting).map_err(|error| error.to_string())?;
            child(&["compile", it.setting], &[])?;
            let _bystander = match it.parsed.bystander() {
                Some(confined) => Some(Bystander::start(&confined)?),
                None => None,
            };
            for deeds in runs {
                child(&["measure", it.setting], &deeds)?;
            }
        }
    }
    Ok(())
}

fn chosen(filters: &[String]) -> Result<Vec<Work>, String> {
    let wanted = |figure: &str| {
        filters.is_empty()
            || filters
                .iter()
                .any(|words| words.split_whitespace().all(|word| figure.contains(word)))
    };
    let all: Vec<String> = plan::all().filter(|figure| wanted(figure)).collect();
    let has = |figure: &String| all.contains(figure);
    let mut work = Vec::new();
    for setting in plan::settings() {
        let parsed =
            Setting::parse(setting).ok_or_else(|| format!("{setting}: no such setting"))?;
        let compared = |deed: &str| {
            parsed.system == System::None
                && all
                    .iter()
                    .any(|figure| figure.split(' ').next() == Some(deed))
        };
        let deeds: Vec<String> = plan::deeds(setting)
            .iter()
            .map(ToString::to_string)
            .filter(|deed| has(&format!("{deed} {setting}")) || compared(deed))
            .collect();
        if !deeds.is_empty() {
            work.push(Work {
                setting,
                parsed,
                deeds,
            });
        }
    }
    Ok(work)
}

/// Runs this program again, in a new address space.
fn child(words: &[&str], more: &[String]) -> Result<(), String> {
    let status = Command::new("/proc/self/exe")
        .args(words)
        .args(more)
        .status()
        .map_err(|error| format!("start the program again: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", words.join(" ")))
    }
}

/// Loads the module, the way insmod does.
fn load_module() -> Result<(), String> {
    let file = fs::File::open(MODULE).map_err(|error| format!("{MODULE}: {error}"))?;
    let file = file.into();
    let args = [number(&file), address(c""), 0, 0, 0, 0];
    checked(call(libc::SYS_finit_module, args)).map_err(|error| format!("{MODULE}: {error}"))?;
    Ok(())
}

/// Another process that is under a policy of evfilter.
struct Bystander(Child);

impl Bystander {
    /// Starts one under the setting called `confined`.
    fn start(confined: &str) -> Result<Self, String> {
        child(&["compile", confined], &[])?;
        let child = Command::new("/proc/self/exe")
            .args(["stay", confined])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("start a bystander: {error}"))?;
        let mut bystander = Self(child);
        let mut line = String::new();
        if let Some(out) = bystander.0.stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
        }
        if line == "ready\n" {
            Ok(bystander)
        } else {
            Err(format!("the bystander is not under {confined}"))
        }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It waits for nothing else.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

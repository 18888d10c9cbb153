// SPDX-License-Identifier: GPL-2.0
//! The order of a whole run: quiet, then setting by setting, each in a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::plan;
use crate::policy;
use crate::report;
use crate::setting::{Setting, System};
use crate::stage;
use crate::sys::{address, call, checked, number};

const MODULE: &str = "/lib/modules/evfilter.ko";
/// Until then the kernel is still busy with what it left for later at boot. The emulator skips time in which nothing happens.
const QUIET: Duration = Duration::from_secs(30);

/// What is measured under one setting.
struct Work {
    setting: &'static str,
    parsed: Setting,
    deeds: Vec<String>,
}

/// Measures the figures that `filters` choose (all of them if there is none), and those without a filter that they are compared with.
pub(crate) fn run(filters: &[String]) -> Result<(), String> {
    let work = chosen(filters)?;
    if work.is_empty() {
        return Err("no figure has such a name; `evf-bench --list` shows them".to_owned());
    }
    let places = work.iter().map(|it| it.parsed.places()).max().unwrap_or(1);
    stage::set(places).map_err(|error| format!("make the files: {error}"))?;
    report::now("waiting until the kernel is quiet").map_err(|error| error.to_string())?;
    std::thread::sleep(QUIET);
    let mut loaded = false;
    for Work {
        setting,
        parsed,
        deeds,
    } in &work
    {
        if parsed.wants_module() && !loaded {
            load_module()?;
            loaded = true;
            std::thread::sleep(QUIET);
        }
        report::now(setting).map_err(|error| error.to_string())?;
        if policy::is_compiled(parsed) {
            child(&["compile", setting], &[])?;
        }
        let _bystander = match parsed.system {
            System::Bystander => Some(Bystander::start(setting)?),
            _ => None,
        };
        child(&["measure", setting], deeds)?;
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
    fn start(setting: &str) -> Result<Self, String> {
        let confined = setting.replacen("bystander", "evfilter", 1);
        let child = Command::new("/proc/self/exe")
            .args(["stay", &confined])
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
            Err(format!(
                "the bystander of {setting} is not under its policy"
            ))
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

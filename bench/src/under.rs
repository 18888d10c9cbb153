// SPDX-License-Identifier: GPL-2.0
//! One process under one setting: puts it into force, makes sure that it filters, measures.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use evfilter::{Control, Error};

use crate::attach::{Prepared, chain};
use crate::deed::{self, Deed};
use crate::memory;
use crate::policy::{self, REFUSED_CALL};
use crate::report;
use crate::setting::{Kind, Setting, System};
use crate::setup;
use crate::stage;
use crate::sys::call;

/// Measures `deeds` under the setting called `name`.
pub(crate) fn measure(name: &str, deeds: &[&str]) -> Result<(), String> {
    let setting = parsed(name)?;
    let prepared = Prepared::new(&setting)?;
    match deeds {
        ["setup"] => setup::measure(&setting, &prepared).and_then(|value| {
            report::figure(&format!("setup {name}"), value).map_err(|error| error.to_string())
        }),
        ["memory"] => memory::measure(&prepared).and_then(|value| {
            report::figure(&format!("memory {name}"), value).map_err(|error| error.to_string())
        }),
        _ => {
            prepared.attach()?;
            verify(&setting)
                .map_err(|error| format!("{name} does not filter as it should: {error}"))?;
            // Filters outlive an exec. After it the address space is the same under every setting, whatever it took to get there.
            let program = match setting.kind {
                Kind::Tools | Kind::ToolsName => stage::SELF_INSTALLED,
                _ => stage::SELF,
            };
            let error = Command::new(program)
                .args(["deeds", name])
                .args(deeds)
                .exec();
            Err(format!("{program} under {name}: {error}"))
        }
    }
}

/// Measures `deeds` as this process is, and calls that the setting `name`. All of it is reported at the end: nothing is written while it is measured.
pub(crate) fn deeds(name: &str, deeds: &[&str]) -> Result<(), String> {
    let mut figures = Vec::new();
    for deed in deeds {
        let known = Deed::parse(deed).ok_or_else(|| format!("{deed}: no such deed"))?;
        let value = known
            .measure()
            .map_err(|error| format!("{deed} under {name}: {error}"))?;
        figures.push((format!("{deed} {name}"), value));
    }
    figures
        .iter()
        .try_for_each(|(figure, value)| report::figure(figure, *value))
        .map_err(|error| error.to_string())
}

/// Puts the setting called `name` into force, says so and stays until it is killed: a bystander.
pub(crate) fn stay(name: &str) -> Result<(), String> {
    let setting = parsed(name)?;
    Prepared::new(&setting)?.attach()?;
    verify(&setting)?;
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())?;
    loop {
        std::thread::park();
    }
}

fn parsed(name: &str) -> Result<Setting, String> {
    Setting::parse(name).ok_or_else(|| format!("{name}: no such setting"))
}

/// Makes sure that what should be refused is, and nothing else; and that the module is there or not.
fn verify(setting: &Setting) -> Result<(), String> {
    let layers = match Control::open() {
        Ok(control) => Some(control.info().map_err(|error| chain(&error))?.layers as usize),
        Err(Error::NotLoaded) => None,
        Err(error) => return Err(chain(&error)),
    };
    let expected = match setting.system {
        System::Evfilter | System::Text => Some(setting.layers),
        _ => setting.wants_module().then_some(0),
    };
    let confined = !matches!(
        setting.system,
        System::None | System::Loaded | System::Bystander
    );
    // The last layer is the one that could have been forgotten.
    let last = if setting.same { 0 } else { setting.layers - 1 };
    let getppid = |value| call(libc::SYS_getppid, [value, 0, 0, 0, 0, 0]).min(0);
    let personality = || call(REFUSED_CALL, [0xffff_ffff, 0, 0, 0, 0, 0]).min(0);
    let (refused, errno) = match setting.kind {
        _ if !confined => (personality() | deed::open_forbidden() | getppid(1), 0),
        Kind::Nothing | Kind::All => (0, 0),
        Kind::Numbers => (personality(), libc::EPERM),
        Kind::Args(count) => (getppid(policy::refused_value(count, last)), libc::EPERM),
        Kind::Name(_) | Kind::Object(_) | Kind::Paths(_) | Kind::Grants(_) | Kind::Rules(_) => {
            (deed::open_forbidden(), libc::EACCES)
        }
        Kind::Tools | Kind::ToolsName => (deed::open_outside(), libc::EACCES),
    };
    let allowed = (getppid(0), deed::open_allowed());
    if layers != expected {
        return Err(format!(
            "{layers:?} layers of evfilter (None: not loaded), {expected:?} expected"
        ));
    }
    if refused != -i64::from(errno) {
        return Err(format!("what is to be refused with {errno} gave {refused}"));
    }
    if allowed != (0, 0) {
        return Err(format!(
            "getppid and open are to be allowed and gave {allowed:?}"
        ));
    }
    Ok(())
}

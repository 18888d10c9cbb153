// SPDX-License-Identifier: GPL-2.0
//! One process under one setting: attaches it, makes sure that it filters, measures.

use std::fs;
use std::io::Write as _;

use evfilter::{Control, Error, Filter};

use crate::deed::{self, Deed};
use crate::landlock;
use crate::policy::{self, REFUSED_CALL};
use crate::report;
use crate::seccomp;
use crate::setting::{Kind, Setting, System};
use crate::sys::call;

/// Measures `deeds` under the setting called `name`. All of it is reported at the end: nothing is written while it is measured.
pub(crate) fn measure(name: &str, deeds: &[&str]) -> Result<(), String> {
    let setting = Setting::parse(name).ok_or_else(|| format!("{name}: no such setting"))?;
    attach(&setting)?;
    verify(&setting).map_err(|error| format!("{name} does not filter as it should: {error}"))?;
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

/// Attaches the setting called `name`, says so and stays until it is killed: a bystander.
pub(crate) fn stay(name: &str) -> Result<(), String> {
    let setting = Setting::parse(name).ok_or_else(|| format!("{name}: no such setting"))?;
    attach(&setting)?;
    verify(&setting)?;
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())?;
    loop {
        std::thread::park();
    }
}

/// Attaches what the setting says to this process.
fn attach(setting: &Setting) -> Result<(), String> {
    if setting.system == System::Seccomp || setting.system == System::Landlock {
        evfilter::set_no_new_privs().map_err(|error| error.to_string())?;
    }
    match (setting.system, setting.kind) {
        (System::None | System::Loaded | System::Bystander, _) => Ok(()),
        (System::Seccomp, kind) => (0..setting.layers).try_for_each(|layer| {
            let code = policy::program(kind, layer)?;
            seccomp::install(&code).map_err(|error| format!("seccomp: {error}"))
        }),
        (System::Landlock, Kind::Rules(rules)) => (0..setting.layers).try_for_each(|_| {
            landlock::restrict(rules, &[]).map_err(|error| format!("landlock: {error}"))
        }),
        (System::Landlock, kind) => Err(format!("Landlock knows no {kind}")),
        (System::Evfilter, _) => push(setting).map_err(|error| chain(&error)),
    }
}

/// Loads the images, then pushes them.
fn push(setting: &Setting) -> Result<(), Error> {
    let control = Control::open()?;
    let mut filters: Vec<Filter> = Vec::new();
    for path in policy::images(setting) {
        let image = fs::read(&path).map_err(|source| Error::Read { path, source })?;
        filters.push(control.load_image(&image)?);
    }
    evfilter::set_no_new_privs()?;
    let pushed = filters.iter().cycle().take(setting.layers);
    pushed
        .into_iter()
        .try_for_each(|filter| control.restrict_self(filter))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Makes sure that what should be refused is, and nothing else; and that the module is there or not.
fn verify(setting: &Setting) -> Result<(), String> {
    let layers = match Control::open() {
        Ok(control) => Some(control.info().map_err(|error| chain(&error))?.layers as usize),
        Err(Error::NotLoaded) => None,
        Err(error) => return Err(chain(&error)),
    };
    let expected = match setting.system {
        System::None | System::Seccomp | System::Landlock => None,
        System::Loaded | System::Bystander => Some(0),
        System::Evfilter => Some(setting.layers),
    };
    let confined = matches!(
        setting.system,
        System::Seccomp | System::Landlock | System::Evfilter
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
        Kind::Name(_) | Kind::Object(_) | Kind::Paths(_) | Kind::Rules(_) => {
            (deed::open_forbidden(), libc::EACCES)
        }
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

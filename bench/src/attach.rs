// SPDX-License-Identifier: GPL-2.0
//! Putting a setting into force on this process.

use std::fs;

use evfilter::{Control, Error, Filter, Policy};

use crate::landlock;
use crate::policy;
use crate::seccomp;
use crate::setting::{Kind, Setting, System};

/// A setting with all that is needed to put it into force.
pub(crate) struct Prepared {
    setting: Setting,
    /// What is loaded, layer by layer; the same for all if there is one only.
    files: Vec<Vec<u8>>,
}

impl Prepared {
    /// Reads what [`policy::compile`] has made.
    pub(crate) fn new(setting: &Setting) -> Result<Self, String> {
        let read = |path: &std::path::PathBuf| {
            fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            setting: *setting,
            files: policy::files(setting)
                .iter()
                .map(read)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Puts it into force, no_new_privs included where it is needed.
    pub(crate) fn attach(&self) -> Result<(), String> {
        match (self.setting.system, self.setting.kind) {
            (System::None | System::Loaded | System::Bystander, _) => Ok(()),
            (System::Seccomp, _) => {
                evfilter::set_no_new_privs().map_err(|error| error.to_string())?;
                self.files.iter().try_for_each(|code| {
                    seccomp::install(code).map_err(|error| format!("seccomp: {error}"))
                })
            }
            (System::Landlock, kind) => {
                evfilter::set_no_new_privs().map_err(|error| error.to_string())?;
                (0..self.setting.layers)
                    .try_for_each(|_| landlock::restrict(kind))
                    .map_err(|error| format!("landlock: {error}"))
            }
            (System::Evfilter, _) => self.push().map_err(|error| chain(&error)),
            (System::Text, kind) => from_text(kind).map_err(|error| chain(&error)),
            (System::Libseccomp, _) => Err("libseccomp is used by a program of its own".to_owned()),
        }
    }

    /// Loads the images, then pushes them.
    fn push(&self) -> Result<(), Error> {
        let control = Control::open()?;
        let load = |image: &Vec<u8>| control.load_image(image);
        let filters: Vec<Filter> = self.files.iter().map(load).collect::<Result<_, _>>()?;
        evfilter::set_no_new_privs()?;
        let mut pushed = filters.iter().cycle().take(self.setting.layers);
        pushed.try_for_each(|filter| control.restrict_self(filter))
    }
}

fn from_text(kind: Kind) -> Result<(), Error> {
    let policy = Policy::parse(&policy::text(kind, 0))?;
    let control = Control::open()?;
    let filter = control.load(&policy)?;
    evfilter::set_no_new_privs()?;
    control.restrict_self(&filter)
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

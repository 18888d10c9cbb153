// SPDX-License-Identifier: GPL-2.0
//! Which deeds are measured under which settings, in order: what wants no module comes first, since hooks stay until it goes; what hooks more comes
//! after what hooks less.

use crate::deed::Deed;
use crate::programs;
use crate::setting::Setting;
use crate::stage::LENGTHS;

/// Settings for everything that a program does. `seccomp/numbers/x64` is not among them: seccomp takes at most 32,768 instructions a task.
const SETTINGS: [&str; 56] = [
    "none",
    "seccomp/all",
    "seccomp/numbers",
    "seccomp/numbers/x4",
    "seccomp/numbers/x16",
    "seccomp/args-10",
    "seccomp/args-10/x4",
    "seccomp/args-10/x16",
    "seccomp/args-10/x64",
    "seccomp/args-100",
    "landlock/1",
    "landlock/10",
    "landlock/1000",
    "landlock/10000",
    "landlock/10/x4",
    "landlock/10/x16",
    "loaded",
    "evfilter/all",
    "evfilter/numbers",
    "evfilter/numbers/x4",
    "evfilter/numbers/x16",
    "evfilter/numbers/x64",
    "evfilter/args-10",
    "evfilter/args-10/x4",
    "evfilter/args-10/x16",
    "evfilter/args-10/x64",
    "evfilter/args-100",
    "bystander/name-10",
    "evfilter/name-1",
    "evfilter/name-3",
    "evfilter/name-10",
    "evfilter/name-1000",
    "evfilter/name-10000",
    "evfilter/name-10/x4",
    "evfilter/name-10/x16",
    "evfilter/name-10/x16-same",
    "evfilter/name-10/x64",
    "bystander/object-10",
    "evfilter/object-1",
    "evfilter/object-10",
    "evfilter/object-1000",
    "evfilter/object-10000",
    "evfilter/object-10/x4",
    "evfilter/object-10/x16",
    "evfilter/object-10/x64",
    "evfilter/grants-1",
    "evfilter/grants-10",
    "evfilter/grants-1000",
    "evfilter/grants-10000",
    "evfilter/grants-10/x16",
    "bystander/paths-10",
    "evfilter/paths-10",
    "evfilter/paths-10000",
    "evfilter/paths-10/x16",
    "evfilter/numbers/hooked",
    "evfilter/name-10/hooked",
];
/// Settings for the deeds with long names.
const NAMED: [&str; 9] = [
    "none",
    "landlock/10",
    "evfilter/name-3",
    "evfilter/name-1000",
    "evfilter/name-10000",
    "evfilter/name-10/x16",
    "evfilter/object-10",
    "evfilter/grants-10",
    "evfilter/paths-10",
];
/// Settings that are timed while they are put into force.
const SETUP: [&str; 15] = [
    "seccomp/numbers",
    "libseccomp/numbers",
    "landlock/10",
    "landlock/1000",
    "landlock/10000",
    "evfilter/numbers",
    "evfilter-text/numbers",
    "evfilter/name-10/x16",
    "evfilter/name-10/x64",
    "evfilter/name-10000",
    "evfilter/grants-10",
    "evfilter/grants-1000",
    "evfilter/grants-10000",
    "evfilter-text/grants-10",
    "evfilter-text/grants-10000",
];
/// Settings whose memory is measured.
const MEMORY: [&str; 18] = [
    "seccomp/numbers",
    "seccomp/args-10",
    "seccomp/args-10/x16",
    "seccomp/args-10/x64",
    "landlock/10",
    "landlock/10/x16",
    "landlock/10000",
    "evfilter/numbers",
    "evfilter/args-10",
    "evfilter/args-10/x16",
    "evfilter/args-10/x64",
    "evfilter/args-10/x64-same",
    "evfilter/name-10/x64",
    "evfilter/grants-10",
    "evfilter/grants-10/x16",
    "evfilter/name-10000",
    "evfilter/grants-10000",
    "evfilter/paths-10000",
];
/// Settings under which whole programs run.
const PROGRAMS: [&str; 6] = [
    "none",
    "seccomp/numbers",
    "landlock/tools",
    "evfilter/numbers",
    "evfilter/tools-name",
    "evfilter/tools",
];

/// All settings: those without the module before those with it.
pub(crate) fn settings() -> Vec<&'static str> {
    let mut all: Vec<&str> = Vec::new();
    for setting in [&SETTINGS[..], &SETUP, &MEMORY, &PROGRAMS].concat() {
        if !all.contains(&setting) {
            all.push(setting);
        }
    }
    // A stable sort, so that among each half the order above remains.
    all.sort_by_key(|name| Setting::parse(name).is_some_and(|setting| setting.wants_module()));
    all
}

/// The deeds that are measured under a setting.
pub(crate) fn deeds(setting: &str) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if SETTINGS.contains(&setting) {
        deeds.extend(Deed::ALL);
    }
    if NAMED.contains(&setting) {
        deeds.extend(LENGTHS.map(Deed::OpenNamed));
    }
    if PROGRAMS.contains(&setting) {
        deeds.extend(programs::names().map(Deed::Program));
    }
    if SETUP.contains(&setting) {
        deeds.push(Deed::Setup);
    }
    if MEMORY.contains(&setting) {
        deeds.push(Deed::Memory);
    }
    deeds
}

/// The name of every figure: deed and setting.
pub(crate) fn all() -> impl Iterator<Item = String> {
    settings().into_iter().flat_map(|setting| {
        deeds(setting)
            .into_iter()
            .map(move |deed| format!("{deed} {setting}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_planned_is_understood_and_stands_there_once() {
        let parsed: Vec<Setting> = settings()
            .into_iter()
            .map(|name| Setting::parse(name).unwrap_or_else(|| panic!("{name}")))
            .collect();
        let mut figures: Vec<String> = all().collect();
        for figure in &figures {
            let deed = figure.split(' ').next().and_then(Deed::parse);
            assert!(deed.is_some(), "{figure}");
        }
        let count = figures.len();
        figures.sort();
        figures.dedup();
        assert_eq!(figures.len(), count);
        assert!(parsed.is_sorted_by_key(Setting::wants_module));
    }
}

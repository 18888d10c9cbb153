// SPDX-License-Identifier: GPL-2.0
//! Which deeds are measured under which settings, in order: what wants no module comes first, since hooks stay until it goes.

use crate::deed::Deed;
use crate::stage::LENGTHS;

/// Settings for all deeds. `seccomp/numbers/x64` is not among them: seccomp takes at most 32,768 instructions a task.
const SETTINGS: [&str; 40] = [
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
    "bystander/name-10",
    "bystander/paths-10",
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
    "evfilter/name-1",
    "evfilter/name-3",
    "evfilter/name-10",
    "evfilter/name-1000",
    "evfilter/name-10000",
    "evfilter/name-10/x4",
    "evfilter/name-10/x16",
    "evfilter/name-10/x16-same",
    "evfilter/name-10/x64",
    "evfilter/object-1",
    "evfilter/object-10",
];
/// The same, whose policies take longer to compile.
const OBJECTS: [&str; 8] = [
    "evfilter/object-1000",
    "evfilter/object-10000",
    "evfilter/object-10/x4",
    "evfilter/object-10/x16",
    "evfilter/object-10/x64",
    "evfilter/paths-10",
    "evfilter/paths-10000",
    "evfilter/paths-10/x16",
];
/// Settings for the deeds with long names.
const NAMED: [&str; 8] = [
    "none",
    "landlock/10",
    "evfilter/name-3",
    "evfilter/name-1000",
    "evfilter/name-10000",
    "evfilter/name-10/x16",
    "evfilter/object-10",
    "evfilter/paths-10",
];

/// The settings, in order.
pub(crate) fn settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.into_iter().chain(OBJECTS)
}

/// The deeds that are measured under a setting.
pub(crate) fn deeds(setting: &str) -> Vec<Deed> {
    let mut deeds = Deed::ALL.to_vec();
    if NAMED.contains(&setting) {
        deeds.extend(LENGTHS.map(Deed::OpenNamed));
    }
    deeds
}

/// The name of every figure: deed and setting.
pub(crate) fn all() -> impl Iterator<Item = String> {
    settings().flat_map(|setting| {
        deeds(setting)
            .into_iter()
            .map(move |deed| format!("{deed} {setting}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Setting;

    #[test]
    fn everything_planned_is_understood_and_stands_there_once() {
        let parsed: Vec<Setting> = settings()
            .map(|name| Setting::parse(name).unwrap_or_else(|| panic!("{name}")))
            .collect();
        let mut figures: Vec<String> = all().collect();
        let count = figures.len();
        figures.sort();
        figures.dedup();
        assert_eq!(figures.len(), count);
        // No setting without the module comes after one with it.
        assert!(parsed.is_sorted_by_key(Setting::wants_module));
        assert!(
            NAMED
                .iter()
                .all(|name| settings().any(|known| known == *name))
        );
    }
}

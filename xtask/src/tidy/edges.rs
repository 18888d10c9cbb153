// SPDX-License-Identifier: GPL-2.0

//! Rules about arrows: which crate may use which, and which part of the module may use which.

use std::path::Path;

use super::scan;
use super::{Finding, Source};

/// Our packages and those of ours each may depend on.
const CRATES: [(&str, &[&str]); 10] = [
    ("uapi", &[]),
    ("filters", &[]),
    ("client", &["filters", "uapi"]),
    ("cli", &["client", "filters", "uapi"]),
    ("guest-tests", &["client", "filters", "uapi"]),
    ("demo", &["client", "filters", "uapi"]),
    ("bench", &["client", "filters"]),
    ("fuzz", &["cli", "filters", "uapi"]),
    ("xtask", &[]),
    ("guest-init", &[]),
];

/// The parts of the module, by how far they are from the root: an arrow leads to a higher number.
const RANKS: [(&str, u32); 18] = [
    ("evfilter_main", 0),
    ("hooks", 1),
    ("control", 2),
    ("object", 2),
    ("task", 3),
    ("event", 3),
    ("events", 3),
    ("enforce", 3),
    ("stats", 3),
    ("trace", 3),
    ("attach", LEAVES),
    ("domain", LEAVES),
    ("filter", LEAVES),
    ("walks", LEAVES),
    ("paths", LEAVES),
    ("symbol", LEAVES),
    ("ffi", LEAVES),
    ("limits", 5),
];

/// What is owned and what the kernel's C side owns of it know each other: the ownership that C cannot express is
/// written down in `ffi`.
const LEAVES: u32 = 4;

/// Arrows against the order that must be: `(from, to, why)`.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "ffi",
    "control",
    "the table of file operations is C's, and names what an ioctl calls",
)];

/// Arrows between the crates of the workspace, as their manifests declare them.
pub(crate) fn crates(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.name() == "Cargo.toml")
    {
        let Ok(manifest) = source.text.parse::<toml::Table>() else {
            findings.push(Finding::new(source, 0, "not valid TOML"));
            continue;
        };
        let package = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str);
        let Some(package) = package else { continue };
        let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == package) else {
            continue;
        };
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            for name in table.keys() {
                let ours = CRATES.iter().any(|(ours, _)| ours == name);
                // A crate may name itself for the features of its tests.
                if ours && !allowed.contains(&name.as_str()) && name != package {
                    findings.push(Finding::new(
                        source,
                        0,
                        format!("{package} must not depend on {name}"),
                    ));
                }
            }
        }
    }
    findings
}

/// Arrows inside `module/`, as `crate::` paths draw them.
pub(crate) fn module(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && source.path.starts_with("module"))
    {
        let Some(own) = part(&source.path) else {
            continue;
        };
        let Some(own_rank) = rank(own) else {
            findings.push(Finding::new(
                source,
                0,
                format!("the part {own} has no rank in xtask/src/tidy/edges.rs"),
            ));
            continue;
        };
        for (number, line) in scan::scan(&source.text).iter().enumerate() {
            for used in used_parts(&line.code) {
                // Its own files, and items of the root, whose name is not that of a part.
                let Some(used_rank) = rank(&used).filter(|_| used != own) else {
                    continue;
                };
                if EXCEPTIONS
                    .iter()
                    .any(|(from, to, _)| *from == own && *to == used)
                {
                    continue;
                }
                if used_rank < own_rank || (used_rank == own_rank && own_rank != LEAVES) {
                    findings.push(Finding::new(
                        source,
                        number + 1,
                        format!(
                            "{own} must not use {used}: arrows lead from the root to the leaves"
                        ),
                    ));
                }
            }
        }
    }
    findings
}

/// The part of the module a file belongs to: `module/hooks/task.rs` is part of `hooks`.
fn part(path: &Path) -> Option<&str> {
    let first = path.strip_prefix("module").ok()?.iter().next()?.to_str()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

fn rank(part: &str) -> Option<u32> {
    RANKS
        .iter()
        .find(|(name, _)| *name == part)
        .map(|(_, rank)| *rank)
}

/// The parts that `crate::` paths in a line name, `crate::{a, b::c}` included.
fn used_parts(code: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut parts = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and `some_crate::` are others.
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
        {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => parts.push(word(rest)),
            Some(list) => {
                let mut depth = 1_u32;
                let mut begins = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 1 => break,
                        '}' => depth -= 1,
                        ',' if depth == 1 => begins = true,
                        c if c.is_whitespace() => {}
                        _ if begins && depth == 1 => {
                            parts.push(word(&list[at..]));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    fn manifest(name: &str, rest: &str) -> Source {
        source(
            &format!("{name}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\n{rest}\n"),
        )
    }

    #[test]
    fn forbidden_dependencies_are_found_in_every_table() {
        for (name, rest, expected) in [
            ("filters", "[dependencies]\nuapi = {}", 1),
            ("xtask", "[dev-dependencies]\nfilters.workspace = true", 1),
            ("guest-init", "[build-dependencies]\nclient = {}", 1),
            ("client", "[dependencies]\ncli = {}\nfilters = {}", 1),
            (
                "cli",
                "[dependencies]\nclient = {}\nfilters = {}\nuapi = {}\nclap = \"4\"",
                0,
            ),
            (
                "filters",
                "[dev-dependencies]\nfilters = { features = [\"lang\"] }\nproptest = \"1\"",
                0,
            ),
            ("oracle", "[dependencies]\nfilters = {}", 0),
        ] {
            let found = crates(&[manifest(name, rest)]);
            assert_eq!(found.len(), expected, "{name} {rest}: {found:?}");
        }
    }

    fn arrows(path: &str, text: &str) -> usize {
        module(&[source(path, text)]).len()
    }

    #[test]
    fn arrows_of_the_module_lead_one_way() {
        assert_eq!(
            arrows(
                "module/hooks/task.rs",
                "use crate::{enforce, event};\nuse crate::task;\nuse crate::control;"
            ),
            0
        );
        assert_eq!(
            arrows("module/enforce.rs", "use crate::hooks::Functions;"),
            1
        );
        assert_eq!(
            arrows("module/domain.rs", "use crate::{ffi::Task, task};"),
            1
        );
        assert_eq!(
            arrows(
                "module/ffi/slot.rs",
                "use crate::ffi::Task;\nlet m = crate::Evfilter;\n// crate::hooks"
            ),
            0
        );
        assert_eq!(
            arrows(
                "module/ffi/files.rs",
                "use crate::filter::Filter;\ncrate::control::ioctl();\ncrate::task::f()"
            ),
            1
        );
        assert_eq!(arrows("module/task.rs", "use crate::event::Record;"), 1);
        assert_eq!(arrows("module/control.rs", "crate::hooks::list()"), 1);
        assert_eq!(arrows("module/evfilter_main.rs", "use crate::hooks;"), 0);
    }

    #[test]
    fn part_without_a_rank_is_found() {
        assert_eq!(arrows("module/novelty.rs", "use crate::ffi;"), 1);
    }

    #[test]
    fn lists_are_read_to_their_end() {
        assert_eq!(
            used_parts("use crate::{a::{b, c}, d}; x(crate::e::f, $crate::g)"),
            ["a", "d", "e"]
        );
    }
}

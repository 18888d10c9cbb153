// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask rust-analyzer`: writes `module/rust-project.json`, so that an editor understands the module.
//!
//! The kernel's own generator knows the kernel's crates and the module's root; the crates that the module is made of
//! besides its root are added here.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::cache::{self, Cache};
use crate::chosen::Chosen;
use crate::exec;
use crate::module;
use crate::run::BuildArgs;
use crate::workspace::Workspace;

/// Crates built into the module: name in `extern` position, edition, what they use. The root uses the last two.
const CRATES: [(&str, &str, &[&str]); 6] = [
    ("byteorder", "2021", &[]),
    ("stable_deref_trait", "2015", &[]),
    ("hash32", "2021", &["byteorder"]),
    ("heapless", "2021", &["hash32", "stable_deref_trait"]),
    ("uapi", "2021", &[]),
    ("filters", "2021", &["heapless"]),
];

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, cache: &Cache, args: &BuildArgs) -> Result<ExitCode> {
    let chosen = Chosen::new(workspace, cache, args)?;
    let _lock = workspace.lock()?;
    let (mut make, made, crates) = module::rust_analyzer(&chosen.target(), workspace)?;
    exec::run(&mut make, &workspace.log("rust-analyzer"))
        .context("run the kernel's generator of rust-project.json")?;
    let text = fs::read_to_string(&made).with_context(|| format!("read {}", made.display()))?;
    let mut project: Value =
        serde_json::from_str(&text).with_context(|| made.display().to_string())?;
    add_crates(&mut project, workspace.repo(), &crates)?;
    if let Some(root) = chosen.target().root() {
        // The generator ran in the build root and named its standard library by the path inside.
        on_host(&mut project, root.dir());
    }
    let place = workspace.repo().join("module/rust-project.json");
    cache::write_atomically(&place, serde_json::to_string_pretty(&project)? + "\n")?;
    println!("{}", place.display());
    println!(
        "in the editor, set rust-analyzer.linkedProjects to [\"Cargo.toml\", \"module/rust-project.json\"]"
    );
    Ok(ExitCode::SUCCESS)
}

/// Adds [`CRATES`], and lets the module's root use the last two.
fn add_crates(project: &mut Value, repo: &Path, sources: &Path) -> Result<()> {
    let crates = project
        .get_mut("crates")
        .and_then(Value::as_array_mut)
        .context("rust-project.json has no crates")?;
    let index = |crates: &[Value], name: &str| {
        crates
            .iter()
            .rposition(|known| known["display_name"] == name)
            .with_context(|| format!("rust-project.json has no crate {name}"))
    };
    let core = index(crates, "core")?;
    let root = index(crates, "evfilter_main").or_else(|_| index(crates, "evfilter"))?;
    // The kernel has a crate named uapi too; each of ours is found by where it was put.
    let first = crates.len();
    let at = |name: &str| {
        CRATES
            .iter()
            .position(|known| known.0 == name)
            .map(|at| first + at)
    };
    for (name, edition, uses) in CRATES {
        let dir = if matches!(name, "uapi" | "filters") {
            repo.join(name)
        } else {
            sources.join(name)
        };
        let mut deps = vec![json!({ "crate": core, "name": "core" })];
        deps.extend(
            uses.iter()
                .filter_map(|used| Some(json!({ "crate": at(used)?, "name": used }))),
        );
        crates.push(json!({
            "display_name": name,
            "root_module": dir.join("src/lib.rs"),
            "is_workspace_member": dir.starts_with(repo),
            "is_proc_macro": false,
            "deps": deps,
            "cfg": [],
            "edition": edition,
            "env": { "RUST_MODFILE": "This is only for rust-analyzer" },
        }));
    }
    let deps = crates[root]
        .get_mut("deps")
        .and_then(Value::as_array_mut)
        .context("the module's crate has no deps")?;
    deps.retain(|dep| dep["name"] != "uapi");
    for name in ["uapi", "filters"] {
        deps.extend(at(name).map(|at| json!({ "crate": at, "name": name })));
    }
    Ok(())
}

/// Turns absolute paths that exist only below `root` into the host's.
fn on_host(value: &mut Value, root: &Path) {
    match value {
        Value::String(text) if text == "/usr" || text.starts_with("/usr/") => {
            let inside = root.join(text.trim_start_matches('/'));
            if inside.exists() {
                *text = inside.display().to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| on_host(value, root)),
        Value::Object(fields) => fields.values_mut().for_each(|value| on_host(value, root)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_added_and_used_by_the_root() {
        let mut project = json!({ "crates": [
            { "display_name": "core", "deps": [] },
            { "display_name": "uapi", "deps": [] },
            { "display_name": "evfilter_main", "deps": [{ "crate": 1, "name": "uapi" }] },
        ]});
        add_crates(&mut project, Path::new("/r"), Path::new("/c")).expect("a project");
        let crates = project["crates"].as_array().expect("crates");
        assert_eq!(crates.len(), 9);
        assert_eq!(
            crates[2]["deps"],
            json!([{ "crate": 7, "name": "uapi" }, { "crate": 8, "name": "filters" }])
        );
        assert_eq!(
            crates[8]["deps"],
            json!([{ "crate": 0, "name": "core" }, { "crate": 6, "name": "heapless" }])
        );
        assert_eq!(
            (&crates[8]["root_module"], &crates[6]["root_module"]),
            (
                &json!("/r/filters/src/lib.rs"),
                &json!("/c/heapless/src/lib.rs")
            )
        );
        assert!(
            add_crates(
                &mut json!({ "crates": [] }),
                Path::new("/r"),
                Path::new("/c")
            )
            .is_err()
        );
    }

    #[test]
    fn paths_of_the_build_root_become_the_hosts() {
        let root = tempfile::tempdir().expect("temporary directory");
        fs::create_dir_all(root.path().join("usr/lib/rustlib")).expect("directories");
        let mut value =
            json!({ "sysroot": "/usr/lib/rustlib", "list": ["/usr/no/such", "/home/x"] });
        on_host(&mut value, root.path());
        assert_eq!(value["sysroot"], json!(root.path().join("usr/lib/rustlib")));
        assert_eq!(value["list"], json!(["/usr/no/such", "/home/x"]));
    }
}

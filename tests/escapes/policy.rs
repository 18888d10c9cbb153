// SPDX-License-Identifier: GPL-2.0
//! The two policies that the corpus runs against. They grant the same places.
//!
//! Neither says anything of system calls: a policy that also opts in the calls that a program needs (`policies/sandbox.evf`) stops much of the
//! corpus earlier. What is asked here is what judging names, and what judging objects, can do alone, against root.

use evfilter::Policy;

use super::case::{Case, Under};

/// Rules on names: the places, relative names (programs use them in their working directory), descriptors, and never `..`.
const NAMES: &str = r#"
    deny EACCES path == ".." or path prefix "../" or path suffix "/.." or path contains "/../"
    allow path under "/home/escape", "/usr", "/bin", "/lib", "/lib64", "/proc", "/etc/ld.so.cache", "/dev/null"
    allow path matches "[!/]**", ""
    default deny EACCES
"#;

/// The same places. Programs may be run from `/usr` only.
const PATHS: &str = r#"
    read "/proc", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"
    exec "/usr"
    write "/home/escape", "/dev/null"
"#;

/// The text of the policy for a case; none without a policy.
pub fn text(case: &Case, under: Under) -> Option<String> {
    match under {
        Under::Nothing => None,
        Under::Names => Some(format!(
            "policy escape-names\non vfs.getname {{\n    {}{NAMES}}}\n",
            case.more_names
        )),
        Under::Paths => Some(format!(
            "policy escape-paths\n{}\npaths {{\n    {}{PATHS}}}\n",
            case.items, case.more_paths
        )),
    }
}

/// The compiled policy for a case; none without a policy.
///
/// # Errors
///
/// The compiler's messages.
pub fn image(case: &Case, under: Under) -> Result<Option<Vec<u8>>, String> {
    let Some(text) = text(case, under) else {
        return Ok(None);
    };
    match Policy::parse(&text) {
        Ok(policy) => Ok(Some(policy.image().to_vec())),
        Err(error) => Err(format!("the policy is refused: {error}\n{text}")),
    }
}

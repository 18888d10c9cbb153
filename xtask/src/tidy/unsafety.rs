// SPDX-License-Identifier: GPL-2.0

//! Rules about `unsafe`: where it may stand, and the argument that goes with it.

use super::scan::{self, ScannedLine};
use super::{Finding, Source};

/// The places that touch what the compiler cannot check: the kernel's C side, system calls, the C API.
const PLACES: [&str; 15] = [
    "module/evfilter_main.rs",
    "module/ffi.rs",
    "module/ffi/",
    "module/hooks/",
    "client/src/c_api.rs",
    "client/src/sys.rs",
    "cli/src/process.rs",
    "tests/src/ring.rs",
    "tests/src/sys.rs",
    "tests/src/sys/",
    "bench/src/sys.rs",
    "demo/src/sys.rs",
    "demo/src/sys/",
    "filters/tests/",
    "client/tests/",
];

/// `unsafe` in a file that is none of [`PLACES`], and `unsafe` without its argument.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.to_string_lossy();
    let allowed = PLACES.iter().any(|place| {
        if place.ends_with('/') {
            path.starts_with(place)
        } else {
            path == *place
        }
    });
    let lines = scan::scan(&source.text);
    let mut findings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if !scan::has_word(&line.code, "unsafe") {
            continue;
        }
        if !allowed {
            findings.push(Finding::new(
                source,
                at + 1,
                "unsafe has no place in this file; see the list in xtask/src/tidy/unsafety.rs",
            ));
        } else if let Some(missing) = missing_argument(&lines, at) {
            findings.push(Finding::new(source, at + 1, missing));
        }
    }
    findings
}

/// What the `unsafe` in line `at` lacks.
fn missing_argument(lines: &[ScannedLine], at: usize) -> Option<&'static str> {
    let code = &lines[at].code;
    let rest = code
        .split_once("unsafe")
        .map_or("", |(_, rest)| rest)
        .trim_start();
    if rest.starts_with("(no_mangle)") || rest.starts_with("(export_name") {
        // What it promises is that the name is unique, and the linker refuses a second one.
        return None;
    }
    if rest.starts_with("extern") {
        // `unsafe extern "C" fn` is a declaration or a pointer type; a block of foreign items argues item by item.
        let is_definition = rest.contains(" fn ") && !is_type(code);
        return (is_definition
            && !in_trait_impl(lines, at)
            && !comment_above(lines, at, "# Safety"))
        .then_some("unsafe fn without a `# Safety` section");
    }
    if rest.starts_with("fn ") {
        // Required methods and foreign items end in a semicolon and state their contract the same way.
        return (!is_type(code)
            && !in_trait_impl(lines, at)
            && !comment_above(lines, at, "# Safety")
            && !comment_above(lines, at, "SAFETY:"))
        .then_some("unsafe fn without a `# Safety` section");
    }
    if rest.starts_with("fn(") {
        return None;
    }
    (!lines[at].comment.contains("SAFETY:") && !comment_above(lines, at, "SAFETY:"))
        .then_some("unsafe without a SAFETY comment right before it")
}

/// Whether the line mentions an unsafe function as a type only.
fn is_type(code: &str) -> bool {
    code.contains(": unsafe")
        || code.contains("= unsafe")
        || code.contains("<unsafe")
        || code.contains("(unsafe")
}

/// Whether line `at` is inside an implementation of a trait, which states the contract of its functions.
fn in_trait_impl(lines: &[ScannedLine], at: usize) -> bool {
    let indented = |line: &ScannedLine| line.code.starts_with(' ');
    if !indented(&lines[at]) {
        return false;
    }
    let outer = lines[..at]
        .iter()
        .rev()
        .find(|line| !indented(line) && !line.code.trim().is_empty() && line.code.trim() != "}");
    outer.is_some_and(|line| scan::has_word(&line.code, "impl") && line.code.contains(" for "))
}

/// Whether the comment that belongs to line `at` contains `text`: upwards over comments, attributes and the earlier
/// lines of the same statement.
fn comment_above(lines: &[ScannedLine], at: usize, text: &str) -> bool {
    let mut in_statement = true;
    for line in lines[..at].iter().rev() {
        let code = line.code.trim();
        if line.comment.contains(text) {
            return true;
        }
        let is_comment = code.is_empty() && !line.comment.is_empty();
        if is_comment || code.starts_with("#[") || code.starts_with("#![") {
            in_statement = false;
            continue;
        }
        // `let x =` or `f(` on the lines before is still the statement that the comment stands above.
        let ends_earlier = code.is_empty()
            || code.ends_with([';', '{', '}'])
            || code.ends_with(',') && !in_statement;
        if ends_earlier || !in_statement {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&source(path, text))
            .into_iter()
            .map(|finding| finding.text)
            .collect()
    }

    #[test]
    fn unsafe_outside_the_list_is_found_whatever_is_said() {
        for path in [
            "filters/src/vm.rs",
            "module/domain.rs",
            "cli/src/main.rs",
            "module/ffix.rs",
        ] {
            assert!(
                findings(path, "// SAFETY: fine\nunsafe { f() }\n")[0].contains("no place"),
                "{path}"
            );
        }
        assert!(
            findings(
                "filters/src/vm.rs",
                "#![forbid(unsafe_code)]\n// unsafe\nlet s = \"unsafe\";\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn argument_right_before_is_required() {
        let path = "module/ffi.rs";
        assert_eq!(findings(path, "let x = 1;\nunsafe { f() }\n").len(), 1);
        assert_eq!(
            findings(path, "// SAFETY: long ago\nlet x = 1;\nunsafe { f() }\n").len(),
            1
        );
        assert_eq!(
            findings(path, "// INVARIANT: x\nunsafe impl Send for X {}\n").len(),
            1
        );
        for good in [
            "// SAFETY: by the contract\n// of f.\nunsafe { f() }\n",
            "// SAFETY: x\n#[inline]\nunsafe impl Send for X {}\n",
            "// SAFETY: x\nlet value =\n    unsafe { f() };\n",
            "unsafe { f() } // SAFETY: x\n",
            "type F = unsafe extern \"C\" fn(*mut c_void);\n",
        ] {
            assert!(
                findings(path, good).is_empty(),
                "{good}: {:?}",
                findings(path, good)
            );
        }
    }

    #[test]
    fn unsafe_functions_state_their_contract() {
        let path = "module/hooks/getname.rs";
        assert_eq!(findings(path, "unsafe fn f() {}\n").len(), 1);
        assert_eq!(
            findings(path, "/// F.\nunsafe extern \"C\" fn f() {}\n").len(),
            1
        );
        assert_eq!(
            findings(path, "impl X {\n    unsafe fn f() {}\n}\n").len(),
            1
        );
        assert!(findings(path, "impl T for X {\n    unsafe fn f() {}\n}\n").is_empty());
        assert!(findings(path, "#[unsafe(no_mangle)]\nextern \"C\" fn f() {}\n").is_empty());
        assert!(
            findings(
                path,
                "/// F.\n///\n/// # Safety\n///\n/// x\nunsafe fn f() {}\n"
            )
            .is_empty()
        );
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Renaming and linking: each end is seen, together with the other.

use libc::{AT_FDCWD, RENAME_EXCHANGE};

use super::{ONE, fresh, name, under_after};
use crate::harness::{Test, tests};
use crate::sys::{Ret, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("object::ends";
        rename_shows_both_ends, exchange_shows_both_ends, link_shows_both_ends, descriptor_is_linked_by_its_path,
    )
}

fn rename(from: &str, to: &str, flags: u32) -> Ret {
    let (from, to) = (name(from), name(to));
    sys!(
        libc::SYS_renameat2,
        AT_FDCWD,
        from.as_c_str(),
        AT_FDCWD,
        to.as_c_str(),
        flags
    )
}

fn link(from: &str, to: &str) -> Ret {
    sys!(libc::SYS_link, name(from).as_c_str(), name(to).as_c_str())
}

/// What `deed(a, b)` returns where this condition is refused. Every rule has to be met by one of the ends.
fn met(deed: impl Fn(&str, &str) -> Ret, both_exist: bool, condition: &str) -> Ret {
    let dir = fresh("ends");
    let (a, b) = (format!("{dir}/a"), format!("{dir}/b"));
    let condition = condition.replace("$a", &a).replace("$b", &b);
    let policy = format!("on vfs.pick {{ deny ENOTUNIQ {condition}; default allow }}");
    let prepare = || {
        std::fs::write(&a, "a").expect("write");
        if both_exist {
            std::fs::write(&b, "b").expect("write");
        }
    };
    under_after(&policy, prepare, || deed(&a, &b))
}

fn rename_shows_both_ends() {
    let deed = |a: &str, b: &str| rename(a, b, 0);
    for (condition, result) in [
        (
            r#"action == rename and path == "$a" and other == "$b" and not flags has target"#,
            Err(ONE),
        ),
        (
            r#"action == rename and path == "$b" and other == "$a" and flags has target"#,
            Err(ONE),
        ),
        (
            r#"action == rename and path == "$b" and not flags has target"#,
            Ok(0),
        ),
        ("action == rename and flags has exchange", Ok(0)),
        (
            "action == rename and flags has new and flags has target",
            Err(ONE),
        ),
    ] {
        assert_eq!(met(deed, false, condition), result, "{condition}");
    }
    assert_eq!(met(deed, true, "action == rename and flags has new"), Ok(0));
}

fn exchange_shows_both_ends() {
    let deed = |a: &str, b: &str| rename(a, b, RENAME_EXCHANGE);
    for (condition, result) in [
        (
            r#"action == rename and path == "$a" and flags has exchange"#,
            Err(ONE),
        ),
        (
            r#"action == rename and path == "$b" and flags has exchange"#,
            Err(ONE),
        ),
        ("action == rename and not flags has exchange", Ok(0)),
    ] {
        assert_eq!(met(deed, true, condition), result, "{condition}");
    }
}

fn link_shows_both_ends() {
    for (condition, result) in [
        (
            r#"action == link and path == "$a" and other == "$b" and not flags has target"#,
            Err(ONE),
        ),
        (
            r#"action == link and path == "$b" and other == "$a" and flags has target"#,
            Err(ONE),
        ),
        (
            r#"action == link and path == "$b" and not flags has target"#,
            Ok(0),
        ),
    ] {
        assert_eq!(met(link, false, condition), result, "{condition}");
    }
}

fn descriptor_is_linked_by_its_path() {
    let deed = |a: &str, b: &str| {
        let fd = crate::sys::open(&name(a), libc::O_RDONLY)?;
        let flags = libc::AT_EMPTY_PATH;
        sys!(
            libc::SYS_linkat,
            &fd,
            c"",
            AT_FDCWD,
            name(b).as_c_str(),
            flags
        )
    };
    let condition = r#"action == link and path == "$a" and not flags has target"#;
    assert_eq!(met(deed, false, condition), Err(ONE));
}

// SPDX-License-Identifier: GPL-2.0
//! Attach points are hooked when the first filter that needs them is loaded, and not before.

use std::collections::BTreeSet;

use evfilter::Policy;

use super::{and_loaded_again, insmod, unload};
use crate::harness::{Test, tests};
use crate::kernel::load;
use crate::program::{allow_all, deny_name};

pub(super) fn tests() -> Vec<Test> {
    tests!("lifecycle"; law_6_transparent_nothing_is_hooked_before_it_is_needed)
}

/// The kernel functions that are directed somewhere else.
#[track_caller]
fn directed() -> BTreeSet<String> {
    let path = "/sys/kernel/tracing/enabled_functions";
    let text = std::fs::read_to_string(path).expect(path);
    text.lines()
        .filter(|line| line.contains(" D "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn policy(text: &str) -> Vec<u8> {
    let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
    policy.image().to_vec()
}

fn law_6_transparent_nothing_is_hooked_before_it_is_needed() {
    and_loaded_again(|| {
        unload();
        let others = directed();
        assert_eq!(insmod(), Ok(0));
        let ours = || {
            directed()
                .difference(&others)
                .cloned()
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(ours(), BTreeSet::from(["security_task_prctl".into()]));

        let has = |name: &str| ours().contains(name);
        drop(load(&allow_all()));
        assert!(has("__seccomp_permit_syscall") && has("security_task_alloc"));
        assert!(!has("do_getname") && !has("security_file_open"));

        drop(load(&deny_name(b"/x")));
        assert!(has("do_getname") && has("do_getname_kernel"));
        assert!(!has("security_file_open") && !has("security_inode_permission"));

        drop(load(&policy("on fd.receive { default allow }")));
        assert!(has("security_file_receive") && !has("security_file_open"));

        drop(load(&policy("on vfs.pick { default allow }")));
        assert!(has("security_file_open") && has("filename_lookup"));
        assert!(has("security_inode_permission") && !has("nd_jump_link"));

        drop(load(&policy("on vfs.walk { default allow }")));
        assert!(has("nd_jump_link") && !has("security_task_kill"));

        drop(load(&policy("scope signal")));
        assert!(has("security_task_kill") && !has("security_sk_free"));

        drop(load(&policy("scope abstract")));
        assert!(has("security_sk_free") && has("security_unix_may_send"));

        unload();
        assert_eq!(directed(), others);
    });
}

// SPDX-License-Identifier: GPL-2.0
//! Attach points are hooked when the first filter that needs them is loaded, and not before.

use std::collections::BTreeSet;

use evfilter::Policy;

use super::{and_loaded_again, directed, insmod, unload};
use crate::harness::{Test, tests};
use crate::kernel::load;
use crate::program::{allow_all, deny_name};

pub(super) fn tests() -> Vec<Test> {
    tests!("lifecycle"; law_6_transparent_nothing_is_hooked_before_it_is_needed)
}

#[track_caller]
pub(super) fn policy(text: &str) -> Vec<u8> {
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

        let steps: [(Vec<u8>, &[&str]); 7] = [
            (
                allow_all(),
                &["__seccomp_permit_syscall", "security_task_alloc"],
            ),
            (deny_name(b"/x"), &["do_getname", "do_getname_kernel"]),
            (
                policy("on fd.receive { default allow }"),
                &["security_file_receive"],
            ),
            (
                policy("on vfs.pick { default allow }"),
                &[
                    "security_file_open",
                    "filename_lookup",
                    "security_inode_permission",
                ],
            ),
            (policy("on vfs.walk { default allow }"), &["nd_jump_link"]),
            (
                policy("scope signal"),
                &["security_task_kill", "__f_setown"],
            ),
            (
                policy("scope abstract"),
                &["security_sk_free", "security_unix_may_send"],
            ),
        ];
        for (at, (image, _)) in steps.iter().enumerate() {
            drop(load(image));
            let hooked = ours();
            for (later, (_, names)) in steps.iter().enumerate() {
                for name in *names {
                    assert_eq!(
                        hooked.contains(*name),
                        later <= at,
                        "{name} after step {at}"
                    );
                }
            }
        }

        unload();
        assert_eq!(directed(), others);
    });
}

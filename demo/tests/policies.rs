// SPDX-License-Identifier: GPL-2.0
//! The policies that the demonstration shows compile, without a warning.

use std::path::Path;

const SHOWN: [&str; 6] = [
    "sandbox.evf",
    "sandbox-nest.evf",
    "sandbox-uring.evf",
    "narrow.evf",
    "allow-all.evf",
    "tools.evf",
];

#[test]
fn each_policy_compiles_without_a_warning() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for file in SHOWN {
        match filters::lang::compile_file(policies.join(file)) {
            Ok(compiled) => assert!(
                compiled.warnings.is_empty(),
                "{}",
                compiled.warnings.render(false)
            ),
            Err(diagnostics) => panic!("{file}\n{}", diagnostics.render(false)),
        }
    }
}

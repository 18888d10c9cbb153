// SPDX-License-Identifier: GPL-2.0
//! A container engine's profile of any bytes: it is refused with a reason, or becomes a text that compiles to an image that the verifier accepts.
//!
//! The first byte of the input says which container the profile is for; the rest is the profile.

use cli::{Capabilities, Container, Options, Version};
use filters::lang::{self, Memory};
use filters::policy::Policy;

/// Runs the target.
///
/// # Panics
///
/// If something is not as promised.
pub fn run(data: &[u8]) {
    let Some((choice, json)) = data.split_first() else {
        return;
    };
    let words = ["docker-default", "SYS_ADMIN", "SYS_PTRACE"]
        .into_iter()
        .enumerate();
    let capabilities: Vec<Capabilities> = words
        .filter(|(bit, _)| choice >> bit & 1 == 1)
        .map(|(_, word)| word.parse().expect("a capability"))
        .collect();
    let kernel: Version = if choice & 8 == 0 { "6.12" } else { "4.1" }
        .parse()
        .expect("a version");
    let container = Container {
        capabilities: Capabilities::union(&capabilities),
        kernel,
    };
    let options = Options {
        source: "fuzz.json",
        policy: "fuzz",
        enosys: choice & 16 != 0,
    };
    let text = match cli::import_oci(json, &container, &options) {
        Ok(text) => text,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            return;
        }
    };
    match lang::compile("fuzz.evf", &text, &Memory::new()) {
        Ok(compiled) => {
            let mut workspace = Box::new([0; filters::limits::MAX_INSNS]);
            Policy::verify(&compiled.image[..], &mut workspace)
                .expect("the compiler makes sound images");
        }
        Err(diagnostics) => panic!("{}\n{text}", diagnostics.render(false)),
    }
}

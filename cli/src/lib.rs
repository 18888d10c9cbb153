// SPDX-License-Identifier: GPL-2.0
//! `evf`: check, compile and try policies on this machine, and run programs under them.
//!
//! Each verb has a file of its own under `verbs`; here they are only listed and started. What reads files that nobody vouches for is also there for the fuzz
//! targets: [`import_oci`].

#![deny(unsafe_code)]

mod args;
mod command;
mod failure;
mod image_chain;
mod layers;
mod moment;
mod oci;
mod output;
mod process;
mod verbs;
mod verdict_text;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

pub use oci::capability::Capabilities;
pub use oci::import as import_oci;
pub use oci::kernel::Version;
pub use oci::{Container, Options, Refusal};

/// The command: does what its arguments say.
pub fn main() -> ExitCode {
    process::die_of_sigpipe();
    match verbs::run(Args::parse()) {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

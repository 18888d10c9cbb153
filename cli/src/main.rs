// SPDX-License-Identifier: GPL-2.0
//! `evf`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

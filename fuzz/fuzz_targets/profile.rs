// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::profile`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(profile);

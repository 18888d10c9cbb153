// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::arguments`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(arguments);

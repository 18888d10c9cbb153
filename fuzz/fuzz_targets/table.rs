// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::table`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(table);

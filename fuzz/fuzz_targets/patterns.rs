// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::patterns`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(patterns);

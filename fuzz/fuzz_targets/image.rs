// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::image`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(image);

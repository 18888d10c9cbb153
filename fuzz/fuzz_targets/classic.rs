// SPDX-License-Identifier: GPL-2.0
//! The fuzzer of `fuzz::classic`.

#![cfg_attr(fuzzing, no_main)]

fuzz::target!(classic);

// SPDX-License-Identifier: GPL-2.0
//! Second opinions: what the tests of `filters` compare the engine with.
//!
//! Nothing here calls the engine to learn an answer. [`checker`], [`interpreter`], [`automaton`], [`encoded`] and [`naive`] are written from the kernel's
//! sources and the format's documentation, in another style than the engine; [`host_kernel`] asks the kernel that the tests run on;
//! [`task_tree`] is a model of tasks and their domains. [`image`] and [`generate`] make the inputs. [`machine`] runs what the engine makes of programs for the
//! kernel's compiler, for [`lowered`] to hold it against the interpreter.

#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod automaton;
pub mod checker;
pub mod encoded;
pub mod generate;
#[expect(unsafe_code, reason = "asking the kernel takes system calls")]
pub mod host_kernel;
pub mod image;
pub mod interpreter;
pub mod lowered;
pub mod machine;
pub mod naive;
pub mod task_tree;

// SPDX-License-Identifier: GPL-2.0
//! What the programs of this package share: system calls as the kernel sees them, the module's interface by hand, a process for each test, and
//! the corpus of escapes.
//!
//! Two programs are built on it. `evf-tests` runs the suites, `evf-escapes` one way out of a sandbox at a time. Both are for a guest only: they
//! load, mount, trace and kill.

pub mod bpf;
mod btf;
pub mod executable;
pub mod group;
pub mod harness;
pub mod judged;
pub mod kernel;
pub mod kmsg;
pub mod marker;
pub mod program;
pub mod random;
pub mod ring;
pub mod seccomp;
pub mod slow;
pub mod sys;

#[path = "../escapes/corpus.rs"]
pub mod corpus;

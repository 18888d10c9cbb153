// SPDX-License-Identifier: GPL-2.0
//! Event filters: what a program is, which programs are accepted, and what they decide.
//!
//! This crate is the same in the kernel and in user space. It has no `unsafe` code, allocates nothing and does not panic:
//! under the kernel's overflow checks a panic would take the machine down.
//!
//! The way of a policy: bytes arrive as an *image* ([`policy::Policy::verify`] is the only way in), its programs are run over a
//! [`record::Record`] of one [`event::Event`] and return a [`verdict::Verdict`]; several layers form a [`stack::Stack`], whose verdict is the
//! meet of all.
//!
//! The policy language lives in `lang`, behind the feature of that name, and is never built into the kernel.

#![no_std]

#[cfg(feature = "lang")]
extern crate std;

pub mod by_name;
pub mod by_number;
pub mod by_path;
pub mod event;
pub mod image;
pub mod insn;
#[cfg(feature = "lang")]
pub mod lang;
pub mod limits;
pub mod native;
pub mod object;
mod partial;
pub mod policy;
pub mod program;
pub mod record;
pub mod refusal;
pub mod scope;
pub mod stack;
pub mod strict;
pub mod table;
pub mod verdict;
mod verifier;
pub mod vm;

// SPDX-License-Identifier: GPL-2.0
//! The binary interface between `evfilter.ko` and user space.
//!
//! Three things cross this line: the numbers by which the module is reached (a `prctl` option and three ioctls),
//! the argument structs of those ioctls, and the fixed part of each event's record. Every struct has a C layout
//! with no padding, and its size is asserted here, so that both sides of the line are built from the same facts.
//! How the module reads those structs is here, too ([`argument`]), so that it can be tested on the host.
//!
//! # Versions
//!
//! Every argument struct begins with `size`, the size that the caller was built with. A module that is older than its caller
//! refuses a non-zero tail that it does not know with `E2BIG`; a module that is newer takes the missing tail as zero.
//! The idea and the errno are those of `copy_struct_from_user` in the kernel's `include/linux/uaccess.h`.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod argument;
pub mod control;
pub mod record;

// SPDX-License-Identifier: GPL-2.0
//! Every unsafe call of the demonstration: what no safe wrapper offers, because it is exactly what an attacker would do.

pub(crate) mod child;
pub(crate) mod notify;
pub(crate) mod raw;
pub(crate) mod ring;

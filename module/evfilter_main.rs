// SPDX-License-Identifier: GPL-2.0
//! evfilter: generic event filters for tasks.
//!
//! This file lists the rooms and starts the machine. The way of an event: trampoline.S -> `hooks` (gather) -> `domain` (ask the layers)
//! -> `enforce` (act). The way of a filter: `control` -> `filter` (verify) -> `task` (push on the caller).
#![deny(unsafe_code)]

mod attach;
mod control;
mod domain;
mod enforce;
mod event;
mod ffi;
mod filter;
mod hooks;
mod object;
mod paths;
mod symbol;
mod task;
mod walks;

use kernel::prelude::*;

module! {
    type: Evfilter,
    name: "evfilter",
    authors: ["The evfilter authors"],
    description: "Generic event filters for tasks",
    license: "GPL",
}

/// The loaded module. Fields are dropped in this order: first no new descriptors, then no hooks.
#[pin_data]
struct Evfilter {
    #[pin]
    _device: ffi::Device,
    _sysctl: ffi::Sysctl,
    _hooks: attach::Attached,
    _paths: ffi::PathRooms,
    _roots: ffi::Roots,
    _open: (),
}

impl kernel::InPlaceModule for Evfilter {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _roots: ffi::Roots::new()?,
            _paths: ffi::PathRooms::new()?,
            _hooks: hooks::attach()?,
            _sysctl: ffi::Sysctl::register()?,
            _device <- ffi::Device::register(),
            // The device node is the last thing that can fail; whoever opens it finds everything in place.
            _open: hooks::open(),
        }? Error)
    }
}

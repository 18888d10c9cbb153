// SPDX-License-Identifier: GPL-2.0
//! The user library, as a Rust program uses it.

use evfilter::{Control, Error, Policy, set_no_new_privs};

use crate::harness::{Test, tests};
use crate::kernel::layers;
use crate::program::{ODD, deny_name};
use crate::sys::child::run;
use crate::sys::{become_user, try_open};

const NAME: &std::ffi::CStr = c"/evf-absent/evf-library";

const TEXT: &str = r#"policy library
on vfs.getname {
    deny ENOTUNIQ path == "/evf-absent/evf-library"
    default allow
}
"#;

pub(super) fn tests() -> Vec<Test> {
    tests!("client";
        parse_load_restrict, info_agrees_with_the_kernel, without_no_new_privs_is_not_permitted, too_many_layers, foreign_descriptor_is_not_a_filter,
        image_of_ones_own, several_filters_through_one_control, refused_image_carries_the_message, filter_becomes_a_descriptor_and_back,
    )
}

fn parse_load_restrict() {
    become_user(1000);
    set_no_new_privs().expect("set_no_new_privs");
    let filter = Policy::parse(TEXT).expect("parse").load().expect("load");
    filter.restrict_self().expect("restrict_self");
    assert_eq!((try_open(NAME), layers()), (Err(ODD), 1));
}

fn info_agrees_with_the_kernel() {
    let info = Control::open()
        .and_then(|control| control.info())
        .expect("info");
    let raw = crate::kernel::info();
    assert_eq!(
        (info.abi, info.layers, info.max_layers),
        (raw.abi, raw.layers, raw.max_layers)
    );
    assert_eq!(info.max_stack_cost, raw.max_stack_cost);
    for event in filters::event::Event::ALL {
        assert!(info.events.contains(event), "{event:?}");
    }
}

fn without_no_new_privs_is_not_permitted() {
    become_user(1000);
    let filter = Policy::parse(TEXT).expect("parse").load().expect("load");
    let error = filter.restrict_self().expect_err("no_new_privs is not set");
    assert!(matches!(error, Error::NotPermitted { .. }), "{error:?}");
    assert_eq!(error.errno(), Some(libc::EACCES));
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("no_new_privs")),
        "{:?}",
        error.help()
    );
}

fn too_many_layers() {
    set_no_new_privs().expect("set_no_new_privs");
    let filter = Policy::parse(TEXT).expect("parse").load().expect("load");
    for _ in 0..64 {
        filter.restrict_self().expect("restrict_self");
    }
    let error = filter.restrict_self().expect_err("the 65th");
    assert!(matches!(error, Error::TooManyLayers { .. }), "{error:?}");
}

fn foreign_descriptor_is_not_a_filter() {
    set_no_new_privs().expect("set_no_new_privs");
    let control = Control::open().expect("control");
    let file = std::fs::File::open("/proc/version").expect("open");
    let error = control.restrict_self(&file).expect_err("a file");
    assert!(matches!(error, Error::NotAFilter { .. }), "{error:?}");
    assert_eq!(layers(), 0);
}

fn image_of_ones_own() {
    set_no_new_privs().expect("set_no_new_privs");
    let policy = Policy::from_image(deny_name(NAME.to_bytes())).expect("from_image");
    policy
        .load()
        .expect("load")
        .restrict_self()
        .expect("restrict_self");
    assert_eq!(try_open(NAME), Err(ODD));
}

fn several_filters_through_one_control() {
    set_no_new_privs().expect("set_no_new_privs");
    let control = Control::open().expect("control");
    let policy = Policy::parse(TEXT).expect("parse");
    for _ in 0..3 {
        let filter = control.load(&policy).expect("load");
        control.restrict_self(&filter).expect("restrict_self");
    }
    assert_eq!(control.info().expect("info").layers, 3);
}

fn refused_image_carries_the_message() {
    let control = Control::open().expect("control");
    let image = crate::program::syscalls(vec![crate::program::load(64), crate::program::ret(0)]);
    let error = control
        .load_image(&image)
        .expect_err("a load behind the record");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    assert!(text.contains("load at 64"), "{text}");
}

fn filter_becomes_a_descriptor_and_back() {
    use std::os::fd::OwnedFd;
    let filter = Policy::parse(TEXT).expect("parse").load().expect("load");
    let fd: OwnedFd = filter.into();
    let seen = run(|board| {
        set_no_new_privs().expect("set_no_new_privs");
        let filter = evfilter::Filter::from(fd.try_clone().expect("dup"));
        filter.restrict_self().expect("restrict_self");
        board.ret(try_open(NAME));
    });
    assert_eq!(seen.well(), [-i64::from(ODD)]);
}

// SPDX-License-Identifier: GPL-2.0
//! Control and filter descriptors: how they come, travel and end.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{EBADF, EINVAL, EMFILE, ENOTTY, F_GETFD, FD_CLOEXEC, O_RDWR};
use uapi::control::{DEVICE_PATH, IOC_INFO, PR_EVFILTER, PR_EVFILTER_OPEN};

use crate::harness::{Test, tests};
use crate::kernel::{
    control, info_of, ioctl, layers, load, restrict, restrict_through, try_control, try_load,
    try_restrict,
};
use crate::program::{ODD, allow_all, deny_name};
use crate::sys::child::{ask, run, start};
use crate::sys::message::{pair, receive_fd, send_fd};
use crate::sys::{Ret, become_user, no_new_privs, own, sys, try_open};

const NAME: &std::ffi::CStr = c"/evf-absent/evf-descriptor";

pub(super) fn tests() -> Vec<Test> {
    tests!("abi";
        control_descriptor_is_close_on_exec, filter_descriptor_is_close_on_exec, device_node_gives_the_same_descriptor, device_node_for_an_ordinary_user,
        restrict_with_a_closed_descriptor, restrict_with_descriptors_of_other_kinds, restrict_with_a_path_descriptor, requests_on_a_filter_descriptor,
        reading_and_writing_is_refused, one_filter_for_many_tasks, filter_over_a_socket, filter_over_a_socket_after_its_loader_is_gone,
        filter_loaded_by_root_restricts_a_user, control_of_another_task_restricts_the_caller, control_descriptor_works_in_an_empty_root,
        control_descriptor_kept_over_exec, no_room_for_a_descriptor, duplicates_are_the_same_filter, closing_in_any_order, descriptors_have_telling_names,
        info_counts_the_layers_of_the_caller, poll_and_seek_do_not_hang, filter_outlives_its_control,
    )
}

fn flags(fd: &OwnedFd) -> Ret {
    sys!(libc::SYS_fcntl, fd, F_GETFD)
}

fn filter() -> OwnedFd {
    load(&deny_name(NAME.to_bytes()))
}

fn control_descriptor_is_close_on_exec() {
    assert_eq!(flags(&control()), Ok(FD_CLOEXEC as u64));
}

fn filter_descriptor_is_close_on_exec() {
    assert_eq!(flags(&filter()), Ok(FD_CLOEXEC as u64));
}

fn device() -> OwnedFd {
    let path = std::ffi::CString::new(DEVICE_PATH).expect("a path");
    crate::sys::open(&path, O_RDWR).expect(DEVICE_PATH)
}

fn device_node_gives_the_same_descriptor() {
    let device = device();
    let info = info_of(device.as_fd());
    assert_eq!(info, info_of(control().as_fd()));
    no_new_privs();
    assert_eq!(
        restrict_through(device.as_fd(), filter().as_raw_fd()),
        Ok(0)
    );
    assert_eq!(info_of(device.as_fd()).layers, 1);
    assert_eq!(try_open(NAME), Err(ODD));
}

fn device_node_for_an_ordinary_user() {
    become_user(1000);
    no_new_privs();
    let device = device();
    assert_eq!(
        restrict_through(device.as_fd(), filter().as_raw_fd()),
        Ok(0)
    );
    assert_eq!(try_open(NAME), Err(ODD));
}

fn restrict_with_a_closed_descriptor() {
    no_new_privs();
    let control = control();
    for fd in [-1, i32::MIN, 999, i32::MAX, libc::AT_FDCWD] {
        assert_eq!(restrict_through(control.as_fd(), fd), Err(EBADF), "{fd}");
    }
    assert_eq!(layers(), 0);
}

fn restrict_with_descriptors_of_other_kinds() {
    no_new_privs();
    let control = control();
    let (socket, _other) = pair();
    let kinds: Vec<(&str, OwnedFd)> = vec![
        ("file", crate::sys::open(c"/proc/version", 0).expect("open")),
        ("directory", crate::sys::open(c"/", 0).expect("open")),
        ("device", device()),
        ("null", crate::sys::open(c"/dev/null", 0).expect("open")),
        ("socket", socket),
        (
            "eventfd",
            own(sys!(libc::SYS_eventfd2, 0, 0)).expect("eventfd2"),
        ),
        (
            "epoll",
            own(sys!(libc::SYS_epoll_create1, 0)).expect("epoll_create1"),
        ),
        (
            "pidfd",
            own(sys!(libc::SYS_pidfd_open, crate::sys::getpid(), 0)).expect("pidfd_open"),
        ),
        (
            "memfd",
            own(sys!(libc::SYS_memfd_create, c"x", 0)).expect("memfd_create"),
        ),
        ("control", crate::kernel::control()),
    ];
    for (kind, fd) in &kinds {
        assert_eq!(
            restrict_through(control.as_fd(), fd.as_raw_fd()),
            Err(libc::EBADFD),
            "{kind}"
        );
    }
    assert_eq!(
        restrict_through(control.as_fd(), control.as_raw_fd()),
        Err(libc::EBADFD)
    );
    assert_eq!(layers(), 0);
}

/// An O_PATH descriptor names a place; it is no open filter, whatever it names.
fn restrict_with_a_path_descriptor() {
    no_new_privs();
    let place = crate::sys::open(c"/dev/evfilter", libc::O_PATH).expect("O_PATH");
    let result = restrict_through(control().as_fd(), place.as_raw_fd());
    assert!(matches!(result, Err(EBADF | libc::EBADFD)), "{result:?}");
    let result = ioctl(place.as_fd(), IOC_INFO, [40u32; 10].as_ptr());
    assert_eq!(result, Err(EBADF));
}

fn requests_on_a_filter_descriptor() {
    let filter = filter();
    let mut words = [0u64; 16];
    words[0] = 40;
    for request in 0xEF00u32..0xEF10 {
        let result = ioctl(filter.as_fd(), request, words.as_mut_ptr());
        assert_eq!(result, Err(ENOTTY), "{request:#x}");
    }
}

fn reading_and_writing_is_refused() {
    let buffer = [0u8; 64];
    for (kind, fd) in [
        ("control", control()),
        ("device", device()),
        ("filter", filter()),
    ] {
        for call in [libc::SYS_read, libc::SYS_write] {
            let result = sys!(call, &fd, buffer.as_ptr(), buffer.len());
            assert!(matches!(result, Err(EINVAL | EBADF)), "{kind}: {result:?}");
        }
        let mapped = sys!(
            libc::SYS_mmap,
            0,
            4096,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            &fd,
            0
        );
        assert!(mapped.is_err(), "{kind} can be mapped");
    }
}

fn one_filter_for_many_tasks() {
    no_new_privs();
    let filter = filter();
    for _ in 0..20 {
        let seen = run(|board| {
            board.ret(try_open(NAME));
            restrict(&filter);
            board.ret(try_open(NAME));
        });
        assert_eq!(seen.well(), [-2, -76]);
    }
    assert_eq!(try_open(NAME), Err(libc::ENOENT));
}

fn filter_over_a_socket() {
    let (here, there) = pair();
    let child = start(|board| {
        no_new_privs();
        let filter = receive_fd(&there).expect("a descriptor");
        restrict(&filter);
        board.ret(try_open(NAME));
        board.put(i64::from(layers()));
    });
    send_fd(&here, filter().as_fd());
    assert_eq!(child.wait().well(), [-76, 1]);
    assert_eq!(layers(), 0);
}

/// The socket alone keeps the filter alive.
fn filter_over_a_socket_after_its_loader_is_gone() {
    let (here, there) = pair();
    run(|_| send_fd(&here, filter().as_fd())).well();
    no_new_privs();
    restrict(&receive_fd(&there).expect("a descriptor"));
    assert_eq!(try_open(NAME), Err(ODD));
}

fn filter_loaded_by_root_restricts_a_user() {
    let filter = filter();
    let result = ask(|| {
        become_user(1000);
        no_new_privs();
        restrict(&filter);
        try_open(NAME)
    });
    assert_eq!(result, Err(ODD));
}

/// The descriptor says what can be asked, not of whom: RESTRICT_SELF means the caller.
fn control_of_another_task_restricts_the_caller() {
    no_new_privs();
    let (control, filter) = (control(), filter());
    let child = start(|board| {
        board.ret(restrict_through(control.as_fd(), filter.as_raw_fd()));
        board.put(i64::from(info_of(control.as_fd()).layers));
    });
    assert_eq!(child.wait().well(), [0, 1]);
    assert_eq!(info_of(control.as_fd()).layers, 0);
}

fn control_descriptor_works_in_an_empty_root() {
    let _ = std::fs::create_dir("/tmp/evf-empty");
    assert_eq!(sys!(libc::SYS_chroot, c"/tmp/evf-empty"), Ok(0));
    assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
    assert_eq!(try_open(c"/dev/evfilter"), Err(libc::ENOENT));
    become_user(1000);
    no_new_privs();
    restrict(&filter());
    assert_eq!((try_open(NAME), layers()), (Err(ODD), 1));
}

/// A launcher that wants its program to nest can hand the descriptor on.
fn control_descriptor_kept_over_exec() {
    let control = control();
    assert_eq!(sys!(libc::SYS_fcntl, &control, libc::F_SETFD, 0), Ok(0));
    let listing = std::process::Command::new("/bin/busybox")
        .args(["ls", "-l", "/proc/self/fd"])
        .output();
    let listing = String::from_utf8_lossy(&listing.expect("exec").stdout).into_owned();
    let number = control.as_raw_fd().to_string();
    assert!(listing.contains(&format!(" {number} -> ")), "{listing}");
    assert_eq!(
        sys!(libc::SYS_fcntl, &control, libc::F_SETFD, FD_CLOEXEC),
        Ok(0)
    );
    let listing = std::process::Command::new("/bin/busybox")
        .args(["ls", "-l", "/proc/self/fd"])
        .output();
    let listing = String::from_utf8_lossy(&listing.expect("exec").stdout).into_owned();
    assert!(!listing.contains("evfilter"), "{listing}");
}

fn no_room_for_a_descriptor() {
    let control = control();
    let limit = [control.as_raw_fd() as u64 + 1; 2];
    assert_eq!(
        sys!(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_NOFILE,
            limit.as_ptr(),
            0
        ),
        Ok(0)
    );
    for _ in 0..100 {
        assert_eq!(
            own(sys!(
                libc::SYS_prctl,
                PR_EVFILTER,
                PR_EVFILTER_OPEN,
                0,
                0,
                0
            ))
            .err(),
            Some(EMFILE)
        );
        let image = allow_all();
        let words = [32u64, image.as_ptr() as u64, image.len() as u64, 0];
        let loaded = own(ioctl(
            control.as_fd(),
            uapi::control::IOC_LOAD,
            words.as_ptr(),
        ));
        assert_eq!(loaded.err(), Some(EMFILE));
    }
    drop(control);
    assert!(try_control().is_ok());
}

fn duplicates_are_the_same_filter() {
    no_new_privs();
    let filter = filter();
    let copy = own(sys!(libc::SYS_dup, &filter)).expect("dup");
    restrict(&filter);
    drop(filter);
    restrict(&copy);
    assert_eq!((layers(), try_open(NAME)), (2, Err(ODD)));
}

fn closing_in_any_order() {
    no_new_privs();
    for order in 0..6 {
        let seen = run(|board| {
            let (control, first, second) = (control(), filter(), load(&allow_all()));
            assert_eq!(restrict_through(control.as_fd(), first.as_raw_fd()), Ok(0));
            let mut fds = vec![Some(control), Some(first), Some(second)];
            for at in [order % 3, (order + 1 + order / 3) % 3] {
                fds[at] = None;
            }
            drop(fds);
            board.ret(try_open(NAME));
        });
        assert_eq!(seen.well(), [-76]);
    }
}

/// What `ls -l /proc/PID/fd` shows of them.
fn descriptors_have_telling_names() {
    for (kind, fd) in [("control", control()), ("filter", filter())] {
        let link =
            std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("readlink");
        assert!(
            link.to_string_lossy().contains("evfilter"),
            "{kind}: {}",
            link.display()
        );
    }
}

fn info_counts_the_layers_of_the_caller() {
    let control = control();
    no_new_privs();
    for count in 1..=5 {
        restrict(&filter());
        assert_eq!(info_of(control.as_fd()).layers, count);
    }
    assert_eq!(run(|board| board.put(i64::from(layers()))).well(), [5]);
}

fn poll_and_seek_do_not_hang() {
    for fd in [control(), filter()] {
        let mut polled = libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN | libc::POLLOUT,
            revents: 0,
        };
        assert!(sys!(libc::SYS_poll, &raw mut polled, 1, 10).is_ok());
        let _ = sys!(libc::SYS_lseek, &fd, 0, libc::SEEK_END);
        assert!(sys!(libc::SYS_fstat, &fd, [0u64; 32].as_mut_ptr()).is_ok());
    }
}

fn filter_outlives_its_control() {
    no_new_privs();
    let filter = {
        let control = control();
        let image = deny_name(NAME.to_bytes());
        let words = [32u64, image.as_ptr() as u64, image.len() as u64, 0];
        own(ioctl(
            control.as_fd(),
            uapi::control::IOC_LOAD,
            words.as_ptr(),
        ))
        .expect("IOC_LOAD")
    };
    assert_eq!(try_restrict(&filter), Ok(0));
    assert_eq!(try_open(NAME), Err(ODD));
    assert!(try_load(&allow_all()).is_ok());
}

// SPDX-License-Identifier: GPL-2.0
//! RESTRICT_TSYNC and the kernel's threads that work for the process: io_uring's, made by other threads than the caller.

use std::ffi::CStr;
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AF_UNIX, AT_FDCWD, ENOENT, ESRCH, SOCK_STREAM};
use uapi::control::RESTRICT_TSYNC;

use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict_with};
use crate::program::{ODD, deny_name};
use crate::ring::Ring;
use crate::sys::message::Address;
use crate::sys::{Ret, own, sys, try_open};

const NAME: &CStr = c"/evf-absent/evf-tsync";

pub(super) fn tests() -> Vec<Test> {
    tests!("tsync";
        law_3_inherited_whole_sqpoll_of_another_thread, law_3_inherited_whole_worker_of_another_thread, law_3_inherited_whole_ring_of_an_ended_thread,
        law_5_fail_closed_sqpoll_of_a_confined_thread_is_in_the_way,
    )
}

/// An open by the ring's own thread.
fn open(ring: &mut Ring) -> Ret {
    ring.call(opcode::OpenAt::new(Fd(AT_FDCWD), NAME.as_ptr()).build())
}

/// A bind, whose address the worker itself takes up.
fn bind_in_worker(ring: &mut Ring) -> Ret {
    let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0)).expect("socket");
    let address = Address::new(NAME.to_bytes());
    let (at, len) = address.parts();
    let fd = Fd(socket.as_raw_fd());
    ring.call_in_worker(opcode::Bind::new(fd, at as *const _, len as u32).build())
}

fn restrict_all() -> (Ret, u32) {
    let filter = load(&deny_name(NAME.to_bytes()));
    restrict_with(RESTRICT_TSYNC, filter.as_raw_fd())
}

/// A thread makes a ring and lives on; the layer comes from the first thread.
fn of_another_thread(make: fn() -> Ring, deed: fn(&mut Ring) -> Ret) {
    let (made, wait) = channel();
    let (go, gone) = channel();
    let maker = std::thread::spawn(move || {
        let mut ring = make();
        assert_eq!(deed(&mut ring), Err(ENOENT));
        made.send(()).expect("the first thread waits");
        assert_eq!(gone.recv(), Ok(()));
        [deed(&mut ring), deed(&mut make()), try_open(NAME)]
    });
    assert_eq!(wait.recv(), Ok(()));
    assert_eq!(restrict_all(), (Ok(0), 0));
    go.send(()).expect("the maker waits");
    assert_eq!(maker.join().ok(), Some([Err(ODD); 3]));
}

fn law_3_inherited_whole_sqpoll_of_another_thread() {
    of_another_thread(Ring::sqpoll, open);
}

fn law_3_inherited_whole_worker_of_another_thread() {
    of_another_thread(Ring::new, bind_in_worker);
}

fn law_3_inherited_whole_ring_of_an_ended_thread() {
    let maker = std::thread::spawn(|| {
        let mut ring = Ring::sqpoll();
        assert_eq!(open(&mut ring), Err(ENOENT));
        ring
    });
    let mut ring = maker.join().expect("a ring");
    assert_eq!(restrict_all(), (Ok(0), 0));
    assert_eq!(open(&mut ring), Err(ODD));
}

/// Its maker is gone, but the kernel's thread is under a layer that the caller is not under.
fn law_5_fail_closed_sqpoll_of_a_confined_thread_is_in_the_way() {
    let maker = std::thread::spawn(|| {
        attach(&deny_name(b"/evf-absent/other"));
        Ring::sqpoll()
    });
    let mut ring = maker.join().expect("a ring");
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads");
    let polling = tasks.flatten().find(|task| {
        std::fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|name| name.starts_with("iou-sqp-"))
    });
    let polling = polling.expect("a SQPOLL thread").file_name();
    let (done, thread) = restrict_all();
    assert_eq!(done, Err(ESRCH));
    assert_eq!(Some(thread.to_string().as_str()), polling.to_str());
    assert_eq!((layers(), open(&mut ring)), (0, Err(ENOENT)));
}

// SPDX-License-Identifier: GPL-2.0
//! A thread flips one byte of the name between an allowed and a refused file while another one uses it.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AF_UNIX, AT_FDCWD, SOCK_STREAM};

use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{ODD, deny_name};
use crate::ring::Ring;
use crate::sys::memory::{PAGE, map, poke, write};
use crate::sys::{Ret, own, sys};

pub(super) fn tests() -> Vec<Test> {
    let rows = tests!("races";
        law_2_stable_strings_open, law_2_stable_strings_open_long_name, law_2_stable_strings_stat, law_2_stable_strings_unlink,
        law_2_stable_strings_ia32_open, law_2_stable_strings_io_uring, law_2_stable_strings_sqpoll, law_2_stable_strings_connect, law_2_stable_strings_execve,
    );
    rows.into_iter().map(|test| test.limit(180)).collect()
}

/// Two names of the same length, the first allowed, the second refused, which differ in one byte; and memory that holds one of them.
struct Pair {
    address: u64,
    differs: u64,
    bytes: [u8; 2],
    allowed: String,
    refused: String,
}

impl Pair {
    /// `directory/evf-a` and `directory/evf-b`, in memory below 4 GiB.
    fn new(directory: &str) -> Pair {
        let [allowed, refused] = ["a", "b"].map(|last| format!("{directory}/evf-{last}"));
        let address = map(2 * PAGE, libc::MAP_PRIVATE | libc::MAP_32BIT);
        write(address, allowed.as_bytes());
        let differs = address + allowed.len() as u64 - 1;
        Pair {
            address,
            differs,
            bytes: *b"ab",
            allowed,
            refused,
        }
    }

    /// Both files exist; the refused one is refused from now on.
    fn files(directory: &str) -> Pair {
        std::fs::create_dir_all(directory).expect("mkdir");
        let pair = Pair::new(directory);
        for path in [&pair.allowed, &pair.refused] {
            std::fs::write(path, path).expect("write");
        }
        pair
    }

    fn inode_of_the_refused(&self) -> u64 {
        std::fs::metadata(&self.refused).expect("metadata").ino()
    }

    /// Runs `deed` over and over while another thread flips the byte. `deed` says whether it reached the refused thing.
    ///
    /// Both outcomes must have been seen, or there was no race.
    fn race(&self, rounds: usize, mut deed: impl FnMut(u64) -> Result<bool, i32>) {
        attach(&deny_name(self.refused.as_bytes()));
        let done = AtomicBool::new(false);
        let (mut allowed, mut refused, mut reached) = (0, 0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    poke(self.differs, self.bytes[1]);
                    poke(self.differs, self.bytes[0]);
                }
            });
            for round in 0..rounds {
                match deed(self.address) {
                    Ok(false) => allowed += 1,
                    Ok(true) => reached += 1,
                    Err(ODD) => refused += 1,
                    Err(other) => panic!("errno {other} in round {round}"),
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        println!(
            "{rounds} rounds: {allowed} allowed, {refused} refused, {reached} reached what is refused"
        );
        assert_eq!(reached, 0, "the refused file was reached");
        assert!(
            allowed > 0 && refused > 0,
            "no race: {allowed} allowed, {refused} refused"
        );
    }
}

/// Whether an open descriptor is the file with this inode.
pub(crate) fn is_inode(fd: &std::os::fd::OwnedFd, inode: u64) -> bool {
    let mut stat = [0u64; 32];
    assert_eq!(sys!(libc::SYS_fstat, fd, stat.as_mut_ptr()), Ok(0));
    stat[1] == inode
}

fn open_race(directory: &str, rounds: usize, open: impl Fn(u64) -> Ret) {
    let pair = Pair::files(directory);
    let inode = pair.inode_of_the_refused();
    pair.race(rounds, |name| {
        own(open(name)).map(|fd| is_inode(&fd, inode))
    });
}

fn law_2_stable_strings_open() {
    open_race("/tmp/evf-race", 30_000, |name| {
        sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0)
    });
}

/// The tail of a name of 1,000 bytes is fetched from user memory by another copy than its head.
fn law_2_stable_strings_open_long_name() {
    let directory = format!("/tmp/evf-race/{}", format!("{}/", "d".repeat(99)).repeat(9));
    open_race(&directory, 20_000, |name| {
        sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0)
    });
}

fn law_2_stable_strings_stat() {
    let pair = Pair::files("/tmp/evf-race");
    let inode = pair.inode_of_the_refused();
    let mut stat = [0u64; 32];
    pair.race(20_000, |name| {
        sys!(libc::SYS_newfstatat, AT_FDCWD, name, stat.as_mut_ptr(), 0).map(|_| stat[1] == inode)
    });
}

/// The allowed file is made again each time, the refused one must survive.
fn law_2_stable_strings_unlink() {
    let pair = Pair::files("/tmp/evf-race");
    let (allowed, refused) = (pair.allowed.clone(), pair.refused.clone());
    let refused_file = std::ffi::CString::new(refused).expect("a path");
    let stat = std::fs::File::open("/tmp").expect("open");
    pair.race(5_000, |name| {
        sys!(libc::SYS_unlink, name)?;
        std::fs::write(&allowed, "x").expect("write");
        // Looked for without naming it as the policy knows it.
        let tail = &refused_file.as_bytes_with_nul()[5..];
        let fd = std::os::fd::AsRawFd::as_raw_fd(&stat);
        let gone = sys!(libc::SYS_faccessat, fd, tail, 0) == Err(libc::ENOENT);
        Ok(gone)
    });
}

fn law_2_stable_strings_ia32_open() {
    if crate::sys::ia32::call(20, [0; 6]).is_err() {
        crate::harness::skip("this kernel has no 32-bit system calls");
    }
    open_race("/tmp/evf-race", 20_000, |name| {
        crate::sys::ia32::call(5, [name as u32, 0, 0, 0, 0, 0])
    });
}

fn ring_race(ring: Ring, rounds: usize) {
    let ring = std::cell::RefCell::new(ring);
    open_race("/tmp/evf-race", rounds, |name| {
        ring.borrow_mut()
            .call(opcode::OpenAt::new(Fd(AT_FDCWD), name as *const _).build())
    });
}

fn law_2_stable_strings_io_uring() {
    ring_race(Ring::new(), 20_000);
}

fn law_2_stable_strings_sqpoll() {
    ring_race(Ring::sqpoll(), 1_000);
}

/// An address of a socket is copied once, then turned into a name.
fn law_2_stable_strings_connect() {
    let _ = std::fs::remove_dir_all("/tmp/evf-sockets");
    std::fs::create_dir("/tmp/evf-sockets").expect("mkdir");
    let pair = Pair::new("/tmp/evf-sockets");
    let servers = [&pair.allowed, &pair.refused]
        .map(|path| std::os::unix::net::UnixListener::bind(path).expect("bind"));
    servers[1].set_nonblocking(true).expect("set_nonblocking");
    // struct sockaddr_un: the family is in front of the path.
    let address = map(PAGE, libc::MAP_PRIVATE);
    write(address, &[libc::AF_UNIX as u8, 0]);
    write(address + 2, pair.allowed.as_bytes());
    let length = 2 + pair.allowed.len() + 1;
    let differs = address + 2 + pair.allowed.len() as u64 - 1;
    let pair = Pair {
        address,
        differs,
        ..pair
    };
    pair.race(5_000, |address| {
        let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0)).expect("socket");
        sys!(libc::SYS_connect, &socket, address, length)?;
        if let Ok(_stream) = servers[1].accept() {
            return Ok(true);
        }
        let _ = servers[0].accept().expect("accept");
        Ok(false)
    });
}

/// Which of two programs was executed shows in the status.
fn law_2_stable_strings_execve() {
    let pair = Pair::files("/tmp/evf-race");
    for (path, status) in [(&pair.allowed, 3), (&pair.refused, 4)] {
        std::fs::write(path, format!("#!/bin/busybox sh\nexit {status}\n")).expect("write");
        let path = std::ffi::CString::new(path.as_str()).expect("a path");
        assert_eq!(sys!(libc::SYS_chmod, &*path, 0o755), Ok(0));
    }
    use crate::sys::child::{End, exit, fork, wait};
    // The flipping thread is in the parent only: the name must lie in memory that parent and child share.
    let shared = map(PAGE, libc::MAP_SHARED);
    write(shared, pair.allowed.as_bytes());
    let differs = shared + pair.allowed.len() as u64 - 1;
    let pair = Pair {
        address: shared,
        differs,
        ..pair
    };
    pair.race(150, |name| {
        let pid = fork().expect("fork");
        if pid == 0 {
            let argv = [name, 0];
            if sys!(libc::SYS_execve, name, argv.as_ptr(), argv[1..].as_ptr()) == Err(ODD) {
                exit(5);
            }
            exit(6);
        }
        match wait(pid) {
            End::Exit(3) => Ok(false),
            End::Exit(4) => Ok(true),
            End::Exit(5) => Err(ODD),
            // The kernel gives the script's name to its shell, which opens it by itself: here a stable copy.
            other => panic!("{other:?}"),
        }
    });
}

// SPDX-License-Identifier: GPL-2.0
//! A session: some hundred requests of one process, each with the answer that it must get.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{E2BIG, EBADF, EBADFD, EFAULT, EINVAL, EMSGSIZE, ENOSPC, ENOTTY, EOPNOTSUPP};
use uapi::argument::{self, Refusal, Restriction, Whom};
use uapi::control::{
    DEVICE_PATH, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, LOAD_INTERPRETED, Load, PR_EVFILTER,
    PR_EVFILTER_OPEN, RESTRICT_AT_EXEC, RESTRICT_STRICT, RESTRICT_TSYNC, RestrictSelf,
};

use super::Tally;
use super::arena::Arena;
use super::request::{self, Entry};
use super::{image as images, trial};
use crate::judged;
use crate::kernel::{control, info, load, restrict};
use crate::program::{allow_all, deny_name};
use crate::random::Random;
use crate::sys::child::{Board, End, run};
use crate::sys::{Ret, ia32, no_new_privs, open, own, sys};

/// Requests of a session.
const REQUESTS: usize = 250;
/// Filter descriptors that are kept.
const KEPT: usize = 8;

/// Denied from the beginning, and for as long as the process lives.
pub(super) fn stand_on_ground() {
    no_new_privs();
    restrict(&load(&judged::image()));
}

/// What no request may change: the first layer holds, and `layers` are there.
#[track_caller]
pub(super) fn assert_confined(layers: u32) {
    assert!(judged::is_judged());
    assert_eq!(info().layers, layers);
}

struct Session<'a> {
    random: &'a mut Random,
    arena: Arena,
    ia32: bool,
    sound: Vec<Vec<u8>>,
    control: OwnedFd,
    device: OwnedFd,
    file: OwnedFd,
    /// Filters that allow whatever the session itself needs.
    filters: VecDeque<OwnedFd>,
    layers: u32,
    /// Layers for an exec that never comes.
    intended: u32,
    most: u32,
    tally: Tally,
}

/// Holds one.
pub(super) fn hold(random: &mut Random, board: &Board) {
    stand_on_ground();
    let device = std::ffi::CString::new(DEVICE_PATH).expect("a path");
    let mut session = Session {
        arena: Arena::new(),
        ia32: ia32::call(20, [0; 6]).is_ok(),
        sound: images::sound(),
        control: control(),
        device: open(&device, libc::O_RDWR).expect(DEVICE_PATH),
        file: open(c"/etc/passwd", libc::O_RDONLY).expect("/etc/passwd"),
        filters: VecDeque::from([load(&allow_all())]),
        layers: 1,
        intended: 0,
        most: info().max_layers,
        tally: Tally::default(),
        random,
    };
    for _ in 0..REQUESTS {
        match session.random.below(10) {
            0 => session.prctl(),
            1 => session.call_on_a_descriptor(),
            _ => session.ioctl(),
        }
        session.tally.requests += 1;
        if session.random.percent(10) {
            assert_confined(session.layers);
        }
    }
    assert_confined(session.layers);
    session.tally.put(board);
}

fn refused<T>(refusal: Refusal<T>) -> i32 {
    match refusal {
        Refusal::Fault(_) => EFAULT,
        Refusal::Invalid => EINVAL,
        Refusal::TooBig => E2BIG,
        Refusal::NotSupported => EOPNOTSUPP,
    }
}

/// Takes a descriptor that must be new and must not survive an exec.
#[track_caller]
fn fresh(ret: Ret) -> OwnedFd {
    let fd = own(ret).expect("a descriptor");
    let flags = sys!(libc::SYS_fcntl, &fd, libc::F_GETFD);
    assert_eq!(flags, Ok(libc::FD_CLOEXEC as u64));
    fd
}

impl Session<'_> {
    fn prctl(&mut self) {
        let entry = Entry::any(self.random, self.ia32);
        let option = request::option(self.random);
        let mut arguments = [PR_EVFILTER_OPEN, 0, 0, 0];
        if self.random.percent(50) {
            let at = self.random.below(4);
            arguments[at] = self.random.pick(&[0, 1, 2, 1 << 32, 1 << 32 | 1, u64::MAX]);
        }
        let ret = entry.prctl(option, arguments);
        let [operation, rest @ ..] = arguments.map(|argument| entry.seen(argument));
        if option == PR_EVFILTER as u32 && argument::asks_for_control(operation, rest) {
            self.control = fresh(ret);
            self.tally.descriptors += 1;
        } else {
            assert_eq!(ret, Err(EINVAL), "prctl({option:#x}, {arguments:x?})");
        }
    }

    fn ioctl(&mut self) {
        let entry = Entry::any(self.random, self.ia32);
        let request = request::number(self.random);
        let (bytes, image) = match request {
            IOC_LOAD => {
                let (bytes, image) = self.load_argument();
                (bytes, Some(image))
            }
            _ => (self.argument(request), None),
        };
        let address = self.arena.address(self.random, bytes.len());
        if let Some((at, image)) = &image {
            self.arena.put(*at, image);
        }
        self.arena.put(address, &bytes);
        let fd = match self.random.below(12) {
            0 => self.device.as_raw_fd(),
            1 => return self.on_no_control(entry, request, address),
            _ => self.control.as_raw_fd(),
        };
        let seen = entry.seen(address);
        match request {
            IOC_INFO => self.info(entry, fd, seen),
            IOC_LOAD => self.load(entry, fd, seen),
            IOC_RESTRICT_SELF => self.restrict(entry, fd, seen),
            _ => {
                let before = self.arena.copy();
                assert_eq!(
                    entry.ioctl(fd, request, address),
                    Err(ENOTTY),
                    "ioctl {request:#x}"
                );
                self.assert_memory(before, 0, &[]);
            }
        }
    }

    /// The bytes of an argument: sound, or with words that are not.
    fn argument(&mut self, request: u32) -> Vec<u8> {
        let random = &mut *self.random;
        let fds = [
            self.filters[random.below(self.filters.len())].as_raw_fd(),
            self.control.as_raw_fd(),
            self.file.as_raw_fd(),
            -1,
            9999,
        ];
        let words: Vec<u32> = match request {
            IOC_RESTRICT_SELF => {
                let flags = match random.below(8) {
                    0 => RESTRICT_TSYNC,
                    1 => RESTRICT_AT_EXEC,
                    2 => RESTRICT_STRICT,
                    3 => random.below(16) as u32,
                    _ => 0,
                };
                let fd = match (flags & RESTRICT_STRICT, random.below(8)) {
                    (0, 0..6) => fds[0],
                    (0, _) => random.pick(&fds),
                    _ => random.pick(&[-1, -1, -1, fds[0]]),
                };
                vec![size_of::<RestrictSelf>() as u32, flags, fd as u32, 0]
            }
            _ => {
                let mut words = vec![0; size_of::<Info>() / 4];
                words[0] = size_of::<Info>() as u32;
                words
            }
        };
        let bytes = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        self.with_errors(bytes)
    }

    fn with_errors(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let random = &mut *self.random;
        if random.percent(30) {
            let at = 4 * random.below(bytes.len() / 4);
            let value = random.pick(&[0, 1, 3, 15, 16, 31, 47, 64, 4096, 4097, u32::MAX, 1 << 31]);
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        if random.percent(15) {
            // A newer caller, with a tail of zeros or not.
            let size = bytes.len() + 4 * (1 + random.below(40));
            let tail = random.pick(&[0, 0, 1]);
            let known = bytes.len();
            bytes.resize(size, 0);
            bytes[known + random.below(size - known)] = tail;
            bytes[..4].copy_from_slice(&(size as u32).to_ne_bytes());
        }
        bytes
    }

    /// The argument of a LOAD, with an image and where that will lie.
    fn load_argument(&mut self) -> (Vec<u8>, (u64, Vec<u8>)) {
        let image = images::any(self.random, &self.sound);
        let at = self.arena.address(self.random, image.len());
        let message_len = self.random.pick(&[0, 1, 2, 40, 192, 256, 5000]);
        let message = self
            .arena
            .address(self.random, message_len.min(256) as usize);
        let image_len = match self.random.percent(10) {
            true => self
                .random
                .pick(&[0, 4, 19, 1 << 20, 0x0400_0001, u32::MAX]),
            false => image.len() as u32,
        };
        let load = Load {
            size: size_of::<Load>() as u32,
            flags: self.random.pick(&[0, 0, 0, LOAD_INTERPRETED, 2]),
            image: at,
            image_len,
            message_len,
            message,
        };
        let halves = |long: u64| [long as u32, (long >> 32) as u32];
        let [image_low, image_high] = halves(load.image);
        let [message_low, message_high] = halves(load.message);
        let words = [
            load.size,
            load.flags,
            image_low,
            image_high,
            load.image_len,
            load.message_len,
            message_low,
            message_high,
        ];
        let bytes = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        (self.with_errors(bytes), (at, image))
    }

    /// The memory is as it was, but for `bytes` at `address`.
    #[track_caller]
    fn assert_memory(&self, mut before: Vec<u8>, address: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            let at = (address - self.arena.start()) as usize;
            before[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let after = self.arena.copy();
        let differ = before.iter().zip(&after).position(|(was, is)| was != is);
        assert_eq!(differ, None, "a byte that nobody was to write");
    }

    /// A request on a descriptor that is of something else.
    fn on_no_control(&mut self, entry: Entry, request: u32, address: u64) {
        let before = self.arena.copy();
        for (fd, errno) in [
            (self.filters[0].as_raw_fd(), ENOTTY),
            (self.file.as_raw_fd(), ENOTTY),
            (9999, EBADF),
        ] {
            assert_eq!(
                entry.ioctl(fd, request, address),
                Err(errno),
                "ioctl {request:#x}"
            );
        }
        self.assert_memory(before, 0, &[]);
    }

    fn info(&mut self, entry: Entry, fd: i32, address: u64) {
        let before = self.arena.copy();
        let room = Info::room(&mut self.arena.at(address));
        let ret = entry.ioctl(fd, IOC_INFO, address);
        match room {
            Err(refusal) => {
                assert_eq!(ret, Err(refused(refusal)), "IOC_INFO");
                self.assert_memory(before, 0, &[]);
            }
            // What the kernel has written when it came to a page that it cannot write is not said.
            Ok(room) if !self.arena.can_be_written(address, room) => {
                assert_eq!(ret, Err(EFAULT), "IOC_INFO");
            }
            Ok(room) => {
                assert_eq!(ret, Ok(0), "IOC_INFO");
                let info = info();
                assert_eq!(info.layers, self.layers);
                self.assert_memory(before, address, &info.to_bytes()[..room]);
            }
        }
    }

    fn load(&mut self, entry: Entry, fd: i32, address: u64) {
        let before = self.arena.copy();
        let load = Load::read(&mut self.arena.at(address));
        let ret = entry.ioctl(fd, IOC_LOAD, address);
        let load = match load {
            Ok(load) => load,
            Err(refusal) => {
                assert_eq!(ret, Err(refused(refusal)), "IOC_LOAD");
                return self.assert_memory(before, 0, &[]);
            }
        };
        let len = load.image_len as usize;
        if load.image_len > info().max_image {
            assert_eq!(ret, Err(EMSGSIZE), "IOC_LOAD");
            return self.assert_memory(before, 0, &[]);
        }
        if !self.arena.can_be_read(load.image, len) {
            assert_eq!(ret, Err(EFAULT), "IOC_LOAD");
            return self.assert_memory(before, 0, &[]);
        }
        let image = self.image_in(&before, load.image, len);
        match images::verdict(&image) {
            Ok(()) => {
                let filter = fresh(ret);
                self.tally.descriptors += 1;
                self.assert_memory(before, 0, &[]);
                trial::live_under(self.control.as_fd(), &filter);
            }
            Err(refusal) => {
                self.tally.refused += 1;
                let text = refusal.to_string();
                let room = load.message_len as usize;
                let text = &text.as_bytes()[..text.len().min(192)];
                let mut told = text[..text.len().min(room.saturating_sub(1))].to_vec();
                if room > 0 {
                    told.push(0);
                }
                if self.arena.can_be_written(load.message, told.len()) {
                    let errno = i32::from(refusal.errno().0);
                    assert_eq!(ret, Err(errno), "IOC_LOAD: {refusal}");
                    self.assert_memory(before, load.message, &told);
                } else {
                    assert_eq!(ret, Err(EFAULT), "IOC_LOAD: {refusal}");
                }
            }
        }
    }

    /// An image as it lay there before the call.
    fn image_in(&self, before: &[u8], address: u64, len: usize) -> Vec<u8> {
        if len == 0 {
            return Vec::new();
        }
        match address
            .checked_sub(self.arena.start())
            .and_then(|at| before.get(at as usize..at as usize + len))
        {
            Some(bytes) => bytes.to_vec(),
            // The page that can only be read.
            None => vec![0; len],
        }
    }

    fn restrict(&mut self, entry: Entry, fd: i32, address: u64) {
        let before = self.arena.copy();
        let restriction = RestrictSelf::read(&mut self.arena.at(address));
        if let Ok(Restriction {
            filter_fd: None,
            whom,
        }) = restriction
        {
            return self.strict(entry, fd, address, whom);
        }
        let ret = entry.ioctl(fd, IOC_RESTRICT_SELF, address);
        self.assert_memory(before, 0, &[]);
        let restriction = match restriction {
            Ok(restriction) => restriction,
            Err(refusal) => return assert_eq!(ret, Err(refused(refusal)), "IOC_RESTRICT_SELF"),
        };
        let filter = restriction.filter_fd.unwrap_or(-1);
        let is_filter = self.filters.iter().any(|known| known.as_raw_fd() == filter);
        if !is_filter {
            let is_open = sys!(libc::SYS_fcntl, filter, libc::F_GETFD).is_ok();
            let errno = if is_open { EBADFD } else { EBADF };
            return assert_eq!(ret, Err(errno), "IOC_RESTRICT_SELF with {filter}");
        }
        if self.layers + self.intended >= self.most {
            assert_eq!(ret, Err(ENOSPC), "IOC_RESTRICT_SELF");
            return;
        }
        assert_eq!(ret, Ok(0), "IOC_RESTRICT_SELF");
        match restriction.whom {
            Whom::CallerAtExec => self.intended += 1,
            Whom::Caller | Whom::AllThreads => {
                self.layers += 1;
                self.tally.layers += 1;
            }
        }
        let name = format!("/evf-absent/evf-fuzz-{}", self.random.below(1000));
        self.filters.push_back(load(&deny_name(name.as_bytes())));
        if self.filters.len() > KEPT {
            self.filters.pop_front();
        }
    }

    /// The strict filter ends who makes another call: in a child.
    fn strict(&mut self, entry: Entry, fd: i32, address: u64, whom: Whom) {
        let seen = run(|board| {
            board.ret(entry.ioctl(fd, IOC_RESTRICT_SELF, address));
            let _ = sys!(libc::SYS_getpid);
        });
        let full = self.layers + self.intended >= self.most;
        let (told, end) = match whom {
            _ if full => (-i64::from(ENOSPC), End::Exit(0)),
            Whom::CallerAtExec => (0, End::Exit(0)),
            Whom::Caller | Whom::AllThreads => (0, End::Signal(libc::SIGSYS, false)),
        };
        assert_eq!(seen.values, [told], "RESTRICT_STRICT");
        match (seen.end, end) {
            // Whether a core is dumped is not ours to say.
            (End::Signal(signal, _), End::Signal(wanted, _)) => assert_eq!(signal, wanted),
            (seen, wanted) => assert_eq!(seen, wanted, "RESTRICT_STRICT"),
        }
    }

    /// Our descriptors carry nothing: whatever reads, writes, maps or moves is refused.
    fn call_on_a_descriptor(&mut self) {
        const CALLS: [i64; 15] = [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_pread64,
            libc::SYS_pwrite64,
            libc::SYS_readv,
            libc::SYS_preadv2,
            libc::SYS_ftruncate,
            libc::SYS_getdents64,
            libc::SYS_fallocate,
            libc::SYS_fsync,
            libc::SYS_fchdir,
            libc::SYS_recvfrom,
            libc::SYS_sendfile,
            libc::SYS_timerfd_gettime,
            libc::SYS_epoll_wait,
        ];
        let nr = self.random.pick(&CALLS);
        let fd = match self.random.below(2) {
            0 => self.control.as_raw_fd(),
            _ => self.filters[0].as_raw_fd(),
        };
        let mut word = || match self.random.below(4) {
            0 => 0,
            1 => self.random.below(4096) as u64,
            _ => self.arena.address(self.random, 64),
        };
        let (second, third, fourth) = (word(), word(), word());
        let ret = sys!(nr, fd, second, third, fourth, 0, 0);
        assert!(ret.is_err(), "call {nr} on a descriptor of ours: {ret:?}");
        let mapped = sys!(
            libc::SYS_mmap,
            0,
            4096,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            fd,
            0
        );
        assert!(mapped.is_err(), "mmap of a descriptor of ours: {mapped:?}");
    }
}

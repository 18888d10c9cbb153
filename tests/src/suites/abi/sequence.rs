// SPDX-License-Identifier: GPL-2.0
//! The security sequence, as a file that everyone can read and nobody can write.

use libc::{EACCES, EPERM};
use uapi::control::SECURITY_SEQUENCE_PATH;

use crate::harness::{Test, tests};
use crate::kernel::{attach, info};
use crate::program::allow_all;
use crate::sys::child::run;
use crate::sys::{become_user, open, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("abi";
        sequence_file_says_what_info_says, sequence_file_is_read_by_everyone, sequence_file_is_written_by_nobody, sequence_file_reads_like_others,
    )
}

fn path() -> std::ffi::CString {
    std::ffi::CString::new(SECURITY_SEQUENCE_PATH).expect("a path")
}

/// A decimal number and a newline, nothing else.
fn sequence_file_says_what_info_says() {
    let text = std::fs::read_to_string(SECURITY_SEQUENCE_PATH).expect(SECURITY_SEQUENCE_PATH);
    assert_eq!(text, format!("{}\n", info().security_sequence));
    let names: Vec<_> = std::fs::read_dir("/proc/sys/kernel/evfilter")
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["security_sequence"]);
}

fn sequence_file_is_read_by_everyone() {
    let before = std::fs::read_to_string(SECURITY_SEQUENCE_PATH).expect("as root");
    let seen = run(|board| {
        let same = || {
            let text = std::fs::read_to_string(SECURITY_SEQUENCE_PATH);
            i64::from(text.is_ok_and(|text| text == before))
        };
        become_user(1000);
        board.put(same());
        attach(&allow_all());
        board.put(same());
    });
    assert_eq!(seen.well(), [1, 1]);
}

/// Not even by root, and the mode stays.
fn sequence_file_is_written_by_nobody() {
    let before = info().security_sequence;
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_WRONLY | libc::O_TRUNC] {
        assert_eq!(open(&path(), flags).err(), Some(EACCES), "{flags:#x}");
    }
    assert_eq!(sys!(libc::SYS_chmod, path().as_c_str(), 0o666), Err(EPERM));
    let file = open(&path(), libc::O_RDONLY).expect("for reading");
    let written = sys!(libc::SYS_write, &file, b"9".as_slice(), 1);
    assert_eq!(written, Err(libc::EBADF));
    assert_eq!(info().security_sequence, before);
    sequence_file_says_what_info_says();
}

/// Read byte by byte, read again, read at the end.
fn sequence_file_reads_like_others() {
    let whole = std::fs::read(SECURITY_SEQUENCE_PATH).expect(SECURITY_SEQUENCE_PATH);
    let file = open(&path(), libc::O_RDONLY).expect("for reading");
    let mut buffer = [0u8; 64];
    let mut read = |bytes: usize| {
        let read = sys!(libc::SYS_read, &file, buffer.as_mut_ptr(), bytes);
        buffer[..read.expect("read") as usize].to_vec()
    };
    assert_eq!(read(64), whole);
    assert_eq!(read(64), Vec::<u8>::new());
    assert_eq!(sys!(libc::SYS_lseek, &file, 0, libc::SEEK_SET), Ok(0));
    assert_eq!(read(64), whole);
}

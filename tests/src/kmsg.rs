// SPDX-License-Identifier: GPL-2.0
//! The kernel log, from a point in time on.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::sys::{open, sys};

/// A reader that sees what is logged after it was made.
pub struct Log {
    file: OwnedFd,
}

/// Time in which the module logs at most ten verdicts, of whatever task (`DEFAULT_RATELIMIT_INTERVAL` of the kernel), and a little more.
const RATELIMIT_INTERVAL: Duration = Duration::from_millis(5500);

impl Log {
    /// Starts at the end of the log, once the module may log again whatever it has logged before.
    #[track_caller]
    pub fn follow() -> Log {
        std::thread::sleep(RATELIMIT_INTERVAL);
        let file = open(c"/dev/kmsg", libc::O_RDONLY | libc::O_NONBLOCK).expect("/dev/kmsg");
        let sought = sys!(libc::SYS_lseek, &file, 0, libc::SEEK_END);
        assert!(sought.is_ok(), "lseek of /dev/kmsg: {sought:?}");
        Log { file }
    }

    /// The messages logged since, without their prefixes.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut record = [0u8; 8192];
        loop {
            match sys!(
                libc::SYS_read,
                &self.file,
                record.as_mut_ptr(),
                record.len()
            ) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&record[..bytes as usize]);
                    let message = text.split_once(';').map_or(&*text, |(_, message)| message);
                    lines.push(message.lines().next().unwrap_or_default().to_owned());
                }
                // The writer went around the buffer; the next read goes on behind the gap.
                Err(libc::EPIPE) => {}
                Err(_) => return lines,
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the guest says on its serial console: protocol lines of the test runner and of init, kernel splats, the rest.

mod races;
mod torn;

pub(crate) use races::Races;
pub(crate) use torn::Torn;

/// The mark every protocol line begins with.
const MARK: &str = "@@evf ";

/// Texts by which the kernel reports its own misbehaviour. None of them is ever printed on purpose.
const SPLATS: [&str; 23] = [
    "BUG:",
    "WARNING:",
    "Oops:",
    "Oops ",
    "KASAN:",
    "UBSAN:",
    "KFENCE:",
    "general protection fault",
    "Kernel panic",
    "Unable to handle",
    "unable to handle",
    "double fault",
    "INFO: task ",
    "soft lockup",
    "hard LOCKUP",
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "refcount_t:",
    "ODEBUG",
    "INFO: trying to register non-static key",
    "turning off the locking correctness validator",
    "Kernel memory leak detector disabled",
    "list_add corruption",
];

/// One line of the console, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// How many tests will run.
    Plan(u32),
    /// A test begins.
    Start(&'a str),
    /// A detail of the test that is running.
    Out(&'a str),
    /// A test passed, in so many milliseconds.
    Pass(&'a str, u64),
    /// A test failed, in so many milliseconds.
    Fail(&'a str, u64),
    /// A test could not run in this guest, and why.
    Skip(&'a str, &'a str),
    /// The runner's own count.
    Done {
        /// Tests that passed.
        passed: u32,
        /// Tests that failed.
        failed: u32,
        /// Tests that could not run.
        skipped: u32,
    },
    /// What the measuring program has to say, as JSON.
    Bench(&'a str),
    /// A line of the collector's report of which code has run.
    Coverage(&'a str),
    /// The sentinel: the command's exit status, said by init right before it powers off.
    Exit(i32),
    /// A protocol mark followed by something that is none of the above.
    Garbled(&'a str),
    /// The kernel reports misbehaviour of its own.
    Splat(&'a str),
    /// The detector of data races begins a report, whose next lines tell whose race it is.
    Race(&'a str),
    /// User space begins.
    Init,
    /// Anything else.
    Text(&'a str),
}

/// Understands one line, without its line end.
pub(crate) fn read(line: &str) -> Line<'_> {
    let line = line.trim_end_matches(['\r', '\n']);
    // A message of the kernel may stand before the mark; the runner writes its lines in one piece.
    if let Some((_, words)) = line.split_once(MARK) {
        let garbled = if is_splat(line) {
            Line::Splat(line)
        } else {
            Line::Garbled(line)
        };
        return protocol(words).unwrap_or(garbled);
    }
    if kernel_message(line).is_some_and(|message| message.contains("BUG: KCSAN: ")) {
        return Line::Race(line);
    }
    if is_splat(line) {
        return Line::Splat(line);
    }
    if line.ends_with("Run /init as init process") {
        Line::Init
    } else {
        Line::Text(line)
    }
}

fn protocol(words: &str) -> Option<Line<'_>> {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let timed = || {
        let (name, millis) = rest.trim_end().rsplit_once(' ')?;
        Some((name, millis.parse().ok()?))
    };
    Some(match verb {
        "plan" => Line::Plan(rest.trim().parse().ok()?),
        "start" if !rest.is_empty() => Line::Start(rest.trim()),
        "out" => Line::Out(rest),
        "ok" => timed().map(|(name, millis)| Line::Pass(name, millis))?,
        "fail" => timed().map(|(name, millis)| Line::Fail(name, millis))?,
        "skip" => {
            let (name, reason) = rest.split_once(' ')?;
            Line::Skip(name, reason.trim())
        }
        "done" => {
            let count = |key: &str| {
                rest.split_whitespace()
                    .find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
            };
            Line::Done {
                passed: count("passed")?,
                failed: count("failed")?,
                skipped: count("skipped")?,
            }
        }
        "bench" if rest.starts_with('{') => Line::Bench(rest.trim_end()),
        "coverage" if !rest.is_empty() => Line::Coverage(rest.trim_end()),
        "exit" => Line::Exit(rest.trim().parse().ok()?),
        _ => return None,
    })
}

/// Whether the kernel complains of itself in this line.
fn is_splat(line: &str) -> bool {
    let Some(message) = kernel_message(line) else {
        return false;
    };
    SPLATS.iter().any(|splat| message.contains(splat))
        || is_slab(message)
        || is_rcu_stall(message)
        || is_lockdep(message)
}

/// The text of a kernel message: what follows the time stamp `[   12.345678] `, wherever in the line it stands.
fn kernel_message(line: &str) -> Option<&str> {
    stamped(line).map(|(_, message)| message)
}

/// Where in the line a kernel message begins, and its text behind the time stamp.
fn stamped(line: &str) -> Option<(usize, &str)> {
    line.match_indices('[').find_map(|(at, _)| {
        let (stamp, message) = line[at + 1..].split_once(']')?;
        let stamp = stamp.trim_start();
        let (seconds, micros) = stamp.split_once('.')?;
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A thread or CPU id can follow the time: `[    1.234567][    T1]`.
        (digits(seconds) && micros.len() == 6 && digits(micros)).then_some((at, message))
    })
}

/// The allocator's own checks: `BUG kmalloc-64 (Tainted: G): Poison overwritten`. A thread or CPU id can stand before it.
fn is_slab(message: &str) -> bool {
    let (_, text) = message.rsplit_once("] ").unwrap_or(("", message));
    text.trim_start().starts_with("BUG ")
}

fn is_rcu_stall(message: &str) -> bool {
    message.contains("INFO: rcu") || (message.contains("rcu:") && message.contains("stall"))
}

fn is_lockdep(message: &str) -> bool {
    (message.contains("possible") && message.contains("detected"))
        || message.contains("inconsistent lock state")
        || message.contains("held lock freed")
        || message.contains("bad unlock balance")
        || message.contains("suspicious RCU usage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_lines_are_read() {
        assert_eq!(read("@@evf plan 150\r"), Line::Plan(150));
        assert_eq!(
            read("@@evf start getname::long_name"),
            Line::Start("getname::long_name")
        );
        assert_eq!(
            read("@@evf out  left = 1, right = 2"),
            Line::Out(" left = 1, right = 2")
        );
        assert_eq!(read("@@evf ok a::b 12"), Line::Pass("a::b", 12));
        assert_eq!(read("@@evf fail a::b 7"), Line::Fail("a::b", 7));
        assert_eq!(
            read("@@evf skip a::b no ia32 here"),
            Line::Skip("a::b", "no ia32 here")
        );
        assert_eq!(
            read("@@evf done passed=3 failed=1 skipped=2"),
            Line::Done {
                passed: 3,
                failed: 1,
                skipped: 2
            }
        );
        assert_eq!(
            read("@@evf bench {\"now\": \"x\"}\r"),
            Line::Bench("{\"now\": \"x\"}")
        );
        assert_eq!(
            read("@@evf coverage seen text 10 a5\r"),
            Line::Coverage("seen text 10 a5")
        );
        assert_eq!(read("@@evf exit 0"), Line::Exit(0));
    }

    #[test]
    fn mark_after_a_kernel_message_still_counts() {
        assert_eq!(
            read("[    4.000001] usb: x@@evf ok a::b 12"),
            Line::Pass("a::b", 12)
        );
        let torn = "@@evf ok a:[    4.000001] WARNING: CPU: 0 PID: 1 at x.c:1";
        assert_eq!(read(torn), Line::Splat(torn));
    }

    #[test]
    fn broken_protocol_lines_are_not_swallowed() {
        for line in [
            "@@evf",
            "@@evf ",
            "@@evf ok a::b",
            "@@evf plan many",
            "@@evf done passed=1 failed=0",
            "@@evf exit",
            "@@evf dance 1",
            "@@evf bench getppid 1",
        ] {
            let expected = if line == "@@evf" {
                Line::Text(line)
            } else {
                Line::Garbled(line)
            };
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn every_kind_of_splat_is_seen() {
        for message in [
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2",
            "Oops: 0000 [#1] SMP NOPTI",
            "BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",
            "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "rcu: INFO: rcu_tasks detected stalls on tasks:",
            "WARNING: possible circular locking dependency detected",
            "WARNING: possible recursive locking detected",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 61s! [evf-tests:99]",
            "INFO: task evf-tests:99 blocked for more than 122 seconds.",
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            "unable to handle page fault for address: ffff",
            "UBSAN: array-index-out-of-bounds in x.c:1:2",
            "WARNING: suspicious RCU usage",
            "refcount_t: underflow; use-after-free.",
            "BUG kmalloc-64 (Tainted: G           O       ): Poison overwritten",
            "ODEBUG: free active (active state 0) object: ffff888003 object type: timer_list",
            "ODEBUG: Out of memory. ODEBUG disabled",
            "INFO: trying to register non-static key.",
            "BUG: MAX_LOCKDEP_ENTRIES too low!",
            "turning off the locking correctness validator.",
            "kmemleak: Kernel memory leak detector disabled",
            "list_add corruption. next->prev should be prev (ffff), but was 0. (next=ffff).",
            "WARNING: bad unlock balance detected!",
            "BUG: Invalid wait context ",
        ] {
            for stamp in [
                "[    1.234567] ",
                "[  123.456789][  T42] ",
                "@@evf-less text [   12.000001] ",
            ] {
                let line = format!("{stamp}{message}");
                assert_eq!(read(&line), Line::Splat(&line), "{line}");
            }
        }
    }

    #[test]
    fn what_programs_print_is_no_splat() {
        for line in [
            "WARNING: a program said that",
            "git: BUG: in a program",
            "[x] WARNING: y",
            "[1.5] BUG:",
            "[    0.1] Command line: quiet",
        ] {
            assert_eq!(read(line), Line::Text(line));
        }
        assert_eq!(read("[    2.718281] Run /init as init process"), Line::Init);
    }
}

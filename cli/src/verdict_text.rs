// SPDX-License-Identifier: GPL-2.0
//! Verdicts in words: as the policy language writes them.

use std::fmt;
use std::str::FromStr;

use filters::lang::constants;
pub(crate) use filters::lang::disasm::verdict as words;
use filters::verdict::{Action, Verdict};

/// What the user expects: a verdict, or one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// This action, whatever its data.
    Action(Action),
    /// Either way to kill.
    Kill,
    /// This action with this data.
    Exactly(Verdict),
}

impl Expectation {
    /// Whether `verdict` is what was expected.
    pub(crate) fn met_by(self, verdict: Verdict) -> bool {
        match self {
            Expectation::Action(action) => verdict.action() == action,
            Expectation::Kill => {
                matches!(verdict.action(), Action::KillProcess | Action::KillThread)
            }
            Expectation::Exactly(expected) => verdict == expected,
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let data = words.next();
        if words.next().is_some() {
            return Err("a verdict has at most two words".to_owned());
        }
        let action = match word {
            "allow" => Action::Allow,
            "log" => Action::Log,
            "deny" => Action::Errno,
            "trap" => Action::Trap,
            "trace" => Action::Trace,
            "kill" | "kill-process" | "kill-thread" if data.is_some() => {
                return Err(format!("`{word}` takes no number"));
            }
            "kill" => return Ok(Expectation::Kill),
            "kill-process" => Action::KillProcess,
            "kill-thread" => Action::KillThread,
            _ => {
                return Err(
                    "expected allow, log, deny [ERRNO], trap [NUMBER], trace [NUMBER], kill, kill-process or kill-thread"
                        .to_owned(),
                );
            }
        };
        let Some(data) = data else {
            return Ok(Expectation::Action(action));
        };
        match action {
            Action::Errno => constants::errno(data)
                .or_else(|| data.parse().ok())
                .map(|errno| Expectation::Exactly(Verdict::errno(errno)))
                .ok_or_else(|| format!("`{data}` is no errno")),
            Action::Trap | Action::Trace => data
                .parse()
                .map(|number| Expectation::Exactly(Verdict::new(action, number)))
                .map_err(|_| format!("`{data}` is no number from 0 to 65535")),
            _ => Err(format!("`{word}` takes no number")),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Expectation::Action(Action::Errno) => f.write_str("deny"),
            Expectation::Action(action) => f.write_str(action.name()),
            Expectation::Kill => f.write_str("kill"),
            Expectation::Exactly(verdict) => f.write_str(&words(verdict)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_read_as_they_are_written() {
        assert_eq!(words(Verdict::ALLOW), "allow");
        assert_eq!(words(Verdict::errno(13)), "deny EACCES");
        assert_eq!(words(Verdict::errno(4000)), "deny 4000");
        assert_eq!(words(Verdict::new(Action::Trap, 7)), "trap 7");
        assert_eq!(words(Verdict::KILL_PROCESS), "kill");
    }

    #[test]
    fn an_expectation_may_leave_the_errno_open() {
        let met = |text: &str, verdict| text.parse().map(|it: Expectation| it.met_by(verdict));
        assert_eq!(met("deny", Verdict::errno(1)), Ok(true));
        assert_eq!(met("deny EPERM", Verdict::errno(1)), Ok(true));
        assert_eq!(met("deny 13", Verdict::errno(1)), Ok(false));
        assert_eq!(met("allow", Verdict::LOG), Ok(false));
        assert_eq!(met("kill", Verdict::KILL_THREAD), Ok(true));
        let trace = Verdict::new(Action::Trace, 7);
        assert_eq!(met("trace", trace), Ok(true));
        assert_eq!(met("trace 7", trace), Ok(true));
        assert_eq!(met("trace 8", trace), Ok(false));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "permit",
            "deny EFOO",
            "trap x",
            "allow 3",
            "kill 9",
            "deny 1 2",
        ] {
            assert!(text.parse::<Expectation>().is_err(), "{text}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! What the policy says about an attempt, worked out in user space, and whether the kernel said the same.
//!
//! The verdict that the demonstration prints is the kernel's: what the system call really returned. The rule comes from
//! running the same programs over the same record here. The two must agree, or the line is a failure.

use std::path::Path;

use anyhow::{Result, anyhow};
use filters::event::Event;
use filters::lang::{self, Compiled};
use filters::record::Record;
use filters::stack::Layer as _;
use filters::verdict::{Action, Verdict};
use rustix::io::Errno;

/// A policy as text, as programs, and as the way back from the one to the other.
pub(crate) struct Policy {
    /// Its file, without the directory.
    pub(crate) file: String,
    compiled: Compiled,
}

impl Policy {
    /// Compiles the policy in `path`.
    ///
    /// # Errors
    ///
    /// The compiler's, as it would be printed.
    pub(crate) fn read(path: &Path) -> Result<Policy> {
        let file = path.file_name().unwrap_or(path.as_os_str());
        // The first line stands on a line of the report, the compiler's own lines below it.
        let compiled = lang::compile_file(path).map_err(|diagnostics| {
            anyhow!("{}: refused\n{}", path.display(), diagnostics.render(false))
        })?;
        Ok(Policy {
            file: file.to_string_lossy().into_owned(),
            compiled,
        })
    }

    /// The image to load into the kernel.
    pub(crate) fn image(&self) -> &[u8] {
        &self.compiled.image
    }

    /// The verdict on one question, without the way to the rule: allow if the policy does not judge this event.
    pub(crate) fn verdict(&self, question: &Question) -> Verdict {
        let verdict = question.with_record(|record| self.compiled.policy().judge(record));
        verdict.unwrap_or(Verdict::ALLOW)
    }

    /// The verdict on `record` and the rule behind it; `None` if the policy does not judge this event.
    fn explain(&self, record: &Record<'_>) -> Option<Ruling> {
        let explanation = self.compiled.explain(record)?;
        let rule = match explanation.rule {
            Some(rule) => format!("{}:{} {}", base(&rule.file), rule.line, rule.text),
            None => format!("{}: instruction {}", self.file, explanation.insn),
        };
        Some(Ruling {
            verdict: explanation.verdict,
            rule,
        })
    }
}

fn base(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// One record that the kernel will put before the filters.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    event: Event,
    words: Vec<u32>,
    path: Option<Vec<u8>>,
}

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const X86_64: u32 = 0xc000_003e;

impl Question {
    /// The entry of a system call.
    pub(crate) fn syscall(number: i32, args: [u64; 6]) -> Question {
        Question {
            event: Event::SyscallEnter,
            words: seccomp_data(number, args),
            path: None,
        }
    }

    /// A name, copied on behalf of a system call; number -1 for a kernel thread that runs none.
    pub(crate) fn name(number: i32, args: [u64; 6], path: &[u8]) -> Question {
        let mut words = seccomp_data(number, args);
        // Paths have at most 4095 bytes.
        words.extend([uapi::record::ORIGIN_USER, 0, path.len() as u32, 0]);
        Question {
            event: Event::VfsGetname,
            words,
            path: Some(path.to_vec()),
        }
    }

    /// Shows the record to `look`; `None` if there is none to show or to see.
    fn with_record<T>(&self, look: impl FnOnce(&Record<'_>) -> Option<T>) -> Option<T> {
        let path = self.path.as_deref();
        let strings = path.as_slice();
        look(&Record::new(self.event, &self.words, strings)?)
    }

    /// The name in question.
    #[cfg(test)]
    pub(crate) fn path(&self) -> Option<&[u8]> {
        self.path.as_deref()
    }
}

fn seccomp_data(number: i32, args: [u64; 6]) -> Vec<u32> {
    let arch = if number < 0 { 0 } else { X86_64 };
    let halves = args
        .into_iter()
        .flat_map(|arg| [arg as u32, (arg >> 32) as u32]);
    [number as u32, arch, 0, 0]
        .into_iter()
        .chain(halves)
        .collect()
}

/// What the policies decide.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    /// The verdict of all layers together.
    pub(crate) verdict: Verdict,
    /// The rule that it comes from, as `file:line text`.
    pub(crate) rule: String,
}

impl Ruling {
    /// The errno of a refusal; `None` if the attempt is allowed.
    pub(crate) fn refusal(&self) -> Option<Errno> {
        refusal(self.verdict)
    }

    /// Whether the kernel did what the policies say: a refused attempt gives the rule's errno, an allowed one what it gives
    /// without a filter.
    pub(crate) fn agrees(&self, judged: Result<(), Errno>, bare: Result<(), Errno>) -> bool {
        match self.refusal() {
            Some(errno) => judged == Err(errno),
            None => judged == bare,
        }
    }
}

/// The errno by which `verdict` refuses; `None` if it allows.
pub(crate) fn refusal(verdict: Verdict) -> Option<Errno> {
    match verdict.action() {
        Action::Errno => {
            let errno = i32::from(verdict.errno_value());
            Some(Errno::from_raw_os_error(errno))
        }
        Action::Notify | Action::Trace => Some(Errno::NOSYS),
        Action::Log | Action::Allow => None,
        // A task that dies returns nothing; no attempt of the demonstration is answered so.
        Action::KillProcess | Action::KillThread | Action::Trap => Some(Errno::INTR),
    }
}

/// What `layers`, oldest first, decide about an attempt that puts `questions` before them in this order. The first refusal
/// ends the attempt.
pub(crate) fn decide(layers: &[&Policy], questions: &[Question]) -> Ruling {
    let mut last = Ruling {
        verdict: Verdict::ALLOW,
        rule: "no layer judges this".to_owned(),
    };
    for question in questions {
        let Some(ruling) = decide_one(layers, question) else {
            continue;
        };
        last = ruling;
        if last.refusal().is_some() {
            break;
        }
    }
    last
}

/// The meet of all layers; between equals the newest one's rule is named, as the kernel does.
fn decide_one(layers: &[&Policy], question: &Question) -> Option<Ruling> {
    let mut stands: Option<Ruling> = None;
    for layer in layers.iter().rev() {
        let Some(older) = question.with_record(|record| layer.explain(record)) else {
            continue;
        };
        let newer_stands = stands
            .as_ref()
            .is_some_and(|newer| newer.verdict.at_least_as_strict_as(older.verdict));
        if !newer_stands {
            stands = Some(older);
        }
    }
    stands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(file: &str, source: &str) -> Policy {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join(file);
        std::fs::write(&path, source).unwrap();
        Policy::read(&path).unwrap()
    }

    fn outer() -> Policy {
        policy(
            "outer.evf",
            "policy outer\n\
             on syscall.enter {\n\
                 deny EPERM symlinkat\n\
                 default allow\n\
             }\n\
             on vfs.getname {\n\
                 deny EACCES path contains \"..\"\n\
                 allow path under \"/home\"\n\
                 default deny EACCES\n\
             }\n",
        )
    }

    fn inner() -> Policy {
        policy(
            "inner.evf",
            "policy inner\n\
             on vfs.getname {\n\
                 deny EACCES path under \"/home/b\"\n\
                 default allow\n\
             }\n",
        )
    }

    fn name(path: &str) -> Question {
        Question::name(257, [0; 6], path.as_bytes())
    }

    #[test]
    fn the_rule_is_named_with_its_file_and_line() {
        let outer = outer();
        let ruling = decide(&[&outer], &[name("/home/a")]);
        assert_eq!(ruling.refusal(), None);
        assert_eq!(ruling.rule, "outer.evf:8 allow path under \"/home\"");
        let ruling = decide(&[&outer], &[name("/etc")]);
        assert_eq!(ruling.refusal(), Some(Errno::ACCESS));
        assert_eq!(ruling.rule, "outer.evf:9 default deny EACCES");
    }

    #[test]
    fn the_first_refusal_ends_the_attempt() {
        let outer = outer();
        let symlink = Question::syscall(266, [0; 6]);
        let ruling = decide(&[&outer], &[symlink, name("/home/a")]);
        assert_eq!(ruling.refusal(), Some(Errno::PERM));
        assert!(ruling.rule.starts_with("outer.evf:3 "), "{}", ruling.rule);
        let open = Question::syscall(257, [0; 6]);
        let ruling = decide(&[&outer], &[open, name("/home/a"), name("/home/../x")]);
        assert!(ruling.rule.starts_with("outer.evf:7 "), "{}", ruling.rule);
    }

    #[test]
    fn a_layer_narrows_and_names_its_rule_and_never_widens() {
        let (outer, inner) = (outer(), inner());
        let layers = [&outer, &inner];
        let rule = |path| decide(&layers, &[name(path)]).rule;
        assert!(rule("/home/b/c").starts_with("inner.evf:3 "));
        // The inner layer would allow it.
        assert!(rule("/etc").starts_with("outer.evf:9 "));
        // Both allow: the newest is named.
        assert!(rule("/home/a").starts_with("inner.evf:4 "));
        // The inner layer does not judge system calls.
        let ruling = decide(&layers, &[Question::syscall(266, [0; 6])]);
        assert!(ruling.rule.starts_with("outer.evf:3 "), "{}", ruling.rule);
    }

    #[test]
    fn the_supervisor_judges_by_the_same_policy() {
        let outer = outer();
        for path in ["/home/a", "/home/../a", "/etc/shadow"] {
            let question = name(path);
            let ruling = decide(&[&outer], std::slice::from_ref(&question));
            assert_eq!(outer.verdict(&question), ruling.verdict, "{path}");
        }
    }

    #[test]
    fn a_refusal_agrees_only_with_its_own_errno_and_an_allowance_only_with_the_bare_result() {
        let outer = outer();
        let deny = decide(&[&outer], &[name("/etc")]);
        assert!(deny.agrees(Err(Errno::ACCESS), Ok(())));
        assert!(!deny.agrees(Err(Errno::PERM), Ok(())));
        assert!(!deny.agrees(Ok(()), Ok(())));
        let allow = decide(&[&outer], &[name("/home/a")]);
        assert!(allow.agrees(Ok(()), Ok(())));
        assert!(allow.agrees(Err(Errno::NOENT), Err(Errno::NOENT)));
        assert!(!allow.agrees(Err(Errno::ACCESS), Ok(())));
    }

    #[test]
    fn a_policy_that_does_not_compile_says_where() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("bad.evf");
        std::fs::write(
            &path,
            "policy bad\non vfs.getname { alow path under \"/\" }\n",
        )
        .unwrap();
        let error = format!("{:#}", Policy::read(&path).err().unwrap());
        assert!(error.contains("bad.evf: refused\n"), "{error}");
        assert!(error.contains("did you mean `allow`"), "{error}");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Questions about objects, and two that answer them: the laws, and the compiled programs.

use filters::event::{Event, Place};
use filters::lang::event_line::OwnedRecord;
use filters::lang::{compile, Compiled, Memory, Severity};
use filters::object::{access, action, flag, step};
use filters::verdict::{Action, Verdict};

use super::laws::{Block, Default, Standing, Verb};

/// Numbers of types: `filters::object::KINDS`.
pub(crate) const FILE: u32 = 8;
pub(crate) const DIRECTORY: u32 = 4;

/// What happens to an object.
#[derive(Clone, Debug, std::default::Default)]
pub(crate) struct Question {
    pub(crate) action: u32,
    pub(crate) access: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) path: String,
    pub(crate) other: String,
    pub(crate) unreachable: bool,
}

/// `None` is allowed.
pub(crate) type Answer = Option<u16>;

fn allowed_if(allowed: bool, errno: u16) -> Answer {
    (!allowed).then_some(errno)
}

/// `vfs.pick`, by the laws. `continuations` are what can lie below a directory.
pub(crate) fn pick_by_law(block: &Block, question: &Question, continuations: &[String]) -> Answer {
    let path = question.path.as_str();
    let has = |bit: u32| question.flags & bit != 0;
    let asks = |bit: u32| question.access & bit != 0;
    match question.action {
        action::MOUNT | action::UMOUNT | action::PIVOT_ROOT | action::CHROOT | action::QUOTA => {
            return Some(1)
        }
        action::EXEC | action::MAP if has(flag::INTERNAL) => return Some(13),
        action::OPEN if has(flag::INTERNAL) && asks(access::EXEC) => return Some(13),
        _ if has(flag::INTERNAL) => return None,
        _ if question.unreachable => return Some(block.default_errno()),
        _ => {}
    }
    let standing = block.standing(path);
    if let Standing::Refused(errno) = standing {
        return Some(errno);
    }
    let rights = block.rights(path);
    let seen = standing == Standing::Way || rights.read;
    let missing = block.missing(path);
    let quiet_code = rights.exec || rights.read && !rights.write;
    let allowed = match question.action {
        action::STAT | action::STATFS => true,
        action::LOOKUP | action::READLINK | action::CHDIR => seen,
        action::OPEN if question.access == access::PATH => seen,
        action::OPEN => {
            let code = match (asks(access::EXEC), has(flag::INTERPRETER)) {
                (false, _) => true,
                (true, true) => quiet_code,
                (true, false) => rights.exec,
            };
            let write = !asks(access::WRITE | access::APPEND) || rights.write;
            code && write && rights.read
        }
        action::EXEC => rights.exec,
        action::MAP => quiet_code,
        action::MKNOD if matches!(question.kind, 2 | 6) => return Some(1),
        action::CREATE
        | action::MKDIR
        | action::MKNOD
        | action::SYMLINK
        | action::UNLINK
        | action::RMDIR => block.may_name(path),
        action::LINK | action::RENAME => return name_by_law(block, question, continuations),
        action::XATTR_GET
        | action::XATTR_LIST
        | action::ACL_GET
        | action::ATTR_GET
        | action::WATCH => rights.read,
        action::CONNECT => rights.connect,
        action::TRUNCATE
        | action::CHMOD
        | action::CHOWN
        | action::UTIME
        | action::XATTR_SET
        | action::XATTR_REMOVE
        | action::ACL_SET
        | action::ATTR_SET
        | action::URING_CMD => rights.write,
        _ => false,
    };
    allowed_if(allowed, missing)
}

/// Both ends of a rename or link, one at a time.
fn name_by_law(block: &Block, question: &Question, continuations: &[String]) -> Answer {
    let (path, other) = (question.path.as_str(), question.other.as_str());
    let has = |bit: u32| question.flags & bit != 0;
    let rights = block.rights(path);
    let link = question.action == action::LINK;
    if link && !has(flag::TARGET) {
        return allowed_if(rights.write, block.missing(path));
    }
    if !block.may_name(path) {
        return Some(block.missing(path));
    }
    let directory = !link && (question.kind == DIRECTORY || has(flag::EXCHANGE));
    let gets = rights.exec && (has(flag::TARGET) || directory);
    if !directory && !gets {
        return None;
    }
    if let Standing::Refused(errno) = block.standing(other) {
        return Some(errno);
    }
    if gets && !block.rights(other).exec {
        return Some(18);
    }
    if directory && !block.may_name(other) {
        return Some(block.missing(path));
    }
    allowed_if(!directory || block.alike(path, other, continuations), 18)
}

/// `fd.receive`, by the laws.
pub(crate) fn receive_by_law(block: &Block, question: &Question) -> Answer {
    let asks = |bit: u32| question.access & bit != 0;
    if question.flags & flag::INTERNAL != 0 {
        return None;
    }
    if question.unreachable {
        return Some(block.default_errno());
    }
    let standing = block.standing(&question.path);
    if let Standing::Refused(errno) = standing {
        return Some(errno);
    }
    let rights = block.rights(&question.path);
    let allowed = if asks(access::WRITE | access::APPEND) {
        rights.write
    } else if asks(access::EXEC) {
        rights.exec
    } else {
        rights.read || question.access == access::PATH && standing == Standing::Way
    };
    allowed_if(allowed, block.missing(&question.path))
}

/// `vfs.walk`, by the laws; `action` of the question is the step.
pub(crate) fn walk_by_law(block: &Block, question: &Question) -> Answer {
    if !block.refuses() && block.default != Default::Hidden || question.flags & flag::INTERNAL != 0
    {
        return None;
    }
    if question.unreachable {
        return Some(block.default_errno());
    }
    match block.standing(&question.path) {
        Standing::Refused(errno) => Some(errno),
        Standing::Nothing
            if block.default == Default::Hidden
                && question.action == step::SEARCH
                && !block.is_wild(&question.path) =>
        {
            Some(2)
        }
        _ => None,
    }
}

/// `vfs.getname`, by the laws: only what refuses counts, and the name is what was written.
pub(crate) fn getname_by_law(block: &Block, name: &str) -> Answer {
    match block.standing(name) {
        Standing::Refused(errno) => Some(errno),
        _ => None,
    }
}

/// The compiled block.
pub(crate) struct Judge {
    policy: Compiled,
}

impl Judge {
    /// Compiles as much of the block as has a meaning: statements that the compiler refuses as idle are left out.
    pub(crate) fn new(block: &mut Block) -> Judge {
        Judge::beside(block, "")
    }

    /// The same with so many other places that the compiler makes two tables. Nothing that is asked lies there.
    pub(crate) fn crowded(block: &mut Block) -> Judge {
        let places: Vec<String> = (0..300)
            .map(|index| format!("\"/crowd/{index}\""))
            .collect();
        let crowd = format!("    read \"/crowd/**/x\", {}\n", places.join(", "));
        Judge::beside(block, &crowd)
    }

    fn beside(block: &mut Block, more: &str) -> Judge {
        loop {
            let text = block
                .text()
                .replacen("paths {\n", &format!("paths {{\n{more}"), 1);
            match compile("random.evf", &text, &Memory::new()) {
                Ok(policy) => return Judge { policy },
                Err(error) => {
                    let errors = error
                        .iter()
                        .filter(|message| message.severity() == Severity::Error);
                    let idle = "the statement never decides";
                    // Of the crowd, a refusal in the block may be in the way.
                    let of_block = |line: &u32| *line as usize >= 2 + more.lines().count();
                    let lines = errors
                        .filter(|message| message.message() == idle)
                        .filter_map(|message| message.line());
                    match { lines }.find(of_block) {
                        Some(line) => {
                            let at = line as usize - 2 - more.lines().count();
                            block.statements.remove(at);
                        }
                        None if !more.is_empty() => return Judge::new(block),
                        None => panic!("{text}\n{}", error.render(false)),
                    }
                    if block.statements.is_empty() {
                        let place = vec!["/a".to_string()];
                        block.statements.push((Verb::Read, place));
                    }
                }
            }
        }
    }

    pub(crate) fn policy(&self) -> &Compiled {
        &self.policy
    }

    /// The verdict of the program of `event`; without one everything is allowed.
    pub(crate) fn answer(&self, event: Event, question: &Question) -> Answer {
        let mut record = OwnedRecord::new(event);
        let words = [
            ("action", question.action),
            ("step", question.action),
            ("access", question.access),
            ("type", question.kind),
            ("flags", question.flags),
            ("reachable", u32::from(!question.unreachable)),
        ];
        for (name, value) in words {
            if let Some(Place::Word(offset)) = event.schema().field(name).map(|field| field.place) {
                record.set_word(offset as usize, value);
            }
        }
        record.set_string(0, question.path.as_bytes());
        record.set_string(1, question.other.as_bytes());
        let explained = record.lend(|record| {
            let explained = self.policy.explain(record)?;
            assert!(explained.rule.is_some(), "a return without a rule");
            Some(explained.verdict)
        });
        match explained.flatten() {
            None | Some(Verdict::ALLOW) => None,
            Some(verdict) if verdict.action() == Action::Errno => Some(verdict.errno_value()),
            Some(verdict) => panic!("{verdict:?}"),
        }
    }

    pub(crate) fn pick(&self, question: &Question) -> Answer {
        self.answer(Event::VfsPick, question)
    }
}

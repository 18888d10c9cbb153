// SPDX-License-Identifier: GPL-2.0
//! A model of a file system: names lead to inodes, and a judge is asked before a name changes.

use std::collections::{BTreeMap, BTreeSet};

use filters::object::{action, flag};

use super::judge::{Judge, Question, DIRECTORY, FILE};
use super::laws::Block;

/// Something that a task tries.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Create(String),
    Mkdir(String),
    Unlink(String),
    Rmdir(String),
    Rename(String, String),
    Exchange(String, String),
    Link(String, String),
}

/// Something to try, before it is known what there is: what kind, two choices among all names, and a name for what is new.
#[derive(Clone, Debug)]
pub(crate) struct Whim {
    pub(crate) kind: u8,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) fresh: Option<&'static str>,
}

type Names = BTreeMap<String, usize>;
type Rights = BTreeSet<&'static str>;

/// A tree of names. Inode 0 is the root.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// The names in each directory; `None` for files.
    inodes: Vec<Option<Names>>,
}

/// The directory of a path, and the last name.
fn split(path: &str) -> (&str, &str) {
    match path.rfind('/') {
        Some(0) => ("/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => ("/", path),
    }
}

impl Tree {
    /// A tree with all these, as far as one fits beside the other. What ends in `zz` is a file.
    pub(crate) fn new(paths: &[String]) -> Tree {
        let mut tree = Tree {
            inodes: vec![Some(Names::new())],
        };
        for path in paths {
            let mut at = 0;
            for name in path.split('/').filter(|name| !name.is_empty()) {
                let fresh = tree.inodes.len();
                let Some(names) = &mut tree.inodes[at] else {
                    break;
                };
                at = *names.entry(name.to_string()).or_insert(fresh);
                if at == fresh {
                    let file = name == "zz";
                    tree.inodes.push((!file).then(Names::new));
                }
            }
        }
        tree
    }

    fn find(&self, path: &str) -> Option<usize> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(0, |at, name| self.inodes[at].as_ref()?.get(name).copied())
    }

    fn kind(&self, inode: usize) -> u32 {
        if self.inodes[inode].is_some() {
            DIRECTORY
        } else {
            FILE
        }
    }

    fn names(&mut self, directory: &str) -> Option<&mut Names> {
        let inode = self.find(directory)?;
        self.inodes[inode].as_mut()
    }

    fn set(&mut self, path: &str, inode: usize) {
        let (directory, name) = split(path);
        if let Some(names) = self.names(directory) {
            names.insert(name.to_string(), inode);
        }
    }

    fn remove(&mut self, path: &str) {
        let (directory, name) = split(path);
        if let Some(names) = self.names(directory) {
            names.remove(name);
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        self.find(path)
            .is_some_and(|inode| self.inodes[inode].is_some())
    }

    fn is_empty(&self, inode: usize) -> bool {
        self.inodes[inode].as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// All names of everything, with the inodes that they lead to.
    fn all(&self) -> Vec<(String, usize)> {
        let mut all = Vec::new();
        let mut open = vec![(String::new(), 0)];
        while let Some((path, inode)) = open.pop() {
            for (name, &child) in self.inodes[inode].iter().flatten() {
                let path = format!("{path}/{name}");
                all.push((path.clone(), child));
                open.push((path, child));
            }
        }
        all
    }

    /// What the whim comes to in this tree: something that is there, and a place for it that is there or a new name in some directory.
    pub(crate) fn operation(&self, whim: &Whim) -> Operation {
        let mut all: Vec<String> = self.all().into_iter().map(|(path, _)| path).collect();
        all.sort_unstable();
        all.insert(0, String::new());
        let from = all[whim.from % all.len()].clone();
        let to = match whim.fresh {
            Some(name) => format!("{}/{name}", all[whim.to % all.len()]),
            None => all[whim.to % all.len()].clone(),
        };
        match whim.kind % 10 {
            0 => Operation::Create(to),
            1 => Operation::Mkdir(to),
            2 => Operation::Unlink(from),
            3 => Operation::Rmdir(from),
            4..=6 => Operation::Rename(from, to),
            7 => Operation::Exchange(from, to),
            _ => Operation::Link(from, to),
        }
    }

    /// For each inode that has a name: the rights that all its names give together.
    pub(crate) fn rights(&self, block: &Block) -> BTreeMap<usize, Rights> {
        let mut rights: BTreeMap<usize, Rights> = BTreeMap::new();
        for (path, inode) in self.all() {
            let here = block.rights(&path).words();
            rights.entry(inode).or_default().extend(here);
        }
        rights
    }

    /// Does it, if the kernel could and the judge allows it; tells whether it was done.
    pub(crate) fn attempt(&mut self, judge: &Judge, operation: &Operation) -> bool {
        match operation {
            Operation::Create(path) => self.make(judge, path, action::CREATE, FILE),
            Operation::Mkdir(path) => self.make(judge, path, action::MKDIR, DIRECTORY),
            Operation::Unlink(path) => self.take(judge, path, action::UNLINK, FILE),
            Operation::Rmdir(path) => self.take(judge, path, action::RMDIR, DIRECTORY),
            Operation::Rename(from, to) => self.rename(judge, from, to, 0),
            Operation::Exchange(from, to) => self.rename(judge, from, to, flag::EXCHANGE),
            Operation::Link(from, to) => self.link(judge, from, to),
        }
    }

    fn make(&mut self, judge: &Judge, path: &str, action: u32, kind: u32) -> bool {
        let fits = self.find(path).is_none() && self.is_directory(split(path).0);
        let question = Question {
            action,
            kind,
            flags: flag::NEW,
            path: path.to_string(),
            ..Question::default()
        };
        if !fits || judge.pick(&question).is_some() {
            return false;
        }
        self.inodes.push((kind == DIRECTORY).then(Names::new));
        self.set(path, self.inodes.len() - 1);
        true
    }

    fn take(&mut self, judge: &Judge, path: &str, action: u32, kind: u32) -> bool {
        let Some(inode) = self.find(path).filter(|&inode| inode != 0) else {
            return false;
        };
        let fits = self.kind(inode) == kind && (kind == FILE || self.is_empty(inode));
        let question = Question {
            action,
            kind,
            path: path.to_string(),
            ..Question::default()
        };
        if !fits || judge.pick(&question).is_some() {
            return false;
        }
        self.remove(path);
        true
    }

    /// Both ends as the kernel shows them: the second with the type of what is there, or of what is going to be there.
    fn ends(&self, action: u32, from: &str, to: &str, flags: u32) -> Option<[Question; 2]> {
        let source = self.kind(self.find(from)?);
        let target = self.find(to);
        let new = if target.is_none() { flag::NEW } else { 0 };
        let first = Question {
            action,
            kind: source,
            flags,
            path: from.to_string(),
            other: to.to_string(),
            ..Question::default()
        };
        let second = Question {
            kind: target.map_or(source, |inode| self.kind(inode)),
            flags: flags | new | flag::TARGET,
            path: to.to_string(),
            other: from.to_string(),
            ..first.clone()
        };
        Some([first, second])
    }

    fn rename(&mut self, judge: &Judge, from: &str, to: &str, flags: u32) -> bool {
        let Some(source) = self.find(from).filter(|&inode| inode != 0) else {
            return false;
        };
        let target = self.find(to);
        let below = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
        let exchange = flags & flag::EXCHANGE != 0;
        let fits = self.is_directory(split(to).0)
            && Some(source) != target
            && target != Some(0)
            && !below(to, from)
            && !below(from, to)
            && match target {
                None => !exchange,
                Some(_) if exchange => true,
                Some(target) if self.kind(source) == DIRECTORY => self.is_empty(target),
                Some(target) => self.kind(target) == FILE,
            };
        let Some(ends) = self.ends(action::RENAME, from, to, flags) else {
            return false;
        };
        if !fits || ends.iter().any(|end| judge.pick(end).is_some()) {
            return false;
        }
        match target.filter(|_| exchange) {
            Some(target) => self.set(from, target),
            None => self.remove(from),
        }
        self.set(to, source);
        true
    }

    fn link(&mut self, judge: &Judge, from: &str, to: &str) -> bool {
        let Some(source) = self.find(from).filter(|&inode| self.kind(inode) == FILE) else {
            return false;
        };
        let fits = self.find(to).is_none() && self.is_directory(split(to).0);
        let Some(ends) = self.ends(action::LINK, from, to, 0) else {
            return false;
        };
        if !fits || ends.iter().any(|end| judge.pick(end).is_some()) {
            return false;
        }
        self.set(to, source);
        true
    }
}

// SPDX-License-Identifier: GPL-2.0
//! What a case is: a way out, what counts as out, and what each policy is expected to do about it.

use super::stage::Stage;

/// What an attacker brings home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loot {
    /// Bytes that were read, in which the judge looks for the secret.
    Bytes(Vec<u8>),
    /// A number that was found out.
    Number(u64),
    /// The deed is done; whether it had an effect is for the judge to see.
    Done,
}

/// Why an attacker brings nothing home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A call failed.
    Errno(i32),
    /// Something else, in words.
    Said(String),
    /// This guest cannot run the case at all.
    Skip(String),
}

impl From<i32> for Stop {
    fn from(errno: i32) -> Stop {
        Stop::Errno(errno)
    }
}

/// How an attempt ends.
pub type Deed = Result<Loot, Stop>;

/// A stop, in words.
pub fn said<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Said(text.into()))
}

/// A case that this guest cannot run.
pub fn cannot<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skip(text.into()))
}

/// What counts as out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The loot holds the secret that lies in `/home/secret/flag` and its kin.
    Content,
    /// The loot holds what only a program that runs says: one from outside, or one that lies in no place for programs.
    Ran,
    /// Something below `/home/secret` is not as it was: content, name, type, mode, owner, time, attribute.
    Changed,
    /// The loot is the size of `/home/secret/flag`.
    Size,
    /// The loot says which of sixteen files `/home/secret/bit-N` exist.
    Bits,
    /// A free process of the case saw the effect, or the attacker did what must not be possible: any loot counts.
    Told,
}

impl Proof {
    /// For `--list` and the table.
    pub fn text(self) -> &'static str {
        match self {
            Proof::Content => "the secret is read",
            Proof::Ran => "the program runs",
            Proof::Changed => "something outside is changed",
            Proof::Size => "the size of a file outside is known",
            Proof::Bits => "it is known which files exist outside",
            Proof::Told => "the deed has its effect",
        }
    }
}

/// What is expected under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The attacker gets out: this kind of policy does not even try.
    Escapes,
    /// The attacker does not get out.
    Stopped,
    /// The attacker gets out, and `SECURITY.md` says so in this sentence.
    Limit(&'static str),
}

/// The policy that a case runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// None: each case must get out, or it proves nothing.
    Nothing,
    /// Rules on names, as a careful author writes them.
    Names,
    /// A `paths` block with the same grants.
    Paths,
}

impl Under {
    /// All, in the order of the table.
    pub const ALL: [Under; 3] = [Under::Nothing, Under::Names, Under::Paths];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Under::Nothing => "none",
            Under::Names => "name-only",
            Under::Paths => "paths",
        }
    }
}

/// One way out.
pub struct Case {
    /// The class of ways it belongs to.
    pub class: &'static str,
    /// Its name within the class.
    pub name: &'static str,
    /// Where it is described: a CVE, a paper, a manual page, a kernel file.
    pub reference: &'static str,
    /// What it does.
    pub tries: &'static str,
    /// What counts as out.
    pub proof: Proof,
    /// What rules on names do about it.
    pub names: Expect,
    /// What a `paths` block does about it.
    pub paths: Expect,
    /// More statements for the `paths` block.
    pub more_paths: &'static str,
    /// More rules on names, before the others.
    pub more_names: &'static str,
    /// More items of the policy, as `scope`.
    pub items: &'static str,
    /// The case itself: runs in a free process, and starts the confined one.
    pub run: Box<dyn Fn(&Stage) -> Deed>,
}

impl Case {
    /// A case that both policies stop.
    pub fn new(
        class: &'static str,
        name: &'static str,
        reference: &'static str,
        tries: &'static str,
        proof: Proof,
        run: impl Fn(&Stage) -> Deed + 'static,
    ) -> Case {
        Case {
            class,
            name,
            reference,
            tries,
            proof,
            names: Expect::Stopped,
            paths: Expect::Stopped,
            more_paths: "",
            more_names: "",
            items: "",
            run: Box::new(run),
        }
    }

    /// Rules on names do not stop it.
    pub fn past_names(mut self) -> Case {
        self.names = Expect::Escapes;
        self
    }

    /// Nothing stops it.
    pub fn limit(mut self, sentence: &'static str) -> Case {
        self.names = Expect::Escapes;
        self.paths = Expect::Limit(sentence);
        self
    }

    /// A `paths` block stops it, other than most of its class.
    pub fn stopped(mut self) -> Case {
        self.paths = Expect::Stopped;
        self
    }

    /// Only rules on names stop it, because they allow less.
    pub fn limit_of_paths(mut self, sentence: &'static str) -> Case {
        self.paths = Expect::Limit(sentence);
        self
    }

    /// Adds statements to the `paths` block, and rules on names that mean the same.
    pub fn with(mut self, paths: &'static str, names: &'static str) -> Case {
        self.more_paths = paths;
        self.more_names = names;
        self
    }

    /// Adds items to the policy with the `paths` block.
    pub fn items(mut self, items: &'static str) -> Case {
        self.items = items;
        self
    }

    /// Class and name.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.class, self.name)
    }

    /// What is expected under a policy.
    pub fn expect(&self, under: Under) -> Expect {
        match under {
            Under::Nothing => Expect::Escapes,
            Under::Names => self.names,
            Under::Paths => self.paths,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The JSON of a profile: `specs-go/config.go` of the OCI runtime specification, and what Docker and Podman add to it.
//!
//! Fields that are not known are refused: a misspelt one would silently be a rule less.

use filters::lang::constants;
use filters::verdict::{self, Verdict};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Refusal;

/// What runc returns where a profile names no error.
const EPERM: u32 = 1;

/// A profile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Profile {
    default_action: Action,
    default_errno_ret: Option<u32>,
    /// Podman's: the error by name; it wins over the number.
    default_errno: Option<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) architectures: Vec<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) arch_map: Vec<ArchMap>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) flags: Vec<String>,
    pub(super) listener_path: Option<String>,
    #[expect(dead_code, reason = "belongs to listener_path")]
    listener_metadata: Option<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) syscalls: Vec<Entry>,
}

/// Architectures that a host has beside its own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ArchMap {
    pub(super) architecture: String,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) sub_architectures: Vec<String>,
}

/// One element of `syscalls`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(default, deserialize_with = "nothing_for_null")]
    names: Vec<String>,
    /// The older form, with one name.
    #[serde(default, deserialize_with = "nothing_for_null")]
    name: String,
    action: Action,
    errno_ret: Option<u32>,
    /// Podman's: the error by name; it wins over the number.
    errno: Option<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) args: Vec<Arg>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) comment: String,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) includes: Filter,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) excludes: Filter,
}

/// When an entry counts, or does not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) caps: Vec<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) arches: Vec<String>,
    #[serde(default, deserialize_with = "nothing_for_null")]
    pub(super) min_kernel: String,
}

/// A condition on one argument.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Arg {
    pub(super) index: usize,
    pub(super) value: u64,
    /// The second number of [`Op::MaskedEq`].
    #[serde(default)]
    pub(super) value_two: u64,
    pub(super) op: Op,
}

/// `SCMP_CMP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(super) enum Op {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// `SCMP_ACT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Action {
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// `null` stands for an absent value, as in Go.
fn nothing_for_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a profile, or the one inside a container's `config.json` (which has an `ociVersion`, and the profile in [`IN_BUNDLE`]).
pub(super) fn read(json: &[u8]) -> Result<Profile, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let profile = parse(&mut deserializer);
    let end = deserializer.end();
    match profile {
        Ok(profile) => match end {
            Ok(()) => Ok(profile),
            Err(error) => Err(Refusal::new("", error.to_string())),
        },
        Err(refusal) => match serde_json::from_slice::<Value>(json) {
            Ok(Value::Object(bundle)) if bundle.contains_key("ociVersion") => in_bundle(&bundle),
            _ => Err(refusal),
        },
    }
}

/// Where a container's `config.json` has its profile.
const IN_BUNDLE: &str = "linux.seccomp";

fn in_bundle(bundle: &Map<String, Value>) -> Result<Profile, Refusal> {
    match bundle.get("linux").and_then(|linux| linux.get("seccomp")) {
        None | Some(Value::Null) => Err(Refusal::new(
            IN_BUNDLE,
            "this container has no seccomp profile",
        )),
        Some(profile) => parse(profile).map_err(|refusal| {
            Refusal::new(format!("{IN_BUNDLE}.{}", refusal.path), refusal.reason)
        }),
    }
}

fn parse<'de, D>(deserializer: D) -> Result<Profile, Refusal>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            // Before the first field, and where the text itself is broken.
            path if path == "." || path == "?" => String::new(),
            path => path,
        };
        Refusal::new(path, error.into_inner().to_string())
    })
}

impl Profile {
    /// What happens to calls that no entry decides.
    pub(super) fn default_verdict(&self) -> Result<Verdict, Refusal> {
        verdict(
            self.default_action,
            self.default_errno_ret,
            self.default_errno.as_deref(),
            ["defaultAction", "defaultErrnoRet", "defaultErrno"].map(str::to_owned),
        )
    }
}

impl Entry {
    /// The calls it names; `at` is its place.
    pub(super) fn names(&self, at: usize) -> Result<Vec<&str>, Refusal> {
        let path = format!("syscalls[{at}]");
        if !self.name.is_empty() && !self.names.is_empty() {
            return Err(Refusal::new(path, "both `name` and `names` are given"));
        }
        let names: Vec<&str> = match self.name.as_str() {
            "" => self.names.iter().map(String::as_str).collect(),
            name => vec![name],
        };
        match names.iter().position(|name| name.is_empty()) {
            Some(index) => Err(Refusal::new(
                format!("{path}.names[{index}]"),
                "the name of a call is empty",
            )),
            None if names.is_empty() => Err(Refusal::new(path, "no call is named")),
            None => Ok(names),
        }
    }

    /// What it does.
    pub(super) fn verdict(&self, at: usize) -> Result<Verdict, Refusal> {
        let path = |field| format!("syscalls[{at}].{field}");
        verdict(
            self.action,
            self.errno_ret,
            self.errno.as_deref(),
            ["action", "errnoRet", "errno"].map(path),
        )
    }

    /// Refuses arguments that no call has.
    pub(super) fn check_args(&self, at: usize) -> Result<(), Refusal> {
        match self.args.iter().position(|arg| arg.index > 5) {
            None => Ok(()),
            Some(place) => Err(Refusal::new(
                format!("syscalls[{at}].args[{place}].index"),
                "a call has six arguments, 0 to 5",
            )),
        }
    }
}

/// The verdict of an action with its number, as runc and libseccomp encode it. `paths` are those of action, number and name.
fn verdict(
    action: Action,
    number: Option<u32>,
    name: Option<&str>,
    paths: [String; 3],
) -> Result<Verdict, Refusal> {
    let [action_path, number_path, name_path] = paths;
    let data = match name {
        None | Some("") => number.unwrap_or(EPERM),
        Some(name) => match constants::errno(name) {
            Some(errno) => errno.into(),
            None => name
                .parse()
                .map_err(|_| Refusal::new(&name_path, format!("there is no error `{name}`")))?,
        },
    };
    let number = |limit: u32, what: &str| match u16::try_from(data) {
        Ok(data) if u32::from(data) <= limit => Ok(data),
        _ => Err(Refusal::new(
            &number_path,
            format!("{data} is too large: {what}"),
        )),
    };
    let of = |action, data| Ok(Verdict::new(action, data));
    match action {
        Action::KillThread => Ok(Verdict::KILL_THREAD),
        Action::KillProcess => Ok(Verdict::KILL_PROCESS),
        Action::Trap => of(verdict::Action::Trap, 0),
        Action::Errno => of(
            verdict::Action::Errno,
            number(filters::limits::MAX_ERRNO, "the largest error is 4095")?,
        ),
        Action::Trace => of(
            verdict::Action::Trace,
            number(u16::MAX.into(), "a tracer gets 16 bits")?,
        ),
        Action::Log => Ok(Verdict::LOG),
        Action::Allow => Ok(Verdict::ALLOW),
        Action::Notify => Err(Refusal::new(
            action_path,
            "SCMP_ACT_NOTIFY is not possible: this version has no listener that could decide",
        )),
    }
}

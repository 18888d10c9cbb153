// SPDX-License-Identifier: GPL-2.0
//! `evf import oci`: a container engine's profile as a policy text.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use evfilter::Policy;

use crate::failure::Failure;
use crate::layers::{self, Layer, STDIN};
use crate::oci::capability::Capabilities;
use crate::oci::kernel::Version;
use crate::oci::{self, Container, Options};
use crate::output::{self, Form};

/// Make a policy text from a container engine's seccomp profile
///
/// Profiles of Docker and Podman are understood, those of the OCI runtime specification, which containerd and others use, and the one inside a container's
/// config.json. The text decides as seccomp does with the program that runc and
/// libseccomp make of the profile on x86-64: the same comparisons of whole registers, the same entry where several name one call. Each entry becomes one rule, with
/// its comment; what is left out is listed at the top.
///
/// Which entries count depends on the container's capabilities and on the kernel. SCMP_ACT_NOTIFY is refused: there is no listener. Fields that are not
/// known are refused as well, since a misspelt one would be a rule less.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0, or 1 if the profile is refused or a file cannot be read or written.

Examples:
  evf import oci docker-default.json --cap docker-default -o docker.evf
  evf import oci profile.json --cap SYS_PTRACE --cap NET_ADMIN --kernel 6.12
  evf import oci profile.json | evf check -")]
pub(crate) struct Args {
    /// The profile, `-` for standard input
    profile: PathBuf,

    /// A capability of the container, such as SYS_ADMIN; `docker-default` for those that Docker gives. May be repeated; none unless given
    #[arg(long = "cap", value_name = "NAME")]
    capabilities: Vec<Capabilities>,

    /// The kernel that the profile is asked about [default: the running one]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<Version>,

    /// Name of the policy [default: that of the file]
    #[arg(long, value_name = "NAME", value_parser = policy_name)]
    policy_name: Option<String>,

    /// Answer calls that are newer than all that the profile names with ENOSYS, as runc does
    ///
    /// libseccomp does not: they get the profile's default action.
    #[arg(long)]
    enosys: bool,

    /// Write the policy to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let source = layers::shown(&args.profile);
    let json = layers::read(&args.profile).map_err(|error| Failure::library_alone(&error))?;
    let kernel = match args.kernel {
        Some(kernel) => kernel,
        None => Version::running()
            .map_err(|reason| Failure::new(reason).help("name a version with --kernel"))?,
    };
    let container = Container {
        capabilities: Capabilities::union(&args.capabilities),
        kernel,
    };
    let policy = match &args.policy_name {
        Some(name) => name.clone(),
        None => name_of(&args.profile),
    };
    let options = Options {
        source: &source,
        policy: &policy,
        enosys: args.enosys,
    };
    let text = oci::import(&json, &container, &options)
        .map_err(|refusal| Failure::new(format!("{source}: {refusal}")))?;
    // What this writes must be what the compiler reads; if it is not, better here than later.
    let compiled = Policy::from_bytes(&policy, text.clone().into_bytes()).map_err(|error| {
        layers::refused(Path::new(&policy), &error)
            .help("this policy was made by `evf import oci`: please report it with the profile")
    })?;
    layers::warn(&Layer {
        name: policy.clone(),
        policy: compiled,
    });
    output::write(text.as_bytes(), Form::Text, args.output.as_deref(), "")?;
    Ok(ExitCode::SUCCESS)
}

/// A name for the policy: that of the file, as far as a name may have its characters.
fn name_of(path: &Path) -> String {
    let stem = match path == Path::new(STDIN) {
        true => None,
        false => path.file_stem(),
    };
    let name: String = stem
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
            _ => '-',
        })
        .collect();
    policy_name(&name).unwrap_or_else(|_| "imported".to_owned())
}

fn policy_name(name: &str) -> Result<String, String> {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on_well = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match begins_well && name.chars().all(goes_on_well) {
        true => Ok(name.to_owned()),
        false => {
            Err("a name has letters, digits, `-` and `_`, and begins with a letter".to_owned())
        }
    }
}

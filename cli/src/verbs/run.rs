// SPDX-License-Identifier: GPL-2.0
//! `evf run`: a program under one or more policies.
//!
//! The order is: whatever can fail without a policy in force comes first (compiling, finding the command, loading all filters); then the layers are
//! attached, oldest first; then there is exactly one more system call, `execve`. A policy has to allow that one and the names that it opens, unless
//! it is attached with `--at-exec`.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgGroup;
use evfilter::{Control, Error, Reach};
use filters::stack::Stack;
use filters::verdict::{Action, Verdict};

use crate::command;
use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND, OWN_FAILURE};
use crate::image_chain::{self, Link};
use crate::layers::{self, Layer};
use crate::moment::{Call, Moment};
use crate::process::{self, Image};

/// Run a program under one or more policies
///
/// The program, its threads and all its descendants are confined; nothing they can do lifts that. The policies are attached in the order given,
/// and what one refuses no other can allow.
///
/// With --strict the program may do nothing but read, write, exit and return from signal handlers, from its first instruction on; with --at-exec the policies
/// judge nothing before that instruction.
///
/// evf sets no_new_privs (so set-user-ID programs gain nothing), closes all inherited descriptors but standard input, output and error, attaches
/// the policies, and executes the program. It needs no privileges, but the kernel module must be loaded: see `evf info`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what confines").required(true).multiple(true).args(["policies", "strict"])))]
#[command(after_help = "\
Unless --at-exec is given, the execution of the program is the first thing the policies judge. They must allow the system call `execve` and, in `on vfs.getname`, the \
path of the program, of its loader (such as /lib64/ld-linux-x86-64.so.2) or its interpreter. Names are judged as they are given: `./prog` and \
`/home/me/prog` are different names for the same file. With several policies, all but the last must allow `ioctl`, by which the next is attached.

Exit status: that of the program; 125 if evf itself fails (no module, policy refused), 126 if the program cannot be executed, \
127 if it is not found.

Examples:
  evf run -p sandbox.evf -- /usr/bin/python3 script.py
  evf run -p sandbox.evf -p no-network.evf -- sh -c 'make test'
  evf run --at-exec -p docker.evf -- ./server
  evf run --strict -- ./worker < job > answer")]
pub(crate) struct Args {
    /// A policy: text or compiled image, `-` for standard input. May be repeated; the first becomes the oldest layer
    #[arg(short, long = "policy", value_name = "POLICY")]
    policies: Vec<PathBuf>,

    /// Let the policies take hold when the program has been executed
    ///
    /// They then need not allow the execution: neither `execve` nor the path of the program and of its loader, nor `ioctl` to attach the next.
    #[arg(long)]
    at_exec: bool,

    /// Make the program strict: read, write, exit, exit_group and sigreturn are allowed, everything else kills it
    ///
    /// The filter is built into the module; with -p it comes on top. It takes hold when the program has been executed, which therefore needs no loader and no
    /// start-up code that makes other calls: it is linked statically and has its own `_start`.
    #[arg(long)]
    strict: bool,

    /// Leave inherited descriptors above 2 open
    ///
    /// An open descriptor gives access to its file whatever the policy says of the file's name.
    #[arg(long)]
    keep_fds: bool,

    /// The program and its arguments; looked for in PATH if it has no slash
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let own = |failure: Failure| failure.status(OWN_FAILURE);
    let layers = layers::open_all(args.policies.iter().map(PathBuf::as_path)).map_err(own)?;
    let mut stacks = (1..=layers.len())
        .map(|count| layers::stack(layers.get(..count).unwrap_or_default()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(own)?;
    let reach = match args.at_exec {
        // What takes hold later judges nothing of what follows here.
        true => {
            stacks.clear();
            Reach::NextExec
        }
        false => Reach::Thread,
    };
    let program = program(args.command)?;
    let plan = Plan {
        layers: &layers,
        stacks,
        program: &program,
        reach,
        strict: args.strict,
    };
    plan.refuse_if_deadly()?;
    if let Err(failure) = confine(&plan, args.keep_fds) {
        own(failure).report_and_exit();
    }
    let error = program.image.execute();
    plan.not_executed(&error).report_and_exit()
}

/// What is to be executed.
struct Program {
    path: PathBuf,
    image: Image,
    /// The names that the kernel will look up to execute it.
    names: Vec<Link>,
}

fn program(command: Vec<OsString>) -> Result<Program, Failure> {
    let name = command.first().map(OsString::as_os_str).unwrap_or_default();
    let path = command::find(name, std::env::var_os("PATH").as_deref())?;
    let no_nul = |_| Failure::new("an argument contains a NUL byte").status(OWN_FAILURE);
    let argv = command
        .into_iter()
        .map(|word| CString::new(word.into_vec()))
        .collect::<Result<_, _>>()
        .map_err(no_nul)?;
    let envp = std::env::vars_os()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Result<_, _>>()
        .map_err(no_nul)?;
    let image = Image::new(c_path(&path)?, argv, envp);
    let names = image_chain::names(&path);
    Ok(Program { path, image, names })
}

fn c_path(path: &Path) -> Result<CString, Failure> {
    CString::new(OsStr::as_bytes(path.as_os_str()))
        .map_err(|_| Failure::new("the command contains a NUL byte").status(NOT_FOUND))
}

/// Puts all layers on this process.
fn confine(plan: &Plan<'_>, keep_fds: bool) -> Result<(), Failure> {
    let library = |error: Error| Failure::library("cannot confine the program", &error);
    // Never closed here: once a layer is in force `close` is one more system call to be judged. `execve` and exit close them.
    let control = ManuallyDrop::new(Control::open().map_err(library)?);
    let mut filters = ManuallyDrop::new(Vec::new());
    for layer in plan.layers {
        let filter = control.load(&layer.policy);
        filters.push(filter.map_err(|error| Failure::library(&layer.name, &error))?);
    }
    evfilter::set_no_new_privs().map_err(library)?;
    if !keep_fds {
        process::close_inherited_on_exec().map_err(|error| {
            Failure::new(format!("cannot close inherited descriptors: {error}"))
                .help("a policy or seccomp filter already in force must allow `close_range`; or use --keep-fds")
        })?;
    }
    // First, because it waits for the exec: no policy is asked about the call that attaches it.
    if plan.strict {
        control
            .restrict_strictly(Reach::NextExec)
            .map_err(|error| Failure::library("cannot attach the strict filter", &error))?;
    }
    for (index, filter) in filters.iter().enumerate() {
        control
            .restrict(filter, plan.reach)
            .map_err(|error| plan.not_attached(index, &error))?;
    }
    Ok(())
}

/// Layers and program together: what they will say to each other.
struct Plan<'p> {
    layers: &'p [Layer],
    /// What judges the task after the first, the second, ... has been attached; empty if none does before the program runs.
    stacks: Vec<Stack<&'p Layer>>,
    program: &'p Program,
    /// When the layers take hold.
    reach: Reach,
    /// Whether the strict filter comes on top.
    strict: bool,
}

impl Plan<'_> {
    /// The events of the execution, in order: the system call, then each name.
    fn execution(&self) -> Vec<Moment> {
        let call = Call {
            name: "execve",
            number: libc::SYS_execve,
            args: self.program.image.registers(),
        };
        let mut moments = vec![call.entry()];
        for link in &self.program.names {
            let path = link.path.as_os_str().as_bytes();
            moments.push(call.name(path, link.from_kernel));
        }
        moments
    }

    /// The call that attaches a further layer.
    fn attachment() -> Moment {
        // Descriptor and address are not known yet; no sensible policy asks for them.
        let request = u64::from(uapi::control::IOC_RESTRICT_SELF);
        let call = Call {
            name: "ioctl",
            number: libc::SYS_ioctl,
            args: [3, request, 0, 0, 0, 0],
        };
        call.entry()
    }

    /// What the program will carry.
    fn whole(&self) -> Option<&Stack<&Layer>> {
        self.stacks.last()
    }

    /// Gives up before anything is in force if the policies would kill `evf` on its way: a signal could not say why.
    fn refuse_if_deadly(&self) -> Result<(), Failure> {
        if let (true, Some(other)) = (self.strict, self.program.names.get(1)) {
            return Err(Failure::new(format!(
                "cannot run {} strictly: it needs {}, whose first calls would kill it",
                self.program.path.display(),
                other.path.display()
            ))
            .help("a strict program is linked statically, without start-up code; client/examples/worker.c is one")
            .status(NOT_EXECUTABLE));
        }
        for (earlier, next) in self.stacks.iter().zip(self.layers.iter().skip(1)) {
            if let Some(why) = deadly(earlier, &Plan::attachment()) {
                return Err(
                    Failure::new(format!("{} cannot be attached: {why}", next.name))
                        .help(ALLOW_ATTACHMENT)
                        .status(OWN_FAILURE),
                );
            }
        }
        for moment in self.execution() {
            if let Some(why) = self.whole().and_then(|stack| deadly(stack, &moment)) {
                return Err(Failure::new(format!(
                    "cannot execute {}: {why}",
                    self.program.path.display()
                ))
                .help(ALLOW_EXECUTION)
                .status(NOT_EXECUTABLE));
            }
        }
        Ok(())
    }

    /// Layer `index` was refused: is one of those already attached the reason?
    fn not_attached(&self, index: usize, error: &Error) -> Failure {
        let name = self.layers.get(index).map_or("", |layer| &layer.name);
        let failure = Failure::library(format_args!("cannot attach {name}"), error);
        let earlier = index.checked_sub(1).and_then(|last| self.stacks.get(last));
        let Some(earlier) = earlier else {
            return failure;
        };
        match refusal(earlier, &Plan::attachment()) {
            Some((why, verdict)) if error.errno() == Some(verdict.errno_value().into()) => {
                Failure::new(format!("cannot attach {name}: {why}")).help(ALLOW_ATTACHMENT)
            }
            _ => failure,
        }
    }

    /// `execve` came back: was it a policy?
    fn not_executed(&self, error: &io::Error) -> Failure {
        let path = self.program.path.display();
        let status = match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        let failure = Failure::new(format!("cannot execute {path}: {error}")).status(status);
        let errno = error.raw_os_error();
        for moment in self.execution() {
            match self.whole().and_then(|stack| refusal(stack, &moment)) {
                Some((why, verdict)) if errno == Some(verdict.errno_value().into()) => {
                    return Failure::new(format!("cannot execute {path}: {why}"))
                        .help(ALLOW_EXECUTION)
                        .status(NOT_EXECUTABLE);
                }
                _ => {}
            }
        }
        match error.raw_os_error() {
            Some(libc::ENOEXEC) => failure.help("a script must begin with a line such as #!/bin/sh"),
            Some(libc::EACCES | libc::EPERM) => {
                failure.help("none of the policies given here says so: check the file's mode, and whether this shell is already confined (`evf info`)")
            }
            Some(libc::ENOENT) => failure.help("the file exists; its interpreter or loader may not"),
            _ => failure,
        }
    }
}

const ALLOW_EXECUTION: &str = "a policy must allow `execve`, and in `on vfs.getname` the path of the program and of its loader or interpreter, as written here";

const ALLOW_ATTACHMENT: &str = "each policy but the last must allow `ioctl`, by which the next is attached; put the strictest last";

/// Why the stack would refuse what is about to happen, and with what verdict, if it would.
fn refusal(stack: &Stack<&Layer>, moment: &Moment) -> Option<(String, Verdict)> {
    let (why, verdict) = moment.lend(|record| {
        let decision = layers::decide(stack, record);
        (decision.refusal(moment.shown()), decision.verdict)
    })?;
    Some((why?, verdict))
}

/// Why the stack would end the process at that moment, if it would.
fn deadly(stack: &Stack<&Layer>, moment: &Moment) -> Option<String> {
    let (why, verdict) = refusal(stack, moment)?;
    match verdict.action() {
        Action::KillProcess | Action::KillThread | Action::Trap => Some(why),
        _ => None,
    }
}

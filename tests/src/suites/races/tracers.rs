// SPDX-License-Identifier: GPL-2.0
//! Law 5: tracing and probing of the hooked functions, and switching ftrace off, neither lift nor disturb the filters.

use libc::ENOENT;

use crate::harness::{Test, skip, tests};
use crate::kernel::attach;
use crate::program::{ODD, deny_name, errno, on_nr, syscalls};
use crate::sys::child::ask;
use crate::sys::{sys, try_open};

const NAME: &std::ffi::CStr = c"/evf-absent/evf-traced";

/// Functions that the module hooks.
const HOOKED: [&str; 4] = [
    "do_getname",
    "do_getname_kernel",
    "__seccomp_permit_syscall",
    "security_task_alloc",
];

pub(super) fn tests() -> Vec<Test> {
    tests!("races";
        law_5_fail_closed_ftrace_cannot_be_switched_off, law_5_fail_closed_under_kprobes_on_the_same_functions,
        law_5_fail_closed_under_kretprobes_on_the_same_functions, law_5_fail_closed_under_the_function_tracer, law_5_fail_closed_under_the_function_graph_tracer,
    )
}

fn confine() {
    attach(&deny_name(NAME.to_bytes()));
    attach(&syscalls(on_nr(libc::SYS_getuid, errno(ODD))));
}

/// All that a layer does, many times over.
fn holds() {
    for _ in 0..200 {
        assert_eq!(try_open(NAME), Err(ODD));
        assert_eq!(try_open(c"/evf-absent/x"), Err(ENOENT));
        assert_eq!(sys!(libc::SYS_getuid), Err(ODD));
    }
    for _ in 0..20 {
        assert_eq!(ask(|| try_open(NAME)), Err(ODD));
    }
}

fn tracefs(file: &str) -> std::path::PathBuf {
    std::path::Path::new("/tmp/evf-tracing").join(file)
}

fn mount_tracefs() {
    let _ = std::fs::create_dir("/tmp/evf-tracing");
    if sys!(
        libc::SYS_mount,
        c"none",
        c"/tmp/evf-tracing",
        c"tracefs",
        0,
        0
    )
    .is_err()
    {
        skip("this kernel has no tracefs");
    }
}

fn law_5_fail_closed_ftrace_cannot_be_switched_off() {
    let switch = "/proc/sys/kernel/ftrace_enabled";
    if std::fs::metadata(switch).is_err() {
        skip("this kernel has no ftrace_enabled");
    }
    let holds_when_switched = ask(|| {
        let _ = std::fs::write(switch, "0");
        confine();
        holds();
        Ok(0)
    });
    let _ = std::fs::write(switch, "1");
    assert_eq!(holds_when_switched, Ok(0));
    assert_eq!(std::fs::read_to_string(switch).expect(switch).trim(), "1");
}

fn probed(kind: char) {
    mount_tracefs();
    let events = tracefs("kprobe_events");
    let mut lines = String::new();
    for (at, function) in HOOKED.iter().enumerate() {
        lines += &format!("{kind}:evf/probe{at} {function}\n");
    }
    if std::fs::write(&events, &lines).is_err() {
        skip("this kernel takes no kprobe_events");
    }
    std::fs::write(tracefs("events/evf/enable"), "1").expect("enable");
    let result = ask(|| {
        confine();
        holds();
        Ok(0)
    });
    std::fs::write(tracefs("events/evf/enable"), "0").expect("disable");
    let trace = std::fs::read_to_string(tracefs("trace")).unwrap_or_default();
    std::fs::write(tracefs("trace"), "").expect("clear");
    std::fs::write(&events, "").expect("remove the probes");
    let _ = sys!(libc::SYS_umount2, c"/tmp/evf-tracing", 0);
    assert_eq!(result, Ok(0));
    assert!(
        trace.contains("probe0"),
        "the probe on do_getname saw nothing"
    );
}

fn law_5_fail_closed_under_kprobes_on_the_same_functions() {
    probed('p');
}

fn law_5_fail_closed_under_kretprobes_on_the_same_functions() {
    probed('r');
}

fn traced(tracer: &str, filter: &str) {
    mount_tracefs();
    let available = std::fs::read_to_string(tracefs("available_tracers")).unwrap_or_default();
    if !available.split_whitespace().any(|name| name == tracer) {
        skip("this kernel does not have the tracer");
    }
    std::fs::write(tracefs(filter), HOOKED.join("\n")).expect(filter);
    std::fs::write(tracefs("current_tracer"), tracer).expect("current_tracer");
    let result = ask(|| {
        confine();
        holds();
        Ok(0)
    });
    let trace = std::fs::read_to_string(tracefs("trace")).unwrap_or_default();
    std::fs::write(tracefs("current_tracer"), "nop").expect("current_tracer");
    std::fs::write(tracefs(filter), "").expect(filter);
    let _ = sys!(libc::SYS_umount2, c"/tmp/evf-tracing", 0);
    assert_eq!(result, Ok(0));
    assert!(trace.contains("do_getname"), "the tracer saw nothing");
}

fn law_5_fail_closed_under_the_function_tracer() {
    traced("function", "set_ftrace_filter");
}

fn law_5_fail_closed_under_the_function_graph_tracer() {
    // `set_graph_function` would patch every function of the kernel; the filter keeps it to those that matter.
    traced("function_graph", "set_ftrace_filter");
}

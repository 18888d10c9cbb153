# SPDX-License-Identifier: GPL-2.0
"""What Docker, runc and libseccomp make of a profile: reference.py PROFILE OUT [CAPABILITY...] writes the program.

After moby's profiles/seccomp (which entries count) and runc's libcontainer/seccomp (how an entry becomes rules), on x86-64.
"""

import json
import os
import sys

import seccomp

PROFILE, OUT, *CAPABILITIES = sys.argv[1:]
KERNEL = tuple(int(part) for part in os.uname().release.split("-")[0].split("+")[0].split(".")[:2])
ARCHES = {"SCMP_ARCH_X86_64": None, "SCMP_ARCH_X86": "x86", "SCMP_ARCH_X32": "x32"}
OPERATORS = {
    "SCMP_CMP_NE": seccomp.NE,
    "SCMP_CMP_LT": seccomp.LT,
    "SCMP_CMP_LE": seccomp.LE,
    "SCMP_CMP_EQ": seccomp.EQ,
    "SCMP_CMP_GE": seccomp.GE,
    "SCMP_CMP_GT": seccomp.GT,
    "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ,
}


def action(name, errno):
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(1 if errno is None else errno)
    if name == "SCMP_ACT_TRACE":
        return seccomp.TRACE(1 if errno is None else errno)
    return {
        "SCMP_ACT_ALLOW": seccomp.ALLOW,
        "SCMP_ACT_LOG": seccomp.LOG,
        "SCMP_ACT_TRAP": seccomp.TRAP,
        "SCMP_ACT_KILL": seccomp.KILL,
        "SCMP_ACT_KILL_THREAD": seccomp.KILL,
        "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS,
    }[name]


def counts(entry):
    """Whether the entry is for this container on this machine."""
    excludes, includes = entry.get("excludes") or {}, entry.get("includes") or {}
    if "amd64" in excludes.get("arches", ()) or any(cap in CAPABILITIES for cap in excludes.get("caps", ())):
        return False
    if "minKernel" in excludes and KERNEL >= tuple(map(int, excludes["minKernel"].split("."))):
        return False
    if includes.get("arches") and "amd64" not in includes["arches"]:
        return False
    if not all(cap in CAPABILITIES for cap in includes.get("caps", ())):
        return False
    return "minKernel" not in includes or KERNEL >= tuple(map(int, includes["minKernel"].split(".")))


def known(name):
    try:
        seccomp.resolve_syscall(seccomp.Arch(), name)
    except ValueError:
        return False
    return True


with open(PROFILE, encoding="utf-8") as file:
    profile = json.load(file)
default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
built = seccomp.SyscallFilter(default)
for entry in profile["archMap"]:
    if entry["architecture"] == "SCMP_ARCH_X86_64":
        for arch in entry["subArchitectures"]:
            built.add_arch(seccomp.Arch(ARCHES[arch]))
for entry in filter(counts, profile["syscalls"]):
    verdict = action(entry["action"], entry.get("errnoRet"))
    if verdict == default:
        continue
    compared = [
        seccomp.Arg(arg["index"], OPERATORS[arg["op"]], arg["value"], arg.get("valueTwo", 0))
        for arg in entry.get("args") or ()
    ]
    indices = [arg["index"] for arg in entry.get("args") or ()]
    for name in filter(known, entry["names"]):
        if len(set(indices)) < len(indices):
            for one in compared:
                built.add_rule(verdict, name, one)
        else:
            built.add_rule(verdict, name, *compared)
with open(OUT, "wb") as out:
    built.export_bpf(out)

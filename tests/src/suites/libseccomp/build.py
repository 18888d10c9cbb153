# SPDX-License-Identifier: GPL-2.0
"""Programs as the real libseccomp exports them: build.py DIRECTORY writes NAME.bpf for each."""

import sys

from seccomp import (ALLOW, EQ, ERRNO, GE, GT, KILL, KILL_PROCESS, LE, LOG, LT, MASKED_EQ, NE, TRACE, TRAP,
                     Arch, Arg, Attr, SyscallFilter)


def allow_list(default, optimize=1, arches=()):
    built = SyscallFilter(default)
    for arch in arches:
        built.add_arch(Arch(arch))
    built.set_attr(Attr.CTL_OPTIMIZE, optimize)
    for name in ("read", "write", "openat", "close", "fstat", "mmap", "brk", "getpid", "getuid", "exit", "exit_group", "futex", "kill", "dup",
                 "rt_sigreturn"):
        built.add_rule(ALLOW, name)
    return built


def actions():
    built = SyscallFilter(ALLOW)
    for action, name in ((ERRNO(1), "mount"), (ERRNO(4094), "umount2"), (ERRNO(0), "sync"), (LOG, "chdir"),
                         (TRACE(7), "rename"), (ERRNO(38), "clone3")):
        built.add_rule(action, name)
    return built


def comparisons():
    built = SyscallFilter(ERRNO(1))
    for name, op in (("getuid", EQ), ("getgid", NE), ("geteuid", LT), ("getegid", LE), ("getppid", GE), ("getpgrp", GT)):
        built.add_rule(ALLOW, name, Arg(0, op, 0x1_0000_0002))
        built.add_rule(ERRNO(5), name, Arg(1, op, 0x8000_0000))
    built.add_rule(ALLOW, "socket", Arg(0, EQ, 1), Arg(1, MASKED_EQ, 0xf, 1), Arg(2, NE, 9))
    built.add_rule(ERRNO(97), "socket", Arg(0, GE, 3))
    built.add_rule(ALLOW, "prctl", Arg(0, MASKED_EQ, 0xffff_0000_0000_00ff, 0x3))
    return built


def many():
    built = SyscallFilter(ERRNO(1))
    built.set_attr(Attr.CTL_OPTIMIZE, 2)
    for number in range(0, 460, 2):
        built.add_rule(ALLOW if number % 3 else ERRNO(number % 100 + 2), number)
    return built


PROGRAMS = {
    "allow-list": lambda: allow_list(ERRNO(1)),
    "allow-list-tree": lambda: allow_list(ERRNO(13), optimize=2),
    "three-arches": lambda: allow_list(ERRNO(1), arches=("x86", "x32")),
    "trace": lambda: allow_list(TRACE(3)),
    "log": lambda: allow_list(LOG),
    "trap": lambda: allow_list(TRAP),
    "kill": lambda: allow_list(KILL),
    "kill-process": lambda: allow_list(KILL_PROCESS, arches=("x86",)),
    "actions": actions,
    "comparisons": comparisons,
    "many": many,
}

for name, build in PROGRAMS.items():
    with open(f"{sys.argv[1]}/{name}.bpf", "wb") as file:
        build().export_bpf(file)

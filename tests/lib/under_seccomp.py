#!/usr/bin/env python3
"""Runs a program under a seccomp profile for containers, as Docker and Podman apply it.

under_seccomp.py PROFILE [--without NAME]... -- PROGRAM [ARGUMENT]...

The filter is made by libseccomp, as theirs is (Debian package python3-seccomp). --without leaves a
system call out of the profile. A name that libseccomp does not know is an error here: a runtime
would leave it out without a word.
"""

import errno
import json
import os
import platform
import shutil
import sys

import seccomp

ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
COMPARE = {"SCMP_CMP_EQ": seccomp.EQ, "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ}


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    split = sys.argv.index("--")
    own, command = sys.argv[1:split], sys.argv[split + 1 :]
    profile = json.load(open(own[0], encoding="utf-8"))
    without = [name for flag, name in zip(own[1::2], own[2::2], strict=True) if flag == "--without"]
    program = shutil.which(command[0]) or sys.exit(f"no program {command[0]}")
    install(profile, without)
    os.execv(program, command)


def install(profile, without):
    architecture = ARCHITECTURES[platform.machine()]
    if architecture not in profile["architectures"]:
        sys.exit(f"the profile has no {architecture}")
    filter = seccomp.SyscallFilter(action(profile["defaultAction"], profile["defaultErrnoRet"]))
    for group in profile["syscalls"]:
        wanted = action(group["action"], group.get("errnoRet", errno.EPERM))
        arguments = [argument(one) for one in group.get("args", [])]
        for name in group["names"]:
            if seccomp.resolve_syscall(seccomp.Arch(), name) == -1:
                sys.exit(f"no system call has the name {name}")
            if name not in without:
                filter.add_rule(wanted, name, *arguments)
    # It also sets no_new_privs.
    filter.load()


def action(name, number):
    return {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_ERRNO": seccomp.ERRNO(number)}[name]


def argument(one):
    value = [one["value"]] + ([one["valueTwo"]] if "valueTwo" in one else [])
    return seccomp.Arg(one["index"], COMPARE[one["op"]], *value)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs other people's clients against `corecast serve --echo`, without and with permessage-deflate.

Arguments: the command of each client, separated by `--`. A client gets the server's base URL, its
message limit in bytes and `plain` or `deflate`, and prints `ok NAME` or `not ok NAME: reason` for
each of its checks.
"""

import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from arguments import CLIENTS, CLIENTS_DEFLATE, CLIENTS_MESSAGE_BYTES  # noqa: E402
from server import Server  # noqa: E402

CLIENT_SECONDS_MAX = 120
CHECKS_MIN = 12


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=pathlib.Path, help="file for: passed failed skipped")
    parser.add_argument("--url", help="base URL of a server that runs already, without deflate")
    parser.add_argument("commands", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    commands = split(options.commands)
    if options.url:
        results = [run_client(command, options.url, "plain") for command in commands]
    else:
        results = []
        for arguments, mode in ((CLIENTS, "plain"), (CLIENTS_DEFLATE, "deflate")):
            with Server(*arguments) as server:
                results += [run_client(command, server.url(""), mode) for command in commands]
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} checks passed, {failed} failed")
    if options.counts:
        options.counts.write_text(f"{passed} {failed} 0\n")
    return 1 if failed else 0


def split(words):
    """The commands between the `--` separators."""
    commands = [[]]
    for word in words:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def run_client(command, url, mode):
    """(passed, failed) of one client; ending early or checking too little counts as a failure."""
    arguments = [*command, url, str(CLIENTS_MESSAGE_BYTES), mode]
    print("$", *arguments, flush=True)
    try:
        done = subprocess.run(arguments, text=True, stdout=subprocess.PIPE,
                              timeout=CLIENT_SECONDS_MAX)
    except subprocess.TimeoutExpired as expired:
        print(expired.stdout, f"not ok: no end within {CLIENT_SECONDS_MAX} s", sep="\n")
        return 0, 1
    print(done.stdout, end="")
    passed = len(re.findall(r"^ok ", done.stdout, re.M))
    failed = len(re.findall(r"^not ok ", done.stdout, re.M))
    if failed == 0 and (done.returncode != 0 or passed < CHECKS_MIN):
        print(f"not ok: ended with {done.returncode} after {passed} checks")
        failed = 1
    return passed, failed


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs Autobahn's fuzzingclient against `corecast serve --echo` and compares every case.

All cases go over ws://, and over wss:// those of WSS, or all with `--wss all`. `--url` takes
another server instead, `--record` writes what it saw as the new expectation.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from arguments import AUTOBAHN  # noqa: E402
from server import Server  # noqa: E402
from suite import Run, run_all  # noqa: E402

EXPECTED = HERE / "expected.json"
# The longest first: each is a run of its own, and some go on at once.
GROUPS = [[f"{group}.*"] for group in
          ("12.1", "12.2", "12.3", "12.4", "12.5",
           "13.1", "13.2", "13.3", "13.4", "13.5", "13.6", "13.7")]
REST = [["9.*"], [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)]]
# Of each group with compression the messages of 32 KiB: two records of TLS, but for the deflating.
WSS = [[f"{group[0][:-2]}.8" for group in GROUPS], *REST]


def main():
    options = parse_options()
    reports = options.reports.resolve()
    reports.mkdir(parents=True, exist_ok=True)
    expected = {} if options.record else json.loads(EXPECTED.read_text())
    if options.url:
        runs = runs_of(options.url, GROUPS + REST, reports)
        run_all(options.python, runs, expected)
    else:
        over_wss = {"none": [], "part": WSS, "all": GROUPS + REST}[options.wss]
        with Server(*AUTOBAHN, write_config(reports), secure=True) as server:
            runs = [*runs_of(server.url("/echo"), GROUPS + REST, reports),
                    *runs_of(server.secure_url("/echo"), over_wss, reports)]
            run_all(options.python, runs, expected)
    if options.record:
        observed = merge(run for run in runs if not run.secure)
        EXPECTED.write_text(render(observed))
        print(f"wrote {len(observed)} cases to {EXPECTED}")
        return 0
    by_scheme = ([run for run in runs if run.secure == secure] for secure in (False, True))
    counts = [report(runs, expected) for runs in by_scheme if runs]
    passed, failed = (sum(count) for count in zip(*counts))
    if options.counts:
        options.counts.write_text(f"{passed} {failed} 0\n")
    return 1 if failed else 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="a Python with autobahntestsuite")
    parser.add_argument("--reports", required=True, type=pathlib.Path, help="where reports go")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--wss", choices=("none", "part", "all"), default="part",
                        help="which cases go over wss://, too")
    parser.add_argument("--counts", type=pathlib.Path, help="file for: passed failed skipped")
    parser.add_argument("--record", action="store_true", help="write the expectation anew")
    return parser.parse_args()


def runs_of(url, groups, reports):
    scheme = url.split(":")[0]
    return [Run(url, cases, reports / f"{scheme}-{number}") for number, cases in enumerate(groups)]


def write_config(reports):
    """The configuration, with a certificate that is made here."""
    chain, key, config = (reports / name for name in ("chain.pem", "key.pem", "corecast.toml"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", chain],
                   check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    config.write_text(
        (HERE / "corecast.toml").read_text() + "\n[tls]\nlisten = \"127.0.0.1:0\"\n"
        "\n[[tls.certificates]]\n"
        f"chain = {json.dumps(str(chain))}\nkey = {json.dumps(str(key))}\n")
    return config


def merge(runs):
    return {case: verdict for run in runs for case, verdict in run.observed.items()}


def report(runs, expected):
    """Prints what deviates and counts it; a case that was not run deviates too."""
    observed = merge(runs)
    wanted = {case: expected[case] for case in expected if any(run.has(case) for run in runs)}
    deviations = [
        (case, wanted.get(case), observed.get(case))
        for case in sorted(wanted.keys() | observed.keys(), key=case_order)
        if wanted.get(case) != observed.get(case)
    ]
    scheme = "wss" if runs[0].secure else "ws"
    for case, wants, found in deviations:
        print(f"case {case} over {scheme}: expected {verdict(wants)}, found {verdict(found)}"
              f"{explanation(runs, case)}")
    passed = len(observed) - sum(found is not None for _, _, found in deviations)
    print(f"{scheme}://: {len(observed)} cases run, {passed} as expected, "
          f"{len(deviations)} deviations")
    return passed, len(deviations)


def verdict(pair):
    return "nothing" if pair is None else f"{pair[0]} (close: {pair[1]})"


def explanation(runs, case):
    """Autobahn's own words about a case, with the path of the full report."""
    name = f"corecast_case_{case.replace('.', '_')}.json"
    path = next((run.reports / name for run in runs if (run.reports / name).exists()), None)
    if path is None:
        return ""
    case_report = json.loads(path.read_text())
    return (f"\n    {case_report['description']}\n    {case_report['result']}"
            f" {case_report['resultClose']}\n    {path.with_suffix('.html')}")


def case_order(case):
    return [int(part) for part in case.split(".")]


def render(cases):
    rows = (f'  "{case}": {json.dumps(cases[case])}' for case in sorted(cases, key=case_order))
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())

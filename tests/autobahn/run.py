#!/usr/bin/env python3
"""Runs Autobahn's fuzzingclient against `corecast serve --echo` and compares every case.

`--url` takes another server instead, `--record` writes what it saw as the new expectation.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from arguments import AUTOBAHN  # noqa: E402
from server import Server  # noqa: E402

EXPECTED = HERE / "expected.json"
# Each is a run of its own, several at once: the suite works on one core. The longest come first.
RUNS = [
    ["12.1.*"],
    ["13.3.*", "13.4.*"],
    ["13.5.*", "13.6.*"],
    ["13.7.*"],
    ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"],
    ["12.2.*", "12.3.*", "12.4.*", "12.5.*", "13.1.*", "13.2.*"],
]
SUITE_SECONDS_MAX = 900


def main():
    options = parse_options()
    if options.url:
        observed = run_suite(options, options.url)
    else:
        with Server(*AUTOBAHN) as server:
            observed = run_suite(options, server.url("/echo"))
    if options.record:
        EXPECTED.write_text(render(observed))
        print(f"wrote {len(observed)} cases to {EXPECTED}")
        return 0
    return report(options, observed, json.loads(EXPECTED.read_text()))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", required=True, help="autobahntestsuite's program")
    parser.add_argument("--reports", required=True, type=pathlib.Path, help="where reports go")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--counts", type=pathlib.Path, help="file for: passed failed skipped")
    parser.add_argument("--record", action="store_true", help="write the expectation anew")
    return parser.parse_args()


def run_suite(options, url):
    """What Autobahn says of each case, as {case: [behavior, behaviorClose]}."""
    observed = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = [pool.submit(run_cases, options, url, cases, reports_of(options, number))
                for number, cases in enumerate(RUNS)]
        for run in runs:
            observed.update(run.result())
    return observed


def reports_of(options, number):
    return options.reports.resolve() / str(number)


def run_cases(options, url, cases, reports):
    reports.mkdir(parents=True, exist_ok=True)
    index = reports / "index.json"
    index.unlink(missing_ok=True)
    spec = reports / "spec.json"
    spec.write_text(json.dumps({
        "outdir": str(reports),
        "servers": [{"agent": "corecast", "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }))
    with open(reports / "wstest.log", "w") as log:
        subprocess.run([options.wstest, "-m", "fuzzingclient", "-s", str(spec)],
                       check=True, timeout=SUITE_SECONDS_MAX, stdout=log, stderr=log)
    if not index.exists():
        raise SystemExit("Autobahn left no report")
    cases = json.loads(index.read_text()).get("corecast")
    if not cases:
        raise SystemExit("Autobahn ran no case: it could not connect to " + url)
    return {case: [found["behavior"], found["behaviorClose"]] for case, found in cases.items()}


def report(options, observed, expected):
    """Prints what deviates and counts it; a case that was not run deviates too."""
    deviations = [
        (case, expected.get(case), observed.get(case))
        for case in sorted(expected.keys() | observed.keys(), key=case_order)
        if expected.get(case) != observed.get(case)
    ]
    for case, wanted, found in deviations:
        print(f"case {case}: expected {verdict(wanted)}, found {verdict(found)}"
              f"{explanation(options, case)}")
    passed = len(observed) - sum(found is not None for _, _, found in deviations)
    print(f"{len(observed)} cases run, {passed} as expected, {len(deviations)} deviations")
    if options.counts:
        options.counts.write_text(f"{passed} {len(deviations)} 0\n")
    return 1 if deviations else 0


def verdict(pair):
    return "nothing" if pair is None else f"{pair[0]} (close: {pair[1]})"


def explanation(options, case):
    """Autobahn's own words about a case, with the path of the full report."""
    name = f"corecast_case_{case.replace('.', '_')}.json"
    paths = (reports_of(options, number) / name for number in range(len(RUNS)))
    path = next((path for path in paths if path.exists()), None)
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

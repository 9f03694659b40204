"""Runs of Autobahn's suite: it works on one core and waits for each answer, so several at once."""

import concurrent.futures
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess

LAUNCHER = pathlib.Path(__file__).resolve().parent / "launch.py"
RUN_SECONDS_MAX = 900
PROGRESS_SECONDS = 10


class Run:
    """Some cases against one address, and what Autobahn says of them."""

    def __init__(self, url, cases, reports):
        self.url = url
        self.secure = url.startswith("wss:")
        self.cases = cases
        self.reports = reports
        # {case: [behavior, behaviorClose]}
        self.observed = {}

    def has(self, case):
        return any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)

    def go(self, python):
        shutil.rmtree(self.reports, ignore_errors=True)
        self.reports.mkdir(parents=True)
        self.observed = self.ask(python, self.cases)

    def go_again(self, python, expected):
        """Some cases end after half a second, however busy the machine is: what deviates may do so
        once, and is asked for again."""
        cases = [case for case, found in self.observed.items()
                 if found != expected.get(case, found)]
        if cases:
            print(f"asking again over {self.url.split(':')[0]}://: {', '.join(cases)}", flush=True)
            self.observed |= self.ask(python, cases)

    def ask(self, python, cases):
        spec, index = self.reports / "spec.json", self.reports / "index.json"
        index.unlink(missing_ok=True)
        spec.write_text(json.dumps({
            "outdir": str(self.reports),
            "servers": [{"agent": "corecast", "url": self.url}],
            "cases": cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }))
        with open(self.log(), "a") as log:
            subprocess.run(
                [python, "-W", "ignore", "-u", LAUNCHER, "-m", "fuzzingclient", "-s", spec],
                check=True, timeout=RUN_SECONDS_MAX, stdout=log, stderr=log)
        if not index.exists():
            raise SystemExit(f"Autobahn left no report: see {self.log()}")
        cases = json.loads(index.read_text()).get("corecast")
        if not cases:
            raise SystemExit(f"Autobahn ran no case: it could not connect to {self.url}")
        return {case: [found["behavior"], found["behaviorClose"]] for case, found in cases.items()}

    def log(self):
        return self.reports / "wstest.log"

    def begun(self):
        """Cases that have begun so far."""
        try:
            return self.log().read_text(errors="replace").count("Running test case ID")
        except FileNotFoundError:
            return 0


def run_all(python, runs, expected):
    """Goes through the runs, in their order, and says how far they have come. What is not as
    expected is asked for once more, with nothing beside it."""
    # Each waits for the server now and then: one more than there are cores.
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() + 1) as pool:
        pending = {pool.submit(run.go, python) for run in runs}
        try:
            while pending:
                done, pending = concurrent.futures.wait(
                    pending, PROGRESS_SECONDS, concurrent.futures.FIRST_EXCEPTION)
                for run in done:
                    run.result()
                print(progress(runs), flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for run in runs:
        run.go_again(python, expected)


def progress(runs):
    count = {secure: sum(run.begun() for run in runs if run.secure == secure)
             for secure in (False, True)}
    return f"cases so far: {count[False]} over ws://, {count[True]} over wss://"

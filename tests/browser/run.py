#!/usr/bin/env python3
"""Opens the page of `corecast demo` in headless Chromium and watches prices arrive in the DOM."""

import argparse
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from arguments import DEMO  # noqa: E402
from server import Server  # noqa: E402
from webdriver import Browser  # noqa: E402

SECONDS_MAX = 20
SYMBOLS_MIN = 10
CHANGED_MIN = 5

READ_PAGE = """
const bids = {};
for (const row of document.querySelectorAll('#ticker tbody tr[data-symbol]')) {
  bids[row.dataset.symbol] = row.querySelector('.bid')?.textContent.trim() ?? '';
}
const text = (id) => document.getElementById(id)?.textContent.trim() ?? null;
return { bids, rate: text('rate'), latency: text('latency-p50') };
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshot", required=True, type=pathlib.Path)
    options = parser.parse_args()
    with Server(*DEMO) as server, Browser() as browser:
        browser.open(f"http://127.0.0.1:{server.port}/")
        try:
            check(browser)
        finally:
            browser.screenshot(options.screenshot)
            print(f"screenshot: {options.screenshot}")
    return 0


def check(browser):
    first = wait_for(browser, "a table of symbols with bid prices", lambda page: (
        len(page["bids"]) >= SYMBOLS_MIN and all(map(number, page["bids"].values()))))
    print(f"{len(first['bids'])} symbols, for example {next(iter(first['bids'].items()))}")

    def changed(page):
        return sum(first["bids"].get(name) != bid for name, bid in page["bids"].items())
    later = wait_for(browser, f"{CHANGED_MIN} changed bids", lambda page: (
        changed(page) >= CHANGED_MIN))
    print(f"{changed(later)} bids changed")

    page = wait_for(browser, "a message rate and a latency above zero", lambda page: (
        number(page["rate"]) and number(page["latency"])))
    print(f"rate {page['rate']}, p50 latency {page['latency']}")

    errors = [entry for entry in browser.console() if entry["level"] == "SEVERE"]
    if errors:
        raise SystemExit("the page logged errors:\n"
                         + "\n".join(entry["message"] for entry in errors))


def wait_for(browser, what, condition):
    """The page's state once `condition` holds for it."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        page = browser.run(READ_PAGE)
        if condition(page):
            return page
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} within {SECONDS_MAX} s; the page shows {page},"
                             f" its console {browser.console()}")
        time.sleep(0.1)


def number(text):
    """The first number in `text`, 0 when there is none: `1,234 msg/s` is 1234."""
    found = re.search(r"\d[\d,\u202f\u00a0 ]*(\.\d+)?", text or "")
    return float(re.sub(r"[^\d.]", "", found.group(0))) if found else 0.0


if __name__ == "__main__":
    sys.exit(main())

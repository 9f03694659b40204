#!/usr/bin/env python3
"""Opens the page of `corecast demo` in headless Chromium, uses it, and watches what it shows; and
has Chromium agree to permessage-deflate with `corecast serve`."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import chat  # noqa: E402
import deflate  # noqa: E402
import market  # noqa: E402
from arguments import CLIENTS_DEFLATE, DEMO  # noqa: E402
from page import errors_of  # noqa: E402
from server import Server  # noqa: E402
from webdriver import Browser  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", required=True, type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    with Server(*DEMO) as server, Browser() as browser:
        url = f"http://127.0.0.1:{server.port}/"
        browser.open(url)
        look(browser, options.screenshots / "demo.png", lambda: market.check(browser, server))
        look(browser, options.screenshots / "chat.png", lambda: chat.check(browser, url))
        with Server(*CLIENTS_DEFLATE) as compressing:
            deflate.check(browser, compressing)
    return 0


def look(browser, screenshot, check):
    """Runs a check, and keeps how the page looked at its end."""
    try:
        check()
    finally:
        browser.screenshot(screenshot)
        print(f"screenshot: {screenshot}")
    errors = errors_of(browser)
    if errors:
        raise SystemExit(f"the page logged errors:\n{errors}")


if __name__ == "__main__":
    sys.exit(main())

"""What the market's tab must show: live rows, two rates, a slow reader, a cut."""

import re
import time

from page import click, number, read, wait_for

SYMBOLS_MIN = 10
CHANGED_MIN = 5
# Past the age at which the demo's server drops trades that wait, and the buffers before it.
SLEEP_SECONDS = 7
# The variant has 10 messages a second; the raw topic's mean is about 120.
VARIANT_RATE_MAX = 13
RAW_TIMES_MIN = 2


def check(browser, server):
    rows_update(browser)
    variant_is_slower(browser)
    slow_reader_is_conflated_and_recovers(browser, server)
    cut_is_resumed(browser)


def rows_update(browser):
    first = wait_for(browser, "a table of symbols with bid prices", lambda page: (
        len(page["bids"]) >= SYMBOLS_MIN and all(map(number, page["bids"].values()))))
    print(f"{len(first['bids'])} symbols, for example {next(iter(first['bids'].items()))}")

    def changed(page):
        return sum(first["bids"].get(name) != bid for name, bid in page["bids"].items())
    later = wait_for(browser, f"{CHANGED_MIN} changed bids", lambda page: (
        changed(page) >= CHANGED_MIN))
    print(f"{changed(later)} bids changed")
    page = wait_for(browser, "a message rate, a latency and trades", lambda page: (
        number(page["rate"]) and number(page["latency-p50"]) and page["tape"]))
    print(f"rate {page['rate']}, p50 latency {page['latency-p50']} ms")


def variant_is_slower(browser):
    def holds(page):
        raw, variant = number(page["raw-rate"]), number(page["variant-rate"])
        return 0 < variant <= VARIANT_RATE_MAX and raw >= RAW_TIMES_MIN * variant
    page = wait_for(browser, "variant that is slower than its topic", holds)
    topic = page["raw-topic"]
    if page["variant-topic"] != f"{topic}@100ms":
        raise SystemExit(f"max_hz 10 of {topic} is {page['variant-topic']}")
    print(f"{topic} {page['raw-rate']}/s, {page['variant-topic']} {page['variant-rate']}/s")


def slow_reader_is_conflated_and_recovers(browser, server):
    before = server_conflated(server)
    click(browser, "slow")
    time.sleep(SLEEP_SECONDS)
    asleep = read(browser)
    if "Not reading" not in asleep["slept"] or number(asleep["rate"]):
        raise SystemExit(f"the page does not sleep: {asleep}")
    queued = int(server_conflated(server) - before)
    click(browser, "slow")
    page = wait_for(browser, "report of a nap", lambda page: "caught up" in page["slept"])
    report = page["slept"]
    print(re.sub(r"\s+", " ", report))
    found = re.search(r"of ([\d,]+), ([\d,]+) conflated", report)
    published, conflated = (number(group) for group in found.groups())
    # The page reads the jumps of `seq`, the server counted what it replaced.
    if not (queued > 0 and 0 < conflated < published):
        raise SystemExit(f"the server conflated {queued} quotes, the page found {conflated:.0f}")
    if not re.search(r"[1-9][\d,]* told as missing: trade\.[A-Z]+ \d+–\d+", report):
        raise SystemExit(f"no trade was told as missing: {report}")
    rates = wait_for(browser, "recovery", lambda page: (
        page["state"] == "live" and number(page["rate"]) > 100))
    unexplained(rates)
    print(f"the server conflated {queued} meanwhile; {rates['rate']} messages/s again")


def cut_is_resumed(browser):
    click(browser, "cut")
    page = wait_for(browser, "resumed streams", lambda page: "back after" in page["session"])
    print(page["session"])
    if number(page["session"].partition("resumed ")[2]) < SYMBOLS_MIN:
        raise SystemExit("less than the trades of all symbols were resumed")
    first = page["bids"]
    page = wait_for(browser, "changed bids after the cut", lambda page: page["bids"] != first)
    unexplained(page)


def unexplained(page):
    if page["unexplained"] != "0":
        raise SystemExit(f"{page['unexplained']} holes or doubles that nothing explains")


def server_conflated(server):
    """The last column of the server's lines, summed."""
    lines = [line.split() for line in list(server.lines)]
    return sum(number(line[-1]) for line in lines if len(line) == 7 and line[0].isdigit())

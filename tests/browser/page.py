"""Reading the page of the demo, and waiting for what it should show."""

import re
import time

SECONDS_MAX = 20

READ_PAGE = """
const texts = {};
for (const node of document.querySelectorAll('[id]')) {
  texts[node.id] = node.innerText?.trim() ?? '';
}
const bids = {};
for (const row of document.querySelectorAll('#ticker tbody tr[data-symbol]')) {
  bids[row.dataset.symbol] = row.querySelector('.bid')?.textContent.trim() ?? '';
}
return { ...texts, bids };
"""


def read(browser):
    """The text of everything that has an id, and `bids` by symbol."""
    return browser.run(READ_PAGE)


def wait_for(browser, what, condition, seconds_max=SECONDS_MAX):
    """The page as `read` once `condition` holds for it."""
    deadline = time.monotonic() + seconds_max
    while True:
        page = read(browser)
        if condition(page):
            return page
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} within {seconds_max} s; the page shows {page},"
                             f" its console {browser.console()}")
        time.sleep(0.1)


def click(browser, node):
    """Clicks what has this id; it must be there and enabled."""
    clicked = browser.run("""
        const node = document.getElementById(arguments[0]);
        if (!node || node.disabled) return false;
        node.click();
        return true;
    """, node)
    if not clicked:
        raise SystemExit(f"#{node} cannot be clicked: {read(browser)}")


def submit(browser, form, field, text):
    """Writes into a field of a form, and submits it."""
    browser.run("""
        const [form, field, text] = arguments;
        document.getElementById(field).value = text;
        document.getElementById(form).requestSubmit();
    """, form, field, text)


def number(text):
    """The first number in `text`, 0 when there is none: `1,234 msg/s` is 1234."""
    found = re.search(r"\d[\d,\u202f\u00a0 ]*(\.\d+)?", text or "")
    return float(re.sub(r"[^\d.]", "", found.group(0))) if found else 0.0


def errors_of(browser):
    """What the page logged as errors since the last look."""
    entries = [entry for entry in browser.console() if entry["level"] == "SEVERE"]
    return "\n".join(entry["message"] for entry in entries)

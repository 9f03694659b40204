"""What the chat's tab must show: two people in two tabs of the browser."""

from page import click, read, submit, wait_for


def check(browser, url):
    """Leaves the browser in Ann's tab."""
    ann = browser.tab()
    join(browser, url, "Ann")
    submit(browser, "say", "text", "Is anybody here?")
    wait_for(browser, "answer of the server", lambda page: "nobody else is here" in page["lines"])

    bob = browser.tab()
    join(browser, url, "Bob")
    wait_for(browser, "history", lambda page: "Is anybody here?" in page["lines"])
    wait_for(browser, "Ann among the present", lambda page: "Ann" in page["people"])
    submit(browser, "say", "text", "Yes, Bob")
    wait_for(browser, "delivery to Ann", lambda page: "delivered to one other" in page["lines"])

    browser.switch(ann)
    wait_for(browser, "Bob's line", lambda page: "Yes, Bob" in page["lines"])
    wait_for(browser, "Bob's arrival", lambda page: "Bob joined" in page["lines"])
    print(f"two people: {' | '.join(read(browser)['lines'].split())}")
    miss_and_resume(browser, ann, bob)
    be_twice(browser, url, ann)
    browser.switch(bob)
    browser.close_tab()
    browser.switch(ann)
    wait_for(browser, "Bob's leaving", lambda page: (
        "Bob left" in page["lines"] and "Bob" not in page["people"]))


def join(browser, url, name):
    browser.open(f"{url}#chat")
    submit(browser, "join", "name", name)
    wait_for(browser, f"{name} in the chat", lambda page: (
        page["chat-state"] == "live" and name in page["people"]))


def miss_and_resume(browser, ann, bob):
    """What is said while one is away comes, once, in its place."""
    click(browser, "chat-cut")
    browser.switch(bob)
    submit(browser, "say", "text", "Ann was away")
    browser.switch(ann)
    page = wait_for(browser, "missed line", lambda page: "Ann was away" in page["lines"])
    page = wait_for(browser, "resume", lambda page: "nothing is missing" in page["lines"])
    if page["lines"].count("Ann was away") != 1:
        raise SystemExit(f"a line came twice: {page['lines']}")


def be_twice(browser, url, ann):
    """One user with two connections is one user."""
    browser.tab()
    join(browser, url, "Ann")
    browser.switch(ann)
    wait_for(browser, "second connection", lambda page: "2 connections" in page["people"])

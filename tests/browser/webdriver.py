"""The few WebDriver commands the browser test needs, over chromedriver's HTTP interface."""

import base64
import http.client
import json
import re
import subprocess
import threading
import time

CHROMIUM_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--no-proxy-server", "--window-size=1280,900", "--force-color-profile=srgb",
]
START_SECONDS_MAX = 30


class WebDriverError(Exception):
    """What chromedriver said went wrong."""


class Browser:
    """A headless Chromium of its own for the length of a `with` block."""

    def __enter__(self):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            self.port = self._read_port()
            session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": CHROMIUM_ARGUMENTS},
                "goog:loggingPrefs": {"browser": "ALL"},
            }}})
        except BaseException:
            self.driver.kill()
            raise
        self.session = f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(10)

    def open(self, url):
        """Loads the page and waits for its `load` event."""
        self._call("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *arguments):
        """The value that the JavaScript function body `script` returns."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self.session}/execute/sync", body)

    def tab(self):
        """Opens a new tab, goes there, and returns its name."""
        made = self._call("POST", f"{self.session}/window/new", {"type": "tab"})
        self.switch(made["handle"])
        return made["handle"]

    def switch(self, tab):
        """Goes to this tab: all else acts there."""
        self._call("POST", f"{self.session}/window", {"handle": tab})

    def close_tab(self):
        """Closes the tab; go to another one then."""
        self._call("DELETE", f"{self.session}/window")

    def console(self):
        """What the page logged since the last call: dictionaries with `level` and `message`."""
        return self._call("POST", f"{self.session}/se/log", {"type": "browser"})

    def screenshot(self, path):
        """Writes the visible part of the page as a PNG file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def _read_port(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        said = []
        for line in self.driver.stdout:
            said.append(line)
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                threading.Thread(target=self.driver.stdout.read, daemon=True).start()
                return int(found.group(1))
            if time.monotonic() > deadline:
                break
        raise WebDriverError("chromedriver did not start: " + "".join(said))

"""Starts the program under test and reads the address it listens on from its output."""

import collections
import os
import re
import signal
import subprocess
import threading
import time

ADDRESS = re.compile(r"\b127\.0\.0\.1:([1-9][0-9]{0,4})\b")
SECURE_ADDRESS = re.compile(r"\bhttps://127\.0\.0\.1:([1-9][0-9]{0,4})\b")


class Server:
    """A server process for the length of a `with` block.

    Ready when its output names 127.0.0.1 and a port (with `secure`: one that speaks TLS, too);
    ends with SIGTERM, which it must obey within `stop_seconds`.
    """

    def __init__(self, *arguments, program=None, secure=False, ready_seconds=20, stop_seconds=20):
        self.command = [program or os.environ["CORECAST_BIN"], *map(str, arguments)]
        self.ready_seconds = ready_seconds
        self.stop_seconds = stop_seconds
        self.lines = collections.deque(maxlen=400)
        self.port = None
        self.secure = secure
        self.secure_port = None
        self._printed = threading.Event()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=self._read_output, daemon=True).start()
        deadline = time.monotonic() + self.ready_seconds
        while not self._printed.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._kill()
                raise SystemExit(f"{' '.join(self.command)}: printed no address\n{self.output()}")
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is not None:
            raise SystemExit(
                f"the server ended early with {self.process.returncode}\n{self.output()}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self._kill()
            raise SystemExit(
                f"the server did not end within {self.stop_seconds} s of SIGTERM\n{self.output()}")
        if code not in (0, -signal.SIGTERM) and kind is None:
            raise SystemExit(f"the server ended with {code} after SIGTERM\n{self.output()}")

    def url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def secure_url(self, path):
        return f"wss://127.0.0.1:{self.secure_port}{path}"

    def output(self):
        return "\n".join(self.lines)

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if self.port is None and (found := ADDRESS.search(line)):
                self.port = int(found.group(1))
            elif self.secure_port is None and (found := SECURE_ADDRESS.search(line)):
                self.secure_port = int(found.group(1))
            if self.port and (self.secure_port or not self.secure):
                self._printed.set()

    def _kill(self):
        self.process.kill()
        self.process.wait()

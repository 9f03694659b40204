"""What Chromium agrees to with a server that compresses, and that messages come back whole."""

from webdriver import WebDriverError

AGREED = "permessage-deflate; server_no_context_takeover"

ECHO = """
const socket = new WebSocket(arguments[0]);
socket.binaryType = 'arraybuffer';
const noise = crypto.getRandomValues(new Uint8Array(60_000));
const sent = [
  'hello', '', 'κόσμε, 世界 🜁 '.repeat(20_000), new Uint8Array(0), new Uint8Array(300_000), noise,
  ...Array.from({ length: 300 }, (_, number) => `message ${number}`),
];
const text = (message) => typeof message === 'string'
  ? message : `bytes ${[...new Uint8Array(message.buffer ?? message)]}`;
return new Promise((resolve, reject) => {
  let received = 0;
  socket.onopen = () => sent.forEach((message) => socket.send(message));
  socket.onmessage = ({ data }) => {
    if (text(data) !== text(sent[received])) reject(new Error(`message ${received} has changed`));
    received += 1;
    if (received === sent.length) socket.close(1000);
  };
  socket.onclose = ({ code }) => resolve({
    code, received, sent: sent.length, extensions: socket.extensions,
  });
});
"""


def check(browser, server):
    # A page of that server: what it opens is of its own origin.
    browser.open(f"http://127.0.0.1:{server.port}/healthz")
    try:
        found = browser.run(ECHO, server.url("/echo"))
    except WebDriverError as error:
        raise SystemExit(f"Chromium and compression: {error}\n{server.output()}") from error
    if found["extensions"] != AGREED:
        raise SystemExit(f"Chromium agreed to {found['extensions']!r} instead of {AGREED!r}")
    if found["code"] != 1000 or found["received"] != found["sent"]:
        raise SystemExit(f"not all came back: {found}")
    print(f"{found['received']} messages came back whole with {found['extensions']}")

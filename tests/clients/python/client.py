"""Python `websockets` against `corecast serve --echo`.

Arguments: URL, message limit, and `plain` or `deflate`: whether the server agrees to compress. The
client offers it in either case.
"""

import asyncio
import os
import sys
import traceback
import urllib.error
import urllib.request

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

URL = sys.argv[1]
MESSAGE_BYTES_MAX = int(sys.argv[2])
DEFLATE = sys.argv[3] == "deflate"
SECONDS_MAX = 15


def connect(path, **options):
    return websockets.connect(
        URL + path, max_size=4 * MESSAGE_BYTES_MAX, proxy=None, **options)


def agreed(socket):
    """What the server says of extensions, as a set of parameters behind the name."""
    name, *parameters = socket.response.headers["Sec-WebSocket-Extensions"].split("; ")
    assert name == "permessage-deflate", name
    return set(parameters)


async def echo(message):
    async with connect("/echo") as socket:
        await socket.send(message)
        assert await socket.recv() == message


async def text():
    await echo("hello")


async def text_of_several_scripts():
    await echo("κόσμε, Здравствуй, 世界, 🜁" * 50)


async def empty_text():
    await echo("")


async def binary():
    await echo(bytes(range(256)))


async def message_of_the_greatest_size():
    await echo(os.urandom(MESSAGE_BYTES_MAX))


async def message_over_the_limit_ends_with_1009():
    async with connect("/echo") as socket:
        await socket.send(bytes(MESSAGE_BYTES_MAX + 1))
        await ended_with(socket, 1009)


async def fragmented_message_comes_back_whole():
    async with connect("/echo") as socket:
        await socket.send(["κό", "", "σμε", "!" * 70_000])
        assert await socket.recv() == "κόσμε" + "!" * 70_000


async def invalid_utf8_ends_with_1007():
    async with connect("/echo") as socket:
        await socket.send(b"\xce\xba\xed\xa0\x80", text=True)
        await ended_with(socket, 1007)


async def ping_is_answered_with_its_payload():
    async with connect("/echo") as socket:
        # `ping` resolves only when a pong carries exactly this payload.
        await (await socket.ping(b"p" * 125))


async def many_messages_keep_their_order():
    async with connect("/echo") as socket:
        for number in range(500):
            await socket.send(f"message {number}")
        for number in range(500):
            assert await socket.recv() == f"message {number}"


async def close_codes_are_answered_in_kind():
    for code in (1000, 1001, 1011, 3000, 4999):
        async with connect("/echo") as socket:
            await socket.close(code, "because")
            assert socket.protocol.close_rcvd.code == code, socket.protocol.close_rcvd
            assert socket.protocol.close_rcvd_then_sent is False


async def extension_is_negotiated_where_it_is_enabled():
    async with connect("/echo") as socket:
        assert socket.subprotocol is None
        if DEFLATE:
            assert agreed(socket) == {"server_no_context_takeover"}
        else:
            assert socket.response.headers.get("Sec-WebSocket-Extensions") is None
    async with connect("/echo", compression=None) as socket:
        assert socket.response.headers.get("Sec-WebSocket-Extensions") is None


async def offers_are_answered_with_what_they_ask_for():
    always = "server_no_context_takeover"
    none = "client_no_context_takeover"
    for offer, expected in (
        ({}, {always}),
        ({"client_max_window_bits": None}, {always}),
        ({"client_max_window_bits": 9}, {always}),
        ({"server_max_window_bits": 15}, {always, "server_max_window_bits=15"}),
        ({"server_max_window_bits": 10}, {always, "server_max_window_bits=10"}),
        ({"client_no_context_takeover": True}, {always, none}),
        ({"server_no_context_takeover": True, "client_no_context_takeover": True,
          "server_max_window_bits": 9, "client_max_window_bits": 15},
         {always, none, "server_max_window_bits=9"}),
    ):
        factory = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **offer})
        async with connect("/echo", extensions=[factory], compression=None) as socket:
            assert agreed(socket) == expected, f"{offer}: {agreed(socket)}"
            # Twice the same: a context would tell.
            for message in ["κόσμε" * 5_000, "κόσμε" * 5_000, "", b"", os.urandom(70_000)]:
                await socket.send(message)
                assert await socket.recv() == message, offer
            await socket.send(["in ", "", "parts" * 20_000, ""])
            assert await socket.recv() == "in " + "parts" * 20_000, offer


async def broadcast_reaches_all_others_in_order():
    topic = f"/ws/python.{os.getpid()}"
    async with connect(topic) as sender, connect(topic) as first, connect(topic) as second, \
            connect(topic + ".other") as stranger:
        sent = [f"{number} ∀" if number % 2 else number.to_bytes(4, "big") for number in range(300)]
        for message in sent:
            await sender.send(message)
        for receiver in (first, second):
            for message in sent:
                assert await receiver.recv() == message
        await first.send("and back")
        assert await sender.recv() == "and back", "the sender got its own message"
        assert await second.recv() == "and back"
        await silent(stranger)


async def plain_requests_get_plain_answers():
    base = URL.replace("ws://", "http://")
    for path, status in (("/healthz", 200), ("/nothing-here", 404), ("/ws/topic", 426)):
        found = await asyncio.to_thread(http_status, base + path)
        assert found == status, f"{path}: {found} instead of {status}"


def http_status(url):
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url, timeout=SECONDS_MAX) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def ended_with(socket, code):
    try:
        unexpected = await socket.recv()
    except websockets.ConnectionClosed as closed:
        assert closed.rcvd is not None, f"no close frame: {closed}"
        assert closed.rcvd.code == code, f"{closed.rcvd.code} instead of {code}"
    else:
        raise AssertionError(f"{len(unexpected)} bytes instead of a close")


async def silent(socket):
    try:
        unexpected = await asyncio.wait_for(socket.recv(), 0.3)
    except asyncio.TimeoutError:
        return
    raise AssertionError(f"{unexpected!r} instead of silence")


CHECKS = (
    text, text_of_several_scripts, empty_text, binary, message_of_the_greatest_size,
    message_over_the_limit_ends_with_1009, fragmented_message_comes_back_whole,
    invalid_utf8_ends_with_1007, ping_is_answered_with_its_payload,
    many_messages_keep_their_order, close_codes_are_answered_in_kind,
    extension_is_negotiated_where_it_is_enabled,
    broadcast_reaches_all_others_in_order, plain_requests_get_plain_answers,
    *((offers_are_answered_with_what_they_ask_for,) if DEFLATE else ()),
)


async def main():
    failed = 0
    for check in CHECKS:
        try:
            await asyncio.wait_for(check(), SECONDS_MAX)
            print(f"ok websockets, {sys.argv[3]}: {check.__name__}")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails this check
            failed += 1
            print(f"not ok websockets, {sys.argv[3]}: {check.__name__}: {error!r}")
            traceback.print_exc()
    return 1 if failed else 0


sys.exit(asyncio.run(main()))

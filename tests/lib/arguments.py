"""How the drivers start the program under test."""

# Autobahn's largest message has 16 MiB (9.1.6, 9.2.6), and its most fragmented one 65,536 parts
# (9.3.1): far above the default limits, which are meant for clients one does not know.
AUTOBAHN_MESSAGE_BYTES = 16 * 2**20
AUTOBAHN = (
    "serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "1",
    "--message-bytes-max", AUTOBAHN_MESSAGE_BYTES,
    "--message-parts-max", 65_536,
    "--outbox-bytes-max", 2 * AUTOBAHN_MESSAGE_BYTES,
)

# Two shards, so that a broadcast crosses the mesh between them.
CLIENTS_MESSAGE_BYTES = 2**20
CLIENTS = (
    "serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "2",
    "--message-bytes-max", CLIENTS_MESSAGE_BYTES,
    "--outbox-bytes-max", 4 * CLIENTS_MESSAGE_BYTES,
)

DEMO = ("demo", "--listen", "127.0.0.1:0")

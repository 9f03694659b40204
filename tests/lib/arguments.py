"""How the drivers start the program under test."""

import pathlib

TESTS = pathlib.Path(__file__).resolve().parents[1]

# Its file is completed by the driver, with a certificate.
AUTOBAHN = ("serve", "--echo", "--config")
CLIENTS = ("serve", "--echo", "--config", TESTS / "clients" / "corecast.toml")
CLIENTS_DEFLATE = ("serve", "--echo", "--config", TESTS / "clients" / "deflate.toml")
# As in both configurations.
CLIENTS_MESSAGE_BYTES = 2**20
DEMO = ("demo", "--listen", "127.0.0.1:0")

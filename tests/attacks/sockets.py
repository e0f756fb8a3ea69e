"""Attack: more connections than the bridge allows by default."""

import socket
import time

from bridge import Bridge, check
from kommo import Kommo

BOTS = 20


def address(text):
    host, port = text.split(":")
    return host, int(port)


def bots_are_served(bridge, kommo):
    for number in range(BOTS):
        began = time.monotonic()
        status = bridge.bot(kommo, {"n": number}, f"c{number}")
        check(status == 200, f"bot {number} got {status} after {time.monotonic() - began:.1f} s")
    check(kommo.wait_for(lambda: len(kommo.continues()) >= BOTS, 20), "not every bot was continued")
    check(bridge.get(bridge.admin, "/health/ready")[0] == 200, "the bridge is not ready")


def silent_connections(program):
    kommo = Kommo(7)
    with Bridge(program, [kommo]) as bridge:
        bridge.read_log()
        silent = [socket.create_connection(address(bridge.public)) for _ in range(1_200)]
        bots_are_served(bridge, kommo)
        for connection in silent:
            connection.close()


def keep_alive_connections(program):
    kommo = Kommo(7)
    request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    with Bridge(program, [kommo]) as bridge:
        bridge.read_log()
        busy = [socket.create_connection(address(bridge.public)) for _ in range(1_100)]
        for _ in range(2):
            for connection in busy:
                try:
                    connection.sendall(request)
                except OSError:
                    pass  # The bridge closed it to make room.
            bots_are_served(bridge, kommo)
            kommo.requests.clear()
        for connection in busy:
            connection.close()

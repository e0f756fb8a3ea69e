"""Attack: a firewall in front of one account blocks one customer's text."""

import time

from bridge import Bridge, check
from kommo import Kommo

BOTS = 40
BLOCKED = (403, "text/html", b"<html><body>Forbidden</body></html>")


def html_403_of_one_account(program):
    blocked = Kommo(1, answer=lambda body: BLOCKED if b"forbidden" in body else 202)
    other = Kommo(2)
    with Bridge(program, [blocked, other]) as bridge:
        bridge.read_log()
        check(bridge.bot(blocked, {"text": "forbidden"}, "bad") == 200, "the request was not accepted")
        check(blocked.wait_for(lambda: blocked.continues(), 10), "the continue was never sent")
        for number in range(BOTS):
            check(bridge.bot(other, {"n": number}, f"c{number}") == 200, f"bot {number} was not answered with 200")
            time.sleep(0.2)
        check(
            other.wait_for(lambda: len(other.continues()) >= BOTS, 5),
            f"only {len(other.continues())} of {BOTS} bots of the other account were continued",
        )

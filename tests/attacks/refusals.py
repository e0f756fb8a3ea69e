"""A firewall in front of one account that dislikes one customer's text."""

import time

from bridge import Bridge, check
from kommo import Kommo

BOTS = 40
BLOCKED = (403, "text/html", b"<html><body>Forbidden</body></html>")


def html_403_of_one_account(program):
    disliked = Kommo(1, answer=lambda body: BLOCKED if b"disliked" in body else 202)
    other = Kommo(2)
    with Bridge(program, [disliked, other]) as bridge:
        bridge.read_log()
        check(bridge.bot(disliked, {"text": "disliked"}, "bad") == 200, "it is not accepted")
        check(disliked.wait_for(lambda: disliked.continues(), 10), "it was never sent")
        for number in range(BOTS):
            check(bridge.bot(other, {"n": number}, f"c{number}") == 200, f"bot {number} is not answered")
            time.sleep(0.2)
        check(
            other.wait_for(lambda: len(other.continues()) >= BOTS, 5),
            f"{len(other.continues())} of {BOTS} bots of the other account were continued",
        )

"""A reader of the log that stalls."""

import os
import termios

from bridge import Bridge, check
from kommo import Kommo

# A pipe holds 64 KiB. Each of these bots costs some 2 KB, so that any queue in front of it is full too.
BOTS = 1_000
MORE = """
delivery.rate_per_account = 1000
log.filter = "debug"
"""
# `workers.grace` is 20 s, but nothing is in flight.
STOP = 10


def unread_pipe(program):
    kommo = Kommo(7, answer=lambda body: 422)
    with Bridge(program, [kommo], more=MORE) as bridge:
        for number in range(BOTS):
            status = bridge.bot(kommo, {"n": number}, f"c{number}")
            check(status == 200, f"bot {number} got {status}")
        # The completion and then the fallback of each.
        check(kommo.wait_for(lambda: len(kommo.continues()) >= 2 * BOTS, 60), "not every bot was continued")
        check(bridge.get(bridge.admin, "/health/live")[0] == 200, "/health/live does not answer")
        check(bridge.metric("bridge_log_lines_dropped_total") > 0, "no dropped line is counted")
        bridge.stop(STOP)


def paused_terminal(program):
    reader, terminal = os.openpty()
    kommo = Kommo(7)
    with Bridge(program, [kommo], log=(reader, os.dup(terminal))) as bridge:
        termios.tcflow(terminal, termios.TCOOFF)
        for _ in range(50):
            check(bridge.post("/widget_request/echo", "{}") == 400, "a bad request is not refused")
        for number in range(20):
            check(bridge.bot(kommo, {"n": number}, f"c{number}") == 200, f"bot {number} is not answered")
        check(kommo.wait_for(lambda: len(kommo.continues()) >= 20, 20), "not every bot was continued")
        check(bridge.get(bridge.admin, "/health/live")[0] == 200, "/health/live does not answer")
        bridge.stop(STOP)
        termios.tcflow(terminal, termios.TCOON)
    os.close(terminal)

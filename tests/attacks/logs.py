"""Attack: the reader of the log stalls."""

import os
import termios

from bridge import Bridge, check
from kommo import Kommo

# A pipe holds 64 KiB. Each of these bots causes about 2 KB of log, enough to fill the pipe and the bridge's queue.
BOTS = 1_000
MORE = """
delivery.rate_per_account = 1000
log.filter = "debug"
"""
# In seconds. `workers.grace` is 20 s, but no work is in flight.
STOP_TIMEOUT = 10


def unread_pipe(program):
    kommo = Kommo(7, answer=lambda body: 422)
    with Bridge(program, [kommo], more=MORE) as bridge:
        for number in range(BOTS):
            status = bridge.bot(kommo, {"n": number}, f"c{number}")
            check(status == 200, f"bot {number} got {status}")
        # For each bot, the completion and then the fallback.
        check(kommo.wait_for(lambda: len(kommo.continues()) >= 2 * BOTS, 60), "not every bot was continued")
        check(bridge.get(bridge.admin, "/health/live")[0] == 200, "/health/live does not respond")
        check(bridge.metric("bridge_log_lines_dropped_total") > 0, "no dropped log line was counted")
        bridge.stop(STOP_TIMEOUT)


def paused_terminal(program):
    reader, terminal = os.openpty()
    kommo = Kommo(7)
    with Bridge(program, [kommo], log=(reader, os.dup(terminal))) as bridge:
        termios.tcflow(terminal, termios.TCOOFF)
        for _ in range(50):
            check(bridge.post("/widget_request/echo", "{}") == 400, "a bad request was not refused with 400")
        for number in range(20):
            check(bridge.bot(kommo, {"n": number}, f"c{number}") == 200, f"bot {number} was not answered with 200")
        check(kommo.wait_for(lambda: len(kommo.continues()) >= 20, 20), "not every bot was continued")
        check(bridge.get(bridge.admin, "/health/live")[0] == 200, "/health/live does not respond")
        bridge.stop(STOP_TIMEOUT)
        termios.tcflow(terminal, termios.TCOON)
    os.close(terminal)

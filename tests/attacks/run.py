#!/usr/bin/env python3
"""Replays attacks that once stopped the bridge or stole data from it, against the real program.

    python3 tests/attacks/run.py --program target/release/salesbot-bridge [NAME ...]

Prints one line for each attack, and exits with 1 if one succeeds. Needs only Python 3, uses only 127.0.0.1, and takes
about a minute.
"""

import argparse
import os
import resource
import signal
import sys
import time

import logs
import oauth
import refusals
import sockets
from bridge import Failed

ATTACKS = {
    "unread-pipe": logs.unread_pipe,
    "paused-terminal": logs.paused_terminal,
    "html-403": refusals.html_403_of_one_account,
    "anonymous-callback": oauth.anonymous_callback,
    "silent-connections": sockets.silent_connections,
    "busy-connections": sockets.keep_alive_connections,
}

# The time limit for one attack, in seconds.
TIME_LIMIT = 120


def out_of_time(*_):
    raise Failed(f"the attack did not end within {TIME_LIMIT} s")


def main():
    signal.signal(signal.SIGALRM, out_of_time)
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--program", default="target/release/salesbot-bridge")
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ATTACKS)}")
    arguments = arguments.parse_args()
    program = os.path.abspath(arguments.program)
    unknown = [name for name in arguments.names if name not in ATTACKS]
    if unknown:
        sys.exit(f"unknown attack {unknown[0]} (expected one of: {', '.join(ATTACKS)})")
    # One end of each connection is in this process; the bridge inherits the limit for the other end.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    failed = 0
    for name in arguments.names or ATTACKS:
        began = time.monotonic()
        signal.alarm(TIME_LIMIT)
        try:
            ATTACKS[name](program)
            result = "withstood"
        except (Failed, OSError) as error:
            failed += 1
            result = f"FAILED: {error or type(error).__name__}"
        signal.alarm(0)
        print(f"{name:20} {time.monotonic() - began:5.1f} s  {result}", flush=True)
    passed = len(arguments.names or ATTACKS) - failed
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

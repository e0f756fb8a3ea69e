#!/usr/bin/env python3
"""Checks the description of the admin API against the real program.

    python3 tests/openapi/run.py --program target/release/salesbot-bridge --redocly REDOCLY [--seconds N] [--seed N]

Starts a bridge with jobs in every state, lints the document that it serves, and lets schemathesis call every operation
with valid and invalid requests for about a minute. Exits with 1 if the linter complains, if a response contradicts the
document, or if the bridge does not survive. schemathesis has to be in the same environment as this Python.
`.ci/openapi` installs both tools and calls this script. Uses only 127.0.0.1.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "attacks"))

from bridge import Bridge, Failed, check  # noqa: E402
from kommo import Kommo  # noqa: E402

TOKEN = "the-admin-token-of-this-check"
# How long the jobs may take to get into their states, in seconds.
STATES_TIMEOUT = 30
STATES = ("queued", "awaiting_callback", "delivering", "delivered", "gone", "dead", "cancelled")
# How much longer than its time schemathesis may take, in seconds: it ends after a test, not within one.
OVERTIME = 60

SETTINGS = """
admin.token = "{token}"
server.callback_url = "http://127.0.0.1:1"

[handlers.later]
kind = "http"
url = "{backend}/later"
secret = "whsec_{secret}"
mode = "async"
answer_within = "1h"

[handlers.away]
kind = "http"
url = "http://127.0.0.1:1/away"
secret = "whsec_{secret}"
answer_within = "1h"
max_attempts = 1000
"""

CONFIG = """
max-time = {seconds}
# Reads the first event of a stream, which otherwise has no end.
max-stream-events = 1
request-timeout = 20
continue-on-failure = true

[auth.openapi.bearer]
bearer = "{token}"

[phases.stateful]
enabled = false

[generation]
deterministic = {deterministic}

[dictionaries.jobs]
values = {jobs}

[dictionaries.groups]
values = [1, 2, 3]

[dictionaries.bulk_changes]
values = {bulk_changes}

[dictionaries.filters]
values = ["state:dead", "handler:greet since:2h", "-state:delivered", "error:refused", "status:>399", "is:late", "lead:7", "hello"]

[[operations]]
include-path-regex = "^/api/v1/jobs/[{{]id[}}]"
parameters = {{ "path.id" = {{ dictionary = "jobs", probability = 0.7 }} }}

[[operations]]
include-path-regex = "^/api/v1/errors/[{{]id[}}]"
parameters = {{ "path.id" = {{ dictionary = "groups", probability = 0.7 }} }}

[[operations]]
include-path-regex = "^/api/v1/jobs/bulk/[{{]id[}}]"
parameters = {{ "path.id" = {{ dictionary = "bulk_changes", probability = 0.7 }} }}

# Their bodies may have the right form and still mean nothing.
[[operations]]
include-operation-id = ["completeJob", "eraseJobs"]
checks.positive_data_acceptance.enabled = false

[[operations]]
include-operation-id = "changeJobs"
checks.positive_data_acceptance.enabled = false
parameters = {{ "body.filter" = {{ dictionary = "filters", probability = 0.7 }} }}

[[operations]]
include-operation-id = "listJobs"
checks.positive_data_acceptance.enabled = false
parameters = {{ "query.q" = {{ dictionary = "filters", probability = 0.7 }} }}
"""


class Api:
    """The admin API of a bridge."""

    def __init__(self, bridge):
        self.url = f"http://{bridge.admin}"

    def call(self, path, method="GET", body=None):
        request = urllib.request.Request(self.url + path, method=method, data=body)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def json(self, path, **options):
        return json.loads(self.call(path, **options))


def answers(accounts):
    """Makes jobs that end in different states."""
    return {state: Kommo(number, lambda body, status=status: status) for number, (state, status) in enumerate(accounts, 1)}


def jobs_in_every_state(bridge, api, accounts):
    """Plays bots until there are jobs in all states, and returns the ids of a few in each."""
    for number in range(3):
        for account in accounts.values():
            check(bridge.bot(account, {"message": f"hello {number}"}, f"c{number}") == 200, "a bot was refused")
        for handler in ("later", "away"):
            status = bridge.bot(accounts["delivered"], {"message": "hello"}, f"{handler}{number}", handler=handler)
            check(status == 200, f"the bot of `{handler}` was refused")
    began = time.monotonic()
    while True:
        counts = api.json("/api/v1/stats")["jobs"]
        if counts["queued"] and not counts["cancelled"]:
            queued = api.json("/api/v1/jobs?handler=away&state=queued&limit=1")["jobs"]
            for job in queued:
                api.call(f"/api/v1/jobs/{job['id']}/cancel", method="POST")
        missing = [state for state in STATES if not counts[state]]
        if not missing:
            break
        check(time.monotonic() - began < STATES_TIMEOUT, f"no jobs in {missing} after {STATES_TIMEOUT} s: {counts}")
        time.sleep(0.2)
    found = [api.json(f"/api/v1/jobs?state={state}&limit=2")["jobs"] for state in STATES]
    return [job["id"] for jobs in found for job in jobs]


def begin_bulk_changes(api):
    """Begins erasures that find no jobs, and returns their numbers."""
    bodies = [json.dumps({"account_id": number}).encode() for number in (1001, 1002)]
    return [api.json("/api/v1/jobs/erase", method="POST", body=body)["id"] for body in bodies]


def lint(redocly, document, folder):
    path = os.path.join(folder, "openapi.json")
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    command = [redocly, "lint", "--config", os.path.join(HERE, "redocly.yaml"), path]
    done = subprocess.run(command, env=environment, cwd=folder)
    check(done.returncode == 0, "the linter complains about the document")


def call_every_operation(api, jobs, bulk_changes, arguments, folder):
    config = os.path.join(folder, "schemathesis.toml")
    with open(config, "w") as file:
        deterministic = json.dumps(arguments.seed is None)
        values = {"seconds": arguments.seconds, "jobs": json.dumps(jobs), "bulk_changes": bulk_changes}
        file.write(CONFIG.format(token=TOKEN, deterministic=deterministic, **values))
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [program, "--config-file", config, "run", f"{api.url}/api/v1/openapi.json", *arguments.more]
    # The token is only needed to load the document; the configuration has it for the calls.
    command += ["--header", f"Authorization: Bearer {TOKEN}"]
    command += [] if arguments.seed is None else ["--seed", str(arguments.seed)]
    try:
        done = subprocess.run(command, cwd=folder, timeout=arguments.seconds + OVERTIME)
    except subprocess.TimeoutExpired:
        raise Failed(f"schemathesis did not end within {arguments.seconds + OVERTIME} s") from None
    check(done.returncode == 0, "responses contradict the document")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--program", default="target/release/salesbot-bridge")
    arguments.add_argument("--redocly", default="redocly")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--seed", type=int, help="other requests than by default")
    arguments.add_argument("more", nargs="*", help="further arguments of `schemathesis run`, after `--`")
    arguments = arguments.parse_args()
    accounts = answers([("delivered", 202), ("delivering", 503), ("gone", 404), ("dead", 400), ("waiting", 401)])
    backend = Kommo(99)
    secret = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    more = SETTINGS.format(token=TOKEN, backend=backend.origin, secret=secret)
    program = os.path.abspath(arguments.program)
    try:
        with tempfile.TemporaryDirectory() as folder, Bridge(program, list(accounts.values()), more=more) as bridge:
            bridge.read_log()
            api = Api(bridge)
            jobs = jobs_in_every_state(bridge, api, accounts)
            lint(os.path.abspath(arguments.redocly), api.json("/api/v1/openapi.json"), folder)
            call_every_operation(api, jobs, begin_bulk_changes(api), arguments, folder)
            bridge.stop(30)
    except (Failed, OSError) as error:
        sys.exit(f"FAILED: {error or type(error).__name__}")
    print("The description of the admin API is correct.")


if __name__ == "__main__":
    main()

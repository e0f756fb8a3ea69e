"""Runs the real program on free ports, and plays the bots that call it."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
import uuid

CLIENT_UUID = "9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11"
CLIENT_SECRET = "a-secret-of-the-attacks"
ENCRYPTION_KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
# How long Kommo waits for a response, in seconds.
ANSWER_WITHIN = 2.0
# The time limit for the start, in seconds.
START_TIMEOUT = 30


class Failed(Exception):
    """The bridge broke a guarantee."""


def check(holds, message):
    if not holds:
        raise Failed(message)


class Bridge:
    """`serve` with the handler `echo`. The constructor waits until it is ready; leaving a `with` block kills it.

    `accounts` have a long-lived token; `allowed` are additional hosts that may get a bearer. The constructor reads the
    log only up to the line that says that the bridge is ready; call `read_log` to read the rest.
    """

    def __init__(self, program, accounts, allowed=(), more="", log=None):
        self.program = program
        self.folder = tempfile.TemporaryDirectory()
        hosts = json.dumps([kommo.host for kommo in [*accounts, *allowed]])
        lines = [
            'server.listen = "127.0.0.1:0"',
            'admin.listen = "127.0.0.1:0"',
            f'store.url = "sqlite:{self.folder.name}/bridge.db"',
            f'integrations.main.client_uuid = "{CLIENT_UUID}"',
            f'integrations.main.client_secret = "{CLIENT_SECRET}"',
            'handlers.echo.kind = "echo"',
            f"delivery.allowed_hosts = {hosts}",
            "delivery.insecure = true",
        ]
        for number, kommo in enumerate(accounts):
            lines.append(f'accounts.a{number}.base_url = "{kommo.origin}"')
            lines.append(f'accounts.a{number}.access_token = "{"long-lived-token-%d" % number}"')
        self.config = f"{self.folder.name}/bridge.toml"
        with open(self.config, "w") as file:
            file.write("\n".join([*lines, more]))
        read, write = log or os.pipe()
        self.log = read
        self.process = subprocess.Popen(
            [program, "-c", self.config, "serve"], stderr=write, stdin=subprocess.DEVNULL, cwd=self.folder.name
        )
        os.close(write)
        self.public, self.admin = self.ready()

    def ready(self):
        """Reads the public and the admin address from the line that says that the bridge is ready."""
        text = ""
        while True:
            readable = select.select([self.log], [], [], START_TIMEOUT)[0]
            check(readable, f"the bridge is not ready after {START_TIMEOUT} s:\n{text}")
            byte = os.read(self.log, 1)
            check(byte, f"the bridge did not start:\n{text}")
            text += byte.decode(errors="replace")
            if byte == b"\n":
                plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
                addresses = re.findall(r'(?:server|admin)\.listen"?[=:]"?(127\.0\.0\.1:\d+)', plain)
                if len(addresses) == 2:
                    return addresses

    def read_log(self):
        """Reads the log in the background, as a well-behaved collector does."""

        def drain():
            try:
                while os.read(self.log, 65536):
                    pass
            except OSError:
                pass  # A terminal reports its end as an error.

        threading.Thread(target=drain, daemon=True).start()

    def run(self, *arguments):
        """Runs another command of the program while the bridge is running, and returns its stdout."""
        command = [self.program, "-c", self.config, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder.name, timeout=60)
        check(done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def get(self, address, path, timeout=ANSWER_WITHIN):
        connection = http.client.HTTPConnection(address, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def bot(self, kommo, data, continue_id, handler="echo"):
        """Plays a bot of `kommo` that calls the bridge. Returns the status, which must arrive within two seconds."""
        now = int(time.time())
        claims = {
            "iss": kommo.origin,
            "aud": "https://bridge.example",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "account_id": kommo.account_id,
            "subdomain": "a",
            "client_uuid": CLIENT_UUID,
            "bot_type": "salesbot",
        }
        part = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")
        signed = part(json.dumps({"alg": "HS512", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
        signature = hmac.new(CLIENT_SECRET.encode(), signed, hashlib.sha512).digest()
        body = {
            "token": (signed + b"." + part(signature)).decode(),
            "data": data,
            "return_url": f"{kommo.origin}/api/v4/salesbot/7/continue/{continue_id}",
        }
        return self.post(f"/widget_request/{handler}", json.dumps(body))

    def post(self, path, body):
        connection = http.client.HTTPConnection(self.public, timeout=ANSWER_WITHIN)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def metric(self, name):
        """The sum of a metric over its labels."""
        _, text = self.get(self.admin, "/metrics")
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in values)

    def stop(self, seconds):
        """Sends SIGTERM, and fails if the bridge takes longer than `seconds` to exit."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"the bridge did not exit within {seconds} s of SIGTERM") from None
        check(code == 0, f"the bridge exited with code {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.log)
        self.folder.cleanup()

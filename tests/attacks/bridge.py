"""The real program on ports of its own, and the bots that call it."""

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
# Kommo waits this long, in seconds.
ANSWER_WITHIN = 2.0
START = 30


class Failed(Exception):
    """The bridge did not do what it promises."""


def check(promise, what):
    if not promise:
        raise Failed(what)


class Bridge:
    """`serve` with the handler `echo`, once it is ready; it is killed at the end of a `with`.

    `accounts` have a long-lived token; `allowed` are further hosts that may get a bearer. Its log is read up to the
    line that says that it is ready; what happens to it then is the attack's choice (`read_log`).
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
        """The public and the admin address, from the line that says that it is ready."""
        text = ""
        while True:
            check(select.select([self.log], [], [], START)[0], f"it is not ready after {START} s:\n{text}")
            some = os.read(self.log, 1)
            check(some, f"it did not start:\n{text}")
            text += some.decode(errors="replace")
            if some == b"\n":
                plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
                addresses = re.findall(r'(?:server|admin)\.listen"?[=:]"?(127\.0\.0\.1:\d+)', plain)
                if len(addresses) == 2:
                    return addresses

    def read_log(self):
        """Reads the log from now on, as a well-behaved collector does."""

        def drain():
            try:
                while os.read(self.log, 65536):
                    pass
            except OSError:
                pass  # A terminal ends like this.

        threading.Thread(target=drain, daemon=True).start()

    def run(self, *arguments):
        """Another command of the program beside the bridge; its stdout."""
        command = [self.program, "-c", self.config, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder.name, timeout=60)
        check(done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def get(self, address, path, timeout=ANSWER_WITHIN):
        connection = http.client.HTTPConnection(address, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def bot(self, kommo, data, continue_id):
        """A bot of `kommo` calls; gives the status of the answer, which has to come within Kommo's two seconds."""
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
        return self.post("/widget_request/echo", json.dumps(body))

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
        """SIGTERM; fails if it takes longer than `seconds`."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"it did not end within {seconds} s of SIGTERM") from None
        check(code == 0, f"it ended with {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.log)
        self.folder.cleanup()

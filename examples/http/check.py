#!/usr/bin/env python3
"""Checks that the examples answer as the bridge expects, and refuse what does not come from the bridge.

    python3 examples/http/check.py NAME ...    # examples, or `vectors`; fails if something that they need is missing
    python3 examples/http/check.py --all       # all of them; skips an example that cannot run here, and says so

Needs only Python 3, and uses only 127.0.0.1. `vectors` is vectors.py.
"""

import argparse, base64, hashlib, hmac, importlib.util, json, os, queue, shutil, signal, socket, subprocess, sys, tempfile
import threading, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import vectors

HERE = Path(__file__).resolve().parent
SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([byte] * 32)).decode() for byte in (1, 2))
JOB = "0193e2a4-7c1b-7d3e-8f00-0123456789ab"
TIMEOUT = 60  # seconds until an example must listen, answer or call back

NODE = bool(shutil.which("node")) and (HERE / "node/node_modules/standardwebhooks").is_dir()
NODE_NEEDS = None if NODE else "Node.js, and `npm ci --prefix examples/http/node`"
PACKAGES = [name for name in ("fastapi", "standardwebhooks", "uvicorn") if importlib.util.find_spec(name)]
PYTHON_NEEDS = None if len(PACKAGES) == 3 else (
    "`pip install -r examples/http/python-fastapi/requirements.txt`, for the Python that runs check.py")
# The command of each example; what is missing to run it; whether it can answer later.
EXAMPLES = {
    "python-stdlib": ([sys.executable, "app.py"], None, True),
    "python-fastapi": ([sys.executable, "app.py"], PYTHON_NEEDS, True),
    "node": (["node", "app.mjs"], NODE_NEEDS, True),
    "php": (["sh", "-c", "exec php -S 127.0.0.1:$PORT index.php"], None if shutil.which("php") else "PHP 8", True),
    "go": (["go", "run", "main.go"], None if shutil.which("go") else "Go 1.19 or later", False),
}
COUNT = {"passed": 0, "failed": 0, "skipped": 0}


def report(name, what, error=None):
    COUNT["failed" if error else "passed"] += 1
    print(f"{'FAILED' if error else 'ok':7} {name}: {what}{f': {error}' if error else ''}", flush=True)


def skip(name, needed):
    COUNT["skipped"] += 1
    print(f"SKIPPED {name}: NOT CHECKED, because this is missing: {needed}", flush=True)


def sign(secret, message_id, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    code = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(code).decode()


def request(kind="widget_request", callback=None, **given):
    data = {"job_id": JOB, "handler": "assistant", "attempt": 1, "max_attempts": 10, "deadline": "2026-11-29T02:00:50Z",
            "account": {"id": 31764961, "host": "example.kommo.com"}, "bot": {"type": "salesbot", "id": 12},
            "entity": {"type": "lead", "id": 345}, "conversation": "31764961:lead:345", "input": given}
    if callback:
        data["callback"] = {"url": callback, "expires_at": "2026-11-29T02:00:50Z"}
    return {"type": kind, "timestamp": "2026-11-29T02:00:00Z", "data": data}


def post(port, value, secrets=(SECRET,), age=0, headers=None, body_change=(b"x", b"x")):
    """The status and the body of the response. The changes are made after the request was signed."""
    body = json.dumps(value, ensure_ascii=False).encode()
    sent_at = str(int(time.time()) - age)
    signed = {"content-type": "application/json", "webhook-id": JOB, "webhook-timestamp": sent_at,
              "webhook-signature": " ".join(sign(secret, JOB, sent_at, body) for secret in secrets)}
    sent = {key: value for key, value in {**signed, **(headers or {})}.items() if value is not None}
    try:
        call = urllib.request.Request(f"http://127.0.0.1:{port}/", body.replace(*body_change), sent)
        with urllib.request.urlopen(call, timeout=TIMEOUT) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


GOOD = {
    "a signed request gets its reply": {},
    "two signatures, as while a secret rotates: the first matches": {"secrets": (SECRET, OTHER)},
    "two signatures, as while a secret rotates: the second matches": {"secrets": (OTHER, SECRET)},
    "a timestamp 4 minutes old is accepted": {"age": 240},
}
BAD = {
    "a wrong secret is refused": {"secrets": (OTHER,)},
    "a timestamp over 5 minutes old is refused": {"age": 330},
    "a timestamp over 5 minutes ahead is refused": {"age": -330},
    "a timestamp that is not a number is refused": {"headers": {"webhook-timestamp": "soon"}},
    "a changed timestamp is refused": {"headers": {"webhook-timestamp": str(int(time.time()) - 9)}},
    "a changed id is refused": {"headers": {"webhook-id": JOB + "0"}},
    "a changed body is refused": {"body_change": (b"llo", b"lli")},
    "signatures without a meaning are refused": {"headers": {"webhook-signature": "v2,AAAA v1,%A v1"}},
    "a request without an id is refused": {"headers": {"webhook-id": None}},
    "a request without a timestamp is refused": {"headers": {"webhook-timestamp": None}},
    "a request without a signature is refused": {"headers": {"webhook-signature": None}},
}


def is_reply(response, text):
    return response[0] == 200 and json.loads(response[1]) == {"data": {"reply": text}}


def check_requests(name, port):
    for what, how in GOOD.items():
        response = post(port, request(message="héllo 😀"), **how)
        report(name, what, None if is_reply(response, "You wrote: héllo 😀") else response)
    for what, how in BAD.items():
        response = post(port, request(message="hello"), **how)
        report(name, what, None if response[0] == 401 else response)
    response = post(port, request("ping"))
    is_success = response[0] == 204 or response[0] == 200 and "data" in json.loads(response[1])
    report(name, "a ping succeeds", None if is_success else response)


def check_later(name, port, answers_later):
    """Sends a request that may be answered later, and waits for the callback."""
    completions = queue.Queue()

    class Callback(BaseHTTPRequestHandler):
        def do_POST(self):
            completions.put((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    path = f"/callback/{JOB}/ZxA"
    with HTTPServer(("127.0.0.1", 0), Callback) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{path}"
        response = post(port, request(callback=url, later=True, message="x"))
        if not answers_later:
            report(name, "`later` gets its reply at once", None if is_reply(response, "You wrote: x") else response)
        else:
            is_early = response[0] == 202 and completions.empty()
            report(name, "`later` gets 202 before the reply", None if is_early else response)
            got = completions.get(timeout=TIMEOUT if is_early else 2)
            is_right = got == (path, {"data": {"reply": "That took a moment."}})
            report(name, "the reply comes to the callback URL", None if is_right else got)
        server.shutdown()


def wait_until_it_listens(process, port):
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise OSError(f"it does not listen on port {port}")


def check_example(name):
    command, _, answers_later = EXAMPLES[name]
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    environment, failed_before = {**os.environ, "BRIDGE_SECRET": SECRET, "PORT": str(port)}, COUNT["failed"]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(command, cwd=HERE / name, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_it_listens(process, port)
            check_requests(name, port)
            check_later(name, port, answers_later)
        except (OSError, ValueError, queue.Empty) as error:
            report(name, "it can be checked", repr(error))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if COUNT["failed"] > failed_before:
            log.seek(0)
            print(f"------- the last lines of {name}:\n{log.read()[-2000:]}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"vectors, {', '.join(EXAMPLES)}")
    arguments.add_argument("--all", action="store_true", help="check everything that can run here")
    arguments = arguments.parse_args()
    unknown = [name for name in arguments.names if name not in EXAMPLES and name != "vectors"]
    if unknown or arguments.all == bool(arguments.names):
        arguments_wrong = f"unknown example `{unknown[0]}`" if unknown else "expected either --all or names"
        sys.exit(f"{arguments_wrong} (names: vectors, {', '.join(EXAMPLES)})")
    # What is asked for by name must run.
    lacks = skip if arguments.all else lambda name, needed: report(name, "it can run here", f"this is missing: {needed}")
    for name in arguments.names or ["vectors", *EXAMPLES]:
        if name == "vectors":
            vectors.check(sign, NODE_NEEDS, report, lacks)
        elif EXAMPLES[name][1]:
            lacks(name, EXAMPLES[name][1])
        else:
            check_example(name)
    print(", ".join(f"{number} {what}" for what, number in COUNT.items()))
    sys.exit(1 if COUNT["failed"] else 0)


if __name__ == "__main__":
    main()

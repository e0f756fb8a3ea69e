"""A handler for salesbot-bridge, written with Python's standard library alone."""
import base64, hashlib, hmac, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

KEY = base64.b64decode(os.environ.get("BRIDGE_SECRET", "").removeprefix("whsec_")) or sys.exit("set BRIDGE_SECRET")

def is_genuine(headers, body):
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > 300:
        return False
    signed = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256))
    # While the secret rotates, the bridge sends two signatures. One of them must match.
    return any(hmac.compare_digest(expected, given.encode()) for given in headers.get("webhook-signature", "").split())

def complete(url):
    body = json.dumps({"data": {"reply": "That took a moment."}}).encode()
    urlopen(Request(url, body, {"content-type": "application/json"}), timeout=10).close()

def answer(event):
    if event["type"] == "ping":
        return 200, {"data": {"reply": "pong"}}
    if str(event["data"]["input"].get("later")).lower() in ("true", "1"):
        if callback := event["data"].get("callback"):  # without it, the bridge says what to configure
            threading.Timer(1, complete, [callback["url"]]).start()
        return 202, {}
    return 200, {"data": {"reply": f"You wrote: {event['data']['input'].get('message')}"}}

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status, value = answer(json.loads(body)) if is_genuine(self.headers, body) else (401, {})
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()

"""A minimal Kommo with the responses that an attack needs: continues, the token endpoint, and the account."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def unsigned_token(claims):
    """An access token as Kommo issues it. The bridge reads the claims but cannot check the signature."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


class Kommo:
    """One account on its own port.

    `answer(body)` returns the response to a continue: a status, or a triple of status, content type and body.
    `requests` records every request as (method, path, body, bearer).
    """

    def __init__(self, account_id, answer=lambda body: 202):
        self.account_id = account_id
        self.answer = answer
        self.requests = []
        self.arrived = threading.Condition()
        kommo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.respond(*kommo.respond("GET", self.path, b"", self.headers))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.respond(*kommo.respond("POST", self.path, body, self.headers))

            def respond(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass  # The bridge was killed while a connection was open.

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        self.origin = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def respond(self, method, path, body, headers):
        with self.arrived:
            self.requests.append((method, path, body, headers.get("Authorization")))
            self.arrived.notify_all()
        path = urlsplit(path).path
        if path == "/oauth2/access_token":
            granted = {
                "token_type": "Bearer",
                "expires_in": 86400,
                "access_token": unsigned_token({"account_id": self.account_id, "api_domain": self.host}),
                "refresh_token": f"refresh-{self.account_id}",
            }
            return 200, "application/json", json.dumps(granted).encode()
        if path == "/api/v4/account":
            return 200, "application/json", json.dumps({"id": self.account_id}).encode()
        answer = self.answer(body)
        if isinstance(answer, tuple):
            return answer
        if answer in (200, 202):
            return answer, "text/plain", b"Accepted"
        problem = {"title": "Refused", "type": "about:blank", "status": answer, "detail": "refused by the attack"}
        return answer, "application/problem+json", json.dumps(problem).encode()

    def continues(self):
        """The bodies of all continues received so far, in order of arrival."""
        with self.arrived:
            return [body for _, path, body, _ in self.requests if "/continue/" in path]

    def wait_for(self, done, seconds):
        """Waits until `done()` is true, checking after each request. Returns whether that happened in time."""
        with self.arrived:
            return self.arrived.wait_for(done, seconds)

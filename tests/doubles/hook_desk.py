"""A desk that takes webhooks, for tests of those who send them."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Desk(ThreadingHTTPServer):
    """Takes webhooks and keeps them, each with its signature; answers `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.came: list[tuple[bytes, str]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Clerk)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Clerk(BaseHTTPRequestHandler):
    server: Desk

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((body, self.headers["Stripe-Signature"]))
        self.send_response(self.server.status)
        self.end_headers()

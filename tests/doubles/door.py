"""The double's HTTP side: who may ask, what is answered, and how a call goes wrong when it should.

One thread for each connection, on the loopback interface only.
"""

import base64
import contextlib
import itertools
import json
import select
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.doubles import billing_routes, event_routes, payment_routes
from tests.doubles.account import Account, shown
from tests.doubles.hosted_page import Pages
from tests.doubles.idempotency import Answer, Keys
from tests.doubles.listing import expand
from tests.doubles.parameters import read_form, read_params
from tests.doubles.planned_errors import failed, said
from tests.doubles.refusal import Refusal
from tests.doubles.routes import Route, route_of
from tests.doubles.troubles import Planned, Trouble, Troubles

ROUTES = [*payment_routes.ROUTES, *billing_routes.ROUTES, *event_routes.ROUTES]
SILENT_SECONDS = 60


class HungUpError(Exception):
    """The connection is to end without an answer."""


class Door(ThreadingHTTPServer):
    """Serves one account until `close`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, account: Account, pages: Pages, troubles: Troubles, keys: Keys, port: int) -> None:
        self.account, self.pages, self.troubles, self.keys = account, pages, troubles, keys
        self.closing = threading.Event()
        self.requests = itertools.count(1)
        super().__init__(("127.0.0.1", port), _Desk)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; calls that wait for an answer lose their connection."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller who went away; anything else is a mistake of the double and is printed."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Desk(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Door

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        try:
            if url.path.startswith("/v1/"):
                self._answer_call(method, url.path, url.query, body)
            else:
                page = self.server.pages.serve(method, url.path, read_form(body))
                headers = page.headers | {"Content-Type": "text/html; charset=utf-8"}
                self._write(page.status, page.html.encode(), headers)
        except HungUpError:
            self._reset()

    def _answer_call(self, method: str, path: str, query: str, body: str) -> None:
        account = self.server.account
        request = f"req_{next(self.server.requests):014}"
        key = self.headers.get("Idempotency-Key") if method == "POST" else None
        planned = None
        try:
            self._check_key()
            route, ids = route_of(ROUTES, method, path)
            given = read_form("&".join(filter(None, (query, body))))
            planned = self.server.troubles.next_of(route.name)
            self._before(planned)

            def serve() -> Answer:
                with account.asking({"id": request, "idempotency_key": key}):
                    self._stand_still(planned, after_effect=False)
                    answer = self._call(route, given, ids)
                    self._stand_still(planned, after_effect=True)
                return failed(answer, planned, kept=True)

            answer = self.server.keys.answer(key, path, given, serve)
        except Refusal as refusal:
            answer = Answer(refusal.status, refusal.body())
        self._after(planned)
        answer = failed(answer, planned, kept=False)
        version = self.headers.get("Stripe-Version", account.api_version)
        headers = {"Request-Id": request, "Stripe-Version": version}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = json.dumps(answer.body).encode()
        self._write(answer.status, content, headers | {"Content-Type": "application/json"} | answer.headers)
        account.hand_out()

    def _check_key(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            given = base64.b64decode(given).decode().partition(":")[0]
        if not given:
            raise Refusal("You did not provide an API key.", status=401)
        if given != self.server.account.key:
            raise Refusal(f"Invalid API Key provided: {given[:8]}****{given[-4:]}", status=401)

    def _call(self, route: Route, given: dict[str, Any], ids: dict[str, str]) -> Answer:
        account = self.server.account
        try:
            params = read_params(route.params, given)
            wanted = params.pop("expand", [])
            with account.lock:
                body = shown(route.serve(account, params, **ids))
                expand(account, body, wanted)
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body(), happened=refusal.happened)
        return Answer(200, body)

    def _before(self, planned: Planned | None) -> None:
        """Let the call go wrong on its way here: nothing that it asked for happens."""
        if planned is None or planned.after_effect:
            return
        if planned.trouble is Trouble.ANSWERS:
            raise said(planned)
        if planned.trouble is Trouble.TIMES_OUT:
            self._wait_in_silence()
        if planned.trouble is not Trouble.HOLDS:
            raise HungUpError

    def _stand_still(self, planned: Planned | None, *, after_effect: bool) -> None:
        if planned is not None and planned.trouble is Trouble.HOLDS and planned.after_effect == after_effect:
            planned.latch.reached.set()
            planned.latch.released.wait(SILENT_SECONDS)

    def _after(self, planned: Planned | None) -> None:
        """Lose the answer on its way back: what was asked for has happened, and its key is kept."""
        if planned is None or not planned.after_effect:
            return
        if planned.trouble in (Trouble.TIMES_OUT, Trouble.RESETS):
            self.server.account.hand_out()
        if planned.trouble is Trouble.TIMES_OUT:
            self._wait_in_silence()
        if planned.trouble in (Trouble.TIMES_OUT, Trouble.RESETS):
            raise HungUpError

    def _wait_in_silence(self) -> None:
        """Wait until the caller hangs up, or the door closes."""
        for _ in range(int(SILENT_SECONDS / 0.05)):
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable or self.server.closing.is_set():
                return

    def _write(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _reset(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

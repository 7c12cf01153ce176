"""A real HTTPS server on 127.0.0.1 under another host's name, and a fetcher that is led to it."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from service.gateways.https_fetcher import HttpsFetcher
from tests.gateways.certificates import make_server_context


@dataclass
class HttpsTestServer:
    """Answers with `documents` (target → status and body) and records what was asked for."""

    port: int
    trusted: Path
    documents: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    # The answer to a target that is not in `documents`.
    fallback: tuple[int, bytes] = (404, b"")
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    # An answer waits for this.
    may_answer: threading.Event = field(default_factory=threading.Event)

    def fetcher(self, *, deadline_seconds: float = 60) -> HttpsFetcher:
        """Return a fetcher that connects here for every host, and trusts this server's authority only."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        return HttpsFetcher(address=("127.0.0.1", self.port), context=context, deadline_seconds=deadline_seconds)


@contextmanager
def serve_https(folder: Path, host: str) -> Iterator[HttpsTestServer]:
    """Run a server with a certificate for `host` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.headers["Host"], self.path))
            state.may_answer.wait(60)
            status, body = state.documents.get(self.path, state.fallback)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None: ...

    context, trusted = make_server_context(folder, host=host)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # A client that gives up is no error of the test.
    server.handle_error = lambda *_args: None
    state = HttpsTestServer(port=server.server_port, trusted=trusted)
    state.may_answer.set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        state.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()

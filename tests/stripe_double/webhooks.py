"""Signs and sends webhooks as Stripe does, and receives them for tests of senders.

See Stripe's "Verify webhook signatures manually": `t` is whole seconds since 1970, and `v1` is HMAC-SHA256 of
`t.payload` with the endpoint's secret.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.stripe_double.account import StripeJson


def signed(payload: bytes, secret: str, at: float) -> str:
    """Return the `Stripe-Signature` header of a payload that is signed at a time in seconds since 1970."""
    timestamp = int(at)
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def payload_of(event: StripeJson) -> bytes:
    """Return the body of an event's webhook, which Stripe indents by two."""
    return json.dumps(event, indent=2).encode()


@dataclass
class WebhookSender:
    """Posts each event to one URL; `responses` are the event types, each with the status or None.

    `events` are patterns of the event types to send; `at` returns the signing time in seconds since 1970. A
    failure is not retried: a test calls `FakeStripe.resend`.
    """

    url: str
    secret: str
    events: list[str] = field(default_factory=lambda: ["*"])
    at: Callable[[], float] = time.time
    timeout_seconds: float = 10
    responses: list[tuple[str, int | None]] = field(default_factory=list)

    def __call__(self, event: StripeJson) -> None:
        if any(fnmatchcase(event["type"], pattern) for pattern in self.events):
            self.responses.append((event["type"], self.post(event)))

    def post(self, event: StripeJson) -> int | None:
        """Post one event; return the status, or None without a response."""
        payload = payload_of(event)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signed(payload, self.secret, self.at()),
        }
        try:
            # Stripe follows no redirects: a redirect is a failure.
            response = requests.post(
                self.url, data=payload, headers=headers, timeout=self.timeout_seconds, allow_redirects=False
            )
        except requests.RequestException:
            return None
        return response.status_code


class WebhookReceiver(ThreadingHTTPServer):
    """Records the webhooks it receives, each with its signature; responds with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: WebhookReceiver

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(self.server.status)
        self.end_headers()

"""Signs events and posts them, as Stripe does.

See Stripe's "Verify webhook signatures manually": `t` is whole seconds since 1970, and `v1` is HMAC-SHA256 of
`t.payload` under the endpoint's secret.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import requests

from tests.doubles.account import Thing


def signed(payload: bytes, secret: str, at: float) -> str:
    """Return the value of `Stripe-Signature` for these bytes, signed at this moment."""
    moment = int(at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def payload_of(event: Thing) -> bytes:
    """Return the body that carries an event: Stripe sends it indented by two."""
    return json.dumps(event, indent=2).encode()


@dataclass
class Deliverer:
    """Posts each event to one address; `answers` are the event's type, and the status or None.

    `events` are the types that the address takes (`*` is any); `at` returns the moment that it is signed at, in
    seconds since 1970. A failure is noted and not tried again: `double.send_again` does that when a test says so.
    """

    url: str
    secret: str
    events: list[str] = field(default_factory=lambda: ["*"])
    at: Callable[[], float] = time.time
    timeout_seconds: float = 10
    answers: list[tuple[str, int | None]] = field(default_factory=list)

    def __call__(self, event: Thing) -> None:
        if any(fnmatchcase(event["type"], pattern) for pattern in self.events):
            self.answers.append((event["type"], self.post(event)))

    def post(self, event: Thing) -> int | None:
        """Post one event; return the status, or None if nobody answered."""
        payload = payload_of(event)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signed(payload, self.secret, self.at()),
        }
        try:
            # Stripe follows no redirect: one is a failure.
            answer = requests.post(
                self.url, data=payload, headers=headers, timeout=self.timeout_seconds, allow_redirects=False
            )
        except requests.RequestException:
            return None
        return answer.status_code

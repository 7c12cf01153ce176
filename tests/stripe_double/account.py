"""The state of one Stripe account: its objects, its events and its time.

One lock guards the state, because each request has its own thread. Ids come from a counter, so the same calls in
the same order give the same ids.
"""

import copy
import datetime
import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import stripe

from tests.clock import FakeClock
from tests.stripe_double.errors import missing_param, not_found

StripeJson = dict[str, Any]
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NO_REQUEST: StripeJson = {"id": None, "idempotency_key": None}
DAY = 24 * 3600


@dataclass
class AccountSettings:
    """Fees in basis points and minor units, the payout currencies, and the settings of the dashboard.

    `custom_domain` is the origin of hosted pages; None means the server's own.

    With `pending_refunds` every refund is pending at first, as those of bank debits always are.
    `payout_currencies` maps the currency of a charge to its payout currency and the exchange rate. With
    `async_capture` a charge has no balance transaction until `settle_balances`: Stripe captures asynchronously,
    and sends `charge.updated` when it knows the fee of a paid charge.
    """

    fee_basis_points: int = 290
    fee_fixed: int = 30
    dispute_fee: int = 1500
    payout_currencies: dict[str, tuple[str, float]] = field(default_factory=dict)
    async_capture: bool = False
    custom_domain: str | None = None
    pending_refunds: bool = False
    upcoming_days: int = 7
    retry_interval_days: int = 3
    event_retention_days: int = 30


class Account:
    """`objects` by id, in the order of their creation, and the `events` about them."""

    def __init__(self, *, key: str, clock: FakeClock, livemode: bool = False) -> None:
        self.key, self.clock, self.livemode = key, clock, livemode
        self.api_version = stripe.api_version
        self.settings = AccountSettings()
        self.base_url = ""
        self.lock = threading.RLock()
        self.objects: dict[str, StripeJson] = {}
        self.events: list[StripeJson] = []
        self.secrets: dict[str, str] = {}
        self.deleted_customers: set[str] = set()
        self.schedule_delivery: Callable[[], None] = lambda: None
        self._by_kind: dict[str, list[StripeJson]] = defaultdict(list)
        self._id_count = 0
        self._local = threading.local()

    @property
    def hosted_url(self) -> str:
        """Return the base URL of hosted pages."""
        return self.settings.custom_domain or self.base_url

    def now(self) -> int:
        """Return the time in whole seconds since 1970."""
        return int(self.clock().timestamp())

    def advance_to(self, timestamp: float) -> None:
        """Set the clock to a time in seconds since 1970, unless it is past."""
        self.clock.now = max(self.clock.now, datetime.datetime.fromtimestamp(timestamp, datetime.UTC))

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return an id in Stripe's form: a prefix for the kind of object, and opaque characters."""
        self._id_count += 1
        number = int.from_bytes(hashlib.sha512(f"{self.key}:{self._id_count}".encode()).digest(), "big")
        characters = ""
        while len(characters) < length:
            number, index = divmod(number, len(ALPHABET))
            characters += ALPHABET[index]
        # An id such as `evt_1…` starts with a digit of Stripe's; other prefixes end with an underscore.
        return f"{prefix}{characters}" if prefix[-1].isdigit() else f"{prefix}_{characters}"

    def store(self, new: StripeJson) -> StripeJson:
        self.objects[new["id"]] = new
        self._by_kind[new["object"]].append(new)
        return new

    def delete(self, stored: StripeJson) -> None:
        del self.objects[stored["id"]]
        self._by_kind[stored["object"]].remove(stored)

    def all(self, kind: str) -> list[StripeJson]:
        """Return the objects of a kind, oldest first."""
        return list(self._by_kind[kind])

    def find(self, kind: str, object_id: str) -> StripeJson:
        """Return one object.

        Raises:
            StripeApiError: 404 if there is no object of this kind and id.
        """
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind:
            raise not_found(kind, object_id)
        return found

    def find_param(self, kind: str, object_id: str, param: str) -> StripeJson:
        """Return the object that a parameter names.

        Raises:
            StripeApiError: 400 if there is no object of this kind and id.
        """
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind:
            raise missing_param(kind, object_id, param)
        return found

    @contextmanager
    def request_context(self, request: StripeJson) -> Iterator[None]:
        """Set the request of this thread; events reference it."""
        self._local.request = request
        try:
            yield
        finally:
            self._local.request = NO_REQUEST

    def emit_event(self, event_type: str, subject: StripeJson, before: StripeJson | None = None) -> StripeJson:
        """Record an event about an object in its present state; `before` gives its `previous_attributes`."""
        data: StripeJson = {"object": to_json(subject)}
        if before is not None:
            data["previous_attributes"] = previous_attributes(to_json(before), to_json(subject))
        event = {
            "id": self.new_id("evt_1"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now(),
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": len(self._by_kind["webhook_endpoint"]),
            "request": dict(getattr(self._local, "request", NO_REQUEST)),
            "type": event_type,
        }
        self.events.append(event)
        return event


def to_json(stored: StripeJson) -> StripeJson:
    """Return a copy without the double's internal fields, whose names start with `#`."""
    return {name: copy.deepcopy(value) for name, value in stored.items() if not name.startswith("#")}


def previous_attributes(before: StripeJson, after: StripeJson) -> StripeJson:
    """Return the values in `before` that `after` changes; nested objects give only the fields that change."""
    changed: StripeJson = {}
    for name, old in before.items():
        new = after.get(name)
        if old == new:
            continue
        is_nested = isinstance(old, dict) and isinstance(new, dict)
        changed[name] = previous_attributes(old, new) if is_nested else copy.deepcopy(old)
    return changed | {name: None for name in after if name not in before}

"""What Stripe knows: the objects of one account, what became of them, and when.

One lock guards all of it, since each request has a thread of its own. Ids come from a counter, so the same calls
in the same order give the same ids.
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

from tests.clock import Clock
from tests.doubles.refusal import missing

Thing = dict[str, Any]
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NO_REQUEST: Thing = {"id": None, "idempotency_key": None}


@dataclass
class Terms:
    """What this account agreed with Stripe, and what its owner set in the dashboard.

    The fee is `fee_basis_points` of a payment and `fee_fixed` minor units; `settles_in` maps a currency to the one
    that it is paid out in, and the rate. With `balance_is_late` a charge has no balance transaction until
    `settle_balances`: Stripe captures asynchronously, and a charge may be paid for some seconds before its fee is
    known ("charge.updated" then tells).
    """

    fee_basis_points: int = 290
    fee_fixed: int = 30
    dispute_fee: int = 1500
    settles_in: dict[str, tuple[str, float]] = field(default_factory=dict)
    balance_is_late: bool = False
    upcoming_days: int = 7
    retry_days: int = 3
    events_kept_days: int = 30


class Account:
    """Objects by id in the order of their making, and the events that told of them."""

    def __init__(self, *, key: str, clock: Clock, livemode: bool = False) -> None:
        self.key, self.clock, self.livemode = key, clock, livemode
        self.api_version = stripe.api_version
        self.terms = Terms()
        self.base = ""
        self.lock = threading.RLock()
        self.things: dict[str, Thing] = {}
        self.events: list[Thing] = []
        self.secrets: dict[str, str] = {}
        self.hand_out: Callable[[], None] = lambda: None
        self._by_kind: dict[str, list[Thing]] = defaultdict(list)
        self._made = 0
        self._asking = threading.local()

    def now(self) -> int:
        """Return this moment in whole seconds since 1970."""
        return int(self.clock().timestamp())

    def advance_to(self, moment: float) -> None:
        """Move the clock on to a moment, in seconds since 1970; never back."""
        self.clock.now = max(self.clock.now, datetime.datetime.fromtimestamp(moment, datetime.UTC))

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return an id as Stripe makes them: a prefix that says what it is of, and signs that say nothing."""
        self._made += 1
        number = int.from_bytes(hashlib.sha512(f"{self.key}:{self._made}".encode()).digest(), "big")
        signs = ""
        while len(signs) < length:
            number, sign = divmod(number, len(ALPHABET))
            signs += ALPHABET[sign]
        # An id such as `evt_1…` begins with a digit of Stripe's; other prefixes end with the line.
        return f"{prefix}{signs}" if prefix[-1].isdigit() else f"{prefix}_{signs}"

    def keep(self, thing: Thing) -> Thing:
        """Keep a new object; it is found by its id from now on."""
        self.things[thing["id"]] = thing
        self._by_kind[thing["object"]].append(thing)
        return thing

    def forget(self, thing: Thing) -> None:
        """Drop an object, as a deleted webhook endpoint is."""
        del self.things[thing["id"]]
        self._by_kind[thing["object"]].remove(thing)

    def all(self, kind: str) -> list[Thing]:
        """Return the objects of a kind, oldest first."""
        return list(self._by_kind[kind])

    def find(self, kind: str, sought: str) -> Thing:
        """Return one object, or refuse as Stripe does with a 404."""
        thing = self.things.get(sought)
        if thing is None or thing["object"] != kind:
            raise missing(kind, sought)
        return thing

    @contextmanager
    def asking(self, request: Thing) -> Iterator[None]:
        """Say which request is served in this thread; events name it."""
        self._asking.request = request
        try:
            yield
        finally:
            self._asking.request = NO_REQUEST

    def tell(self, what: str, thing: Thing, before: Thing | None = None) -> Thing:
        """Record an event about an object as it is now; `before` gives `previous_attributes`."""
        data: Thing = {"object": shown(thing)}
        if before is not None:
            data["previous_attributes"] = changes(shown(before), shown(thing))
        event = {
            "id": self.new_id("evt_1"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now(),
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": len(self._by_kind["webhook_endpoint"]),
            "request": dict(getattr(self._asking, "request", NO_REQUEST)),
            "type": what,
        }
        self.events.append(event)
        return event


def shown(thing: Thing) -> Thing:
    """Return a copy of an object as the world sees it; names that begin with `#` are the double's own."""
    return {name: copy.deepcopy(value) for name, value in thing.items() if not name.startswith("#")}


def changes(before: Thing, after: Thing) -> Thing:
    """Return what `before` held where `after` differs; of objects inside, only the parts that differ."""
    told: Thing = {}
    for name, was in before.items():
        now = after.get(name)
        if was == now:
            continue
        told[name] = changes(was, now) if isinstance(was, dict) and isinstance(now, dict) else copy.deepcopy(was)
    return told | {name: None for name in after if name not in before}

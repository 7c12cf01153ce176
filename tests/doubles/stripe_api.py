"""A double of Stripe's API: one account behind an HTTP door, what its readers do, and time.

It is built to Stripe's published API reference as the types and docstrings of the SDK show it for the API version
that this SDK speaks, and knows nothing of Mainstay. What it lacks on purpose: proration, tax, trials, discounts,
Connect. What Stripe does in the background happens here at once, unless a method says otherwise.

    with StripeDouble() as stripe:
        session = stripe.client().v1.checkout.sessions.create(params={...})
        stripe.pay(session.id, email="ada@news.example")
        stripe.events
"""

import datetime
import threading
from collections.abc import Callable
from typing import Any, Self

from stripe import RequestsClient, StripeClient

from tests.clock import Clock
from tests.doubles.account import Account, Terms, Thing
from tests.doubles.door import Door
from tests.doubles.hosted_page import Deeds, Pages
from tests.doubles.idempotency import Keys
from tests.doubles.readers import Readers
from tests.doubles.times import Times
from tests.doubles.troubles import Troubles
from tests.doubles.webhooks import Deliverer

KEY = "sk_test_51MainstayDouble"
BEGINNING = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)


class StripeDouble(Readers, Times):
    """Listens on the loopback interface from `with` to its end.

    `deliver` is called with each event, in order and never two at once: for what a test does here, before that
    returns; for what an API call did, soon after its answer, in a thread of its own (`wait_for_delivery`).
    `troubles` makes calls go wrong and counts them. `clock` is the time; events and periods go by it.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        clock: Clock | None = None,
        deliver: Callable[[Thing], None] | None = None,
        port: int = 0,
        livemode: bool = False,
    ) -> None:
        self.clock = clock or Clock(BEGINNING)
        self.account = Account(key=key, clock=self.clock, livemode=livemode)
        self.deliver = deliver
        self.troubles = Troubles()
        self._keys = Keys(self.account.now)
        self._handed_out = 0
        self._delivering = threading.RLock()
        self.account.hand_out = self._hand_out_soon
        self._pages = Pages(
            self.account,
            Deeds(
                pay=lambda session, email: self.pay(session, email=email),
                decline=lambda session, email: self.decline(session, email=email),
                pay_by_bank=lambda session, email: self.pay_later_by_bank(session, email=email),
                save_card=self.update_card,
            ),
        )
        self._door: Door | None = None
        self._port = port

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._door = Door(self.account, self._pages, self.troubles, self._keys, self._port)
        self._port = self._door.server_port
        self.account.base = self.url

    def close(self) -> None:
        """Listen no more: connections are refused until `open`. What Stripe knows stays."""
        if self._door is not None:
            self._door.close()
            self._door = None

    @property
    def url(self) -> str:
        """Return the base address, for `base_addresses={"api": …}`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def terms(self) -> Terms:
        """Return the fees, the currencies of payouts and the days of retries; a test may set them."""
        return self.account.terms

    @property
    def events(self) -> list[Thing]:
        """Return every event so far, oldest first."""
        with self.account.lock:
            return list(self.account.events)

    def client(self, **options: Any) -> StripeClient:
        """Return the SDK's client at this door; it asks once and waits 5 s unless `options` say otherwise."""
        defaults: dict[str, Any] = {
            "base_addresses": {"api": self.url},
            "max_network_retries": 0,
            "http_client": RequestsClient(timeout=5),
        }
        return StripeClient(self.account.key, **defaults | options)

    def get(self, sought: str) -> Thing:
        """Return an object as it is now, by its id."""
        found: Thing = self.account.things[sought]
        return found

    def to_endpoints(self, event: Thing) -> None:
        """Post an event to every webhook endpoint that was set up for it; may be given as `deliver`."""
        for endpoint in self.account.all("webhook_endpoint"):
            if endpoint["status"] == "enabled":
                secret = self.account.secrets[endpoint["id"]]
                Deliverer(
                    endpoint["url"], secret, endpoint["enabled_events"], at=lambda: self.clock().timestamp()
                )(event)

    def send_again(self, *events: Thing) -> None:
        """Deliver events once more, as Stripe does when it heard no 2xx, or when somebody clicks Resend."""
        with self._delivering:
            for event in events:
                if self.deliver is not None:
                    self.deliver(event)

    def hand_out(self) -> None:
        """Deliver what was not delivered yet, in order."""
        with self._delivering:
            while self.deliver is not None and self._handed_out < len(self.account.events):
                self._handed_out += 1
                self.deliver(self.account.events[self._handed_out - 1])

    wait_for_delivery = hand_out

    def _hand_out_soon(self) -> None:
        if self.deliver is not None and self._handed_out < len(self.account.events):
            threading.Thread(target=self.hand_out, daemon=True).start()

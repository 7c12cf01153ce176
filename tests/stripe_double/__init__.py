"""A stateful test double of Stripe's API: one account behind an HTTP server, its customers, and time.

It follows Stripe's published API reference, as the SDK's types and docstrings have it for the SDK's API version.
It imports nothing of Mainstay. It leaves out proration, tax, trials, discounts and Connect. What Stripe does in
the background happens at once, unless a method says otherwise.

    with FakeStripe() as stripe:
        session = stripe.client().v1.checkout.sessions.create(params={...})
        stripe.pay(session.id, email="ada@news.example")
        stripe.events
"""

import datetime
import threading
from collections.abc import Callable
from typing import Any, Self

from stripe import RequestsClient, StripeClient

from tests.clock import FakeClock
from tests.stripe_double.account import Account, AccountSettings, StripeJson
from tests.stripe_double.customer_actions import CustomerActions
from tests.stripe_double.faults import FaultPlan
from tests.stripe_double.idempotency import IdempotencyStore
from tests.stripe_double.server import StripeApp, StripeServer
from tests.stripe_double.time_travel import BillingClock
from tests.stripe_double.webhooks import WebhookSender

KEY = "sk_test_51MainstayDouble"
START_TIME = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)


class FakeStripe(CustomerActions, BillingClock):
    """Listens on the loopback interface while its context is open.

    `deliver` is called with each event, in order and one at a time. Events of a method of the double are delivered
    before the method returns; events of an API call soon after its response, in a separate thread
    (`deliver_events` waits for it). `faults` plans faults and counts calls. Events and periods follow `clock`.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        clock: FakeClock | None = None,
        deliver: Callable[[StripeJson], None] | None = None,
        port: int = 0,
        livemode: bool = False,
    ) -> None:
        self.clock = clock or FakeClock(START_TIME)
        self.account = Account(key=key, clock=self.clock, livemode=livemode)
        self.account.schedule_delivery = self._schedule_delivery
        self.deliver = deliver
        self.faults = FaultPlan()
        self._idempotency = IdempotencyStore(self.account.now)
        self._delivered_count = 0
        self._delivery_lock = threading.RLock()
        self._server: StripeServer | None = None
        self._port = port

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start the server, on the same port as before."""
        self._server = StripeServer(StripeApp(self.account, self, self.faults, self._idempotency), self._port)
        self._port = self._server.port
        self.account.base_url = self.url

    def close(self) -> None:
        """Stop the server: connections are refused until `open`. The account keeps its state."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        """Return the base URL, for `base_addresses={"api": …}`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> AccountSettings:
        return self.account.settings

    @property
    def events(self) -> list[StripeJson]:
        """Return every event, oldest first."""
        with self.account.lock:
            return list(self.account.events)

    def client(self, **options: Any) -> StripeClient:
        """Return an SDK client of this server; by default it has no retries and a timeout of 5 s."""
        defaults: dict[str, Any] = {
            "base_addresses": {"api": self.url},
            "max_network_retries": 0,
            "http_client": RequestsClient(timeout=30),
        }
        return StripeClient(self.account.key, **defaults | options)

    def get(self, object_id: str) -> StripeJson:
        found: StripeJson = self.account.objects[object_id]
        return found

    def deliver_to_endpoints(self, event: StripeJson) -> None:
        """Post an event to every enabled webhook endpoint; a value for `deliver`."""
        for endpoint in self.account.all("webhook_endpoint"):
            if endpoint["status"] == "enabled":
                secret = self.account.secrets[endpoint["id"]]
                send = WebhookSender(
                    endpoint["url"], secret, endpoint["enabled_events"], at=lambda: self.clock().timestamp()
                )
                send(event)

    def resend(self, *events: StripeJson) -> None:
        """Deliver events again, as Stripe does without a 2xx response, or when someone clicks Resend."""
        with self._delivery_lock:
            for event in events:
                if self.deliver is not None:
                    self.deliver(event)

    def deliver_events(self) -> None:
        """Deliver the undelivered events, in order."""
        with self._delivery_lock:
            while self.deliver is not None and self._delivered_count < len(self.account.events):
                self._delivered_count += 1
                self.deliver(self.account.events[self._delivered_count - 1])

    def _schedule_delivery(self) -> None:
        if self.deliver is not None and self._delivered_count < len(self.account.events):
            threading.Thread(target=self.deliver_events, daemon=True).start()

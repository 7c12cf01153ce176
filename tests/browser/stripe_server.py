"""A running service that uses the Stripe gateway, for browser tests."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.live_server import LiveServer, run_live_server
from tests.clock import FakeClock
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.webhooks import WebhookSender

SECRET = "whsec_that_only_the_browser_tests_know"


class SystemClock(FakeClock):
    """The system clock, which the service's processes use too."""

    def __init__(self) -> None:
        super().__init__(datetime.datetime.now(datetime.UTC))

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


@contextmanager
def run_stripe_server(name: str, folder: Path, stripe: FakeStripe) -> Iterator[LiveServer]:
    """Yield a live server that uses the Stripe double, which sends it webhooks; `name` is that of its database."""
    settings = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    with run_live_server(name, folder, STRIPE_WEBHOOK_SECRET=SECRET, **settings) as live_server:
        stripe.deliver = WebhookSender(f"{live_server.base_url}/v1/webhooks/stripe", SECRET)
        yield live_server

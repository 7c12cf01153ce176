"""Fixtures: the Stripe gateway, connected to the Stripe double."""

from collections.abc import Callable, Iterator

import pytest

from service.gateways.stripe import StripeApiClient, StripeEvents, StripeGateway, client
from service.settings import StripeSettings
from tests.clock import FakeClock
from tests.gateways.stripe.factories import SECRET
from tests.stripe_double import KEY, FakeStripe

SHORT_READ_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    # A slow response on a busy machine is not a fault of Stripe.
    monkeypatch.setattr(client, "READ_SECONDS", 30.0)


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the read timeout, only for tests in which Stripe does not answer."""
    monkeypatch.setattr(client, "READ_SECONDS", SHORT_READ_SECONDS)


@pytest.fixture
def double(clock: FakeClock) -> Iterator[FakeStripe]:
    """Return the Stripe double, which shares the test's clock."""
    with FakeStripe(clock=clock) as double:
        yield double


@pytest.fixture
def account(double: FakeStripe) -> StripeSettings:
    """Return the settings of our account at the double."""
    return StripeSettings(secret_key=KEY, webhook_secrets=(SECRET,), api_base=double.url)


@pytest.fixture
def api(account: StripeSettings, clock: FakeClock) -> StripeApiClient:
    return StripeApiClient(account, clock)


@pytest.fixture
def gateway(api: StripeApiClient, account: StripeSettings) -> StripeGateway:
    return StripeGateway(api, account)


@pytest.fixture
def events(api: StripeApiClient, account: StripeSettings) -> StripeEvents:
    return StripeEvents(api, account)


@pytest.fixture
def latest_event(double: FakeStripe) -> Callable[[str], dict]:
    """Return a function that finds the latest event of a kind."""

    def latest(kind: str) -> dict:
        return [event for event in double.events if event["type"] == kind][-1]

    return latest

"""The Stripe gateway at the door of the double."""

from collections.abc import Callable, Iterator

import pytest

from service.gateways.stripe import StripeApiClient, StripeEvents, StripeGateway, client
from service.settings import StripeSettings
from tests.clock import FakeClock
from tests.gateways.stripe.factories import SECRET
from tests.stripe_double import KEY, FakeStripe

HURRY_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # An answer that takes long on a busy machine is no trouble of Stripe's.
    monkeypatch.setattr(client, "READ_SECONDS", 30.0)


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries end soon: for tests in which Stripe is silent, and for no others."""
    monkeypatch.setattr(client, "READ_SECONDS", HURRY_SECONDS)


@pytest.fixture
def double(clock: FakeClock) -> Iterator[FakeStripe]:
    """Return Stripe, whose clock is the test's."""
    with FakeStripe(clock=clock) as double:
        yield double


@pytest.fixture
def account(double: FakeStripe) -> StripeSettings:
    """Return our account there."""
    return StripeSettings(secret_key=KEY, webhook_secrets=(SECRET,), api_base=double.url)


@pytest.fixture
def api(account: StripeSettings, clock: FakeClock) -> StripeApiClient:
    """Return the line to it."""
    return StripeApiClient(account, clock)


@pytest.fixture
def gateway(api: StripeApiClient, account: StripeSettings) -> StripeGateway:
    """Return the gateway that the domain orders from."""
    return StripeGateway(api, account)


@pytest.fixture
def events(api: StripeApiClient, account: StripeSettings) -> StripeEvents:
    """Return the teller of what happens there."""
    return StripeEvents(api, account)


@pytest.fixture
def lasts(double: FakeStripe) -> Callable[[str], dict]:
    """Return a way to the latest event of a kind."""

    def latest(kind: str) -> dict:
        return [event for event in double.events if event["type"] == kind][-1]

    return latest

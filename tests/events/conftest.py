"""Fixtures: a container that is connected to the Stripe double."""

from collections.abc import Iterator

import pytest

from service.container import Container
from service.gateways.stripe import client
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import KEY, FakeStripe


@pytest.fixture(autouse=True)
def _long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    # A slow response on a busy machine is not a fault of Stripe.
    monkeypatch.setattr(client, "CONNECT_SECONDS", 60.0)
    monkeypatch.setattr(client, "READ_SECONDS", 60.0)


@pytest.fixture
def stripe(clock: FakeClock) -> Iterator[FakeStripe]:
    """Return the Stripe double, which shares the container's clock."""
    with FakeStripe(clock=clock) as stripe:
        yield stripe


@pytest.fixture
def settings(migrated_database: str, stripe: FakeStripe) -> Settings:
    """Return settings with Stripe as the payment gateway."""
    return settings_for(
        migrated_database,
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=stripe.url,
    )


@pytest.fixture
def scenario(container: Container, stripe: FakeStripe) -> StripeScenario:
    return StripeScenario(container, stripe)

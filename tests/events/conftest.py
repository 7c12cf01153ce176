"""A desk that is connected with a double of Stripe."""

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
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing here is silent; an answer that takes long on a busy machine is no trouble of Stripe's.
    monkeypatch.setattr(client, "READ_SECONDS", 30.0)


@pytest.fixture
def stripe(clock: FakeClock) -> Iterator[FakeStripe]:
    """Return Stripe, whose clock is the desk's."""
    with FakeStripe(clock=clock) as stripe:
        yield stripe


@pytest.fixture
def settings(migrated_database: str, stripe: FakeStripe) -> Settings:
    """Return the settings of a desk that takes money by it."""
    return settings_for(
        migrated_database,
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=stripe.url,
    )


@pytest.fixture
def scenario(container: Container, stripe: FakeStripe) -> StripeScenario:
    """Return the newsroom."""
    return StripeScenario(container, stripe)

"""A double of Stripe for each test of the double itself, the SDK's client at its door, and localstripe."""

import threading
from collections.abc import Iterator

import pytest
from stripe import StripeClient

from tests.doubles.hook_desk import Desk
from tests.doubles.localstripe_server import LocalStripe
from tests.doubles.stripe_api import StripeDouble


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with StripeDouble() as double:
        yield double


@pytest.fixture
def stripe(double: StripeDouble) -> StripeClient:
    return double.client()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    threading.Thread(target=desk.serve_forever, args=(0.02,), daemon=True).start()
    yield desk
    desk.shutdown()
    desk.server_close()


@pytest.fixture(scope="module")
def running_localstripe() -> Iterator[LocalStripe]:
    with LocalStripe() as running:
        yield running


@pytest.fixture
def localstripe(running_localstripe: LocalStripe) -> LocalStripe:
    running_localstripe.forget()
    return running_localstripe

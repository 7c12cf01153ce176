"""Fixtures for tests of the double: the double, an SDK client of it, a webhook receiver, and localstripe."""

import threading
from collections.abc import Iterator

import pytest
from stripe import StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.localstripe_server import LocalStripe
from tests.stripe_double.webhooks import WebhookReceiver


@pytest.fixture
def double() -> Iterator[FakeStripe]:
    with FakeStripe() as double:
        yield double


@pytest.fixture
def stripe(double: FakeStripe) -> StripeClient:
    return double.client()


@pytest.fixture
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
    yield receiver
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture(scope="module")
def running_localstripe() -> Iterator[LocalStripe]:
    with LocalStripe() as running:
        yield running


@pytest.fixture
def localstripe(running_localstripe: LocalStripe) -> LocalStripe:
    running_localstripe.reset()
    return running_localstripe

"""A double of Stripe for each test of the double itself, and the SDK's client at its door."""

from collections.abc import Iterator

import pytest
from stripe import StripeClient

from tests.doubles.stripe_api import StripeDouble


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with StripeDouble() as double:
        yield double


@pytest.fixture
def stripe(double: StripeDouble) -> StripeClient:
    return double.client()

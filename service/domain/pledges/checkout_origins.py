"""The origins of checkout pages on a domain of the newsroom's (https://docs.stripe.com/payments/checkout/custom-domains).

The gateway tells a domain only with the URL of a checkout, so the latest stored one is read.
"""

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import select

from service.db.models.pledge import Pledge
from service.domain.ports import TransactionFactory
from service.domain.urls import origin_of

TTL_SECONDS: Final = 60.0


class CheckoutOrigins:
    """The origin of the latest checkout, read from the database at most once in `TTL_SECONDS`."""

    def __init__(
        self, read_only: TransactionFactory, gateway: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read_only = read_only
        self._gateway = gateway
        self._monotonic = monotonic
        self._latest: str | None = None
        self._expires_at = float("-inf")

    def latest(self) -> str | None:
        """Return the origin of the latest checkout; None before the first."""
        if self._monotonic() >= self._expires_at:
            query = select(Pledge.checkout_url).where(
                Pledge.gateway == self._gateway, Pledge.checkout_url.is_not(None)
            )
            with self._read_only() as session:
                url = session.scalar(query.order_by(Pledge.id.desc()).limit(1))
            self.remember(url)
        return self._latest

    def remember(self, url: str | None) -> None:
        """Store the URL of the latest checkout, which another process reads within `TTL_SECONDS`."""
        self._latest = None if url is None else origin_of(url)
        self._expires_at = self._monotonic() + TTL_SECONDS

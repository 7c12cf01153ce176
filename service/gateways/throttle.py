"""Counting how often one client asks, in this process or, with `REDIS_URL`, across all of them."""

import math
import time

import structlog
from limits import parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from service.db.keyring import Keyring
from service.domain.errors import TooManyRequests

log = structlog.get_logger()


class OpenThrottle:
    """Lets everything through: `RATE_LIMIT=off`."""

    def check(self, action: str, client: str) -> None:
        """Count nothing."""


class WindowThrottle:
    """Allows so many requests of one action by one client in a sliding window.

    The client's address is hashed before it is used as a key, so that no store ever holds it.
    """

    def __init__(self, rate: str, keyring: Keyring, *, redis_url: str | None) -> None:
        self._rate = parse(rate)
        self._keyring = keyring
        storage = storage_from_string(redis_url or "memory://", wrap_exceptions=True)
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    def check(self, action: str, client: str) -> None:
        """Count one request.

        A store that does not answer lets the request through: readers come before the count.

        Raises:
            TooManyRequests: with the seconds until a request would be let through again.
        """
        who = self._keyring.fingerprint(f"throttle {client}").hex()[:32]
        try:
            if self._limiter.hit(self._rate, action, who):
                return
            reset_at = self._limiter.get_window_stats(self._rate, action, who).reset_time
        except StorageError:
            log.warning("throttle_store_unavailable")
            return
        wait = max(1, math.ceil(reset_at - time.time()))
        raise TooManyRequests("Too many requests; please wait a moment.", retry_after_seconds=wait)

"""Counting how often one client asks, in this process or, with `REDIS_URL`, across all of them."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from service.db.keyring import Keyring
from service.domain.errors import TooManyRequests

log = structlog.get_logger()

# What brings mail to somebody is asked for far less often than anything else, whatever the rate of the rest.
RATES_BY_ACTION = {"sign_in_by_address": "5/hour", "sign_in_by_network": "20/hour"}


class NoRateLimit:
    """Lets everything through: `RATE_LIMIT=off`."""

    def check(self, action: str, client: str) -> None:
        """Count nothing."""


class SlidingWindowRateLimiter:
    """Allows so many requests of one action by one client in a sliding window; some actions have their own rate.

    The client's address is hashed before it is used as a key, so that no store ever holds it.
    """

    def __init__(self, rate: str, keyring: Keyring, *, redis_url: str | None) -> None:
        self._keyring = keyring
        self._counts = _window_counter(rate, redis_url)
        self._own_counts = {action: _window_counter(own, redis_url) for action, own in RATES_BY_ACTION.items()}

    def check(self, action: str, client: str) -> None:
        """Count one request.

        A store that does not answer lets the request through: readers come before the count.

        Raises:
            TooManyRequests: with the seconds until a request would be let through again.
        """
        who = self._keyring.lookup_hash(f"throttle {client}").hex()[:32]
        try:
            wait = self._own_counts.get(action, self._counts).hit(action, who)
        except StorageError:
            log.warning("throttle_store_unavailable")
            return
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            raise TooManyRequests("Too many requests; please wait a moment.", retry_after_seconds=seconds)


def _window_counter(rate: str, redis_url: str | None) -> "MemoryCounter | RedisCounter":
    limit = parse(rate)
    return MemoryCounter(limit) if redis_url is None else RedisCounter(limit, redis_url)


class RedisCounter:
    """Counts in Redis."""

    def __init__(self, limit: RateLimitItem, redis_url: str) -> None:
        self._limit = limit
        self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(redis_url, wrap_exceptions=True))

    def hit(self, action: str, who: str) -> float:
        """Count one request and return 0, or return the seconds to wait.

        Raises:
            StorageError: Redis does not answer.
        """
        if self._limiter.hit(self._limit, action, who):
            return 0
        return self._limiter.get_window_stats(self._limit, action, who).reset_time - time.time()


class MemoryCounter:
    """Counts in this process: those of the present window and of the one before it, and nothing older.

    A request counts in full in its own window and fades away during the next. The same rule as in Redis; the store
    in memory that comes with `limits` starts a thread for almost every request.
    """

    def __init__(self, limit: RateLimitItem, *, now: Callable[[], float] = time.time) -> None:
        self._most, self._seconds = limit.amount, limit.get_expiry()
        self._now = now
        self._lock = threading.Lock()
        self._window = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._before: Counter[tuple[str, str]] = Counter()

    def hit(self, action: str, who: str) -> float:
        """Count one request and return 0, or return the seconds to wait."""
        key = action, who
        with self._lock:
            window, elapsed = divmod(self._now(), self._seconds)
            if window != self._window:
                self._before = self._counts if window == self._window + 1 else Counter()
                self._window, self._counts = int(window), Counter()
            count, before = self._counts[key], self._before[key]
            if count + before * (1 - elapsed / self._seconds) <= self._most - 1:
                self._counts[key] = count + 1
                return 0
        if count < self._most:
            return self._retry_after(before, self._most - 1 - count) - elapsed
        return self._seconds - elapsed + self._retry_after(count, self._most - 1)

    def _retry_after(self, faded: int, room: int) -> float:
        """Return after how many seconds of a window `faded` requests of the one before it count as `room`."""
        return self._seconds * (1 - room / faded)

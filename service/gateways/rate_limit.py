"""Rate limits per client, counted in this process or, with `REDIS_URL`, across all processes."""

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

# Sign-in requests cause emails, so they have lower limits than RATE_LIMIT.
RATES_BY_ACTION = {
    "sign_in_by_address": "5/hour",
    "sign_in_by_network": "20/hour",
    "email_change_by_supporter": "5/hour",
}


class NoRateLimit:
    """Allows every request: `RATE_LIMIT=off`."""

    def check(self, action: str, client: str) -> None:
        """Allow the request."""


class SlidingWindowRateLimiter:
    """Limits the requests of one client for one action in a sliding window; some actions have their own rate.

    The client's address is hashed before it is used as a key, so no store ever contains it.
    """

    def __init__(self, rate: str, keyring: Keyring, *, redis_url: str | None) -> None:
        self._keyring = keyring
        self._default_counter = _window_counter(rate, redis_url)
        self._counters = {action: _window_counter(own, redis_url) for action, own in RATES_BY_ACTION.items()}

    def check(self, action: str, client: str) -> None:
        """Count one request.

        If the store is unavailable, the request is allowed: serving readers matters more than the limit.

        Raises:
            TooManyRequests: with the seconds until a request is allowed again.
        """
        client_key = self._keyring.lookup_hash(f"throttle {client}").hex()[:32]
        try:
            wait = self._counters.get(action, self._default_counter).hit(action, client_key)
        except StorageError:
            log.warning("rate_limit_store_unavailable")
            return
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            raise TooManyRequests("Too many requests; please wait a moment.", retry_after_seconds=seconds)


def _window_counter(rate: str, redis_url: str | None) -> "MemoryCounter | RedisCounter":
    limit = parse(rate)
    return MemoryCounter(limit) if redis_url is None else RedisCounter(limit, redis_url)


class RedisCounter:
    """Counts in Redis, for all processes together."""

    def __init__(self, limit: RateLimitItem, redis_url: str) -> None:
        self._limit = limit
        self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(redis_url, wrap_exceptions=True))

    def hit(self, action: str, client_key: str) -> float:
        """Count one request and return 0, or return the seconds to wait.

        Raises:
            StorageError: Redis is unavailable.
        """
        if self._limiter.hit(self._limit, action, client_key):
            return 0
        return self._limiter.get_window_stats(self._limit, action, client_key).reset_time - time.time()


class MemoryCounter:
    """Counts in this process, for the current window and the previous one.

    A request has full weight in its own window, and its weight falls to zero during the next. Redis uses the same
    rule. The in-memory store of `limits` is not used, because it starts a thread for almost every request.
    """

    def __init__(self, limit: RateLimitItem, *, now: Callable[[], float] = time.time) -> None:
        self._max_requests, self._seconds = limit.amount, limit.get_expiry()
        self._now = now
        self._lock = threading.Lock()
        self._window = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._previous_counts: Counter[tuple[str, str]] = Counter()

    def hit(self, action: str, client_key: str) -> float:
        """Count one request and return 0, or return the seconds to wait."""
        key = action, client_key
        with self._lock:
            window, elapsed = divmod(self._now(), self._seconds)
            if window != self._window:
                self._previous_counts = self._counts if window == self._window + 1 else Counter()
                self._window, self._counts = int(window), Counter()
            count, previous = self._counts[key], self._previous_counts[key]
            if count + previous * (1 - elapsed / self._seconds) <= self._max_requests - 1:
                self._counts[key] = count + 1
                return 0
        if count < self._max_requests:
            return self._retry_after(previous, self._max_requests - 1 - count) - elapsed
        return self._seconds - elapsed + self._retry_after(count, self._max_requests - 1)

    def _retry_after(self, previous: int, allowed: int) -> float:
        """Return the seconds into a window after which `previous` requests of the one before weigh `allowed`."""
        return self._seconds * (1 - allowed / previous)

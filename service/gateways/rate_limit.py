"""Rate limits per client, counted in this process or, with `REDIS_URL`, across all processes."""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from limits import RateLimitItem, parse

from service.db.keyring import Keyring
from service.domain.errors import TooManyRequests
from service.domain.ports import ALL_OF_CAMPAIGN, WIDE_NETWORK

# Sign-in requests cause emails, so they have lower limits than RATE_LIMIT.
RATES_BY_ACTION = {
    "sign_in": "20/hour",
    "email_change_by_supporter": "5/hour",
    "receipt_by_supporter": "10/hour",
    "data_download_by_supporter": "10/hour",
}
# How many times the rate of one client the wider network around it may have.
WIDE_NETWORK_FACTOR = 4


class StoreUnavailable(Exception):
    """The shared store did not answer, or was not asked because it did not answer recently."""


class Counting(Protocol):
    """Counts the requests of clients for one rate."""

    def hit(self, action: str, client_key: str) -> float:
        """Count one request and return 0, or return the seconds to wait."""


class NoRateLimit:
    """Allows every request: `RATE_LIMIT=off`."""

    def check(self, action: str, client: str) -> None:
        """Allow the request."""

    def store_problem(self) -> str | None:
        """Return None: there is no store."""
        return None


class SlidingWindowRateLimiter:
    """Limits the requests of one client for one action in a sliding window; some actions have their own rate.

    `campaign_rate` is the rate of all clients of one campaign together; None means no limit.

    The client's address is hashed before it is used as a key, so no store ever contains it.
    """

    def __init__(
        self, rate: str, keyring: Keyring, *, campaign_rate: str | None = None, redis_url: str | None
    ) -> None:
        self._keyring = keyring
        self._rate, self._campaign_rate = rate, campaign_rate
        rates = {rate, *RATES_BY_ACTION.values()}
        rates |= {_wider(each) for each in rates}
        if campaign_rate is not None:
            rates.add(campaign_rate)
        self._local_counters = {each: MemoryCounter(parse(each)) for each in rates}
        self._store_problem: Callable[[], str | None] = lambda: None
        self._shared_counters: Mapping[str, Counting] = {}
        if redis_url is not None:
            # Importing the library takes a while, so only a process that uses Redis does.
            from service.gateways.redis_counter import RedisCounter, RedisStore

            store = RedisStore(redis_url)
            self._store_problem = store.describe_problem
            self._shared_counters = {each: RedisCounter(parse(each), store) for each in rates}

    def check(self, action: str, client: str) -> None:
        """Count one request, in this process while Redis is unavailable.

        Raises:
            TooManyRequests: with the seconds until a request is allowed again.
        """
        rate = self._rate_for(action)
        if rate is None:
            return
        client_key = self._keyring.lookup_hash(f"throttle {client}").hex()[:32]
        wait = self._hit(rate, action, client_key)
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            raise TooManyRequests("Too many requests; please wait a moment.", retry_after_seconds=seconds)

    def store_problem(self) -> str | None:
        """Return why the shared store cannot be used, or None."""
        return self._store_problem()

    def _rate_for(self, action: str) -> str | None:
        if action.endswith(ALL_OF_CAMPAIGN):
            return self._campaign_rate
        client_action = action.removesuffix(WIDE_NETWORK)
        rate = RATES_BY_ACTION.get(client_action, self._rate)
        return rate if client_action == action else _wider(rate)

    def _hit(self, rate: str, action: str, client_key: str) -> float:
        if self._shared_counters:
            with contextlib.suppress(StoreUnavailable):
                return self._shared_counters[rate].hit(action, client_key)
        return self._local_counters[rate].hit(action, client_key)


def _wider(rate: str) -> str:
    """Return the rate of the wider network around a client, as `300/minute`."""
    amount, _, unit = rate.partition("/")
    return f"{int(amount) * WIDE_NETWORK_FACTOR}/{unit}"


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

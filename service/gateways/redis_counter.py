"""Counts of the rate limit in Redis, for all processes together. A Redis that fails delays hardly any request."""

import datetime
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
import structlog
from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.domain.circuit_breaker import CircuitBreaker
from service.gateways.rate_limit import StoreUnavailable

# For connecting, and for each answer. A request that is counted waits for both.
TIMEOUT_SECONDS = 0.5
PROBE_TIMEOUT = datetime.timedelta(seconds=10)

ResultT = TypeVar("ResultT")

log = structlog.get_logger()


class RedisStore:
    """The connections to one Redis, with a circuit breaker.

    The log has one line when Redis fails and one when it is back, however many requests there are.
    """

    def __init__(self, url: str) -> None:
        pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # The library would try three more times, with pauses of seconds.
            retry=Retry(NoBackoff(), 0),
        )
        # With a pool, the address is used only to choose the library.
        self.storage = RedisStorage("redis://", connection_pool=pool, wrap_exceptions=True)
        self._breaker = CircuitBreaker()
        self._lock = threading.Lock()
        self._problem: str | None = None

    def call(self, operation: Callable[[], ResultT]) -> ResultT:
        """Return the result of an operation on `storage`.

        Raises:
            StoreUnavailable: Redis failed, or failed so recently that it is left alone.
        """
        if not self._breaker.try_half_open(_now(), within=PROBE_TIMEOUT):
            raise StoreUnavailable
        try:
            result = operation()
        except StorageError as error:
            self._breaker.record_failure(_now(), needs_operator=False)
            self._note(_describe(error.storage_error))
            raise StoreUnavailable from None
        self._breaker.record_success()
        self._note(None)
        return result

    def describe_problem(self) -> str | None:
        """Ask Redis whether it answers; return why not, or None if it does."""
        try:
            self.call(self._ping)
        except StoreUnavailable:
            return self._problem or "Redis does not answer"
        return None

    def _ping(self) -> None:
        try:
            self.storage.storage.ping()
        except redis.RedisError as error:
            raise StorageError(error) from error

    def _note(self, problem: str | None) -> None:
        with self._lock:
            if problem == self._problem:
                return
            self._problem = problem
        if problem is None:
            log.info("rate_limit_store_available")
        else:
            log.error("rate_limit_store_unavailable", problem=problem, advice="each process counts by itself")


class RedisCounter:
    """Counts the requests of one action in Redis."""

    def __init__(self, limit: RateLimitItem, store: RedisStore) -> None:
        self._limit = limit
        self._store = store
        self._limiter = SlidingWindowCounterRateLimiter(store.storage)

    def hit(self, action: str, client_key: str) -> float:
        """Count one request and return 0, or return the seconds to wait.

        Raises:
            StoreUnavailable: the request was not counted.
        """

        def count() -> float:
            if self._limiter.hit(self._limit, action, client_key):
                return 0
            return self._limiter.get_window_stats(self._limit, action, client_key).reset_time - time.time()

        return self._store.call(count)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _describe(error: Exception) -> str:
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError) or "NOAUTH" in str(error):
        return "Redis refuses the login in REDIS_URL"
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return "Redis does not answer; check REDIS_URL"
    return f"Redis refuses to count ({type(error).__name__})"

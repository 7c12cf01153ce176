"""A circuit breaker: it stops calls to a server that is down, and allows a trial call after a growing backoff."""

import datetime
import random
import threading

INITIAL_BACKOFF = datetime.timedelta(seconds=5)
MAX_BACKOFF = datetime.timedelta(minutes=1)
OPERATOR_BACKOFF = datetime.timedelta(minutes=5)


class CircuitBreaker:
    """Decides whether this process may call a server. All callers of the server share one breaker.

    It opens after `failure_threshold` consecutive failures, or at once if an operator must fix something.
    """

    def __init__(self, *, failure_threshold: int = 1) -> None:
        self._failure_threshold = failure_threshold
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: datetime.datetime | None = None
        self._backoff = datetime.timedelta(0)
        self._is_half_open = False

    def allows_request(self, now: datetime.datetime) -> bool:
        """Whether the breaker is closed, or its backoff has passed."""
        with self._lock:
            return not self._is_open(now)

    def try_half_open(self, now: datetime.datetime, *, within: datetime.timedelta) -> bool:
        """Whether the caller may call the server. After a backoff only one caller may, until it reports a result.

        If it reports none `within` this time, another caller may try.
        """
        with self._lock:
            if self._opened_at is None:
                return True
            if self._is_open(now):
                return False
            self._opened_at, self._backoff, self._is_half_open = now, within, True
            return True

    @property
    def has_failed_recently(self) -> bool:
        """Whether the last call failed, so that the server is probed before work is claimed for it."""
        return self._failures > 0

    def record_failure(self, now: datetime.datetime, *, needs_operator: bool) -> None:
        """Open the breaker for 2.5 to 60 seconds, or for 5 minutes if an operator must fix something.

        Concurrent failures of several callers count once.
        """
        with self._lock:
            if self._is_open(now) and not self._is_half_open:
                return
            self._failures += 1
            self._is_half_open = False
            over_threshold = self._failures - self._failure_threshold
            if over_threshold < 0 and not needs_operator:
                return
            backoff = min(INITIAL_BACKOFF * 2 ** min(max(over_threshold, 0), 10), MAX_BACKOFF)
            # Jitter, so that processes that lost the server together do not return together.
            backoff *= 0.5 + 0.5 * random.random()  # noqa: S311 - it spreads load; a test can seed it
            self._opened_at, self._backoff = now, OPERATOR_BACKOFF if needs_operator else backoff

    def record_success(self) -> None:
        """Close the breaker and reset its backoff."""
        with self._lock:
            self._failures, self._opened_at, self._is_half_open = 0, None, False

    def _is_open(self, now: datetime.datetime) -> bool:
        # A clock that was set back must not prolong the backoff.
        return self._opened_at is not None and self._opened_at <= now < self._opened_at + self._backoff

"""Leaving a server alone that is down, and coming back to it a little later each time."""

import datetime
import secrets
import threading

INITIAL_BACKOFF = datetime.timedelta(seconds=5)
MAX_BACKOFF = datetime.timedelta(minutes=1)
OPERATOR_BACKOFF = datetime.timedelta(minutes=5)
_random = secrets.SystemRandom()


class CircuitBreaker:
    """Whether this process may try a server now. All that talk to the server share one.

    It opens at the failure in a row that `failure_threshold` counts to, or at once if a person must mend
    something.
    """

    def __init__(self, *, failure_threshold: int = 1) -> None:
        self._patience = failure_threshold
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: datetime.datetime | None = None
        self._one_tries = False

    def allows_request(self, now: datetime.datetime) -> bool:
        """Whether the server may be tried."""
        with self._lock:
            return self._open_until is None or now >= self._open_until

    def try_half_open(self, now: datetime.datetime, *, within: datetime.timedelta) -> bool:
        """Whether the caller may try the server; after a pause one may, and the others wait for what it finds.

        The one that tries says what it found `within` this time, or another may.
        """
        with self._lock:
            if self._open_until is None:
                return True
            if now < self._open_until:
                return False
            self._open_until, self._one_tries = now + within, True
            return True

    @property
    def has_failed_recently(self) -> bool:
        """Whether the server failed last, so that it is tried before anything is claimed for it."""
        return self._failures > 0

    def record_failure(self, now: datetime.datetime, *, needs_operator: bool) -> None:
        """Leave the server alone for a while: 5 to 60 seconds, or 5 minutes if a person must mend something.

        Several callers that fail together count once.
        """
        with self._lock:
            if self._open_until is not None and now < self._open_until and not self._one_tries:
                return
            self._failures += 1
            self._one_tries = False
            too_many = self._failures - self._patience
            if too_many < 0 and not needs_operator:
                return
            pause = min(INITIAL_BACKOFF * 2 ** min(max(too_many, 0), 10), MAX_BACKOFF)
            # Processes that lost the server together do not come back together.
            pause *= 0.5 + 0.5 * _random.random()
            self._open_until = now + (OPERATOR_BACKOFF if needs_operator else pause)

    def record_success(self) -> None:
        """The server did what it was asked: trust it again."""
        with self._lock:
            self._failures, self._open_until, self._one_tries = 0, None, False

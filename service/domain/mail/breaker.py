"""Leaving a mail server alone that is down, and coming back to it a little later each time."""

import datetime
import secrets
import threading

FIRST_PAUSE = datetime.timedelta(seconds=5)
LONGEST_PAUSE = datetime.timedelta(minutes=1)
UNTIL_SOMEBODY_LOOKED = datetime.timedelta(minutes=5)
_chance = secrets.SystemRandom()


class Breaker:
    """Whether this worker may try the mail server now. All its connections share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: datetime.datetime | None = None

    def lets_through(self, now: datetime.datetime) -> bool:
        """Whether the server may be tried."""
        with self._lock:
            return self._open_until is None or now >= self._open_until

    @property
    def is_wary(self) -> bool:
        """Whether the server failed last, so that it is tried before anything is claimed for it."""
        return self._failures > 0

    def trip(self, now: datetime.datetime, *, needs_somebody: bool) -> None:
        """Leave the server alone for a while: 5 to 60 seconds, or 5 minutes if a person must mend something.

        Several connections that fail together count once.
        """
        with self._lock:
            if self._open_until is not None and now < self._open_until:
                return
            self._failures += 1
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE)
            # Workers that lost the server together do not come back together.
            pause *= 0.5 + 0.5 * _chance.random()
            self._open_until = now + (UNTIL_SOMEBODY_LOOKED if needs_somebody else pause)

    def reset(self) -> None:
        """The server took a mail: trust it again."""
        with self._lock:
            self._failures, self._open_until = 0, None

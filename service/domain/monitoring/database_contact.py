"""How long a worker has had contact with the database without a break."""

import time
from collections.abc import Callable

# A heartbeat is sent every five seconds.
MAX_GAP_SECONDS = 12
# Enough for every live worker to connect again, record what its mail server replied, and renew its leases.
STEADY_AFTER_SECONDS = 15


class DatabaseContact:
    """Tells whether leases that have expired belong to dead workers.

    No worker can renew its leases while the database is away. When it is back, or when its clock was set forward,
    they look expired although their owners live, and may hold the reply to an email that would be sent again. So a
    worker recovers the leases of others only after its own heartbeats were recorded for a while.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._steady_since: float | None = None
        self._last_at: float | None = None

    def start(self) -> None:
        """Begin to watch, perhaps again: a worker that starts may do so at the end of an outage."""
        self._steady_since = self._last_at = self._monotonic()

    def record(self) -> None:
        """Record that a heartbeat has reached the database."""
        if self._last_at is None:
            return
        now = self._monotonic()
        if now - self._last_at > MAX_GAP_SECONDS:
            self._steady_since = now
        self._last_at = now

    @property
    def is_steady(self) -> bool:
        """Whether the last heartbeats were recorded without a break; true in a process that does not watch."""
        if self._steady_since is None or self._last_at is None:
            return True
        now = self._monotonic()
        return now - self._last_at <= MAX_GAP_SECONDS and now - self._steady_since >= STEADY_AFTER_SECONDS

"""How long to wait after a mail could not leave: longer each time, and never all mails at once."""

import datetime
import secrets

MAX_ATTEMPTS = 8
INITIAL_BACKOFF = datetime.timedelta(minutes=10)
MAX_BACKOFF = datetime.timedelta(hours=36)
_random = secrets.SystemRandom()


def max_backoff(attempts: int) -> datetime.timedelta:
    """Return the most that is waited after so many attempts: 10, 30, 90 minutes and so on, at most 36 hours."""
    factor: int = 3 ** (attempts - 1)
    return min(INITIAL_BACKOFF * factor, MAX_BACKOFF)


def jittered_backoff(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: any time up to the longest pause ("full jitter").

    The seven pauses between eight attempts are 46 hours on average, and 92 at most.
    """
    return max_backoff(attempts) * _random.random()

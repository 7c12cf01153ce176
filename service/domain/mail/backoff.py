"""How long to wait after a mail could not leave: longer each time, and never all mails at once."""

import datetime
import secrets

MOST_ATTEMPTS = 8
FIRST_PAUSE = datetime.timedelta(minutes=10)
LONGEST_PAUSE = datetime.timedelta(hours=36)
_chance = secrets.SystemRandom()


def longest_pause_after(attempts: int) -> datetime.timedelta:
    """Return the most that is waited after so many attempts: 10, 30, 90 minutes and so on, at most 36 hours."""
    factor: int = 3 ** (attempts - 1)
    return min(FIRST_PAUSE * factor, LONGEST_PAUSE)


def pause_after(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: any time up to the longest pause ("full jitter").

    The seven pauses between eight attempts are 46 hours on average, and 92 at most.
    """
    return longest_pause_after(attempts) * _chance.random()

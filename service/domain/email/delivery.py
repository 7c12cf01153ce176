"""How long to wait after a mail could not leave: longer each time, and never all mails at once."""

import datetime
import secrets
from dataclasses import dataclass
from enum import StrEnum

from schemas.enums import DeliveryOutcome

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


NOT_ATTEMPTED = "not_begun"
UNCERTAIN = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"


class NextStep(StrEnum):
    """What follows."""

    DELIVERED = "delivered"  # The mail server took the mail.
    REQUEUE = "handed_back"  # It is due as before, at no cost, or in doubt and to be sent again.
    RETRY_LATER = "retried"  # It waits and is tried again.
    FAILED = "failed"  # It is tried no more.


@dataclass(frozen=True)
class Resolution:
    """What follows, why, and under which names it is counted."""

    next_step: NextStep
    reason: str | None
    counters: tuple[str, ...]


def resolve_delivery(
    outcome: DeliveryOutcome | None, *, attempts: int | None, reply: str | None, holds_doubtful: bool
) -> Resolution:
    """Return what follows for a mail whose worker is done with it or gone; without an outcome it was not begun."""
    used_up = (attempts or 0) >= MAX_ATTEMPTS
    match outcome:
        case None:
            return Resolution(NextStep.REQUEUE, NOT_ATTEMPTED, ("handed_back",))
        case DeliveryOutcome.ACCEPTED:
            return Resolution(NextStep.DELIVERED, None, ("sent",))
        case DeliveryOutcome.NOT_ATTEMPTED:
            return Resolution(NextStep.REQUEUE, reply, ("handed_back",))
        case DeliveryOutcome.SENDING if not holds_doubtful and not used_up:
            return Resolution(NextStep.REQUEUE, UNCERTAIN, ("in_doubt",))
        case DeliveryOutcome.SENDING:
            return Resolution(NextStep.FAILED, UNCERTAIN, ("in_doubt", "failed"))
        case DeliveryOutcome.DEFERRED if not used_up:
            return Resolution(NextStep.RETRY_LATER, reply, ("retried",))
        case _:
            return Resolution(NextStep.FAILED, reply, ("failed",))

"""The outcome of one delivery: what the mail server replied, what follows from it, and how long to back off.

Both kinds of email use this; what a resolution does to the row is in `service.domain.reminders.delivery` and
`service.domain.notifications.delivery`.
"""

import datetime
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from schemas.enums import DeliveryOutcome

MAX_ATTEMPTS = 8
INITIAL_BACKOFF = datetime.timedelta(minutes=10)
MAX_BACKOFF = datetime.timedelta(hours=36)
MAX_REPLY_LENGTH = 300
NOT_ATTEMPTED = "not_begun"
UNCERTAIN = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"

ClaimT = TypeVar("ClaimT")


@dataclass(frozen=True)
class DeliveryResult(Generic[ClaimT]):
    """The result of one attempt: the mail server's reply, or the error that prevented one, without an address."""

    claim: ClaimT
    outcome: DeliveryOutcome
    smtp_reply: str


class NextStep(StrEnum):
    """What follows from an outcome."""

    DELIVERED = "delivered"  # The mail server accepted the email.
    REQUEUE = "handed_back"  # It is due as before: not attempted, or uncertain and sent again.
    RETRY_LATER = "retried"  # It is retried after a backoff.
    FAILED = "failed"  # It is not retried.


@dataclass(frozen=True)
class Resolution:
    """What follows, why, and which counters it increments."""

    next_step: NextStep
    reason: str | None
    counters: tuple[str, ...]


def resolve_delivery(
    outcome: DeliveryOutcome | None, *, attempts: int | None, reply: str | None, hold_uncertain: bool
) -> Resolution:
    """Decide what follows for an email whose worker is done or dead. No outcome means that it was not attempted.

    With `hold_uncertain`, an email that may have arrived fails, so that staff decide; else it is sent again.
    """
    used_up = (attempts or 0) >= MAX_ATTEMPTS
    match outcome:
        case None:
            return Resolution(NextStep.REQUEUE, NOT_ATTEMPTED, ("handed_back",))
        case DeliveryOutcome.ACCEPTED:
            return Resolution(NextStep.DELIVERED, None, ("sent",))
        case DeliveryOutcome.NOT_ATTEMPTED:
            return Resolution(NextStep.REQUEUE, reply, ("handed_back",))
        case DeliveryOutcome.SENDING if not hold_uncertain and not used_up:
            return Resolution(NextStep.REQUEUE, UNCERTAIN, ("in_doubt",))
        case DeliveryOutcome.SENDING:
            return Resolution(NextStep.FAILED, UNCERTAIN, ("in_doubt", "failed"))
        case DeliveryOutcome.DEFERRED if not used_up:
            return Resolution(NextStep.RETRY_LATER, reply, ("retried",))
        case _:
            return Resolution(NextStep.FAILED, reply, ("failed",))


def jittered_backoff(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: between zero and `max_backoff` ("full jitter").

    The seven waits between eight attempts add up to 46 hours on average, and to 92 at most.
    """
    return max_backoff(attempts) * random.random()  # noqa: S311 - it spreads load; a test can seed it


def max_backoff(attempts: int) -> datetime.timedelta:
    """Return the longest wait after so many attempts: 10, 30, 90 minutes and so on, at most 36 hours."""
    factor: int = 3 ** (attempts - 1)
    return min(INITIAL_BACKOFF * factor, MAX_BACKOFF)

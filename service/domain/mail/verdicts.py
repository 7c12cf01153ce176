"""What follows for a mail from what is on record of it: one rule for every kind of mail and every crash."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.vocabulary import DeliveryOutcome
from service.domain.mail.backoff import MOST_ATTEMPTS

NOT_BEGUN = "not_begun"
IN_DOUBT = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"


class Verdict(StrEnum):
    """What follows."""

    DELIVERED = "delivered"  # The mail server took the mail.
    HANDED_BACK = "handed_back"  # It is due as before, at no cost, or in doubt and to be sent again.
    RETRIED = "retried"  # It waits and is tried again.
    FAILED = "failed"  # It is tried no more.


@dataclass(frozen=True)
class Ruling:
    """What follows, why, and under which names it is counted."""

    verdict: Verdict
    reason: str | None
    counted: tuple[str, ...]


def judge(
    outcome: DeliveryOutcome | None, *, attempts: int | None, reply: str | None, holds_doubtful: bool
) -> Ruling:
    """Return what follows for a mail whose worker is done with it or gone; without an outcome it was not begun."""
    used_up = (attempts or 0) >= MOST_ATTEMPTS
    match outcome:
        case None:
            return Ruling(Verdict.HANDED_BACK, NOT_BEGUN, ("handed_back",))
        case DeliveryOutcome.ACCEPTED:
            return Ruling(Verdict.DELIVERED, None, ("sent",))
        case DeliveryOutcome.NOT_ATTEMPTED:
            return Ruling(Verdict.HANDED_BACK, reply, ("handed_back",))
        case DeliveryOutcome.SENDING if not holds_doubtful and not used_up:
            return Ruling(Verdict.HANDED_BACK, IN_DOUBT, ("in_doubt",))
        case DeliveryOutcome.SENDING:
            return Ruling(Verdict.FAILED, IN_DOUBT, ("in_doubt", "failed"))
        case DeliveryOutcome.DEFERRED if not used_up:
            return Ruling(Verdict.RETRIED, reply, ("retried",))
        case _:
            return Ruling(Verdict.FAILED, reply, ("failed",))
